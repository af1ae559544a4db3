//! The same spec gives the same answer, whatever ran before or beside it.

use haar_records::{Fuel, RunConfig, Status};
use haar_sandbox::{Abstain, RunSpec};

use crate::guests::{PLENTY, assemble, command_wat, config, run, sandbox};

/// Draws random bytes, writes them, and leaves traces wherever a guest can.
const TRACES: &str = "
    (drop (call $random (i32.const 256) (i32.const 32)))
    (i32.store (i32.const 288) (i32.load (i32.const 40000)))
    (i32.store (i32.const 292) (global.get $g))
    (call $say (i32.const 1) (i32.const 256) (i32.const 40))
    (i32.store (i32.const 40000) (i32.const 77))
    (global.set $g (i32.const 77))";

#[test]
fn the_same_spec_gives_the_same_run() {
    let module = assemble(&command_wat(TRACES));
    let first = run(&module, b"", PLENTY).unwrap();
    assert_eq!(first.outcome.status, Status::Returned);
    for _ in 0..100 {
        assert_eq!(run(&module, b"", PLENTY).unwrap(), first);
    }
    assert_eq!(first.output[32..], [0; 8], "no trace of another run");
}

#[test]
fn runs_beside_each_other_do_not_meet() {
    let module = assemble(&command_wat(TRACES));
    let first = run(&module, b"", PLENTY).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(run(&module, b"", PLENTY).unwrap(), first);
                }
            });
        }
    });
}

#[test]
fn a_stop_at_any_fuel_is_the_same_stop() {
    let module = assemble(&command_wat(
        "(loop $more (call $say (i32.const 1) (i32.const 64) (i32.const 5)) (br $more))",
    ));
    for fuel in (100_000..130_000).step_by(1_777).map(Fuel) {
        let first = run(&module, b"", fuel).unwrap();
        assert_eq!(first.outcome.status, Status::OutOfFuel);
        assert_eq!(run(&module, b"", fuel).unwrap(), first);
    }
}

#[test]
fn a_run_after_a_trap_is_unharmed() {
    let good = assemble(&command_wat(TRACES));
    let first = run(&good, b"", PLENTY).unwrap();
    for body in [
        "unreachable",
        "(drop (call $deeper (i32.const 1)))",
        "(drop (i32.load (i32.const -4)))",
        "(loop (br 0))",
        "(loop (drop (memory.grow (i32.const 1))) (br 0))",
    ] {
        let bad = assemble(&command_wat(body));
        let outcome = run(&bad, b"", PLENTY).unwrap().outcome;
        assert_ne!(outcome.status, Status::Returned);
        assert_eq!(run(&good, b"", PLENTY).unwrap(), first);
    }
}

#[test]
fn the_seed_decides_what_is_random() {
    let module = assemble(&command_wat(TRACES));
    let first = run(&module, b"", PLENTY).unwrap();
    let other = run(&module, b"another input", PLENTY).unwrap();
    assert_ne!(first.output, other.output);
}

#[test]
fn a_module_prepared_for_other_pages_is_not_run() {
    let module = assemble(&command_wat(""));
    let config = config(&module, b"");
    let prepared = sandbox().prepare(&module, &config).unwrap();
    let other = RunConfig {
        memory_pages_max: 7,
        ..config
    };
    let spec = RunSpec {
        input: b"",
        config: &other,
        fuel_max: PLENTY,
    };
    assert_eq!(sandbox().run(&prepared, &spec), Err(Abstain::OtherConfig));
}

#[test]
fn a_spec_that_cannot_be_is_no_outcome() {
    let module = assemble(&command_wat(""));
    let config = config(&module, b"");
    let prepared = sandbox().prepare(&module, &config).unwrap();
    let check = |config: &RunConfig, input: &[u8], fuel_max| {
        let spec = RunSpec {
            input,
            config,
            fuel_max,
        };
        let result = sandbox().run(&prepared, &spec);
        assert!(matches!(result, Err(Abstain::BadSpec { .. })), "{result:?}");
    };

    check(&config, b"", Fuel(u64::MAX));
    check(&config, &vec![0; (10 << 20) + 1], PLENTY);
    for env in [vec!["A"], vec!["=1"], vec!["A=1", "A=2"]] {
        let env = env.into_iter().map(str::to_owned).collect();
        let config = RunConfig {
            env,
            ..config.clone()
        };
        check(&config, b"", PLENTY);
    }
}
