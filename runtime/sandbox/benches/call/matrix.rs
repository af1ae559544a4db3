//! What the engine's settings do to a call, by how much memory the call dirties.

use std::sync::Barrier;

use haar_meter::{Profile, meter};

use crate::guest::{self, Stack};
use crate::raw::{Raw, Settings};
use crate::table::{Times, text};

/// Calls of one cell.
const CALLS: usize = 2_000;
const DIRTY: [u32; 3] = [0, 64 << 10, 1 << 20];

pub fn print() {
    let profile = Profile {
        pages_max: 2_048,
        ..Profile::DESKTOP
    };
    println!(
        "{:<10} {:<5} {:>9} {:>8} {:>8}  {:>21}  {:>21}",
        "allocator",
        "cow",
        "resident",
        "stack",
        "dirty",
        "one thread p50, p99",
        "two threads p50, p99"
    );
    for settings in settings() {
        for stack in Stack::ALL {
            let module = meter(&guest::reactor(stack, 1), &profile).unwrap().bytes;
            let raw = Raw::new(settings, &module);
            for dirty in DIRTY {
                let one = Times::of(CALLS, || raw.call(&dirty.to_le_bytes()));
                let two = two_threads(&raw, dirty);
                println!(
                    "{:<10} {:<5} {:>5} KiB {:>8} {:>4} KiB  {:>10} {:>10}  {:>10} {:>10}",
                    if settings.is_pooling {
                        "pooling"
                    } else {
                        "on demand"
                    },
                    if settings.is_cow { "yes" } else { "no" },
                    settings.resident_bytes >> 10,
                    stack.name(),
                    dirty >> 10,
                    text(one.p50()),
                    text(one.p99()),
                    text(two.p50()),
                    text(two.p99()),
                );
            }
        }
    }
}

fn settings() -> Vec<Settings> {
    let mut all = Vec::new();
    for is_cow in [true, false] {
        all.push(Settings {
            is_pooling: false,
            is_cow,
            resident_bytes: 0,
        });
        for resident_bytes in [0, 64 << 10, 128 << 10, 256 << 10, 1 << 20] {
            all.push(Settings {
                is_pooling: true,
                is_cow,
                resident_bytes,
            });
        }
    }
    all
}

/// The slower of two threads that call at the same time.
fn two_threads(raw: &Raw, dirty: u32) -> Times {
    let barrier = Barrier::new(2);
    let measure = || {
        barrier.wait();
        Times::of(CALLS, || raw.call(&dirty.to_le_bytes()))
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(measure);
        let (one, other) = (measure(), other.join().unwrap());
        if one.p50() > other.p50() { one } else { other }
    })
}
