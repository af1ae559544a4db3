//! Fuel counted by hand: every charge, check and ending of SPEC.md.

use haar_meter::Ending;
use wasmtime::Val;

use crate::engine::{HOST_CALL, PLENTY, PROFILE, metered, run};
use crate::oracle;

/// A module around `body`, which is exported as `_start` takes and returns nothing.
pub fn command(parts: &str, body: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1 8)
            {parts}
            (func (export "_start") {body}))"#
    )
}

/// Runs `_start` and compares ending and fuel; at a normal end the interpreter must agree.
#[track_caller]
fn check(parts: &str, body: &str, ending: Ending, used: u64) {
    let wat = command(parts, body);
    let ran = run(&wat, "_start", &[], PLENTY);
    assert_eq!(ran.ending, ending);
    assert_eq!(ran.used, used);
    if ending == Ending::Returned {
        assert_eq!(oracle::run(&wat, "_start", &[]).unwrap().fuel, used);
    }
}

#[test]
fn straight_code_costs_the_sum_of_its_instructions() {
    // add 1, mul 1, i32 division 10, drop and constants nothing
    check(
        "",
        "(drop (i32.div_u (i32.mul (i32.add (i32.const 1) (i32.const 2)) (i32.const 3)) (i32.const 4)))",
        Ending::Returned,
        12,
    );
}

#[test]
fn each_arm_of_an_if_costs_only_itself() {
    let body = |condition| {
        format!(
            "(if (i32.const {condition})
                (then (drop (i32.add (i32.const 1) (i32.const 1))))
                (else (drop (i64.div_u (i64.const 1) (i64.const 1)))))
             (drop (i32.eqz (i32.const 0)))"
        )
    };
    check("", &body(1), Ending::Returned, 3 + 1 + 1);
    check("", &body(0), Ending::Returned, 3 + 14 + 1);
}

#[test]
fn an_if_without_else_costs_nothing_more_when_it_is_not_taken() {
    let body = |c| format!("(if (i32.const {c}) (then (drop (i32.eqz (i32.const 0)))))");
    check("", &body(1), Ending::Returned, 4);
    check("", &body(0), Ending::Returned, 3);
}

#[test]
fn a_loop_pays_for_every_round() {
    let body = "(local $i i32)
        (loop $again
            (br_if $again
                (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10))))";
    check("", body, Ending::Returned, 1 + 10 * 3);
}

#[test]
fn a_br_table_pays_for_the_way_it_takes() {
    let body = |index| {
        format!(
            "(block $a (block $b (block $c
                (br_table $a $b $c (i32.const {index})))
                (drop (i32.eqz (i32.const 0))))
                (drop (i32.div_u (i32.const 1) (i32.const 1))))"
        )
    };
    check("", &body(0), Ending::Returned, 3);
    check("", &body(1), Ending::Returned, 3 + 10);
    check("", &body(2), Ending::Returned, 3 + 1 + 10);
    check("", &body(9), Ending::Returned, 3 + 1 + 10);
}

#[test]
fn a_call_costs_itself_and_its_callee() {
    let parts = "(func $f (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))";
    check(
        parts,
        "(drop (call $f (call $f (i32.const 0))))",
        Ending::Returned,
        2 * (5 + 1),
    );
}

#[test]
fn an_early_return_does_not_pay_for_what_follows() {
    let parts = "(func $f (param i32) (result i32)
        (if (local.get 0) (then (return (i32.const 7))))
        (i32.div_u (i32.const 8) (i32.const 2)))";
    check(
        parts,
        "(drop (call $f (i32.const 1)))",
        Ending::Returned,
        5 + 3,
    );
    check(
        parts,
        "(drop (call $f (i32.const 0)))",
        Ending::Returned,
        5 + 3 + 10,
    );
}

#[test]
fn an_indirect_call_costs_ten_and_its_callee() {
    let parts = "(type $t (func (param i32) (result i32)))
        (table 3 funcref) (elem (i32.const 0) $f $g)
        (func $f (type $t) (i32.add (local.get 0) (i32.const 1)))
        (func $g (type $t) (i32.mul (local.get 0) (i32.const 3)))";
    let body = "(drop (call_indirect (type $t) (i32.const 5) (i32.const 1)))";
    check(parts, body, Ending::Returned, 10 + 1);
}

#[test]
fn an_import_in_the_table_is_reached_through_a_wrapper() {
    let parts = "(type $t (func (result i32))) (table 1 funcref) (elem (i32.const 0) $yield)";
    let wat = command(parts, "(drop (call_indirect (type $t) (i32.const 0)))");
    let ran = run(&wat, "_start", &[], PLENTY);
    assert_eq!(ran.ending, Ending::Returned);
    assert_eq!(ran.used, 10 + HOST_CALL as u64);
}

#[test]
fn a_host_call_sees_the_fuel_and_takes_from_it() {
    let wat = command("", "(drop (i32.add (call $yield) (call $yield)))");
    let ran = run(&wat, "_start", &[], PLENTY);
    assert_eq!(ran.ending, Ending::Returned);
    assert_eq!(ran.used, 2 * (5 + HOST_CALL as u64) + 1);
}

#[test]
fn an_exit_bills_what_was_charged() {
    let ran = run(
        &command("", "(call $exit (i32.const 3)) unreachable"),
        "_start",
        &[],
        PLENTY,
    );
    assert_eq!(ran.ending, Ending::EndedByHost);
    assert_eq!(ran.used, 5 + HOST_CALL as u64);
}

#[test]
fn bulk_operations_cost_by_length() {
    let fill = "(memory.fill (i32.const 0) (i32.const 7) (i32.const 4096))";
    check("", fill, Ending::Returned, 32 + 4096 / 8);
    let copy = "(memory.copy (i32.const 0) (i32.const 9) (i32.const 100))";
    check("", copy, Ending::Returned, 32 + 100 / 8);
    let data = r#"(data $d "0123456789abcdef")"#;
    let init = "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 16)) (data.drop $d)";
    check(data, init, Ending::Returned, 32 + 2 + 100);
}

#[test]
fn a_fill_of_four_gibibytes_is_out_of_fuel_before_it_traps() {
    let wat = command(
        "",
        "(memory.fill (i32.const 0) (i32.const 7) (i32.const -1))",
    );
    let init = metered(&wat).init_cost;
    let ran = run(&wat, "_start", &[], init + 1_000_000);
    assert_eq!(ran.ending, Ending::OutOfFuel);
    assert!(ran.memory.iter().all(|byte| *byte == 0));
}

#[test]
fn growth_costs_by_the_page_and_a_refused_one_its_request() {
    check(
        "",
        "(drop (memory.grow (i32.const 3)))",
        Ending::Returned,
        300 + 3 * 65_536,
    );
    check(
        "",
        "(drop (memory.grow (i32.const 8)))",
        Ending::Returned,
        300,
    );
    check(
        "",
        "(drop (memory.grow (i32.const -1)))",
        Ending::Returned,
        300,
    );
    check(
        "",
        "(drop (memory.grow (i32.const 0)))",
        Ending::Returned,
        300,
    );
}

#[test]
fn memory_grows_to_the_limit_and_not_beyond() {
    let wat = r#"(module (memory (export "memory") 1)
        (func (export "_start"))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let module = metered(wat);
    assert_eq!((module.pages_min, module.pages_max), (1, PROFILE.pages_max));
    let grow = |delta| run(wat, "grow", &[Val::I32(delta)], PLENTY).results[0].unwrap_i32();
    assert_eq!(grow(63), 1);
    assert_eq!(grow(64), -1);
}

#[test]
fn an_abort_flushes_the_fuel_through_all_frames() {
    let parts = "(func $g (drop (i32.add (i32.const 1) (i32.const 1))) unreachable)
        (func $f (drop (i32.eqz (i32.const 1))) (call $g) (drop (i32.div_u (i32.const 1) (i32.const 1))))";
    // What follows a call in its block has been charged with the block.
    check(parts, "(call $f)", Ending::Abort, 5 + 1 + 5 + 10 + 1);
}

#[test]
fn an_implicit_trap_leaves_the_status_alone() {
    for body in [
        "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
        "(drop (i32.load (i32.const -4)))",
        "(drop (i32.trunc_f64_s (f64.const nan)))",
    ] {
        let ran = run(&command("", body), "_start", &[], PLENTY);
        assert_eq!((ran.status, ran.ending), (0, Ending::Trap), "{body}");
    }
    let parts = "(type $t (func)) (table 2 funcref) (elem (i32.const 0) $f) (func $f (param i32))";
    for entry in [0, 1, 2] {
        let body = format!("(call_indirect (type $t) (i32.const {entry}))");
        let ran = run(&command(parts, &body), "_start", &[], PLENTY);
        assert_eq!((ran.status, ran.ending), (0, Ending::Trap), "{body}");
    }
}

#[test]
fn an_endless_loop_ends_out_of_fuel_at_the_same_place() {
    let wat = command(
        "",
        "(local i32) (loop $l (i32.store (i32.const 0) (local.tee 0 (i32.add (local.get 0) (i32.const 1)))) (br $l))",
    );
    let init = metered(&wat).init_cost;
    let ran = run(&wat, "_start", &[], init + 300);
    assert_eq!((ran.ending, ran.left), (Ending::OutOfFuel, -1));
    assert_eq!(ran.memory[..4], 99u32.to_le_bytes());
}

#[test]
fn exactly_enough_fuel_is_enough_and_one_less_is_not() {
    let wat = command("", "(drop (i32.add (i32.const 1) (i32.const 1)))");
    let init = metered(&wat).init_cost;
    assert_eq!(init, 20_000 + 65_536);
    assert_eq!(run(&wat, "_start", &[], init + 1).ending, Ending::Returned);
    assert_eq!(run(&wat, "_start", &[], init).ending, Ending::OutOfFuel);
}

#[test]
fn the_start_function_is_metered_and_runs_first() {
    let parts = "(func $s (i32.store (i32.const 0) (i32.const 41))) (start $s)";
    let body = "(i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))";
    let wat = command(parts, body);
    let ran = run(&wat, "_start", &[], PLENTY);
    assert_eq!((ran.ending, ran.used), (Ending::Returned, 1 + 3));
    assert_eq!(ran.memory[0], 42);
}

#[test]
fn a_start_function_that_loops_is_out_of_fuel() {
    let wat = command("(func $s (loop $l (br $l))) (start $s)", "");
    let init = metered(&wat).init_cost;
    assert_eq!(
        run(&wat, "_start", &[], init + 1_000).ending,
        Ending::OutOfFuel
    );
}

#[test]
fn dear_leaves_are_checked_before_they_run() {
    let divisions = "(drop (i64.div_u (i64.const 1) (i64.const 1)))".repeat(100);
    let parts = format!("(func $f {divisions} (i32.store (i32.const 0) (i32.const 1)))");
    let wat = command(&parts, "(call $f)");
    let init = metered(&wat).init_cost;
    let ran = run(&wat, "_start", &[], init + 1_000);
    assert_eq!(ran.ending, Ending::OutOfFuel);
    assert_eq!(ran.memory[0], 0);
}

#[test]
fn several_results_travel_with_the_fuel() {
    let wat = r#"(module (memory (export "memory") 1) (func (export "_start"))
        (func $two (param i32) (result i32 i64)
            (if (result i32 i64) (local.get 0)
                (then (i32.const 1) (i64.const 2))
                (else (return (i32.const 3) (i64.const 4)))))
        (func (export "f") (param i32) (result i32 i64) (call $two (local.get 0))))"#;
    for (arg, expected) in [(1, (1, 2)), (0, (3, 4))] {
        let ran = run(wat, "f", &[Val::I32(arg)], PLENTY);
        assert_eq!(
            (ran.results[0].unwrap_i32(), ran.results[1].unwrap_i64()),
            expected
        );
        assert_eq!(ran.used, 5 + 3);
        assert_eq!(oracle::run(wat, "f", &[arg as u64]).unwrap().fuel, ran.used);
    }
}

#[test]
fn code_after_a_branch_is_dropped_and_its_blocks_with_it() {
    let body = "(block $a (result i32)
            (block $b (br $a (i32.const 1)) (drop (i32.div_u (i32.const 1) (i32.const 0))) (loop (if (i32.const 1) (then unreachable))))
            (loop (result i32) (br $a (i32.const 2)) (br 0)))
        (if (result i32) (then (return)) (else (br 0 (i32.const 1)) (drop (i32.const 2))))
        drop";
    check("", body, Ending::Returned, 1 + 3);
}
