//! The hub's rules, each as a short script and what the hub puts out.
//!
//! A script line is a word and its arguments; miners are letters, jobs are numbers, and an outcome
//! is a letter as well: `X`, `Y`, `Z` return something, `E` returns nothing, `T` traps, `F` claims
//! more fuel than is allowed. The lines that follow in `expect!` are the outputs, timers left out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ends;
mod hiring;
mod limits;
mod stage;
mod verdict;
