//! What a call costs: instantiate, call, drop; from the cache on disk; and of a module that was
//! never seen. Beside it, in the same run, the engine alone as the floor.
//!
//! `cargo bench -p haar-sandbox --bench call` prints the tables; `-- --matrix` prints what the
//! engine's settings do instead. `HAAR_GUESTS` names a folder with `wordcount.wasm`, else
//! `target/guests` is looked at; without it that row is left out.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod guest;
mod matrix;
mod ours;
mod raw;
mod table;

/// Calls of one row, after a tenth of them to warm up.
const CALLS: usize = 20_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // The test runner starts benches as well; it only wants to see that they start.
    if !args.iter().any(|arg| arg == "--bench") {
        println!("run with cargo bench");
        return;
    }
    println!(
        "haar-sandbox {}, wasmtime 48, {} build, {} cores\n",
        env!("CARGO_PKG_VERSION"),
        if cfg!(debug_assertions) {
            "dev"
        } else {
            "release"
        },
        std::thread::available_parallelism().unwrap(),
    );
    if args.iter().any(|arg| arg == "--matrix") {
        matrix::print();
        return;
    }
    for stack in guest::Stack::ALL {
        ours::print_warm(stack);
    }
    ours::print_entries();
    ours::print_examples();
    ours::print_cold();
    ours::print_meter();
}
