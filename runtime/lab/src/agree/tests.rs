//! The laboratory tests itself: an instrument that finds nothing must be one that could find something.
#![allow(clippy::unwrap_used)]

use super::adapter::{Call, Value, adapt};
use super::case::{Bench, Examined, Plan, Work};
use super::observation::Kind;
use super::parts::Parts;
use super::scripts::Script;
use super::{hostile, loops, smith};

const SEED: u64 = 7;
const PLAN: Plan = Plan {
    fuel: 300_000,
    stops: 2,
};

fn work(name: &str, module: Vec<u8>) -> Work {
    Work {
        name: name.to_owned(),
        module,
        args: Vec::new(),
        input: Vec::new(),
        plan: PLAN,
    }
}

/// Examines a program and returns how it ended and how many findings there were.
fn examine(text: &str) -> (Option<Kind>, usize) {
    let mut bench = Bench::new(SEED).unwrap();
    let examined = bench.examine(&work("test", wat::parse_str(text).unwrap()));
    let kind = match examined {
        Some(Examined::Case(case)) => Some(case.ended),
        _ => None,
    };
    (kind, bench.findings.len())
}

fn command(body: &str) -> String {
    format!(
        r#"(module (memory (export "memory") 1) (func (export "_start") (local $i i32) {body}))"#
    )
}

#[test]
fn made_up_programs_agree_with_the_slow_counter() {
    let mut bench = Bench::new(SEED).unwrap();
    let programs: Vec<Work> = (0..40)
        .map(|index| work(&index.to_string(), smith::module(SEED, index).unwrap()))
        .collect();
    let examined = bench.spread(&programs, Bench::examine).unwrap();
    let cases = examined
        .iter()
        .filter(|one| matches!(one, Some(Examined::Case(_))));
    assert!(30 <= cases.count(), "too many programs are refused");
    assert!(
        10 <= bench.tally.counted,
        "too few programs end: {:?}",
        bench.tally
    );
    assert!(bench.findings.is_empty(), "{:#?}", bench.findings);
}

#[test]
fn loops_of_every_shape_agree_with_the_slow_counter() {
    let mut bench = Bench::new(SEED).unwrap();
    let programs: Vec<Work> = (0..60)
        .map(|index| work(&index.to_string(), loops::module(SEED, index).unwrap()))
        .collect();
    bench.spread(&programs, Bench::examine).unwrap();
    assert!(
        20 <= bench.tally.counted,
        "too few programs end: {:?}",
        bench.tally
    );
    assert!(bench.findings.is_empty(), "{:#?}", bench.findings);
}

#[test]
fn hostile_programs_agree_with_the_slow_counter() {
    let mut bench = Bench::new(SEED).unwrap();
    let programs = hostile::modules(SEED).unwrap().into_iter();
    let programs: Vec<Work> = programs.map(|(name, module)| work(&name, module)).collect();
    let examined = bench.spread(&programs, Bench::examine).unwrap();
    let refused = examined
        .iter()
        .filter(|one| matches!(one, Some(Examined::Refused)));
    assert_eq!(refused.count(), 0);
    assert!(bench.findings.is_empty(), "{:#?}", bench.findings);
}

#[test]
fn every_ending_is_seen() {
    assert_eq!(
        examine(&command("(i32.store (i32.const 0) (i32.const 7))")),
        (Some(Kind::Returned), 0)
    );
    assert_eq!(examine(&command("unreachable")), (Some(Kind::Trapped), 0));
    assert_eq!(
        examine(&command("(i32.store (i32.const -1) (i32.const 7))")),
        (Some(Kind::Trapped), 0)
    );
    assert_eq!(
        examine(&command("(loop (br 0))")),
        (Some(Kind::OutOfFuel), 0)
    );
}

#[test]
fn the_same_seed_gives_the_same_programs_and_lines() {
    let lines = || {
        let mut bench = Bench::new(SEED).unwrap();
        let module = smith::module(SEED, 3).unwrap();
        match bench.examine(&work("three", module)) {
            Some(Examined::Case(case)) => case.runs,
            _ => Vec::new(),
        }
    };
    assert_eq!(lines(), lines());
}

#[test]
fn a_shell_keeps_what_a_function_computes() {
    let text = r#"(module
        (func $nan (param f64) (result f64 i32) (f64.div (local.get 0) (local.get 0)) (i32.const -2))
        (global $g i64 (i64.const 9)))"#;
    let bytes = wat::parse_str(text).unwrap();
    let parts = Parts::read(&bytes).unwrap();
    let calls = [Call::Function(0, vec![Value::F64(0)]), Call::Global(0)];
    let adapted = adapt(&parts, &calls, &[0]).unwrap();

    let mut bench = Bench::new(SEED).unwrap();
    let Some(Examined::Case(case)) = bench.examine(&work("shell", adapted)) else {
        panic!("{:?}", bench.findings);
    };
    // The mix, then two parts for each of the two results; the NaN is the canonical one.
    let (_, line) = &case.runs[0];
    let globals = line.split("globals=").nth(1).unwrap();
    let nan = 0x7ff8_0000_0000_0000_u64.cast_signed();
    assert!(
        globals.ends_with(&format!("{nan},0,4294967294,0")),
        "{line}"
    );
    assert!(bench.findings.is_empty(), "{:?}", bench.findings);
}

#[test]
fn scripts_of_host_calls_replay() {
    for index in 0..50 {
        let line = || Script::new(SEED, index).play_natively().unwrap();
        assert_eq!(line(), line());
    }
}
