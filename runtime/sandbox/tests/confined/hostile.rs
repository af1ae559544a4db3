//! Hostile jobs in a row: none gets out, none ends the supervisor, and none makes it grow.
//!
//! `HAAR_HOSTILE_JOBS=10000 cargo test -p haar-sandbox --test confined -- hostile` runs as many.

use std::collections::BTreeMap;
use std::time::Instant;

use haar_records::{Fuel, Status};
use haar_sandbox::process::{NoRun, Tenant};
use haar_sandbox::{Abstain, PrepareError, RunSpec};

use crate::harness::Test;
use crate::stage::{PATIENCE, Stage, assemble, command, echo, run_config};

pub const TESTS: &[Test] = &[("hostile_jobs_in_a_row_harm_nobody", hostile)];

/// Jobs, where nobody says how many.
const JOBS: usize = 500;
/// Jobs before the memory is looked at for the first time: pools and caches fill up.
const WARM_UP: usize = 200;
/// What the supervisor may have grown by in the end.
const GROWTH_KIB_MAX: i64 = 5 << 10;
/// Fuel of a hostile job: an endless loop lasts some milliseconds.
const FUEL: Fuel = Fuel(5_000_000);

/// Bodies of commands by what they try.
#[rustfmt::skip]
const COMMANDS: &[(&str, &str)] = &[
    ("trap at once", "(unreachable)"),
    ("trap after a long loop", "(loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 300000)))) (unreachable)"),
    ("divide by zero", "(drop (i32.div_s (i32.const 1) (local.get $i)))"),
    ("read outside", "(drop (i32.load (i32.const -4)))"),
    ("write outside", "(i64.store offset=4294967288 (i32.const -1) (i64.const 1))"),
    ("call nothing", "(call_indirect (type $nothing) (i32.const 1))"),
    ("loop for ever", "(loop $l (br $l))"),
    ("recurse for ever", "(drop (call $deeper (i32.const 0)))"),
    ("take all memory", "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) (loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))"),
    ("fill all memory", "(drop (memory.grow (i32.const 2000))) (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 131072000)) (br $l))"),
    ("copy overlapping", "(loop $l (memory.copy (i32.const 1) (i32.const 0) (i32.const 65535)) (br $l))"),
    ("storm of host calls", "(loop $l (drop (call $random (i32.const 0) (i32.const 1))) (br $l))"),
    ("poll two billion", "(drop (call $poll (i32.const 0) (i32.const 0) (i32.const 0x7fffffff) (i32.const 8)))"),
    ("poll four billion", "(drop (call $poll (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 8)))"),
    ("sleep for ever", "(i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const -1)) (drop (call $poll (i32.const 0) (i32.const 1024) (i32.const 1) (i32.const 2048)))"),
    ("bad pointer", "(drop (call $write (i32.const 1) (i32.const -8) (i32.const 1) (i32.const 0)))"),
    ("bad vectors", "(drop (call $write (i32.const 1) (i32.const 0) (i32.const 0x10000000) (i32.const 0)))"),
    ("random everywhere", "(drop (call $random (i32.const 0) (i32.const -1)))"),
    ("log everything", "(loop $l (call $log (i32.const 0) (i32.const 65536)) (br $l))"),
    ("log outside", "(call $log (i32.const -1) (i32.const -1))"),
    ("write for ever", "(i32.store (i32.const 4) (i32.const 65536)) (loop $l (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br $l))"),
    ("exit oddly", "(call $exit (i32.const -1))"),
];

/// Guests by what they try.
fn guests() -> Vec<(&'static str, Vec<u8>)> {
    let commands = COMMANDS.iter().map(|(name, body)| (*name, command(body)));
    let others = [
        (
            "reserved names",
            assemble(
                r#"(module (memory (export "memory") 1) (func (export "_start"))
            (global (export "__haar_fuel") (mut i64) (i64.const 0)))"#,
            ),
        ),
        (
            "unknown imports",
            assemble(
                r#"(module (import "env" "system" (func (param i32)))
            (memory (export "memory") 1) (func (export "_start")))"#,
            ),
        ),
        (
            "not even a module",
            b"\0asm\x01\0\0\0\xff\xff\xff\xff".to_vec(),
        ),
        (
            "a huge table",
            assemble(
                r#"(module (memory (export "memory") 1) (table 1000000 funcref)
            (func (export "_start") (loop $l (br $l))))"#,
            ),
        ),
        (
            "a lying reactor",
            assemble(
                r#"(module (memory (export "memory") 1)
            (func (export "haar_abi_v1") (result i32) (i32.const 1))
            (func (export "haar_alloc") (param i32) (result i32) (i32.const -16))
            (func (export "haar_run") (param i32 i32) (result i64) (i64.const -1)))"#,
            ),
        ),
        (
            "a reactor with a huge frame",
            assemble(
                r#"(module (memory (export "memory") 2048)
            (func (export "haar_abi_v1") (result i32) (i32.const 1))
            (func (export "haar_alloc") (param i32) (result i32) (i32.const 16))
            (func (export "haar_run") (param i32 i32) (result i64)
                (i64.const 0x0000001007ffff00)))"#,
            ),
        ),
    ];
    commands.chain(others).collect()
}

/// One that nobody has seen before: it has to be metered and compiled.
fn novel(number: usize) -> Vec<u8> {
    command(&format!(
        "(drop (i32.const {number})) (if (local.get $i) (then (unreachable)))"
    ))
}

/// Kibibytes of memory that this process has.
fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How a job ended, in a word.
fn play(stage: &Stage, tenant: u8, module: &[u8], input: &[u8]) -> &'static str {
    let config = run_config(module);
    let compiled = match stage.confined.prepare(module, &config) {
        Ok(compiled) => compiled,
        Err(PrepareError::Refused { .. }) => return "refused",
        Err(error) => panic!("{error}"),
    };
    let spec = RunSpec {
        input,
        config: &config,
        fuel_max: FUEL,
    };
    let tenant = Tenant::of(&[&[tenant]]);
    match stage
        .confined
        .run(tenant, &compiled, &spec, Instant::now() + PATIENCE)
    {
        Ok(run) => match run.outcome.status {
            Status::Returned => "returned",
            Status::Trapped => "trapped",
            Status::OutOfFuel => "out of fuel",
        },
        Err(NoRun::Abstain(Abstain::BadSpec { .. })) => "bad spec",
        Err(error) => panic!("{error}"),
    }
}

fn hostile() {
    let jobs = std::env::var("HAAR_HOSTILE_JOBS").ok();
    let jobs = jobs.map_or(JOBS, |jobs| jobs.parse().unwrap());
    let stage = Stage::new();
    let guests = guests();
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    let mut by_guest: BTreeMap<&str, &str> = BTreeMap::new();
    let mut before = 0;
    let began = Instant::now();
    for number in 0..jobs + WARM_UP {
        if number == WARM_UP {
            before = resident_kib();
        }
        // Three tenants in turn, so that runners also change hands.
        let tenant = (number / 7 % 3) as u8;
        let (name, end) = if number % 29 == 28 {
            let end = play(&stage, tenant, &novel(number), b"");
            ("never seen before", end)
        } else {
            let (name, module) = &guests[number % guests.len()];
            (*name, play(&stage, tenant, module, b"hostile"))
        };
        *ends.entry(end).or_default() += 1;
        let first = by_guest.entry(name).or_insert(end);
        assert_eq!(*first, end, "{name} ended in two ways");
        if number % 100 == 99 {
            let run = stage.run(&echo(), b"unharmed").unwrap();
            assert_eq!(run.output, b"unharmed");
        }
    }
    let growth = resident_kib() - before;
    let children = stage.confined.children();
    for (name, end) in &by_guest {
        println!("  {name}: {end}");
    }
    println!(
        "  {jobs} hostile jobs in {:?}: {ends:?}\n  supervisor: grew by {growth} KiB, 0 restarts\n  {children:?}",
        began.elapsed()
    );
    assert_eq!((children.escapes, children.died, children.late), (0, 0, 0));
    assert!(
        growth <= GROWTH_KIB_MAX,
        "the supervisor grew by {growth} KiB"
    );
}
