//! `haar-lab agree`: the same program gives the same answer, whoever runs it.
//!
//! It builds a corpus from a seed (the WebAssembly test suite, programs of wasm-smith, hostile ones, the
//! example guests, real programs), runs it under wasmtime, holds it against a slow counter, and hands
//! it to every other engine that is there. Whatever differs is printed, with its module in a file.

mod adapter;
mod case;
mod core;
mod corpus;
mod hostile;
mod loops;
mod native;
mod observation;
mod options;
mod parts;
mod price;
mod random;
mod reference;
mod scripts;
mod session;
mod smith;
mod spec;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::process::ExitCode;

use options::Options;
use session::Session;

/// Runs the command.
pub(crate) fn main(arguments: &[String]) -> ExitCode {
    let options = match Options::read(arguments) {
        Ok(options) => options,
        Err(usage) => {
            say(&usage);
            return ExitCode::from(2);
        }
    };
    match Session::run(options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("cannot compare: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line for a person.
pub(crate) fn say(line: &str) {
    // Who reads no further has read enough.
    let _ = writeln!(std::io::stderr(), "{line}");
}
