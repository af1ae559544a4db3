//! Where a run happens makes no difference to it, and how many may wait is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use haar_records::{RunConfig, Status};
use haar_sandbox::{Abstain, Prepared, RunSpec, Sandbox, SandboxConfig};

use crate::guests::{PLENTY, assemble, command_wat, config, sandbox};

/// A reactor that answers with its input's first byte, with these imports.
fn reactor(imports: &str) -> Vec<u8> {
    assemble(&format!(
        r#"(module {imports}
            (memory (export "memory") 1)
            (func (export "haar_abi_v1") (result i32) (i32.const 0))
            (func (export "haar_alloc") (param i32) (result i32) (i32.const 1025))
            (func (export "haar_run") (param i32 i32) (result i64) (i64.const 0x400_0000_0002)))"#
    ))
}

const RANDOM: &str = r#"(import "wasi_snapshot_preview1" "random_get"
    (func (param i32 i32) (result i32)))"#;

fn small() -> Sandbox {
    Sandbox::new(SandboxConfig {
        concurrency: 1,
        prepared_max: 4,
    })
    .unwrap()
}

fn prepare(sandbox: &Sandbox, module: &[u8]) -> (Arc<Prepared>, RunConfig) {
    let config = config(module, b"x");
    (sandbox.prepare(module, &config).unwrap(), config)
}

fn spec(config: &RunConfig) -> RunSpec<'_> {
    RunSpec {
        input: b"x",
        config,
        fuel_max: PLENTY,
    }
}

#[test]
fn a_run_is_the_same_on_every_thread() {
    let random = "(drop (call $random (i32.const 256) (i32.const 32)))
        (call $say (i32.const 1) (i32.const 256) (i32.const 32))";
    for module in [
        reactor(""),
        reactor(RANDOM),
        assemble(&command_wat(random)),
        assemble(&command_wat("unreachable")),
    ] {
        let (prepared, config) = prepare(sandbox(), &module);
        let queued = sandbox().run(&prepared, &spec(&config)).unwrap();
        let direct = sandbox()
            .with_runner(|runner| runner.run(&prepared, &spec(&config)).unwrap())
            .unwrap();
        assert_eq!(queued, direct);
    }
}

#[test]
fn a_guest_without_imports_has_the_transcript_of_one_that_called_none() {
    let run = |module: &[u8]| {
        let (prepared, config) = prepare(sandbox(), module);
        sandbox().run(&prepared, &spec(&config)).unwrap()
    };
    let (none, unused) = (run(&reactor("")), run(&reactor(RANDOM)));
    assert_eq!(none.output, b"x");
    assert_eq!(none, unused);
}

#[test]
fn a_spec_that_cannot_be_is_refused_without_imports_as_well() {
    let (prepared, config) = prepare(sandbox(), &reactor(""));
    let config = RunConfig {
        env: vec!["no equals sign".to_owned()],
        ..config
    };
    let result = sandbox().run(&prepared, &spec(&config));
    assert!(matches!(result, Err(Abstain::BadSpec { .. })), "{result:?}");
}

#[test]
fn whoever_comes_when_too_many_wait_is_sent_away_and_the_others_are_served() {
    let sandbox = small();
    let (prepared, config) = prepare(&sandbox, &reactor(""));
    let is_full = AtomicBool::new(false);
    let run = || sandbox.run(&prepared, &spec(&config));
    std::thread::scope(|scope| {
        let mut waiting = Vec::new();
        sandbox
            .with_runner(|_| {
                // Nobody else gets the one seat until this closure ends.
                while !is_full.load(Ordering::Relaxed) {
                    waiting.push(scope.spawn(|| {
                        let result = run();
                        is_full.fetch_or(result == Err(Abstain::Busy), Ordering::Relaxed);
                        result
                    }));
                }
            })
            .unwrap();
        let results: Vec<_> = waiting.into_iter().map(|one| one.join().unwrap()).collect();
        let served = results.iter().flatten();
        assert!(served.clone().count() > 64, "one at work and 64 that wait");
        assert!(
            served
                .into_iter()
                .all(|run| run.outcome.status == Status::Returned)
        );
    });
    assert!(run().is_ok());
}

#[test]
fn a_runner_that_panics_leaves_its_seat() {
    let sandbox = small();
    for _ in 0..3 {
        let result = sandbox.with_runner(|_| panic!("a bug of the caller"));
        assert_eq!(result, Err::<(), _>(Abstain::Panicked));
    }
    let (prepared, config) = prepare(&sandbox, &reactor(""));
    assert!(sandbox.run(&prepared, &spec(&config)).is_ok());
}
