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
mod nan_cost;
mod nan_flow;
mod nan_generated;
mod nan_kernels;
mod nan_programs;
mod nan_v8;
mod oracle;
mod placement;
mod prices;
mod refused;
mod shape;
mod stack;
