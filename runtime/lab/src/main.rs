//! Measures and attacks the machine: agreement of engines, overhead, calibration, fuzzing.

mod fuzz;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("fuzz") => fuzz::run(&arguments[1..]),
        _ => anyhow::bail!("name a measurement: fuzz"),
    }
}
