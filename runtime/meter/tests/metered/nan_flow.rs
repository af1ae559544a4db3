//! Where NaNs are made canonical, and that it suffices: joins, loops, groups of stores.

use haar_meter::Ending;
use wasmparser::{Operator, Parser, Payload};
use wasmtime::Val;

use crate::engine::{PLENTY, metered, run};
use crate::nan_generated::run_deterministic;

/// Wraps a body. `$p` is 1; the first words of memory hold NaNs with payloads.
fn module(body: &str) -> String {
    format!(
        r#"(module (memory (export "memory") 1) (func (export "_start"))
        (global $g (mut f64) (f64.const 0))
        (func $id (param f64) (result f64) (local.get 0))
        (data (i32.const 0) "\bb\0b\00\00\00\00\f4\ff\aa\0a\00\00\00\00\f8\7f\bb\0b\a0\ff\aa\0a\c0\7f")
        (func (export "f") (param $p i32) (param $n i32) (result i32)
            (local $a f64) (local $b f64) (local $s f32) (local $v v128) (local $w v128) (local $i i32)
            {body}
            (i32.const 0)))"#
    )
}

/// Runs a body with its branches taken and not taken: it must leave the memory of the profile.
#[track_caller]
fn check(body: &str) {
    let wat = module(body);
    for p in [1, 0] {
        let args = [Val::I32(p), Val::I32(3)];
        let ran = run(&wat, "f", &args, PLENTY);
        assert_eq!(ran.ending, Ending::Returned, "{body}");
        let (_, memory) = run_deterministic(&wat, &args);
        let differs = ran.memory.iter().zip(&memory).position(|(a, b)| a != b);
        assert_eq!(differs, None, "p = {p}: {body}");
    }
}

/// As `check`, and counts the tests for NaNs at each depth of loops.
#[track_caller]
fn check_tests(body: &str, expected: &[usize]) {
    check(body);
    let bytes = metered(&module(body)).bytes;
    let mut bodies = Parser::new(0)
        .parse_all(&bytes)
        .filter_map(|payload| match payload {
            Ok(Payload::CodeSectionEntry(body)) => Some(body),
            _ => None,
        });
    let body = bodies.nth(2).unwrap();
    // For each open block whether it is a loop.
    let mut open = Vec::new();
    let mut tests = vec![0; expected.len()];
    for op in body.get_operators_reader().unwrap() {
        match op.unwrap() {
            Operator::Loop { .. } => open.push(true),
            Operator::Block { .. } | Operator::If { .. } => open.push(false),
            Operator::End => drop(open.pop()),
            Operator::F64Eq
            | Operator::F64Ne
            | Operator::F32Eq
            | Operator::F32Ne
            | Operator::F64Ge
            | Operator::F32Ge
            | Operator::F32x4Ne
            | Operator::F64x2Ne
            | Operator::F32x4Eq
            | Operator::F64x2Eq => {
                tests[open.iter().filter(|is_loop| **is_loop).count()] += 1;
            }
            _ => {}
        }
    }
    assert_eq!(tests, expected);
}

const LOAD: &str = "(f64.load (i32.const 0))";
const SUM: &str = "(f64.add (f64.load (i32.const 0)) (f64.load (i32.const 8)))";
const ROUND: &str = "(br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))";

/// Replaces the names of common parts.
fn text(template: &str) -> String {
    template
        .replace("LOAD", LOAD)
        .replace("SUM", SUM)
        .replace("ROUND", ROUND)
        .replace("STORE", "f64.store offset=64 (i32.const 0)")
}

#[test]
fn a_sum_is_tested_once_after_its_loop() {
    let dot = "(local.set $a (f64.const 0))
        (loop $l (local.set $a (f64.add (local.get $a) LOAD)) ROUND)
        (STORE (local.get $a))";
    check_tests(&text(dot), &[1, 0]);
    // An accumulator that was loaded, and is overwritten in the loop.
    let loaded = dot.replace("(f64.const 0)", "LOAD");
    check_tests(&text(&loaded), &[1, 0]);
}

#[test]
fn a_value_that_a_loop_does_not_change_is_tested_before_it() {
    let one = "(local.set $a SUM) (loop $l (STORE (local.get $a)) ROUND)";
    check_tests(&text(one), &[1, 0]);
    let inner = "(loop $k (local.set $a SUM) (local.set $n (i32.const 2))
            (loop $l (STORE (local.get $a)) (global.set $g (local.get $a)) ROUND)
            (br_if $k (local.tee $i (i32.eqz (local.get $i)))))";
    check_tests(&text(inner), &[0, 1, 0]);
}

#[test]
fn arithmetic_between_two_observers_is_not_tested() {
    let chain = "(STORE (f64.sqrt (f64.mul (f64.min SUM (f64.const 2)) (f64.neg SUM))))";
    check_tests(&text(chain), &[1]);
    check_tests(
        &text("(drop SUM) (local.set $a SUM) (local.set $a LOAD) (STORE (local.get $a))"),
        &[0],
    );
    check_tests(
        &text("(i32.store offset=64 (i32.const 0) (f64.lt SUM SUM))"),
        &[0],
    );
}

#[test]
fn a_value_seen_twice_is_tested_once() {
    let twice = "(local.set $a SUM) (global.set $g (local.get $a)) (drop (call $id (local.get $a)))
        (STORE (local.get $a))";
    check_tests(&text(twice), &[1]);
}

#[test]
fn stores_in_one_piece_share_a_test() {
    let four: String = (0..4)
        .map(|nth| format!("(f64.store offset={} (i32.const 64) SUM)", nth * 8))
        .collect();
    // One test of the sum, and one for each in the cold block.
    check_tests(&text(&four), &[5]);
    let apart = "(local.set $a SUM) (f64.store offset=64 (local.get $i) SUM)
        (drop (f64.load offset=72 (local.get $i)))
        (f64.store offset=80 (local.get $i) (f64.sqrt (local.get $a)))";
    check_tests(&text(apart), &[3]);
    // One byte of the raw store would be read.
    for offset in ["71", "57"] {
        let touching = apart.replace("offset=72", &format!("offset={offset}"));
        check_tests(&text(&touching), &[2]);
    }
}

#[test]
fn vectors_share_a_test_too() {
    for lanes in ["f32x4", "f64x2"] {
        let value =
            format!("({lanes}.mul (v128.load (i32.const 0)) (v128.load offset=1 (i32.const 0)))");
        let body: String = (0..3)
            .map(|nth| {
                format!(
                    "(v128.store offset={} (local.get $i) {value})",
                    64 + 24 * nth
                )
            })
            .collect();
        // Loads from an unknown place between them: each is repaired alone.
        check_tests(&body, &[6]);
        let body = format!(
            "(local.set $v {value}) (local.set $w ({lanes}.sqrt (local.get $v)))
            (v128.store offset=64 (local.get $i) (local.get $v))
            (v128.store offset=72 (local.get $i) (local.get $w))"
        );
        check_tests(&body, &[3]);
    }
}

#[test]
fn what_lies_between_stores_is_seen_as_if_they_were_canonical() {
    for between in [
        "(i64.store offset=256 (i32.const 0) (i64.load offset=64 (local.get $i)))",
        "(i32.store offset=256 (i32.const 0) (i32.load offset=67 (i32.const 0)))",
        "(i64.store offset=256 (i32.const 0) (i64.load8_u offset=71 (i32.const 0)))",
        "(v128.store offset=256 (i32.const 0) (v128.load offset=56 (i32.const 0)))",
        "(i32.store offset=66 (i32.const 0) (i32.const 7))",
        "(local.set $i (i32.const 8)) (i64.store offset=256 (i32.const 0) (i64.load offset=56 (local.get $i)))",
        "(memory.copy (i32.const 256) (i32.const 64) (i32.const 8))",
        "(memory.fill (i32.const 66) (i32.const 1) (i32.const 8))",
        "(f32.store offset=66 (i32.const 0) (f32.sqrt (f32.load (i32.const 16))))",
        "(f64.store offset=66 (i32.const 0) LOAD)",
        "(v128.store offset=60 (i32.const 0) (f64x2.add (v128.load (i32.const 0)) (v128.load (i32.const 0))))",
        "(if (local.get $p) (then (i64.store offset=256 (i32.const 0) (i64.load offset=64 (i32.const 0)))))",
    ] {
        let body = format!(
            "(f64.store offset=64 (i32.const 0) SUM) {between} (f64.store offset=68 (i32.const 0) SUM)
            (f64.store offset=80 (local.get $i) SUM) (f64.store offset=84 (local.get $i) (f64.const 1))"
        );
        check(&text(&body));
    }
}

#[test]
fn a_loaded_payload_survives_every_join() {
    for join in [
        "(if (result f64) (local.get $p) (then LOAD) (else SUM))",
        "(if (param f64) (result f64) (local.get $p) (then (drop) SUM))",
        "(block (result f64) (drop (br_if 0 LOAD (local.get $p))) SUM)",
        "(block (result f64) (drop (br_if 0 SUM (local.get $p))) LOAD)",
        "(block (result f64) (drop (block (result f64) (br_table 0 1 LOAD (local.get $p)))) SUM)",
        "(block (result f64) (drop (block (result f64) (br_table 0 1 SUM (local.get $p)))) LOAD)",
        "(select LOAD SUM (local.get $p))",
        "(select (result f64) SUM LOAD (local.get $p))",
        "(f64.abs (select LOAD SUM (local.get $p)))",
        "(f64.copysign (select LOAD SUM (local.get $p)) (select LOAD SUM (local.get $p)))",
        "(f64.neg (select LOAD SUM (local.get $p)))",
        "(f64.promote_f32 (select (f32.load (i32.const 16)) (f32.sqrt (f32.load (i32.const 16))) (local.get $p)))",
        "(f64.copysign (f64.const 1) SUM)",
        "(f64.promote_f32 (f32.copysign (f32.const 1) (f32.sqrt (f32.load (i32.const 16)))))",
        "(loop (result f64) (select LOAD SUM (local.get $p)))",
    ] {
        let join = if join.starts_with("(if (param") {
            format!("LOAD {join}")
        } else {
            join.to_owned()
        };
        for observer in [
            "J local.set $a (STORE (local.get $a))",
            "J global.set $g (STORE (global.get $g))",
            "J call $id local.set $a (STORE (local.get $a))",
            "J i64.reinterpret_f64 (local.set $i (i32.wrap_i64 (i64.shr_u (i64.const 32))))
             (i32.store offset=64 (i32.const 0) (local.get $i))",
            "J f64.neg local.set $a (STORE (local.get $a))",
        ] {
            check(&text(&observer.replace('J', &join)));
        }
    }
}

#[test]
fn a_local_keeps_what_each_way_left_in_it() {
    for ways in [
        "(local.set $a LOAD) (if (local.get $p) (then (local.set $a SUM)))",
        "(local.set $a SUM) (if (local.get $p) (then (local.set $a LOAD)))",
        "(if (local.get $p) (then (local.set $a LOAD)) (else (local.set $a SUM)))",
        "(local.set $a LOAD) (block (br_if 0 (local.get $p)) (local.set $a SUM))",
        "(local.set $a SUM) (block (br_if 0 (local.get $p)) (local.set $a LOAD))",
        "(block (block (br_table 0 1 (local.get $p))) (local.set $a SUM) (br 0)) ",
        "(block $o (block $i (local.set $a SUM) (br_table $i $o $i (local.get $p))) (local.set $a LOAD))",
        "(local.set $a LOAD) (loop $l (if (local.get $p) (then (local.set $a SUM))) ROUND)",
        "(loop $l (local.set $b (local.get $a)) (local.set $a (select LOAD SUM (local.get $p))) ROUND)",
        "(local.set $a SUM) (local.set $b LOAD)
         (loop $l (local.set $a (local.get $b)) (local.set $b SUM) ROUND)",
        "(local.set $a (local.tee $b SUM)) (if (local.get $p) (then (local.set $b LOAD)))",
        "(block $o (loop $l (local.set $a SUM) (br_if $o (local.get $p)) ROUND) (local.set $a LOAD))",
        "(if (local.get $p) (then (local.set $a LOAD)) (else (local.set $a SUM) (br 0) (local.set $a LOAD)))",
        "(block (if (local.get $p) (then (local.set $a LOAD) (br 1)) (else (local.set $a SUM))) (local.set $b (local.get $a)))",
    ] {
        let body = format!(
            "{ways} (STORE (local.get $a)) (f64.store offset=72 (i32.const 0) (local.get $b))"
        );
        check(&text(&body));
        let body = format!("(loop $r (local.set $n (i32.const 3)) {ways} (global.set $g (local.get $a))
            (f64.store offset=72 (local.get $i) (f64.neg (local.get $b))) (STORE (global.get $g))
            (br_if $r (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 24))))");
        check(&text(&body));
    }
}

#[test]
fn lanes_of_another_shape_are_data() {
    let single =
        "(f32x4.add (v128.load32_splat (i32.const 16)) (v128.load32_splat (i32.const 20)))";
    let double = "(f64x2.mul (v128.load (i32.const 0)) (v128.load (i32.const 0)))";
    for vector in [
        "(f64x2.abs S)",
        "(f32x4.abs D)",
        "(f64x2.add S D)",
        "(f32x4.add S D)",
        "(f32x4.pmin D S)",
        "(f64x2.pmax S D)",
        "(f64x2.neg S)",
        "(f32x4.neg D)",
        "(select S D (local.get $p))",
        "(f64x2.abs (select S D (local.get $p)))",
        "(f32x4.add S (select S D (local.get $p)))",
        "(f64x2.replace_lane 1 S (f64.const 1))",
        "(f32x4.replace_lane 1 D (f32.const 1))",
        "(f64x2.replace_lane 0 (v128.load (i32.const 0)) SUM)",
        "(f32x4.replace_lane 0 (v128.load (i32.const 0)) (f32.demote_f64 SUM))",
        "(f64x2.splat SUM)",
        "(f32x4.splat (f32.demote_f64 SUM))",
        "(f64x2.splat (f64x2.extract_lane 1 S))",
        "(f32x4.splat (f32x4.extract_lane 1 D))",
        "(f64x2.promote_low_f32x4 D)",
        "(f32x4.demote_f64x2_zero S)",
        "(v128.bitselect S D (f64x2.lt D D))",
        "(f32x4.lt D S)",
        "(i8x16.shuffle 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 S D)",
        "(i8x16.shuffle 4 5 6 7 12 13 14 15 16 17 18 19 28 29 30 31 S D)",
        "(i8x16.shuffle 1 2 3 4 5 6 7 8 16 17 18 19 28 29 30 31 S D)",
        "(f32x4.add S (v128.const f64x2 nan inf))",
        "(select S (v128.const f64x2 nan inf) (local.get $p))",
        // The lower half of this number looks like a NaN of 32 bits.
        "(select S (f64x2.splat (f64.const 0x1.000007fc00001p0)) (local.get $p))",
        "(select S (f64x2.replace_lane 0 (v128.const i64x2 0 0) (f64.const 0x1.000007fc00001p0)) (local.get $p))",
        "(select D (v128.const f32x4 nan nan nan 1) (local.get $p))",
        "(select D (f64x2.convert_low_i32x4_s (v128.const i32x4 -1 -3 0 0)) (local.get $p))",
    ] {
        let vector = vector
            .replace('S', single)
            .replace('D', double)
            .replace("FLOAT", "");
        let vector = vector.replace(&format!("{single}UM"), SUM);
        check(&format!("(v128.store offset=64 (i32.const 0) {vector})"));
        check(&format!("(local.set $v {vector}) (local.set $w (i64x2.add (local.get $v) (local.get $v)))
            (v128.store offset=64 (i32.const 0) (local.get $w)) (v128.store offset=80 (i32.const 0) (local.get $v))"));
    }
}

/// A body that changes many locals between many branches: more joins than are followed.
#[test]
fn too_many_joins_make_locals_observers() {
    let locals = 800;
    let mut body = String::from("(block $o ");
    for local in 0..locals {
        body += &format!(
            "(local.set $m{local} (f64.add (local.get $m{local}) (f64.load (i32.const 0))))"
        );
    }
    for _ in 0..400 {
        body += "(br_if $o (local.get $n))";
    }
    body += ")";
    for local in 0..locals {
        body += &format!(
            "(f64.store offset={} (i32.const 0) (local.get $m{local}))",
            64 + 8 * local
        );
    }
    let declared: String = (0..locals)
        .map(|local| format!("(local $m{local} f64)"))
        .collect();
    let wat = format!(
        r#"(module (memory (export "memory") 1) (func (export "_start"))
        (data (i32.const 0) "\bb\0b\00\00\00\00\f4\ff")
        (func (export "f") (param $p i32) (param $n i32) (result i32) {declared} {body} (i32.const 0)))"#
    );
    let args = [Val::I32(1), Val::I32(3)];
    let ran = run(&wat, "f", &args, PLENTY);
    assert_eq!(ran.ending, Ending::Returned);
    let (_, memory) = run_deterministic(&wat, &args);
    assert!(ran.memory == memory, "memories differ");
}
