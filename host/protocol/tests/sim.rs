//! The promises of the whole protocol, over many simulated worlds.
//!
//! A failure prints its seed; `cargo run -p haar-protocol --example sim -- --seed N` replays it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use haar_protocol::sim::{Neglect, Report, SimConfig, Violation, run};

const SEEDS: u64 = 200;

#[test]
// The crate reads no environment; its test does, to replay a seed.
#[allow(clippy::disallowed_methods)]
fn no_world_breaks_a_promise() {
    let first = std::env::var("SEED")
        .ok()
        .map(|seed| seed.parse().expect("SEED is a number"));
    let (first, seeds) = first.map_or((0, SEEDS), |seed: u64| (seed, 1));
    let mut total = Report::default();
    for seed in first..first + seeds {
        match run(seed, &SimConfig::default()) {
            Ok(report) => total.add(&report),
            Err(failure) => panic!("{failure}"),
        }
    }
    if seeds == SEEDS {
        // A simulation in which nothing happens would pass as well.
        assert!(total.settled > 5_000 && total.refunded > 0, "{total:?}");
        assert!(
            total.dismissed > 200 && total.crashes > 50 && total.batches > 500,
            "{total:?}"
        );
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 0..20 {
        let world = run(seed, &SimConfig::default()).unwrap();
        assert_eq!(
            run(seed, &SimConfig::default()).unwrap(),
            world,
            "seed {seed}"
        );
    }
}

/// Looks for a world in which the neglect shows, and replays it.
#[track_caller]
fn check_neglect(neglect: Neglect, shows: impl Fn(&Violation) -> bool) {
    let config = SimConfig {
        neglect: Some(neglect),
        ..SimConfig::default()
    };
    let failure = (0..SEEDS)
        .find_map(|seed| run(seed, &config).err())
        .expect("it shows");
    assert!(shows(&failure.violation), "{failure}");
    assert_eq!(
        run(failure.seed, &config).expect_err("it shows again"),
        failure
    );
}

#[test]
fn a_driver_that_checks_no_signatures_puts_out_the_innocent() {
    check_neglect(Neglect::Signatures, |violation| {
        matches!(violation, Violation::InnocentDismissed { .. })
    });
}

#[test]
fn a_driver_that_acts_before_it_writes_cannot_be_replayed() {
    check_neglect(Neglect::Journal, |violation| {
        matches!(violation, Violation::Replay)
    });
}
