//! NaN bits: every producer before every observer, and payloads that must survive.

use haar_meter::Ending;
use wasmtime::Val;

use crate::engine::{PLENTY, run};

const CANONICAL_32: u64 = 0x7fc0_0000;
const CANONICAL_64: u64 = 0x7ff8_0000_0000_0000;

/// Two NaNs with payloads and some operands that make NaNs, kept in memory so that no compiler
/// can fold them.
const DATA: &str = r#"
    (data (i32.const 0) "\bb\0b\00\00\00\00\f4\ff")   ;; f64: a signalling NaN, negative
    (data (i32.const 8) "\aa\0a\00\00\00\00\f8\7f")   ;; f64: a quiet NaN
    (data (i32.const 16) "\bb\0b\a0\ff")              ;; f32: a signalling NaN, negative
    (data (i32.const 20) "\aa\0a\c0\7f")              ;; f32: a quiet NaN
    (data (i32.const 24) "\00\00\00\00\00\00\f0\7f")  ;; f64: infinity
    (data (i32.const 32) "\00\00\00\00\00\00\f0\bf")  ;; f64: -1
    (data (i32.const 40) "\00\00\80\7f\00\00\80\bf")  ;; f32: infinity, -1
"#;

/// Evaluates an i64 expression; `$p` is a local that is true.
fn eval(parts: &str, expression: &str) -> u64 {
    let wat = format!(
        r#"(module (memory (export "memory") 1) {DATA} {parts} (func (export "_start"))
        (func (export "f") (param $p i32) (result i64) (local $d f64) (local $s f32) (local $v v128) {expression}))"#
    );
    let ran = run(&wat, "f", &[Val::I32(1)], PLENTY);
    assert_eq!(ran.ending, Ending::Returned);
    ran.results[0].unwrap_i64().cast_unsigned()
}

#[track_caller]
fn check(expression: &str, expected: u64) {
    let found = eval("", expression);
    assert_eq!(found, expected, "{expression} gave {found:#x}");
}

const A: &str = "(f64.load (i32.const 0))";
const B: &str = "(f64.load (i32.const 8))";

/// Every instruction that can make a NaN of 64 bits.
fn makers_64() -> Vec<String> {
    let mut makers = vec![
        "(f64.div (f64.const 0) (f64.const 0))".to_owned(),
        "(f64.sqrt (f64.load (i32.const 32)))".to_owned(),
        "(f64.sub (f64.load (i32.const 24)) (f64.load (i32.const 24)))".to_owned(),
        "(f64.promote_f32 (f32.load (i32.const 16)))".to_owned(),
        "(f64.promote_f32 (f32.demote_f64 (f64.load (i32.const 0))))".to_owned(),
    ];
    for name in ["add", "sub", "mul", "div", "min", "max"] {
        for (x, y) in [(A, B), (B, A), (A, "(f64.const 1)"), ("(f64.const 1)", B)] {
            makers.push(format!("(f64.{name} {x} {y})"));
        }
    }
    for name in ["sqrt", "ceil", "floor", "trunc", "nearest"] {
        makers.push(format!("(f64.{name} {A})"));
        makers.push(format!("(f64.{name} {B})"));
    }
    makers
}

#[test]
fn every_maker_is_canonical_before_every_observer_of_64_bits() {
    let parts = "(global $g (mut f64) (f64.const 0))
        (func $id (param f64) (result f64) (local.get 0))";
    const OBSERVERS: [&str; 11] = [
        "(i64.reinterpret_f64 X)",
        "(local.set $d X) (i64.reinterpret_f64 (local.get $d))",
        "(i64.reinterpret_f64 (local.tee $d X))",
        "(f64.store (i32.const 64) X) (i64.load (i32.const 64))",
        "(global.set $g X) (i64.reinterpret_f64 (global.get $g))",
        "(i64.reinterpret_f64 (call $id X))",
        "(i64.reinterpret_f64 (block (result f64) (br_if 0 X (local.get $p)) (drop) (f64.const 1)))",
        "(i64.reinterpret_f64 (if (result f64) (local.get $p) (then X) (else (f64.const 1))))",
        "(i64.reinterpret_f64 (select X (f64.const 1) (local.get $p)))",
        "(i64.reinterpret_f64 (f64.abs X))",
        "(i64.reinterpret_f64 (loop (result f64) X (br_if 1 (i64.const 9221120237041090560) (i32.eqz (local.get $p))) (drop)))",
    ];
    for maker in makers_64() {
        for observer in OBSERVERS {
            let expression = observer.replace('X', &maker);
            let found = eval(parts, &expression);
            assert_eq!(found, CANONICAL_64, "{expression} gave {found:#x}");
        }
    }
}

#[test]
fn every_maker_is_canonical_in_32_bits() {
    let (a, b) = ("(f32.load (i32.const 16))", "(f32.load (i32.const 20))");
    let mut makers = vec![format!("(f32.demote_f64 {A})"), format!("(f32.sqrt {a})")];
    for name in ["add", "sub", "mul", "div", "min", "max"] {
        makers.push(format!("(f32.{name} {a} {b})"));
        makers.push(format!("(f32.{name} {b} {a})"));
    }
    for name in ["ceil", "floor", "trunc", "nearest"] {
        makers.push(format!("(f32.{name} {a})"));
    }
    for maker in makers {
        check(
            &format!("(i64.extend_i32_u (i32.reinterpret_f32 {maker}))"),
            CANONICAL_32,
        );
        let stored = "(i64.load32_u (i32.const 64))";
        check(
            &format!("(f32.store (i32.const 64) {maker}) {stored}"),
            CANONICAL_32,
        );
    }
}

#[test]
fn the_sign_of_a_made_nan_is_that_of_the_canonical_one() {
    let zero = "(f64.div (f64.const 0) (f64.const 0))";
    let bits = |expression: String| format!("(i64.reinterpret_f64 {expression})");
    check(&bits(format!("(f64.neg {zero})")), CANONICAL_64 | 1 << 63);
    check(
        &bits(format!("(f64.copysign (f64.const 1) {zero})")),
        1f64.to_bits(),
    );
    check(
        &bits(format!("(f64.copysign {zero} (f64.const -1))")),
        CANONICAL_64 | 1 << 63,
    );
    check(&bits(format!("(f64.abs (f64.neg {zero}))")), CANONICAL_64);
}

#[test]
fn loaded_payloads_are_never_changed() {
    let raw = 0xfff4_0000_0000_0bbb_u64;
    check(&format!("(i64.reinterpret_f64 {A})"), raw);
    check(
        &format!("(local.set $d {A}) (i64.reinterpret_f64 (local.get $d))"),
        raw,
    );
    check(
        &format!("(f64.store (i32.const 64) {A}) (i64.load (i32.const 64))"),
        raw,
    );
    check(
        &format!("(i64.reinterpret_f64 (f64.neg {A}))"),
        raw ^ 1 << 63,
    );
    check(
        &format!("(i64.reinterpret_f64 (f64.abs {A}))"),
        raw & !(1 << 63),
    );
    check(
        &format!("(i64.reinterpret_f64 (f64.copysign {A} (f64.const 1)))"),
        raw & !(1 << 63),
    );
    check(
        "(i64.reinterpret_f64 (f64.const nan:0x4000000000123))",
        0x7ff4_0000_0000_0123,
    );
    // A choice between a loaded value and a computed one keeps the loaded one's bits.
    let sum = "(f64.add (f64.load (i32.const 0)) (f64.const 1))";
    check(
        &format!("(i64.reinterpret_f64 (select {A} {sum} (local.get $p)))"),
        raw,
    );
    check(
        &format!("(i64.reinterpret_f64 (select {sum} {A} (i32.eqz (local.get $p))))"),
        raw,
    );
    let choice = format!("(if (result f64) (local.get $p) (then {A}) (else {sum}))");
    check(&format!("(i64.reinterpret_f64 {choice})"), raw);
}

#[test]
fn every_vector_maker_is_canonical_lane_by_lane() {
    // Both lanes hold NaNs with payloads; the quiet one is in lane 1.
    let double = "(v128.load (i32.const 0))";
    for name in ["add", "sub", "mul", "div", "min", "max"] {
        let made = format!("(f64x2.{name} {double} {double})");
        for observer in [
            "(i64x2.extract_lane 0 X)",
            "(i64x2.extract_lane 1 X)",
            "(i64.reinterpret_f64 (f64x2.extract_lane 1 X))",
            "(v128.store (i32.const 64) X) (i64.load (i32.const 72))",
            "(local.set $v X) (i64x2.extract_lane 0 (local.get $v))",
            "(i64x2.extract_lane 0 (f64x2.abs X))",
            "(i64x2.extract_lane 0 (f64x2.pmin X X))",
            "(i64x2.extract_lane 0 (v128.or X (v128.const i64x2 0 0)))",
        ] {
            check(&observer.replace('X', &made), CANONICAL_64);
        }
    }
    for name in ["sqrt", "ceil", "floor", "trunc", "nearest"] {
        check(
            &format!("(i64x2.extract_lane 0 (f64x2.{name} {double}))"),
            CANONICAL_64,
        );
        let single = format!("(f32x4.{name} (v128.load32_splat (i32.const 16)))");
        check(
            &format!("(i64x2.extract_lane 1 {single})"),
            CANONICAL_32 << 32 | CANONICAL_32,
        );
    }
    for name in ["add", "sub", "mul", "div", "min", "max"] {
        let operand = "(v128.load32_splat (i32.const 20))";
        let single = format!("(f32x4.{name} {operand} {operand})");
        check(
            &format!("(i64x2.extract_lane 0 {single})"),
            CANONICAL_32 << 32 | CANONICAL_32,
        );
    }
    check(
        &format!("(i64x2.extract_lane 0 (f32x4.demote_f64x2_zero {double}))"),
        CANONICAL_32 << 32 | CANONICAL_32,
    );
    check(
        "(i64x2.extract_lane 0 (f64x2.promote_low_f32x4 (v128.load (i32.const 16))))",
        CANONICAL_64,
    );
}

#[test]
fn a_vector_that_changes_its_lanes_is_seen() {
    // The sum of 32-bit lanes makes NaNs; as 64-bit lanes they are data, and 0x7fc00000_7fc00000 is
    // an ordinary number in them.
    let operand = "(v128.load32_splat (i32.const 16))";
    let made = format!("(f32x4.add {operand} {operand})");
    let expected = f64::from_bits(CANONICAL_32 << 32 | CANONICAL_32);
    check(
        &format!("(i64x2.extract_lane 0 (f64x2.abs {made}))"),
        expected.abs().to_bits(),
    );
    check(
        &format!("(i64x2.extract_lane 0 (f64x2.add {made} (v128.const f64x2 0 0)))"),
        (expected + 0.0).to_bits(),
    );
}

#[test]
fn loaded_vectors_are_never_changed() {
    let raw = 0xfff4_0000_0000_0bbb_u64;
    let double = "(v128.load (i32.const 0))";
    check(&format!("(i64x2.extract_lane 0 {double})"), raw);
    check(
        &format!("(i64x2.extract_lane 0 (f64x2.pmin {double} {double}))"),
        raw,
    );
    check(
        &format!("(i64x2.extract_lane 0 (f64x2.neg {double}))"),
        raw ^ 1 << 63,
    );
    check(
        &format!("(i64.reinterpret_f64 (f64x2.extract_lane 0 {double}))"),
        raw,
    );
}
