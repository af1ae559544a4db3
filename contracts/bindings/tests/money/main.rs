//! The whole money story, with the real bytecode: on the embedded chain, and on anvil where it is
//! installed.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod anvil;
mod embedded;
mod errors;
mod fog;
mod frauds;
mod persistence;
mod served;
mod story;
