//! Who gets which runner, and who has to wait.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use haar_sandbox::process::{ConfinedConfig, NoRun};

use crate::harness::Test;
use crate::stage::{PATIENCE, Stage, command, echo};

pub const TESTS: &[Test] = &[
    (
        "a_tenant_keeps_its_runner_and_never_gets_anothers",
        never_shared,
    ),
    ("many_tenants_at_once_never_share_a_runner", many_at_once),
    ("a_runner_serves_a_hundred_runs", a_hundred),
    (
        "a_trap_of_the_engine_costs_the_runner_and_an_exit_does_not",
        traps,
    ),
    ("who_finds_the_queue_full_is_sent_away_at_once", busy),
    ("a_run_that_cannot_begin_before_its_deadline_is_late", late),
];

/// Spins for about as long, whatever the machine does otherwise.
fn spin() -> Vec<u8> {
    command(
        r#"(loop $l (br_if $l (i32.lt_u
            (local.tee $i (i32.add (local.get $i) (i32.const 1)))
            (i32.const 20000000))))"#,
    )
}

fn alone(config: ConfinedConfig) -> ConfinedConfig {
    ConfinedConfig {
        concurrency: 1,
        ..config
    }
}

fn never_shared() {
    let stage = Stage::with(alone);
    let deadline = || Instant::now() + PATIENCE;
    for tenant in [1, 1, 1] {
        stage.run_as(tenant, &echo(), b"", deadline()).unwrap();
    }
    let children = stage.confined.children();
    assert_eq!(children.replaced, 0, "the same tenant stays");

    // Room for one idle runner: every change of tenant ends one process.
    for (count, tenant) in [2, 1, 3, 1].into_iter().enumerate() {
        stage.run_as(tenant, &echo(), b"", deadline()).unwrap();
        assert_eq!(stage.confined.children().replaced, count as u64 + 1);
    }
}

fn many_at_once() {
    let stage = Stage::new();
    let module = echo();
    std::thread::scope(|scope| {
        for tenant in 0..4 {
            let (stage, module) = (&stage, &module);
            scope.spawn(move || {
                for round in 0..10_u8 {
                    let input = [tenant, round];
                    let deadline = Instant::now() + PATIENCE;
                    let run = stage.run_as(tenant, module, &input, deadline).unwrap();
                    // An answer never goes to somebody else.
                    assert_eq!(run.output, input);
                }
            });
        }
    });
    let children = stage.confined.children();
    assert_eq!((children.died, children.late, children.escapes), (0, 0, 0));
    // Two seats and a spare one: whatever was started beyond those took the place of another.
    assert!(children.started <= children.replaced + 4, "{children:?}");
}

fn a_hundred() {
    let stage = Stage::with(alone);
    for _ in 0..201 {
        stage.run(&echo(), b"").unwrap();
    }
    assert_eq!(stage.confined.children().replaced, 2);
}

fn traps() {
    let stage = Stage::with(alone);
    let check = |body: &str, replaced: u64| {
        stage.run(&command(body), b"").unwrap();
        assert_eq!(stage.confined.children().replaced, replaced, "{body}");
    };
    check("(call $exit (i32.const 1))", 0);
    check("(loop $l (br $l))", 0);
    check("(drop (call $deeper (i32.const 0)))", 0);
    check("(drop (i32.div_s (i32.const 1) (local.get $i)))", 1);
    check("(drop (i32.load (i32.const -4)))", 2);
    check("(call_indirect (type $nothing) (i32.const 1))", 3);
}

fn busy() {
    let stage = Stage::with(|config| ConfinedConfig {
        concurrency: 1,
        queue_max: 1,
        ..config
    });
    let module = spin();
    stage.prepare(&module).unwrap();
    let ends = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for tenant in 0..8 {
            let (stage, module, ends) = (&stage, &module, &ends);
            scope.spawn(move || {
                let run = stage.run_as(tenant, module, b"", Instant::now() + PATIENCE);
                ends.lock().unwrap().push(run.map(|_| ()));
            });
        }
    });
    let ends = ends.into_inner().unwrap();
    let sent_away = |end: &&Result<(), NoRun>| matches!(end, Err(NoRun::Busy { waiting: 1 }));
    let done = ends.iter().filter(|end| end.is_ok()).count();
    assert_eq!(done + ends.iter().filter(sent_away).count(), 8, "{ends:?}");
    assert!(done >= 1);
    stage.assert_well();
}

fn late() {
    let stage = Stage::with(alone);
    let past = Instant::now();
    std::thread::sleep(Duration::from_millis(1));
    stage.prepare(&echo()).unwrap();
    std::thread::scope(|scope| {
        let module = spin();
        stage.prepare(&module).unwrap();
        let stage = &stage;
        scope.spawn(move || {
            stage
                .run_as(1, &module, b"", Instant::now() + PATIENCE)
                .unwrap()
        });
        loop {
            match stage.run_as(2, &echo(), b"", past) {
                // The seat was still free.
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error, NoRun::Late);
                    break;
                }
            }
        }
    });
    stage.assert_well();
}
