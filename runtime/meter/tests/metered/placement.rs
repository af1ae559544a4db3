//! Where charges stand: the fewest places that are still exact.

use haar_meter::Ending;
use wasmparser::{Operator, Parser, Payload};

use crate::engine::{HOST_CALL, PLENTY, metered, run};

/// `_start` with this body and a few locals, beside an import.
fn command(body: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start") (local $a i32) (local $b i32) {body}))"#
    )
}

/// The charges in the order of the text; a check is a charge that is tested.
pub fn charges(wat: &str) -> Vec<(i64, bool)> {
    let module = metered(wat);
    let body = Parser::new(0)
        .parse_all(&module.bytes)
        .find_map(|payload| match payload.unwrap() {
            Payload::CodeSectionEntry(body) => Some(body),
            _ => None,
        })
        .unwrap();
    let ops: Vec<_> = body.get_operators_reader().unwrap().into_iter().collect();
    let ops: Vec<_> = ops.into_iter().map(Result::unwrap).collect();
    let mut found = Vec::new();
    for window in ops.windows(3) {
        match window {
            [
                Operator::I64Const { value },
                Operator::I64Sub,
                Operator::LocalTee { .. } | Operator::LocalSet { .. },
            ] => found.push((*value, matches!(window[2], Operator::LocalTee { .. }))),
            [
                Operator::LocalGet { .. },
                Operator::I64Const { value: 0 },
                Operator::I64LtS,
            ] => found.push((0, true)),
            _ => {}
        }
    }
    found
}

/// Additions that cost `count` and leave nothing.
fn work(count: usize) -> String {
    "(local.set $a (i32.add (local.get $a) (local.get $b)))".repeat(count)
}

#[track_caller]
fn check(body: &str, expected: &[(i64, bool)]) {
    assert_eq!(charges(&command(body)), expected);
}

#[test]
fn a_loop_pays_for_its_cheapest_way_at_its_head() {
    // 3 moves stand beside each addition, and each eighth move of a straight piece costs one.
    let body = format!(
        "(loop $l {} (if (local.get $b) (then {}) (else {})) {} (br $l))",
        work(2),
        work(2),
        work(1),
        work(2)
    );
    // Head 2 + 3, cheap arm 1, tail 2 + 1 at the header; the dear arm pays one more.
    check(&body, &[(1, false), (9, true), (1, false)]);
}

#[test]
fn ways_that_part_and_cost_alike_pay_once() {
    let body = format!(
        "(if (local.get $a) (then {}) (else {})) {}",
        work(2),
        work(2),
        work(2)
    );
    check(&body, &[(3 + 2 + 2, false)]);
}

#[test]
fn a_taken_branch_pays_where_it_is_taken() {
    let body = format!(
        "(block $out (br_if $out (local.get $a)) (return)) {}",
        work(2)
    );
    check(&body, &[(1, false), (2, false)]);
}

#[test]
fn an_else_that_is_missing_is_added_when_it_must_pay() {
    let body = format!("(if (local.get $a) (then (return))) {}", work(2));
    check(&body, &[(3, false), (2, false)]);
}

#[test]
fn the_targets_of_a_table_pay_for_themselves() {
    let body = format!(
        "(block $a (block $b (br_table $a $b (local.get $a))) {}) {}",
        work(2),
        work(1)
    );
    check(&body, &[(3, false), (2, false), (1, false)]);
}

#[test]
fn code_before_an_exit_is_paid_although_no_way_returns() {
    let wat = command(&format!(
        "(if (i32.eqz (local.get $a)) (then {} (call $exit (i32.const 0)) unreachable))",
        work(400)
    ));
    let ran = run(&wat, "_start", &[], PLENTY);
    assert_eq!(ran.ending, Ending::EndedByHost);
    // The moves of the arm end with it: 400 times three and the exit code.
    let moves = (400 * 3 + 1) / 8;
    assert_eq!(ran.used, 1 + 3 + 400 + moves + 5 + HOST_CALL as u64);
}

#[test]
fn a_way_to_certain_abort_costs_at_least_what_runs_on_it() {
    let body = |condition| {
        command(&format!(
            "(if (i32.const {condition}) (then {} unreachable)) {}",
            work(8),
            work(16)
        ))
    };
    let (returned, aborted) = (
        run(&body(0), "_start", &[], PLENTY),
        run(&body(1), "_start", &[], PLENTY),
    );
    assert_eq!(
        (returned.ending, returned.used),
        (Ending::Returned, 3 + 16 + 6)
    );
    // Paid ahead for the way that returns, which is the only one that counts.
    assert_eq!(
        (aborted.ending, aborted.used),
        (Ending::Abort, returned.used)
    );
}
