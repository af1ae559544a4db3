//! Guests of every kind, through the one door.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[cfg(unix)]
mod code;
mod examples;
mod guests;
mod outcomes;
mod preparing;
mod pristine;
mod reactors;
mod repeats;
mod seats;
