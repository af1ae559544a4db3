//! Every way in which a command can end.

use haar_records::{BlobHash, Fuel, Status, TrapKind};

use crate::guests::{PLENTY, assemble, assert_empty, command, command_wat, ending, run};

/// Whether an ending bills what was used or the whole limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bill {
    Charged,
    Whole,
}
use Bill::{Charged, Whole};

/// Runs a command that fails and compares how.
#[track_caller]
fn check(body: &str, trap: TrapKind, bill: Bill) {
    let run = command(body);
    assert_eq!(ending(&run.outcome), (Status::Trapped, 0, Some(trap)));
    assert_empty(&run);
    let is_whole = run.outcome.fuel_used == PLENTY;
    assert_eq!(is_whole, bill == Whole, "{}", run.outcome.fuel_used);
}

/// Runs a command that uses up its fuel.
#[track_caller]
fn check_exhausted(body: &str) {
    let run = command(body);
    assert_eq!(ending(&run.outcome), (Status::OutOfFuel, 0, None));
    assert_eq!(run.outcome.fuel_used, PLENTY);
    assert_empty(&run);
}

#[test]
fn a_command_that_returns_has_its_output() {
    let run = command("(call $say (i32.const 1) (i32.const 64) (i32.const 5))");
    assert_eq!(ending(&run.outcome), (Status::Returned, 0, None));
    assert_eq!(run.output, b"hello");
    assert_eq!(run.outcome.output, BlobHash::of(b"hello"));
    assert_eq!(run.outcome.output_bytes, 5);
    assert!(run.outcome.fuel_used < Fuel(100_000));
}

#[test]
fn an_exit_code_is_part_of_the_answer() {
    let run = command(
        "(call $say (i32.const 1) (i32.const 64) (i32.const 5))
         (call $exit (i32.const 3))
         unreachable",
    );
    assert_eq!(ending(&run.outcome), (Status::Returned, 3, None));
    assert_eq!(run.output, b"hello");
    assert!(run.outcome.fuel_used < PLENTY);
}

#[test]
fn an_exit_with_zero_is_a_return() {
    let run = command("(call $exit (i32.const 0))");
    assert_eq!(ending(&run.outcome), (Status::Returned, 0, None));
}

#[test]
fn a_command_echoes_its_input() {
    let body = "(i32.store (i32.const 0) (i32.const 128))
        (i32.store (i32.const 4) (i32.const 1000))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (call $say (i32.const 1) (i32.const 128) (i32.load (i32.const 8)))";
    let run = run(&assemble(&command_wat(body)), b"the input", PLENTY).unwrap();
    assert_eq!(run.output, b"the input");
}

#[test]
fn standard_error_and_the_log_are_no_output() {
    let run = command(
        "(call $say (i32.const 2) (i32.const 64) (i32.const 4))
         (call $log (i32.const 68) (i32.const 1))",
    );
    assert_eq!(run.output, b"");
    assert_eq!(run.log, b"hello");
}

#[test]
fn an_endless_loop_uses_up_its_fuel() {
    check_exhausted("(loop (br 0))");
}

#[test]
fn writing_without_end_is_too_much_output() {
    let body = "(loop (call $say (i32.const 1) (i32.const 0) (i32.const 65536)) (br 0))";
    check(body, TrapKind::HostCall, Whole);
}

#[test]
fn logging_without_end_is_cut_and_uses_up_its_fuel() {
    let run = command("(loop (call $log (i32.const 0) (i32.const 65536)) (br 0))");
    assert_eq!(run.outcome.status, Status::OutOfFuel);
    assert_eq!(run.log.len(), 64 << 10);
}

#[test]
fn recursion_without_end_meets_the_stack_limit() {
    let body = "(drop (call $deeper (i32.const 1)))";
    check(body, TrapKind::StackLimit, Charged);
}

#[test]
fn a_growth_storm_is_refused_at_the_jobs_pages() {
    // Counts the pages that it got, then exits with the count.
    let run = command(
        "(loop $more
            (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
         (call $exit (memory.size))",
    );
    assert_eq!(ending(&run.outcome), (Status::Returned, 2_048, None));
}

#[test]
fn growing_without_end_uses_up_its_fuel() {
    check_exhausted("(loop (drop (memory.grow (i32.const 1))) (br 0))");
}

#[test]
fn an_unreachable_is_an_abort_that_pays_what_it_used() {
    check("unreachable", TrapKind::Abort, Charged);
}

#[test]
fn implicit_traps_bill_the_whole_limit() {
    let divide = "(drop (i32.div_u (i32.const 1) (global.get $g)))";
    check(divide, TrapKind::Arithmetic, Whole);
    let truncate = "(drop (i32.trunc_f32_s (f32.const 1e30)))";
    check(truncate, TrapKind::Arithmetic, Whole);
    let load = "(drop (i32.load (i32.const 65536)))";
    check(load, TrapKind::Bounds, Whole);
    let fill = "(memory.fill (i32.const 65530) (i32.const 1) (i32.const 100))";
    check(fill, TrapKind::Bounds, Whole);
    let table = "(call_indirect (type $nothing) (i32.const 7))";
    check(table, TrapKind::Bounds, Whole);
    let null = "(call_indirect (type $nothing) (i32.const 1))";
    check(null, TrapKind::IndirectCall, Whole);
}

#[test]
fn a_bad_pointer_to_a_host_call_is_a_trap() {
    let body = "(drop (call $write (i32.const 1) (i32.const -8) (i32.const 1) (i32.const 8)))";
    check(body, TrapKind::HostCall, Whole);
    check(
        "(call $log (i32.const 65535) (i32.const 2))",
        TrapKind::HostCall,
        Whole,
    );
}

#[test]
fn what_was_written_before_a_trap_is_no_output() {
    let body = "(call $say (i32.const 1) (i32.const 64) (i32.const 5)) unreachable";
    check(body, TrapKind::Abort, Charged);
}

#[test]
fn fuel_that_does_not_pay_for_the_start_gives_no_run() {
    let module = assemble(&command_wat(""));
    let run = run(&module, b"", Fuel(1_000)).unwrap();
    assert_eq!(ending(&run.outcome), (Status::OutOfFuel, 0, None));
    assert_eq!(run.outcome.fuel_used, Fuel(1_000));
}

#[test]
fn the_least_fuel_that_suffices_is_what_was_used() {
    let module = assemble(&command_wat(
        "(call $say (i32.const 1) (i32.const 64) (i32.const 5))",
    ));
    let used = run(&module, b"", PLENTY).unwrap().outcome.fuel_used;

    let exact = run(&module, b"", used).unwrap().outcome;
    assert_eq!((exact.status, exact.fuel_used), (Status::Returned, used));
    let short = run(&module, b"", Fuel(used.0 - 1)).unwrap().outcome;
    assert_eq!(
        (short.status, short.fuel_used),
        (Status::OutOfFuel, Fuel(used.0 - 1))
    );
}

#[test]
fn a_start_function_runs_first_and_pays() {
    let module = assemble(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (global $g (mut i32) (i32.const 0))
            (func $begin (global.set $g (i32.const 9)))
            (start $begin)
            (func (export "_start") (call $exit (global.get $g))))"#,
    );
    let outcome = run(&module, b"", PLENTY).unwrap().outcome;
    assert_eq!(ending(&outcome), (Status::Returned, 9, None));
}

#[test]
fn a_start_function_without_end_uses_up_its_fuel() {
    let module = assemble(
        r#"(module
            (memory (export "memory") 1)
            (func $begin (loop (br 0)))
            (start $begin)
            (func (export "_start")))"#,
    );
    let outcome = run(&module, b"", PLENTY).unwrap().outcome;
    assert_eq!(ending(&outcome), (Status::OutOfFuel, 0, None));
}

/// A recursion whose frames keep this many values alive across the call.
#[track_caller]
fn check_deep(values: usize) {
    let locals = "i64 ".repeat(values);
    let fill: String = (0..values)
        .map(|local| {
            format!(
                "(local.set {} (i64.load offset={} (i32.const 0)))",
                local + 1,
                local * 8
            )
        })
        .collect();
    let sum: String = (0..values)
        .map(|local| format!("(local.get {}) i64.xor ", local + 1))
        .collect();
    let wat = format!(
        r#"(module
            (memory (export "memory") 1)
            (func $deeper (param i32) (result i64) (local {locals})
                {fill}
                (call $deeper (i32.add (local.get 0) (i32.const 1)))
                {sum})
            (func (export "_start") (drop (call $deeper (i32.const 0)))))"#
    );
    let outcome = run(&assemble(&wat), b"", PLENTY).unwrap().outcome;
    assert_eq!(
        ending(&outcome),
        (Status::Trapped, 0, Some(TrapKind::StackLimit)),
        "{values} values"
    );
}

#[test]
fn the_stack_limit_is_met_before_the_engines_own() {
    for values in [0, 1, 16, 256, 2_000] {
        check_deep(values);
    }
}
