//! What a process of its own costs, beside a run in this one. Printed, never asserted.

use std::time::{Duration, Instant};

use haar_sandbox::process::Tenant;
use haar_sandbox::{RunSpec, Sandbox, SandboxConfig};

use crate::harness::Test;
use crate::stage::{PATIENCE, PLENTY, Stage, command, echo, run_config};

pub const TESTS: &[Test] = &[("the_price_of_a_process_is_printed", price)];

fn median(rounds: usize, mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        })
        .collect();
    times.sort();
    times[rounds / 2]
}

fn price() {
    let stage = Stage::new();
    let here = Sandbox::new(SandboxConfig::default()).unwrap();
    for (name, module, input, rounds) in [
        ("nothing", command(""), Vec::new(), 2_000),
        ("echo of 1 KiB", echo(), vec![1; 1 << 10], 1_000),
        ("echo of 1 MiB", echo(), vec![1; 1 << 20], 50),
    ] {
        let config = run_config(&module);
        let spec = RunSpec {
            input: &input,
            config: &config,
            fuel_max: PLENTY,
        };
        let prepared = here.prepare(&module, &config).unwrap();
        let compiled = stage.confined.prepare(&module, &config).unwrap();
        let tenant = Tenant::of(&[]);
        let near = median(rounds, || drop(here.run(&prepared, &spec).unwrap()));
        let far = median(rounds, || {
            let deadline = Instant::now() + PATIENCE;
            let run = stage.confined.run(tenant, &compiled, &spec, deadline);
            drop(run.unwrap());
        });
        println!("  {name}: {near:?} in this process on a thread of its own, {far:?} in a runner");
    }
}
