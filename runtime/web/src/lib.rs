//! The pass and the host interface as one WebAssembly module, for browsers and every other engine.
//!
//! A page, a phone or a bare JavaScript shell loads this module beside the guest and gets from it
//! what a server gets from the same crates natively: metered bytes, the answers of `haar-wasi`, and
//! BLAKE3. `host.js` beside this crate is the other half: it enters the guest and reads how it ended.
//!
//! Nothing here decides anything about a run. It keeps things by handle ([`Desk`]), puts them into
//! bytes ([`form`]), and reaches the guest's memory through two imported functions. `README.md` says
//! what the exports are.

pub mod desk;
#[cfg(target_arch = "wasm32")]
mod door;
mod entry;
pub mod form;

pub use desk::{CallEnd, Desk, Handle};
