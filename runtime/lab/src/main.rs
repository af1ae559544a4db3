//! Measures and attacks the machine: agreement of engines, overhead, calibration, fuzzing.
//!
//! Every command prints what it did and what it left out, and exits with 1 if something does not
//! agree. `README.md` beside this crate says what each one measures.

mod agree;
mod fuzz;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    match arguments.first().map(String::as_str) {
        Some("agree") => Ok(agree::main(rest)),
        Some("fuzz") => fuzz::run(rest),
        _ => anyhow::bail!("name a measurement: agree, fuzz"),
    }
}
