//! A confined sandbox made of this program, guests written by hand, and a short way to run them.

use std::time::{Duration, Instant};

use haar_records::{BlobHash, Fuel, Outcome, RunConfig, Status, TrapKind};
use haar_sandbox::process::{
    CompileLimits, Compiled, Confined, ConfinedConfig, NoRun, Program, Tenant,
};
use haar_sandbox::{PrepareError, Run, RunSpec};
use tempfile::TempDir;

use crate::actors;

/// More than any guest here needs, little enough to run out of in a moment.
pub const PLENTY: Fuel = Fuel(200_000_000);
/// What only a broken supervisor takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A confined sandbox and the folder of its code.
pub struct Stage {
    pub confined: Confined,
    _dir: TempDir,
}

/// The usual children.
pub fn program() -> Program {
    Program::this(actors::RUNNER, actors::COMPILER)
}

/// Children of which the runners are played by an actor.
pub fn cast(actor: &str) -> Program {
    Program {
        runner: vec![actor.into()],
        ..program()
    }
}

pub fn config(dir: &TempDir) -> ConfinedConfig {
    ConfinedConfig {
        program: program(),
        concurrency: 2,
        queue_max: 4,
        prepared_max: 16,
        start_timeout: Duration::from_secs(20),
        compile: CompileLimits::default(),
        code_dir: dir.path().join("code"),
        code_bytes_max: 256 << 20,
    }
}

impl Stage {
    pub fn new() -> Self {
        Self::with(|config| config)
    }

    pub fn with(change: impl FnOnce(ConfinedConfig) -> ConfinedConfig) -> Self {
        let dir = TempDir::new().unwrap();
        Self {
            confined: Confined::new(change(config(&dir))).unwrap(),
            _dir: dir,
        }
    }

    pub fn prepare(&self, module: &[u8]) -> Result<Compiled, PrepareError> {
        self.confined.prepare(module, &run_config(module))
    }

    /// Runs a module on an input, for a tenant with this number.
    pub fn run_as(
        &self,
        tenant: u8,
        module: &[u8],
        input: &[u8],
        deadline: Instant,
    ) -> Result<Run, NoRun> {
        let config = run_config(module);
        let compiled = self.confined.prepare(module, &config).unwrap();
        let spec = RunSpec {
            input,
            config: &config,
            fuel_max: PLENTY,
        };
        self.confined
            .run(Tenant::of(&[&[tenant]]), &compiled, &spec, deadline)
    }

    /// Runs a module on an input with all the time in the world.
    pub fn run(&self, module: &[u8], input: &[u8]) -> Result<Run, NoRun> {
        self.run_as(1, module, input, Instant::now() + PATIENCE)
    }

    /// The next job is unharmed, whatever came before it.
    #[track_caller]
    pub fn assert_well(&self) {
        let run = self.run(&echo(), b"still here").unwrap();
        assert_eq!(run.output, b"still here");
    }

    /// The runners that wait, once there is one for the next tenant.
    pub fn idle_runners(&self) -> Vec<u32> {
        let began = Instant::now();
        loop {
            let idle = self.confined.idle_runners();
            if !idle.is_empty() {
                return idle;
            }
            assert!(began.elapsed() < PATIENCE, "no runner became ready");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

pub fn run_config(module: &[u8]) -> RunConfig {
    RunConfig::for_call(BlobHash::of(module), BlobHash::of(b""))
}

pub fn assemble(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap()
}

/// A command whose `_start` has this body.
pub fn command(body: &str) -> Vec<u8> {
    assemble(&format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "fd_read"
                (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff"
                (func $poll (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get"
                (func $random (param i32 i32) (result i32)))
            (import "haar" "log" (func $log (param i32 i32)))
            (memory (export "memory") 1)
            (table 2 funcref)
            (type $nothing (func))
            (global $g (mut i32) (i32.const 0))
            (func $deeper (param i32) (result i32)
                (i32.add (i32.const 1) (call $deeper (local.get 0))))
            (func (export "_start") (local $i i32) {body}))"#
    ))
}

/// Writes what it reads, up to 1 MiB at a time.
pub fn echo() -> Vec<u8> {
    assemble(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_read"
                (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 17)
            (func (export "_start")
                (loop $more
                    (i32.store (i32.const 0) (i32.const 65536))
                    (i32.store (i32.const 4) (i32.const 1048576))
                    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
                    (if (i32.load (i32.const 8)) (then
                        (i32.store (i32.const 4) (i32.load (i32.const 8)))
                        (drop (call $write
                            (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
                        (br $more))))))"#,
    )
}

/// The keys of an outcome that a test looks at.
pub fn ending(outcome: &Outcome) -> (Status, u32, Option<TrapKind>) {
    (outcome.status, outcome.exit_code, outcome.trap)
}
