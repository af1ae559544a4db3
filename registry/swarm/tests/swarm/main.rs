//! Real endpoints on loopback, real stores in temporary folders, and peers that misbehave.
#![allow(clippy::unwrap_used)]

mod blobs;
mod control;
mod death;
mod peers;
mod retention;
mod strangers;
