//! Programs that somebody wrote to make engines differ: deep recursion, growth, floods of charges,
//! NaNs with payloads through every observer. Each has a number from the seed in it.

use anyhow::Result;

use super::random::Random;

/// All hostile programs of a seed, with their names.
pub(crate) fn modules(seed: u64) -> Result<Vec<(String, Vec<u8>)>> {
    let mut random = Random::new(seed, u64::MAX);
    let mut modules = Vec::new();
    for (name, text) in [
        ("recursion", recursion(&mut random, 0)),
        ("recursion-16-locals", recursion(&mut random, 16)),
        ("recursion-256-locals", recursion(&mut random, 256)),
        ("mutual-recursion", mutual(&mut random)),
        ("indirect-recursion", INDIRECT.to_owned()),
        ("recursion-then-abort", RECURSION_THEN_ABORT.to_owned()),
        ("endless-loop", command("(loop (br 0))")),
        ("growth-storm", growth(&mut random)),
        (
            "fill",
            command(
                "(memory.grow (i32.const 32)) drop (loop (memory.fill (i32.const 0) (i32.const 7) (i32.const 2000000)) (br 0))",
            ),
        ),
        ("straight-code-then-exit", straight(&mut random)),
        ("leaf-storm", LEAF_STORM.to_owned()),
        ("trap-after-loop", trap_after_loop(&mut random)),
        ("wide-br-table", table(&mut random)),
        ("counted-loops", counted(&mut random)),
        ("payloads", PAYLOADS.to_owned()),
        ("made-nans", MADE_NANS.to_owned()),
    ] {
        let bytes = wat::parse_str(&text)?;
        modules.push((format!("hostile/{name}"), bytes));
    }
    Ok(modules)
}

/// A command with a page of memory.
fn command(body: &str) -> String {
    format!(
        r#"(module (memory (export "memory") 1 64) (func (export "_start") (local $i i32) (local $n i32) {body}))"#
    )
}

fn recursion(random: &mut Random, locals: usize) -> String {
    let declared = " i64".repeat(locals);
    let sum: String = (1..=locals)
        .map(|local| format!("(local.set {local} (i64.mul (local.get 0) (i64.const {local})))"))
        .collect();
    let used: String = (1..=locals)
        .map(|local| format!("(local.get {local}) i64.xor "))
        .collect();
    let step = 1 + random.below(3);
    format!(
        r#"(module (memory (export "memory") 1) (global $g (export "deep") (mut i64) (i64.const 0))
        (func $f (param i64) (result i64) (local{declared}) {sum}
            (global.set $g (i64.add (global.get $g) (i64.const {step})))
            (call $f (i64.add (local.get 0) (i64.const 1))) {used})
        (func (export "_start") (drop (call $f (i64.const 1)))))"#
    )
}

fn mutual(random: &mut Random) -> String {
    let deep = 200 + random.below(400);
    format!(
        r#"(module (memory (export "memory") 1)
        (func $even (param i32) (result i32) (if (result i32) (local.get 0)
            (then (call $odd (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 1))))
        (func $odd (param i32) (result i32) (if (result i32) (local.get 0)
            (then (call $even (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))
        (func (export "_start") (local $n i32) (local.set $n (i32.const 1))
            (loop (i32.store (i32.const 8) (call $even (local.get $n)))
                (i32.store (i32.const 12) (local.get $n))
                (local.set $n (i32.add (local.get $n) (i32.const 37)))
                (br_if 0 (i32.lt_u (local.get $n) (i32.const {deep}))))))"#
    )
}

const INDIRECT: &str = r#"(module (memory (export "memory") 1) (type $t (func (param i32) (result i32)))
    (table 3 funcref) (elem (i32.const 0) $a $b)
    (func $a (type $t) (i32.store (i32.const 0) (local.get 0))
        (call_indirect (type $t) (i32.add (local.get 0) (i32.const 1)) (i32.const 1)))
    (func $b (type $t) (i32.add (i32.const 1)
        (call_indirect (type $t) (i32.add (local.get 0) (i32.const 1)) (i32.const 0))))
    (func (export "_start") (drop (call $a (i32.const 1)))))"#;

const RECURSION_THEN_ABORT: &str = r#"(module (memory (export "memory") 1)
    (func $f (param i32) (i32.store (i32.const 0) (local.get 0))
        (if (i32.gt_u (local.get 0) (i32.const 300)) (then unreachable))
        (call $f (i32.add (local.get 0) (i32.const 1))) unreachable)
    (func (export "_start") (call $f (i32.const 0))))"#;

fn growth(random: &mut Random) -> String {
    let by = 1 + random.below(3);
    command(&format!(
        "(loop (i32.store (i32.const 4) (memory.grow (i32.const {by})))
            (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)) (memory.size))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get $i) (i32.const 60))))
         (drop (memory.grow (i32.const -1)))"
    ))
}

fn straight(random: &mut Random) -> String {
    let count = 300 + random.below(300) as usize;
    let step = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 5)) (i32.const 1)))";
    format!(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start") (local i32) {} (call $exit (i32.and (local.get 0) (i32.const 255))) unreachable))"#,
        step.repeat(count)
    )
}

const LEAF_STORM: &str = r#"(module (memory (export "memory") 1)
    (func $leaf (param i32) (result i32) (i32.add (i32.mul (local.get 0) (i32.const 31)) (i32.const 7)))
    (func $branchy (param i32) (result i32)
        (if (result i32) (i32.and (local.get 0) (i32.const 1))
            (then (i32.div_u (local.get 0) (i32.const 3))) (else (i32.shl (local.get 0) (i32.const 1)))))
    (func (export "_start") (local $i i32) (local $x i32)
        (loop (local.set $x (call $branchy (call $leaf (call $leaf (local.get $x)))))
            (i32.store (i32.and (local.get $x) (i32.const 0xfffc)) (local.get $i))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get $i) (i32.const 5000))))))"#;

fn trap_after_loop(random: &mut Random) -> String {
    let rounds = 100 + random.below(3_000);
    command(&format!(
        "(loop (i32.store (i32.const 16) (local.get $i))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if 0 (i32.ne (local.get $i) (i32.const {rounds}))))
         (i32.store (i32.const 20) (i32.div_u (local.get $i) (local.get $n)))"
    ))
}

fn table(random: &mut Random) -> String {
    let wide = 50 + random.below(200) as usize;
    let targets: String = (0..wide).map(|target| format!(" {}", target % 5)).collect();
    command(&format!(
        "(loop $again (block $a (block $b (block $c (block $d
            (br_table {targets} 2 (i32.rem_u (local.get $i) (i32.const {wide})))) 
            (i32.store (i32.const 0) (local.get $i))) (i32.store (i32.const 4) (local.get $i)) (br $a))
            (i32.store (i32.const 8) (local.get $i)))
         (local.set $i (i32.add (local.get $i) (i32.const 1)))
         (br_if $again (i32.lt_u (local.get $i) (i32.const 700))))"
    ))
}

/// Loops of every shape that could be charged before they start.
fn counted(random: &mut Random) -> String {
    let mut body = String::new();
    for round in 0..24 {
        let (start, limit) = (random.next() as i32 >> 18, random.next() as i32 >> 20);
        let step = random.choose(&[1, 1, 2, 3, 4, -1, -2]).unwrap_or(1);
        let test = random
            .choose(&[
                "ne", "lt_u", "lt_s", "le_u", "le_s", "gt_u", "gt_s", "ge_u", "ge_s",
            ])
            .unwrap_or("ne");
        let far = if test == "ne" {
            start.wrapping_add(step * 100)
        } else {
            limit
        };
        body.push_str(&format!(
            "(local.set $i (i32.const {start})) (local.set $n (i32.const 0))
            (loop (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (local.set $i (i32.add (local.get $i) (i32.const {step})))
                (br_if 0 (i32.{test} (local.get $i) (i32.const {far}))))
            (i32.store (i32.const {}) (local.get $n))",
            4 * round
        ));
    }
    command(&body)
}

const PAYLOADS: &str = r#"(module (memory (export "memory") 1)
    (data (i32.const 0) "\bb\0a\00\00\00\00\f8\ff\aa\0a\00\00\00\00\f4\7f\01\00\a0\7f\03\00\e0\ff")
    (global $g (mut f64) (f64.const 0))
    (func $id (param f64) (result f64) (local.get 0))
    (func (export "_start") (local $x f64) (local $y f64) (local $i i32)
        (local.set $x (f64.load (i32.const 0))) (local.set $y (f64.load (i32.const 8)))
        (f64.store (i32.const 64) (f64.min (local.get $x) (local.get $y)))
        (f64.store (i32.const 72) (f64.max (local.get $y) (local.get $x)))
        (f64.store (i32.const 80) (f64.add (local.get $x) (local.get $y)))
        (f64.store (i32.const 88) (f64.neg (f64.sub (local.get $x) (local.get $y))))
        (f64.store (i32.const 96) (f64.copysign (f64.const 1) (f64.mul (local.get $x) (f64.const 0))))
        (f64.store (i32.const 104) (f64.copysign (f64.div (local.get $x) (local.get $x)) (local.get $x)))
        (f64.store (i32.const 112) (call $id (f64.sqrt (local.get $x))))
        (global.set $g (f64.ceil (local.get $y)))
        (f64.store (i32.const 120) (global.get $g))
        (f64.store (i32.const 128) (select (local.get $x) (f64.add (local.get $x) (f64.const 1)) (local.get $i)))
        (f64.store (i32.const 136) (select (local.get $x) (f64.add (local.get $x) (f64.const 1)) (i32.const 1)))
        (f64.store (i32.const 144) (if (result f64) (local.get $i) (then (local.get $y)) (else (f64.mul (local.get $y) (f64.const 2)))))
        (f64.store (i32.const 152) (if (result f64) (i32.const 1) (then (local.get $y)) (else (f64.mul (local.get $y) (f64.const 2)))))
        (f32.store (i32.const 160) (f32.demote_f64 (local.get $y)))
        (f64.store (i32.const 168) (f64.promote_f32 (f32.load (i32.const 16))))
        (f32.store (i32.const 176) (f32.nearest (f32.load (i32.const 20))))
        (f32.store (i32.const 180) (f32.abs (f32.add (f32.load (i32.const 16)) (f32.load (i32.const 20)))))
        (v128.store (i32.const 192) (f32x4.add (v128.load (i32.const 0)) (v128.load (i32.const 8))))
        (v128.store (i32.const 208) (f64x2.min (v128.load (i32.const 0)) (v128.load (i32.const 8))))
        (v128.store (i32.const 224) (f64x2.pmin (f64x2.div (v128.load (i32.const 0)) (v128.load (i32.const 0))) (v128.load (i32.const 0))))
        (v128.store (i32.const 240) (v128.xor (f32x4.mul (v128.load (i32.const 0)) (v128.load (i32.const 8))) (f64x2.sqrt (v128.load (i32.const 0)))))
        (v128.store (i32.const 256) (f32x4.replace_lane 2 (v128.load (i32.const 0)) (f32.sub (f32.load (i32.const 16)) (f32.load (i32.const 20)))))
        (i32.store (i32.const 272) (i32x4.bitmask (f32x4.sub (v128.load (i32.const 0)) (v128.load (i32.const 0)))))))"#;

const MADE_NANS: &str = r#"(module (memory (export "memory") 1)
    (func (export "_start") (local $z f64) (local $s f32) (local $i i32) (local $acc f64)
        (f64.store (i32.const 0) (f64.div (local.get $z) (local.get $z)))
        (f64.store (i32.const 8) (f64.sqrt (f64.const -1)))
        (f64.store (i32.const 16) (f64.copysign (f64.const 1) (f64.div (local.get $z) (local.get $z))))
        (f64.store (i32.const 24) (f64.sub (f64.const inf) (f64.const inf)))
        (f32.store (i32.const 32) (f32.mul (f32.const inf) (local.get $s)))
        (f32.store (i32.const 36) (f32.neg (f32.div (local.get $s) (local.get $s))))
        (i64.store (i32.const 40) (i64.reinterpret_f64 (f64.mul (f64.const inf) (local.get $z))))
        (local.set $acc (f64.const inf))
        (loop (local.set $acc (f64.sub (local.get $acc) (f64.const inf)))
            (f64.store offset=64 (i32.shl (local.get $i) (i32.const 3)) (local.get $acc))
            (f64.store offset=128 (i32.shl (local.get $i) (i32.const 3)) (f64.add (local.get $acc) (f64.const 1)))
            (f64.store offset=192 (i32.shl (local.get $i) (i32.const 3)) (f64.sqrt (f64.convert_i32_s (i32.sub (local.get $i) (i32.const 4)))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get $i) (i32.const 8))))
        (v128.store (i32.const 512) (f32x4.div (v128.const i32x4 0 0 0 0) (v128.const f32x4 0 1 0 -0)))
        (v128.store (i32.const 528) (i8x16.swizzle (f64x2.sqrt (v128.const f64x2 -1 4)) (v128.const i8x16 7 6 5 4 3 2 1 0 15 14 13 12 11 10 9 8)))))"#;
