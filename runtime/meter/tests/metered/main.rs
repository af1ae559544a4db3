//! Runs metered modules under wasmtime and compares them with an independent interpreter.
#![allow(clippy::unwrap_used)]

mod engine;
mod fuel;
mod generated;
mod golden;
mod hostile;
mod inspect;
mod loops;
mod naive;
mod nan;
mod nan_generated;
mod nan_programs;
mod oracle;
mod placement;
mod prices;
mod refused;
mod shape;
mod stack;
