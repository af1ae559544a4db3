//! Counted loops: charged before they start, and never in them.

use haar_meter::Ending;
use wasmparser::{Operator, Parser, Payload};
use wasmtime::Val;

use crate::engine::{PLENTY, metered, run, run_metered};
use crate::oracle;

fn module(parts: &str, body: &str) -> String {
    format!(
        r#"(module (memory (export "memory") 1) {parts} (func (export "_start"))
        (func (export "f") (param $i i32) (param $n i32) (local $j i32) (local $m i32) {body}))"#
    )
}

/// How many checks stand in loops: branches out of all blocks for which there is no fuel.
fn checks_in_loops(wat: &str) -> usize {
    let module = metered(wat);
    let bodies = Parser::new(0)
        .parse_all(&module.bytes)
        .filter_map(|payload| match payload.unwrap() {
            Payload::CodeSectionEntry(body) => Some(body),
            _ => None,
        });
    // That of `f` is the longest.
    let body = bodies.max_by_key(|body| body.range().end - body.range().start);
    let ops = body.unwrap().get_operators_reader().unwrap();
    let (mut blocks, mut checks, mut last_is_test) = (Vec::new(), 0, false);
    for op in ops {
        let op = op.unwrap();
        match op {
            Operator::Loop { .. } => blocks.push(true),
            Operator::Block { .. } | Operator::If { .. } => blocks.push(false),
            Operator::End => drop(blocks.pop()),
            Operator::BrIf { .. } if last_is_test && blocks.contains(&true) => checks += 1,
            _ => {}
        }
        last_is_test = matches!(op, Operator::I64LtS);
    }
    checks
}

/// Runs `f` for all pairs and compares with the interpreter and the number of checks in loops.
#[track_caller]
fn check(body: &str, pairs: &[(i32, i32)], checks: usize) {
    let wat = module("", body);
    assert_eq!(checks_in_loops(&wat), checks);
    for (i, n) in pairs {
        let ran = run(&wat, "f", &[Val::I32(*i), Val::I32(*n)], PLENTY);
        let words = [i, n].map(|value| u64::from(value.cast_unsigned()));
        let counted = oracle::run(&wat, "f", &words).unwrap();
        assert_eq!(ran.ending, Ending::Returned, "{i} {n}");
        assert_eq!(ran.used, counted.fuel, "{i} {n}");
        assert!(ran.memory == counted.memory);
    }
}

const STORE: &str = "(i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (local.get $n)))";

#[test]
fn a_loop_to_a_local_is_charged_before_it_starts() {
    for name in ["ne", "lt_u", "lt_s", "le_u", "le_s"] {
        let body = format!(
            "(loop {STORE} (br_if 0 (i32.{name}
                (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))"
        );
        check(&body, &[(0, 1), (0, 100), (5, 7), (0, 9)], 0);
    }
}

#[test]
fn a_countdown_to_zero_is_charged_before_it_starts() {
    let tested =
        format!("(loop {STORE} (br_if 0 (local.tee $i (i32.add (local.get $i) (i32.const -1)))))");
    let negated = format!(
        "(loop {STORE} (local.set $i (i32.sub (local.get $i) (i32.const 1)))
            (br_if 0 (i32.eqz (i32.eqz (local.get $i)))))"
    );
    for body in [tested, negated] {
        check(&body, &[(1, 1), (2, 3), (100, 0)], 0);
    }
}

#[test]
fn a_comparison_may_come_before_the_step_and_have_its_sides_swapped() {
    let before = format!(
        "(loop (i32.gt_u (local.get $n) (local.get $i)) (local.set $m)
            (local.set $i (i32.add (local.get $i) (i32.const 1))) {STORE} (br_if 0 (local.get $m)))"
    );
    check(&before, &[(0, 0), (0, 1), (3, 50), (9, 1)], 0);
}

#[test]
fn a_pointer_that_steps_by_more_than_one_meets_its_end() {
    let body = format!(
        "(local.set $n (i32.add (local.get $i) (i32.mul (local.get $n) (i32.const 12))))
         (loop {STORE} (br_if 0 (i32.ne
            (local.tee $i (i32.add (local.get $i) (i32.const 12))) (local.get $n))))"
    );
    check(&body, &[(0, 1), (1024, 100), (-8, 3)], 0);
}

#[test]
fn a_pointer_that_misses_its_end_is_out_of_fuel_before_it_starts() {
    let wat = module(
        "",
        &format!(
            "(loop {STORE} (br_if 0 (i32.ne
                (local.tee $i (i32.add (local.get $i) (i32.const 4))) (local.get $n))))"
        ),
    );
    let ran = run(&wat, "f", &[Val::I32(0), Val::I32(6)], PLENTY);
    assert_eq!(ran.ending, Ending::OutOfFuel);
    assert_eq!(ran.memory[..4], [0; 4]);
}

#[test]
fn the_last_unit_of_fuel_decides_before_the_loop() {
    let body =
        format!("(loop {STORE} (br_if 0 (local.tee $i (i32.add (local.get $i) (i32.const -1)))))");
    let wat = module("", &body);
    let args = [Val::I32(1_000), Val::I32(0)];
    let used = run(&wat, "f", &args, PLENTY).used;
    let metered = metered(&wat);
    let exact = run_metered(&metered, "f", &args, metered.init_cost + used);
    assert_eq!(exact.ending, Ending::Returned);
    let short = run_metered(&metered, "f", &args, metered.init_cost + used - 1);
    assert_eq!(short.ending, Ending::OutOfFuel);
    assert_eq!(short.memory[..4], [0; 4]);
}

#[test]
fn nested_counted_loops_pay_once_for_each_round_of_the_outer_one() {
    let body = format!(
        "(loop
            (local.set $j (local.get $n))
            (loop {STORE} (br_if 0 (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
            (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"
    );
    check(&body, &[(1, 1), (3, 5), (7, 40)], 1);
}

#[test]
fn a_loop_of_few_known_rounds_costs_like_straight_code() {
    let inner = format!(
        "(local.set $j (i32.const 0))
         (loop {STORE} (br_if 0 (i32.ne (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 8))))"
    );
    check(&inner, &[(0, 1)], 0);
    let outer =
        format!("(loop {inner} (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))");
    check(&outer, &[(1, 1), (30, 1)], 0);
    let many = inner.replace("const 8)", "const 100000)");
    let outer = outer.replace(&inner, &many);
    check(&outer, &[(1, 1), (2, 1)], 1);
}

#[test]
fn loops_that_cannot_be_counted_check_each_round() {
    let last = "(br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1))))";
    for body in [
        // What is tested comes from memory, is stepped twice as a product, or is stepped never.
        "(i32.store (i32.const 0) (local.get $i)) (loop (i32.store (i32.const 0) (i32.sub (i32.load (i32.const 0)) (i32.const 1))) (br_if 0 (i32.load (i32.const 0))))".to_owned(),
        "(loop (br_if 0 (i32.lt_u (local.tee $i (i32.mul (local.get $i) (i32.const 3))) (i32.const 900))))".to_owned(),
        format!(
            "(loop {STORE} (br_if 0 (i32.eq (local.tee $i (i32.sub (local.get $i) (i32.const 1))) (local.get $n))))"
        ),
        // The bound moves, the counter is set elsewhere, or the loop can be left.
        "(loop (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 2))) (local.get $n))))".to_owned(),
        format!(
            "(loop (if (i32.eq (local.get $i) (local.get $n)) (then (local.set $i (i32.const 2)))) {last})"
        ),
        format!("(block (loop (br_if 1 (i32.eq (local.get $i) (local.get $n))) {last}))"),
        format!(
            "(loop {STORE} (if (i32.eq (local.get $i) (local.get $n)) (then (return))) {last})"
        ),
        // An unknown bound may be jumped over.
        format!(
            "(loop {STORE} (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 3))) (local.get $n))))"
        ),
        // A bulk operation pays for itself.
        format!("(loop (memory.fill (i32.const 0) (i32.const 1) (local.get $n)) {last})"),
    ] {
        let wat = module("", &body);
        assert!(checks_in_loops(&wat) > 0, "{body}");
        check(&body, &[(7, 5), (3, 9), (40, 2)], checks_in_loops(&wat));
    }
}

#[test]
fn a_loop_that_calls_checks_each_round() {
    let body = "(loop (call $g) (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))";
    let wat = module("(func $g (call $h)) (func $h (call $g))", body);
    assert_eq!(checks_in_loops(&wat), 1);
}

#[test]
fn a_loop_that_calls_a_function_its_callers_pay_for_is_counted() {
    let parts = "(func $g (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))";
    let body = "(loop (i32.store (i32.const 0) (call $g (local.get $i)))
        (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))";
    let wat = module(parts, body);
    assert_eq!(checks_in_loops(&wat), 0);
    let ran = run(&wat, "f", &[Val::I32(50), Val::I32(0)], PLENTY);
    assert_eq!(ran.used, oracle::run(&wat, "f", &[50, 0]).unwrap().fuel);
}

#[test]
fn only_functions_in_one_piece_leave_their_charge_to_their_callers() {
    let kept = [
        "(func $g (if (i32.const 1) (then (drop (i32.eqz (i32.const 1))))))",
        "(func $g (memory.fill (i32.const 0) (i32.const 0) (i32.const 8)))",
        "(func $g (call $h)) (func $h)",
        "(func $g) (table 1 funcref) (elem (i32.const 0) $g)",
        "(func $g) (export \"g\" (func $g))",
        "(func $g) (start $g)",
        "(func $g return)",
    ];
    let body = "(loop (call $g) (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))";
    for parts in kept {
        assert_eq!(checks_in_loops(&module(parts, body)), 1, "{parts}");
    }
}

#[test]
fn a_local_set_in_an_inner_loop_is_not_known_after_it() {
    // The inner loop steps $i, too: it ends at 0 and the outer one sets it anew.
    let body = "(local.set $m (i32.const 3))
        (loop
            (local.set $i (local.get $n))
            (loop (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.tee $m (i32.sub (local.get $m) (local.get $i))) (i32.const 9))))";
    check(body, &[(0, 4), (1, 1)], 2);
}
