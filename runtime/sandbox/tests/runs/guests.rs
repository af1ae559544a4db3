//! Guests written by hand, and a short way to run them.

use std::sync::OnceLock;

use haar_records::{BlobHash, Fuel, Outcome, RunConfig, Status, TrapKind};
use haar_sandbox::{Abstain, PrepareError, Run, RunSpec, Sandbox, SandboxConfig};

/// More than any guest here needs, little enough to run out of in a moment.
pub const PLENTY: Fuel = Fuel(200_000_000);

/// One sandbox for all tests: what one guest does must not be felt by the next.
pub fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| Sandbox::new(SandboxConfig::default()).unwrap())
}

pub fn config(module: &[u8], input: &[u8]) -> RunConfig {
    RunConfig::for_call(BlobHash::of(module), BlobHash::of(input))
}

pub fn assemble(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap()
}

/// Runs a module on an input.
pub fn run(module: &[u8], input: &[u8], fuel_max: Fuel) -> Result<Run, Abstain> {
    let config = config(module, input);
    let prepared = sandbox().prepare(module, &config).unwrap();
    let spec = RunSpec {
        input,
        config: &config,
        fuel_max,
    };
    sandbox().run(&prepared, &spec)
}

/// Runs a command whose `_start` has this body; `$exit` and `$write` are WASI's.
pub fn command(body: &str) -> Run {
    run(&assemble(&command_wat(body)), b"", PLENTY).unwrap()
}

pub fn command_wat(body: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "fd_read"
                (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get"
                (func $random (param i32 i32) (result i32)))
            (import "haar" "log" (func $log (param i32 i32)))
            (memory (export "memory") 1)
            (table 2 funcref)
            (type $nothing (func))
            (global $g (mut i32) (i32.const 0))
            (data (i32.const 64) "hello")
            (func $deeper (param i32) (result i32)
                (i32.add (i32.const 1) (call $deeper (local.get 0))))
            (func $say (param $fd i32) (param $at i32) (param $len i32)
                (i32.store (i32.const 0) (local.get $at))
                (i32.store (i32.const 4) (local.get $len))
                (drop (call $write
                    (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
            (func (export "_start") {body}))"#
    )
}

/// The keys of an outcome that a test looks at: status, exit code, kind of trap.
pub fn ending(outcome: &Outcome) -> (Status, u32, Option<TrapKind>) {
    (outcome.status, outcome.exit_code, outcome.trap)
}

/// An outcome that is no return has no output, whatever the guest wrote before.
#[track_caller]
pub fn assert_empty(run: &Run) {
    assert_eq!(run.output, b"");
    assert_eq!(run.outcome.output, BlobHash::of(b""));
    assert_eq!(run.outcome.output_bytes, 0);
    assert_eq!(run.outcome.exit_code, 0);
}

pub fn refusal(wat: &str, pages: u32) -> PrepareError {
    let module = assemble(wat);
    let config = RunConfig {
        memory_pages_max: pages,
        ..config(&module, b"")
    };
    sandbox().prepare(&module, &config).unwrap_err()
}
