//! What the author of a Haar function compiles against.
//!
//! ```
//! /// Turns a text around.
//! #[haar::function]
//! fn reverse(text: String) -> String {
//!     text.chars().rev().collect()
//! }
//! assert_eq!(reverse("haar".into()), "raah");
//! ```
//!
//! A function maps bytes to bytes and nothing else: it has no clock, no network and no memory of
//! earlier calls. That is what lets strangers run it and a hub compare their answers.
//! `#[haar::function]` takes bytes, text or JSON; `#[haar::http]` takes a request and gives a
//! response. Both leave the function callable from ordinary tests. `#[haar::init]` names what
//! `haar publish` runs once, so that no call pays for it. This crate decides how values
//! become bytes (guest ABI 1); it never decides what a function may do, which is the host's part.

mod abi;
mod answer;
mod convert;
#[doc(hidden)]
pub mod guest;
mod http;

pub use abi::log;
pub use convert::{FromInput, InputError, IntoOutput, Json};
pub use haar_guest_macros::{function, http, init};
pub use http::{FrameError, Request, Response, Wire};

/// Writes one formatted line to the job's log, like `format!`.
///
/// ```
/// haar::log!("read {} records", 12);
/// ```
#[macro_export]
macro_rules! log {
    ($($argument:tt)*) => { $crate::log(&::std::format!($($argument)*)) };
}

/// Keeps the examples of the README true.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
