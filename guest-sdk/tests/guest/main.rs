//! The crate as an author and as the hub see it.
#![allow(clippy::unwrap_used)]

mod author;
mod vectors;
