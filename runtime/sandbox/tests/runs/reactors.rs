//! Guests with the reactor ABI: the input in their memory, the answer as a frame.

use haar_records::{BlobHash, Status, TrapKind};
use haar_sandbox::Run;

use crate::guests::{PLENTY, assemble, assert_empty, ending, run};

/// A reactor whose `haar_run` has this body; it finds its input at `$ptr`, `$len`.
fn reactor(alloc: &str, body: &str, input: &[u8]) -> Run {
    let wat = format!(
        r#"(module
            (memory (export "memory") 1)
            (global $ready (mut i32) (i32.const 0))
            (data (i32.const 64) "\00ok\01bad\02web\03odd")
            (func (export "haar_abi_v1") (result i32) (i32.const 0))
            (func (export "_initialize") (global.set $ready (i32.const 1)))
            (func (export "haar_alloc") (param $len i32) (result i32) {alloc})
            (func $frame (param $at i32) (param $len i32) (result i64)
                (i64.or
                    (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32))
                    (i64.extend_i32_u (local.get $len))))
            (func (export "haar_run") (param $ptr i32) (param $len i32) (result i64) {body}))"#
    );
    run(&assemble(&wat), input, PLENTY).unwrap()
}

const ALLOC: &str = "(i32.const 1024)";

/// Runs a reactor that answers with a frame of the data segment.
#[track_caller]
fn check(at: i32, len: i32, exit_code: u32, output: &[u8]) {
    let body = format!("(call $frame (i32.const {at}) (i32.const {len}))");
    let run = reactor(ALLOC, &body, b"x");
    assert_eq!(ending(&run.outcome), (Status::Returned, exit_code, None));
    assert_eq!(run.output, output);
    assert_eq!(run.outcome.output, BlobHash::of(output));
    assert!(run.outcome.fuel_used < PLENTY);
}

/// Runs a reactor that breaks the ABI. What it used is known, so that is what it pays.
#[track_caller]
fn check_broken(alloc: &str, body: &str) {
    let run = reactor(alloc, body, b"x");
    assert_eq!(
        ending(&run.outcome),
        (Status::Trapped, 0, Some(TrapKind::Abi))
    );
    assert_empty(&run);
    assert!(run.outcome.fuel_used < PLENTY);
}

#[test]
fn the_kind_of_a_frame_is_no_part_of_the_output() {
    check(64, 3, 0, b"ok");
    check(67, 4, 1, b"bad");
    check(71, 4, 0, b"web");
}

#[test]
fn an_empty_payload_is_an_answer() {
    check(64, 1, 0, b"");
}

#[test]
fn a_reactor_gets_its_input_where_it_made_room() {
    let body = "(i32.store8 (i32.const 1023) (i32.const 0))
        (call $frame (i32.const 1023) (i32.add (local.get $len) (i32.const 1)))";
    assert_eq!(reactor(ALLOC, body, b"the input").output, b"the input");
}

#[test]
fn an_empty_input_needs_no_room() {
    let body = "(if (i32.or (local.get $ptr) (local.get $len)) (then unreachable))
        (call $frame (i32.const 64) (i32.const 3))";
    assert_eq!(reactor("unreachable", body, b"").output, b"ok");
}

#[test]
fn a_reactor_is_initialised_before_its_first_call() {
    let body = "(if (i32.eqz (global.get $ready)) (then unreachable))
        (call $frame (i32.const 64) (i32.const 3))";
    assert_eq!(reactor(ALLOC, body, b"x").output, b"ok");
}

#[test]
fn what_is_no_frame_is_a_trap() {
    for body in [
        // Of an unknown kind, without a kind, nowhere, outside, half outside, negative.
        "(call $frame (i32.const 75) (i32.const 4))",
        "(call $frame (i32.const 64) (i32.const 0))",
        "(call $frame (i32.const 0) (i32.const 4))",
        "(call $frame (i32.const 65536) (i32.const 1))",
        "(call $frame (i32.const 65535) (i32.const 2))",
        "(call $frame (i32.const 64) (i32.const -1))",
        "(i64.const -1)",
        "(call $frame (i32.const -64) (i32.const 4))",
    ] {
        check_broken(ALLOC, body);
    }
}

#[test]
fn no_room_for_the_input_is_a_trap() {
    let body = "(call $frame (i32.const 64) (i32.const 3))";
    for alloc in ["(i32.const 0)", "(i32.const -1)", "(i32.const 65536)"] {
        check_broken(alloc, body);
    }
}

#[test]
fn an_answer_longer_than_the_profile_allows_is_a_trap() {
    // 161 pages are a little more than 10 MiB.
    let body = "(drop (memory.grow (i32.const 161)))
        (call $frame (i32.const 64) (i32.const 10485762))";
    check_broken(ALLOC, body);
    let body = "(drop (memory.grow (i32.const 161)))
        (call $frame (i32.const 64) (i32.const 10485761))";
    assert_eq!(reactor(ALLOC, body, b"x").output.len(), 10 << 20);
}

#[test]
fn making_room_is_paid_from_the_same_fuel() {
    let body = "(call $frame (i32.const 64) (i32.const 3))";
    let run = reactor("(loop (br 0)) unreachable", body, b"x");
    assert_eq!(ending(&run.outcome), (Status::OutOfFuel, 0, None));
    assert_eq!(run.outcome.fuel_used, PLENTY);
}
