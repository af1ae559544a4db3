//! The supervisor outlives every runner, whatever it does, and says how it ended.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use haar_records::Status;
use haar_sandbox::process::{Confined, ConfinedConfig, ConfinedError, NoRun, Program};

use crate::actors;
use crate::harness::Test;
use crate::stage::{self, PATIENCE, Stage, cast, command, echo};

pub const TESTS: &[Test] = &[
    (
        "a_runner_that_is_killed_at_work_costs_one_try",
        killed_at_work,
    ),
    ("a_runner_that_is_killed_twice_costs_the_run", killed_twice),
    (
        "a_runner_that_is_killed_at_rest_costs_nothing",
        killed_at_rest,
    ),
    ("a_run_beyond_its_deadline_is_killed", beyond_the_deadline),
    ("an_impostor_gets_nothing_but_its_end", impostors),
    ("a_machine_where_nothing_can_be_locked_in_says_so", unfit),
    ("no_child_outlives_its_supervisor", orphans),
    ("no_zombie_is_left", zombies),
];

/// All living children of this process.
fn children() -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path().join("children");
        let listed = std::fs::read_to_string(path).unwrap_or_default();
        // A thread may end meanwhile, and its children move to another.
        found.extend(
            listed
                .split_whitespace()
                .map(|id| id.parse::<u32>().unwrap()),
        );
    }
    found
}

fn kill(process: u32, signal: rustix::process::Signal) {
    let process = rustix::process::Pid::from_raw(process.try_into().unwrap()).unwrap();
    // It may be gone already.
    let _ = rustix::process::kill_process(process, signal);
}

/// For ever, as far as fuel goes here.
fn endless() -> Vec<u8> {
    command("(loop $l (br $l))")
}

fn with_fuel(stage: &Stage, module: &[u8], deadline: Instant) -> Result<haar_sandbox::Run, NoRun> {
    let config = stage::run_config(module);
    let compiled = stage.confined.prepare(module, &config).unwrap();
    let spec = haar_sandbox::RunSpec {
        input: b"",
        config: &config,
        fuel_max: haar_records::money::FUEL_MAX,
    };
    let tenant = haar_sandbox::process::Tenant::of(&[b"endless"]);
    stage.confined.run(tenant, &compiled, &spec, deadline)
}

/// The runner that computes: locked in, and not asleep.
fn at_work() -> Option<u32> {
    children().into_iter().find(|child| {
        let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        status.contains("Seccomp:\t2") && status.contains("State:\tR") || has_running_thread(*child)
    })
}

fn has_running_thread(child: u32) -> bool {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{child}/task")) else {
        return false;
    };
    tasks.flatten().any(|task| {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        status.contains("Seccomp:\t2") && status.contains("State:\tR")
    })
}

fn alone(config: ConfinedConfig) -> ConfinedConfig {
    ConfinedConfig {
        concurrency: 1,
        ..config
    }
}

/// Kills whatever works, this many times, while an endless run is tried.
fn kill_while_running(times: usize, signal: rustix::process::Signal) -> Result<(), NoRun> {
    let stage = Stage::with(alone);
    stage.prepare(&endless()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    let ended = std::thread::scope(|scope| {
        let stage = &stage;
        let running = scope.spawn(move || with_fuel(stage, &endless(), deadline));
        let mut killed = BTreeSet::new();
        while killed.len() < times && Instant::now() < deadline {
            if let Some(runner) = at_work() {
                killed.insert(runner);
                // The engine's handler takes the first of some signals for a guest's.
                while children().contains(&runner) {
                    kill(runner, signal);
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(killed.len(), times);
        running.join().unwrap()
    });
    stage.assert_well();
    ended.map(|_| ())
}

fn killed_at_work() {
    // The second runner goes on until the deadline: an endless run has no other end.
    assert_eq!(
        kill_while_running(1, rustix::process::Signal::KILL),
        Err(NoRun::Late)
    );
}

fn killed_twice() {
    for signal in [
        rustix::process::Signal::KILL,
        rustix::process::Signal::SEGV,
        rustix::process::Signal::TERM,
        rustix::process::Signal::ABORT,
    ] {
        let lost = kill_while_running(2, signal).unwrap_err();
        assert!(matches!(lost, NoRun::RunnerLost { .. }), "{lost}");
    }
}

fn killed_at_rest() {
    let stage = Stage::new();
    for _ in 0..10 {
        stage.assert_well();
        for runner in stage.idle_runners() {
            kill(runner, rustix::process::Signal::KILL);
            // One that still dies when it is hired dies at work.
            while is_alive(runner) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
    stage.assert_well();
}

fn beyond_the_deadline() {
    let stage = Stage::with(alone);
    stage.prepare(&endless()).unwrap();
    let began = Instant::now();
    let late = with_fuel(&stage, &endless(), began + Duration::from_millis(100));
    assert_eq!(late, Err(NoRun::Late));
    assert!(began.elapsed() >= Duration::from_secs(2), "it has a grace");
    assert_eq!(stage.confined.children().late, 1);
    stage.assert_well();
}

fn impostors() {
    // Whoever keeps silent is waited for; whoever does something has all the time of a slow machine.
    let (soon, ample) = (Duration::from_secs(1), Duration::from_secs(60));
    let check = |actor: &str, patience: Duration, expected: &str| {
        let stage = Stage::with(|config| ConfinedConfig {
            program: cast(actor),
            ..alone(config)
        });
        let no = stage
            .run_as(1, &echo(), b"", Instant::now() + patience)
            .unwrap_err()
            .to_string();
        assert!(no.contains(expected), "{actor}: {no}");
        let children = stage.confined.children();
        assert!(children.died + children.late >= 1, "{actor}");
    };
    check(actors::SILENT, soon, "deadline");
    check(actors::HALF, soon, "deadline");
    check(actors::LEAVER, ample, "ended with code 7");
    check(actors::CRASHER, ample, "aborted");
    check(actors::BABBLER, ample, "a frame of version 90");
    check(actors::HUGE, ample, "bytes of payload");

    // These never get so far.
    let refuse = |actor: &str, expected: &str| {
        let dir = tempfile::TempDir::new().unwrap();
        let error = Confined::new(ConfinedConfig {
            program: cast(actor),
            start_timeout: Duration::from_millis(500),
            ..stage::config(&dir)
        })
        .unwrap_err();
        let ConfinedError::NoRunner { reason } = &error else {
            panic!("{error}");
        };
        assert!(reason.contains(expected), "{actor}: {reason}");
    };
    refuse(actors::DEAD, "ended with code 9");
    refuse(actors::EAGER, "deadline");
    refuse(actors::MUTE, "kept silent");
}

fn unfit() {
    let dir = tempfile::TempDir::new().unwrap();
    let error = Confined::new(ConfinedConfig {
        program: Program {
            file: "/nonexistent/haar".into(),
            ..stage::program()
        },
        ..stage::config(&dir)
    })
    .unwrap_err();
    assert!(matches!(error, ConfinedError::NoRunner { .. }), "{error}");
    assert_eq!(children(), BTreeSet::new());
}

fn orphans() {
    // A supervisor in a process of its own, killed without a word.
    let mut supervisor = std::process::Command::new("/proc/self/exe")
        .arg(actors::SUPERVISOR)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(supervisor.stdout.take().unwrap()),
        &mut said,
    )
    .unwrap();
    let runners: Vec<u32> = said
        .split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect();
    assert!(runners.len() >= 2, "{said}");
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    let began = Instant::now();
    for runner in runners {
        // Gone, or a zombie of whoever inherited it.
        while is_alive(runner) {
            assert!(began.elapsed() < PATIENCE, "{runner} lives on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn is_alive(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .trim_start()
        .chars()
        .next();
    !matches!(state, None | Some('Z' | 'X'))
}

fn zombies() {
    {
        let stage = Stage::new();
        for tenant in 0..6 {
            let deadline = Instant::now() + PATIENCE;
            let run = stage.run_as(tenant, &echo(), b"", deadline).unwrap();
            assert_eq!(run.outcome.status, Status::Returned);
        }
    }
    assert_eq!(children(), BTreeSet::new());
}
