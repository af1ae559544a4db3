//! The two attributes of `haar-guest-sdk`: `#[haar::function]` and `#[haar::http]`.
//!
//! An attribute leaves the author's function as it is, so that `cargo test` calls it like any other,
//! and adds beside it what a Haar host looks for in the compiled module: the three exports of guest
//! ABI 1 and the section `haar.manifest`. All unsafe attributes exist on wasm32 only.
//! Authors use these through `haar`, never by this crate's name.

mod expansion;
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
