//! Requests and responses of HTTP functions.
//!
//! A request reaches a module as one canonical frame that the hub built, so that an HTTP call is a
//! job like any other: it has a hash, can be run by several miners, and can be replayed.

mod request;
mod response;
mod wire;

pub use request::Request;
pub use response::Response;
pub use wire::{FrameError, Wire};

/// Looks up the first value of a name. Frames carry lower-case names; the caller may write any.
fn first<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}
