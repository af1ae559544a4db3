//! Measures and attacks the machine: agreement of engines, overhead, calibration, fuzzing.
//!
//! Every command prints what it did and what it left out, and exits with 1 if something does not
//! agree. `README.md` beside this crate says what each one measures.

mod agree;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    match command {
        "agree" => agree::main(rest),
        _ => {
            agree::say("haar-lab <command>\n\n  agree [options]   the same answer on every engine; `agree --help` says more");
            ExitCode::from(2)
        }
    }
}
