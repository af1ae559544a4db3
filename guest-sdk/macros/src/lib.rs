//! The attributes of `haar-guest-sdk`: `#[haar::function]`, `#[haar::http]` and `#[haar::init]`.
//!
//! An attribute leaves the author's function as it is, so that `cargo test` calls it like any other,
//! and adds beside it what a Haar host looks for in the compiled module: the three exports of guest
//! ABI 1 and the section `haar.manifest`. All unsafe attributes exist on wasm32 only.
//! Authors use these through `haar`, never by this crate's name.

mod expansion;
mod init;
mod signature;

use expansion::Kind;
use proc_macro::TokenStream;

/// Makes a function of one input and one output the entry point of this module.
///
/// The input is `Vec<u8>`, `&[u8]`, `String`, `&str` or `haar::Json<T>`; the output is `Vec<u8>`,
/// `String`, `&str` or `haar::Json<U>`, plain or inside a `Result` whose error can be displayed.
#[proc_macro_attribute]
pub fn function(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expansion::expand(Kind::Function, &arguments.into(), item.into()).into()
}

/// Makes `fn(haar::Request) -> haar::Response` the entry point of this module.
#[proc_macro_attribute]
pub fn http(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expansion::expand(Kind::Http, &arguments.into(), item.into()).into()
}

/// Makes `fn()` the initialisation of this module: `haar publish` runs it once and ships the state
/// that it leaves, so that no call pays for it.
///
/// It cannot use the host (input, clock, environment, files), and random bytes in it are the same
/// for all jobs. Write it so that nothing depends on it, for example by filling a `OnceLock` that
/// the function fills where it is empty: a module that is published without it must give the same
/// answers.
#[proc_macro_attribute]
pub fn init(arguments: TokenStream, item: TokenStream) -> TokenStream {
    init::expand(&arguments.into(), item.into()).into()
}
