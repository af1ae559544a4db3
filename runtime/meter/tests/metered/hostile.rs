//! Bytes from strangers: whatever they are, the answer is a value and comes in bounded time.

use haar_meter::{Rejected, meter};

use wasmparser::{Parser, Payload};

use crate::engine::PROFILE;

/// A small generator of numbers, so that a failure can be repeated from its seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// A module with a little of everything.
pub const EVERYTHING: &str = r#"(module
    (type $t (func (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
    (import "haar" "log" (func $log (param i32 i32)))
    (table 4 8 funcref)
    (memory (export "memory") 1 4)
    (global $g (mut f64) (f64.const nan:0x4000000000123))
    (global (export "h") (mut i32) (i32.const 7))
    (elem (i32.const 1) $f $h)
    (elem (i32.const 3) funcref (ref.null func))
    (data (i32.const 16) "payload")
    (data $d "passive")
    (@custom "haar.manifest" "name = everything")
    (start $s)
    (func $s (global.set $g (f64.div (global.get $g) (f64.const 3))))
    (func $f (type $t) (local i64 f32 v128)
        (loop $l (result i32)
            (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
            (local.set 3 (f32x4.add (local.get 3) (f32x4.splat (f32.sqrt (local.get 2)))))
            (br_if $l (local.get 0))
            (if (result i32) (i32.const 1)
                (then (call $h (i32.const 3)))
                (else (memory.grow (i32.const 1))))))
    (func $h (type $t)
        (block $a (block $b (block $c (br_table $a $b $c (local.get 0)))
            (memory.fill (i32.const 0) (i32.const 1) (i32.const 9)))
            (memory.init $d (i32.const 0) (i32.const 0) (i32.const 7)) (data.drop $d))
        (if (i32.eqz (local.get 0)) (then unreachable))
        (call $log (i32.const 16) (i32.const 7))
        (call_indirect (type $t) (call $yield) (i32.const 1)))
    (func (export "_start") (drop (call $f (i32.const 3)))))"#;

fn answers(bytes: &[u8]) {
    if let Err(refused) = meter(bytes, &PROFILE) {
        assert!(!matches!(refused, Rejected::Internal { .. }), "{refused}");
        assert!(refused.to_string().len() < 2_000);
    }
}

#[test]
fn flipped_bits_never_panic() {
    let original = wat::parse_str(EVERYTHING).unwrap();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for _ in 0..10_000 {
        let mut bytes = original.clone();
        for _ in 0..=numbers.below(3) {
            let at = numbers.below(bytes.len());
            bytes[at] ^= 1 << numbers.below(8);
        }
        answers(&bytes);
    }
}

#[test]
fn replaced_removed_and_repeated_bytes_never_panic() {
    let original = wat::parse_str(EVERYTHING).unwrap();
    let mut numbers = Numbers(0xdead_beef);
    for _ in 0..6_000 {
        let mut bytes = original.clone();
        let at = 8 + numbers.below(bytes.len() - 8);
        match numbers.below(4) {
            0 => bytes[at] = numbers.next() as u8,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, numbers.next() as u8),
            _ => bytes.truncate(at),
        }
        answers(&bytes);
    }
}

#[test]
fn arbitrary_bytes_never_panic() {
    let mut numbers = Numbers(42);
    for _ in 0..4_000 {
        let length = numbers.below(200);
        let mut bytes: Vec<u8> = (0..length).map(|_| numbers.next() as u8).collect();
        if numbers.below(2) == 0 {
            bytes.splice(0..0, *b"\0asm\x01\0\0\0");
        }
        answers(&bytes);
    }
}

#[test]
fn no_prefix_of_a_module_is_admitted_while_its_code_or_data_is_missing() {
    let original = wat::parse_str(EVERYTHING).unwrap();
    meter(&original, &PROFILE).unwrap();
    let data_end = Parser::new(0)
        .parse_all(&original)
        .find_map(|payload| match payload.unwrap() {
            Payload::DataSection(section) => Some(section.range().end as usize),
            _ => None,
        })
        .unwrap();
    for length in 0..original.len() {
        let answer = meter(&original[..length], &PROFILE);
        // Custom sections follow the data, and a module is whole without them.
        assert!(answer.is_err() || length >= data_end, "{length}");
    }
}

#[test]
fn bombs_are_refused_or_metered_in_one_pass() {
    let start = r#"(memory (export "memory") 1) (func (export "_start"))"#;
    for body in [
        "(loop)".repeat(200_000),
        "(block (br 0))".repeat(100_000),
        "(if (i32.const 1) (then))".repeat(100_000),
        "(drop (f64.add (f64.const 1) (f64.const 2)))".repeat(80_000),
        "(local.set 0 (f64x2.add (local.get 0) (local.get 0)))".repeat(80_000),
        format!("{}unreachable{}", "block ".repeat(499), " end".repeat(499)),
        format!("{}{}", "i32.const 1 ".repeat(2_600), "drop ".repeat(2_600)),
    ] {
        let wat = format!("(module {start} (func (local v128) {body}))");
        answers(&wat::parse_str(wat).unwrap());
    }
    let counted: String = (0..499).rev().fold(String::new(), |inner, index| {
        format!("(loop {inner} {})", count_down(index))
    });
    let beside = format!("(loop {})", count_down(7)).repeat(60_000);
    let table = format!("(br_table {} (i32.const 0))", "0 ".repeat(10_000));
    let tables = format!("(block {table})").repeat(300);
    let arms = "(if (i32.const 1) (then (br_if 0 (i32.const 1))) (else (br 1)))".repeat(60_000);
    for body in [counted, beside, tables, format!("(block {arms})")] {
        let locals = "i32 ".repeat(600);
        let wat = format!("(module {start} (func (local {locals}) {body}))");
        answers(&wat::parse_str(wat).unwrap());
    }
    let functions = "(func)".repeat(90_000);
    answers(&wat::parse_str(format!("(module {start} {functions})")).unwrap());
}

/// Goes round while the local is not zero.
fn count_down(local: u32) -> String {
    format!("(br_if 0 (local.tee {local} (i32.sub (local.get {local}) (i32.const 1))))")
}

#[test]
fn graphs_of_calls_of_any_shape_are_followed_in_one_pass() {
    let start = r#"(memory (export "memory") 1) (func (export "_start"))"#;
    let chain: String = (0..50_000)
        .map(|index| format!("(func (call {}))", index + 2))
        .collect();
    let everything = "(call_indirect (type $t) (i32.const 0))".repeat(50);
    let table = format!(
        "(type $t (func)) (table 500000 funcref) (elem (i32.const 0) func {})",
        "$all ".repeat(500_000)
    );
    let through = format!("(func {everything})").repeat(2_000);
    for functions in [
        format!("{chain} (func)"),
        format!("{chain} (func (call 1))"),
        format!("{table} (func $all {everything}) {through}"),
    ] {
        let bytes = wat::parse_str(format!("(module {start} {functions})")).unwrap();
        meter(&bytes, &PROFILE).unwrap();
    }
}

#[test]
fn the_first_body_at_fault_is_named_although_its_callees_are_read_before_it() {
    let refused = |first: &str, second: &str| {
        let start = r#"(memory (export "memory") 1) (func (export "_start"))"#;
        let wat = format!("(module {start} (func $a (call $b) {first}) (func $b {second}))");
        meter(&wat::parse_str(wat).unwrap(), &PROFILE).map(|_| ())
    };
    assert_ne!(refused("", "i32.eqz"), Ok(()));
    assert_eq!(refused("i32.eqz", "i32.eqz"), refused("i32.eqz", "nop"));
}
