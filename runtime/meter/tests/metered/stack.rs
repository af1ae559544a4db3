//! The depth of the stack: where runs stop, and that the engine's own stack never overflows first.

use haar_meter::{Ending, Profile, meter};
use wasmparser::{Parser, Payload};

use crate::engine::{PLENTY, PROFILE, Run, metered, run, run_metered};
use crate::fuel::command;

/// Bytes of a frame with this many slots besides fuel and depth.
fn frame(slots: u32) -> u32 {
    320 + 24 * (2 + slots)
}

/// Runs `_start` with another stack limit.
fn run_in(stack_limit: u32, parts: &str, body: &str) -> Run {
    let bytes = wat::parse_str(command(parts, body)).unwrap();
    let profile = Profile {
        stack_limit,
        ..PROFILE
    };
    run_metered(&meter(&bytes, &profile).unwrap(), "_start", &[], PLENTY)
}

/// How often `COUNT` runs until the limit stops it.
fn rounds(stack_limit: u32, parts: &str, body: &str) -> u32 {
    let count = "(i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))";
    let ran = run_in(stack_limit, &parts.replace("COUNT", count), body);
    assert_eq!(ran.ending, Ending::StackLimit);
    u32::from_le_bytes(ran.memory[..4].try_into().unwrap())
}

const LIMIT: u32 = 100_000;

/// The number of parameters of each defined function after metering.
fn parameters(wat: &str) -> Vec<usize> {
    let module = metered(wat);
    let (mut types, mut counts) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(&module.bytes) {
        match payload.unwrap() {
            Payload::TypeSection(section) => {
                let all = section.into_iter_err_on_gc_types();
                types = all.map(|ty| ty.unwrap().params().len()).collect();
            }
            Payload::FunctionSection(section) => {
                let all = section.into_iter();
                counts = all.map(|ty| types[ty.unwrap() as usize]).collect();
            }
            _ => {}
        }
    }
    counts
}

#[test]
fn endless_recursion_stops_at_the_stack_limit() {
    // The frame of _start is handed on; f has a parameter and one operand more.
    let parts = "(func $f (param i32) COUNT (call $f (i32.const 0)))";
    let expected = (LIMIT - frame(1)) / frame(1 + 3);
    assert_eq!(rounds(LIMIT, parts, "(call $f (i32.const 0))"), expected);
}

#[test]
fn recursion_of_every_kind_stops_at_the_same_depth() {
    // All frames are alike: three operands for the count.
    let expected = (LIMIT - frame(1)) / frame(3);
    let direct = "(func $f COUNT (call $f))";
    let mutual = "(func $f COUNT (call $g)) (func $g COUNT (call $f))";
    for parts in [direct, mutual] {
        assert_eq!(
            rounds(LIMIT, parts, "(drop (i32.const 0)) (call $f)"),
            expected
        );
    }
    // An indirect call needs a temporary.
    let expected = (LIMIT - frame(1)) / frame(3 + 1);
    let table = "(type $t (func)) (table 2 funcref) (elem (i32.const 0) $f $g)
        (func $f COUNT (call_indirect (type $t) (i32.const 1)))
        (func $g COUNT (call_indirect (type $t) (i32.const 0)))";
    assert_eq!(
        rounds(LIMIT, table, "(drop (i32.const 0)) (call $f)"),
        expected
    );
}

#[test]
fn a_check_keeps_room_for_the_chain_below_it() {
    // Recursion that could call g, which calls h: the last round must leave room for g's frame. The
    // leaf h needs none.
    let parts = "(func $h) (func $g (local i64 i64 i64 i64) (call $h))
        (func $f COUNT (call $f) (call $g))";
    let below = frame(4);
    let expected = (LIMIT - frame(1) - below) / frame(3);
    assert_eq!(
        rounds(LIMIT, parts, "(drop (i32.const 0)) (call $f)"),
        expected
    );
}

#[test]
fn a_function_between_two_recursions_hands_its_frame_on() {
    let parts = "(func $b COUNT (call $b))
        (func $between (local i64 i64 i64 i64) (call $b))
        (func $a (param i32)
            (if (local.get 0) (then (call $a (i32.sub (local.get 0) (i32.const 1)))) (else (call $between))))";
    // _start 1, then $a eleven times with a parameter and two operands, then between, then b.
    let above = frame(1) + 11 * frame(1 + 2) + frame(4);
    let expected = (LIMIT - above) / frame(3);
    assert_eq!(rounds(LIMIT, parts, "(call $a (i32.const 10))"), expected);
}

#[test]
fn only_functions_that_need_the_depth_take_it() {
    let wat = command(
        "(func $leaf) (func $caller (call $leaf))
         (func $loop (call $loop)) (func $above (call $loop))
         (type $t (func)) (table 1 funcref) (elem (i32.const 0) $listed) (func $listed)",
        "(call $caller)",
    );
    // The leaf, for which its callers pay, takes nothing; caller, loop, above, listed, _start, and
    // the door of _start.
    assert_eq!(parameters(&wat), [0, 1, 2, 2, 2, 1, 0]);
}

#[test]
fn a_long_chain_of_large_frames_is_stopped() {
    // No cycle anywhere, but a thousand frames of 48 KiB by the formula.
    let mut parts = String::from("(func $f1000 (param i64))");
    let sets: String = (1..80)
        .map(|index| format!("(local.set {index} (i64.load (i32.const {index})))"))
        .collect();
    let stores: String = (1..80)
        .map(|index| format!("(i64.store (i32.const {index}) (local.get {index}))"))
        .collect();
    for index in (0..1_000).rev() {
        let next = index + 1;
        let locals = "i64 ".repeat(2_000);
        parts.push_str(&format!(
            "(func $f{index} (param i64) (local {locals}) {sets} (call $f{next} (local.get 0)) {stores})"
        ));
    }
    let wat = command(&parts, "(call $f0 (i64.const 0))");
    assert_eq!(run(&wat, "_start", &[], PLENTY).ending, Ending::StackLimit);
}

#[test]
fn a_chain_within_the_limit_is_not_stopped() {
    let chain: String = (0..100)
        .map(|index| format!("(func $f{index} (call $f{}))", index + 1))
        .collect();
    let parts = format!("{chain} (func $f100)");
    // _start and the hundred callers; the last function is a leaf.
    let needed = 100 * frame(0) + frame(0);
    assert_eq!(
        run_in(needed, &parts, "(call $f0)").ending,
        Ending::Returned
    );
    let ran = run_in(needed - 1, &parts, "(call $f0)");
    assert_eq!(ran.ending, Ending::StackLimit);
}

#[test]
fn an_entry_without_room_for_its_own_chain_does_not_start() {
    let parts = "(func $g (call $h)) (func $h)";
    let ran = run_in(2 * frame(0) - 1, parts, "(call $g)");
    assert_eq!((ran.ending, ran.used), (Ending::StackLimit, 0));
    let ran = run_in(2 * frame(0), parts, "(call $g)");
    assert_eq!(ran.ending, Ending::Returned);
}

#[test]
fn recursion_with_large_frames_stops_before_the_engine_does() {
    // What is live across the call must be kept somewhere: in locals, or on the operand stack.
    let locals = |count: usize| {
        let sum: String = (1..=count)
            .map(|at| format!("(local.get {at}) i64.add "))
            .collect();
        let set: String = (1..=count)
            .map(|at| format!("(local.set {at} (i64.load (i32.const {at})))"))
            .collect();
        let types = "i64 ".repeat(count);
        format!(
            "(func $f (param i64) (result i64) (local {types}) {set}
                (call $f (i64.add (local.get 0) (i64.const 1))) {sum})"
        )
    };
    let operands = format!(
        "(func $f (param i64) (result i64) {} (call $f (local.get 0)) {})",
        "(i64.load (i32.const 0))".repeat(64),
        "i64.add ".repeat(64)
    );
    for parts in [locals(16), locals(256), locals(2_000), operands] {
        let wat = command(&parts, "(drop (call $f (i64.const 0)))");
        assert_eq!(run(&wat, "_start", &[], PLENTY).ending, Ending::StackLimit);
    }
}

#[test]
fn mutual_recursion_through_the_table_stops_at_the_stack_limit() {
    let parts = "(type $t (func)) (table 2 funcref) (elem (i32.const 0) $f $g)
        (func $f (call_indirect (type $t) (i32.const 1)))
        (func $g (call_indirect (type $t) (i32.const 0)))";
    assert_eq!(
        run(&command(parts, "(call $f)"), "_start", &[], PLENTY).ending,
        Ending::StackLimit
    );
}
