//! A miner at work for a hub that the tests play, over real connections and in a real sandbox.

#![allow(clippy::unwrap_used)]

mod fake;
mod faults;
mod jobs;
mod joining;
