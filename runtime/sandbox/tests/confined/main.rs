//! Guests in processes of their own: real ones, killed, starved and attacked.
//!
//! The processes under test are this very program with another first word, so it has a main of its
//! own instead of the usual harness. `cargo test -p haar-sandbox --test confined -- WORD` runs the
//! tests whose name has the word.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(not(target_os = "linux"), allow(unused))]

#[cfg(target_os = "linux")]
mod actors;
#[cfg(target_os = "linux")]
mod attacks;
#[cfg(target_os = "linux")]
mod bench;
#[cfg(target_os = "linux")]
mod bombs;
#[cfg(target_os = "linux")]
mod deaths;
#[cfg(target_os = "linux")]
mod harness;
#[cfg(target_os = "linux")]
mod hostile;
#[cfg(target_os = "linux")]
mod inside;
#[cfg(target_os = "linux")]
mod runs;
#[cfg(target_os = "linux")]
mod stage;
#[cfg(target_os = "linux")]
mod tenants;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    if let Some(code) = actors::act() {
        return code;
    }
    harness::run(&[
        runs::TESTS,
        inside::TESTS,
        attacks::TESTS,
        deaths::TESTS,
        tenants::TESTS,
        bombs::TESTS,
        hostile::TESTS,
        bench::TESTS,
    ])
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: guests are confined on Linux only");
}
