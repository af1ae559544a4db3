//! A run in a runner gives what a run here gives.

use std::time::Instant;

use haar_records::{Fuel, Status, TrapKind};
use haar_sandbox::process::{NoRun, Tenant};
use haar_sandbox::{Abstain, PrepareError, RunSpec, Sandbox, SandboxConfig};

use crate::harness::Test;
use crate::stage::{PATIENCE, PLENTY, Stage, command, echo, ending, run_config};

pub const TESTS: &[Test] = &[
    ("a_run_in_a_runner_equals_a_run_here", equal),
    ("bytes_of_any_size_go_there_and_back", sizes),
    (
        "a_module_that_no_miner_can_run_is_refused_with_its_code",
        refused,
    ),
    ("a_module_is_compiled_once", once),
    ("a_guest_may_use_all_its_memory", memory),
    ("an_input_that_is_too_large_is_refused", too_large),
];

fn equal() {
    let stage = Stage::new();
    let here = Sandbox::new(SandboxConfig::default()).unwrap();
    let modules = [
        echo(),
        command("(call $exit (i32.const 3))"),
        command("(unreachable)"),
        command("(drop (i32.div_s (i32.const 1) (local.get $i)))"),
        command("(drop (i32.load (i32.const -4)))"),
        command("(drop (call $deeper (i32.const 0)))"),
        command("(loop $l (br $l))"),
        command("(drop (call $random (i32.const 0) (i32.const 64)))"),
        command("(call $log (i32.const 0) (i32.const 5))"),
        command("(call_indirect (type $nothing) (i32.const 1))"),
    ];
    for (number, module) in modules.iter().enumerate() {
        for fuel_max in [Fuel(1), Fuel(10_000), PLENTY] {
            let config = run_config(module);
            let spec = RunSpec {
                input: b"an input",
                config: &config,
                fuel_max,
            };
            let prepared = here.prepare(module, &config).unwrap();
            let expected = here.run(&prepared, &spec).unwrap();
            let compiled = stage.prepare(module).unwrap();
            let deadline = Instant::now() + PATIENCE;
            let tenant = Tenant::of(&[]);
            let run = stage.confined.run(tenant, &compiled, &spec, deadline);
            assert_eq!(run.unwrap(), expected, "module {number}, {fuel_max:?}");
        }
    }
}

fn sizes() {
    let stage = Stage::new();
    for bytes in [0, 1, 16_383, 16_384, 65_537, 1 << 20, 10 << 20] {
        let input: Vec<u8> = (0..bytes).map(|at: usize| (at % 251) as u8).collect();
        let run = stage.run(&echo(), &input).unwrap();
        assert_eq!(run.outcome.status, Status::Returned);
        assert!(run.output == input, "{bytes} bytes");
    }
}

fn refused() {
    let stage = Stage::new();
    let error = stage.prepare(b"\0asm but not really").unwrap_err();
    let PrepareError::Refused { code, message, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(code, "E_INVALID");
    assert!(message.contains("not valid WebAssembly"), "{message}");
    stage.assert_well();
}

fn once() {
    let stage = Stage::new();
    for _ in 0..3 {
        stage.assert_well();
    }
    assert_eq!(stage.confined.children().compiled, 1);
}

fn memory() {
    let stage = Stage::new();
    // All pages that the profile has, each touched.
    let module = command(
        r#"(drop (memory.grow (i32.const 16383)))
        (if (i32.ne (memory.size) (i32.const 16384)) (then (call $exit (i32.const 9))))
        (loop $l
            (i32.store (i32.shl (local.get $i) (i32.const 12)) (i32.const 1))
            (br_if $l (i32.lt_u
                (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                (i32.const 262144))))"#,
    );
    let mut config = run_config(&module);
    config.memory_pages_max = 16_384;
    let compiled = stage.confined.prepare(&module, &config).unwrap();
    let spec = RunSpec {
        input: b"",
        config: &config,
        fuel_max: Fuel(2_000_000_000),
    };
    let deadline = Instant::now() + PATIENCE;
    let run = stage
        .confined
        .run(Tenant::of(&[]), &compiled, &spec, deadline);
    assert_eq!(ending(&run.unwrap().outcome), (Status::Returned, 0, None));
    stage.assert_well();
}

fn too_large() {
    let stage = Stage::new();
    let error = stage.run(&echo(), &vec![0; (64 << 20) + 1]).unwrap_err();
    assert!(
        matches!(error, NoRun::Abstain(Abstain::BadSpec { .. })),
        "{error}"
    );
    // One that a guest could not be given either, found by the runner.
    let error = stage.run(&echo(), &vec![0; 11 << 20]).unwrap_err();
    assert!(
        matches!(error, NoRun::Abstain(Abstain::BadSpec { .. })),
        "{error}"
    );
    let trap = stage
        .run(&command("(unreachable)"), b"")
        .unwrap()
        .outcome
        .trap;
    assert_eq!(trap, Some(TrapKind::Abort));
}
