//! What authors read when they get a signature wrong, and what they get when it is right.
#![allow(clippy::unwrap_used)]

use super::*;
use quote::ToTokens;

/// Expands the attribute over `item` and compares the message and the tokens it points at.
#[track_caller]
fn check(kind: Kind, item: &str, message: &str, at: &str) {
    let refusal = try_expand(kind, &TokenStream::new(), item.parse().unwrap()).unwrap_err();
    assert_eq!(refusal.message, message);
    assert_eq!(
        refusal.at.to_string(),
        at.parse::<TokenStream>().unwrap().to_string()
    );
}

/// Expands the attribute over an item that is right and gives back the text of the expansion.
#[track_caller]
fn expanded(kind: Kind, item: &str) -> String {
    let tokens = try_expand(kind, &TokenStream::new(), item.parse().unwrap()).unwrap();
    syn::parse2::<syn::File>(tokens)
        .unwrap()
        .to_token_stream()
        .to_string()
}

#[test]
fn an_item_that_is_no_function_is_named_so() {
    check(
        Kind::Function,
        "struct Point { x: i32 }",
        "`#[haar::function]` goes on a function",
        "struct Point { x: i32 }",
    );
}

#[test]
fn arguments_of_the_attribute_are_refused() {
    let arguments = "name = \"x\"".parse().unwrap();
    let item = "fn f(input: String) -> String { input }".parse().unwrap();
    let error = try_expand(Kind::Function, &arguments, item).unwrap_err();
    assert_eq!(error.message, "`#[haar::function]` takes no arguments");
}

#[test]
fn a_function_without_an_input_is_told_what_it_can_take() {
    check(
        Kind::Function,
        "fn f() -> String { todo() }",
        Kind::Function.input_advice(),
        "fn f() -> String",
    );
    check(
        Kind::Http,
        "fn f() -> Response { todo() }",
        Kind::Http.input_advice(),
        "fn f() -> Response",
    );
}

#[test]
fn a_second_input_is_pointed_at() {
    check(
        Kind::Function,
        "fn f(a: String, b: u32) -> String { a }",
        Kind::Function.input_advice(),
        "b: u32",
    );
}

#[test]
fn a_missing_output_is_pointed_at() {
    check(
        Kind::Function,
        "fn f(a: String) { }",
        Kind::Function.output_advice(),
        "fn f(a: String)",
    );
    check(
        Kind::Http,
        "fn f(a: Request) { }",
        Kind::Http.output_advice(),
        "fn f(a: Request)",
    );
}

#[test]
fn a_method_is_refused() {
    check(
        Kind::Function,
        "fn f(&self) -> String { todo() }",
        "`#[haar::function]` goes on a free function, not on a method",
        "&self",
    );
}

#[test]
fn modifiers_that_an_entry_point_cannot_have_are_refused() {
    let http = |item, message, at| check(Kind::Http, item, message, at);
    http(
        "async fn f(r: Request) -> Response { todo() }",
        "`#[haar::http]` runs to its end without waiting: remove `async`",
        "async",
    );
    http(
        "unsafe fn f(r: Request) -> Response { todo() }",
        "`#[haar::http]` is called with any input: it cannot be `unsafe`",
        "unsafe",
    );
    http(
        "extern \"C\" fn f(r: Request) -> Response { todo() }",
        "`#[haar::http]` makes the export itself: remove `extern`",
        "extern \"C\"",
    );
    http(
        "fn f<T>(r: T) -> Response { todo() }",
        "`#[haar::http]` cannot be generic: nobody could choose the types",
        "<T>",
    );
}

#[test]
fn only_bytes_and_text_can_be_borrowed() {
    let advice = Kind::Function.borrowed_input_advice();
    check(
        Kind::Function,
        "fn f(a: &Point) -> String { t() }",
        advice,
        "&Point",
    );
    check(
        Kind::Function,
        "fn f(a: &mut [u8]) -> String { t() }",
        advice,
        "&mut [u8]",
    );
    check(
        Kind::Http,
        "fn f(a: &Request) -> Response { t() }",
        Kind::Http.borrowed_input_advice(),
        "&Request",
    );
}

#[test]
fn an_input_without_a_concrete_type_is_refused() {
    check(
        Kind::Function,
        "fn f(a: impl AsRef<str>) -> String { t() }",
        "the input needs one concrete type: the bytes come from outside, nobody chooses it",
        "impl AsRef<str>",
    );
}

#[test]
fn an_error_keeps_the_function_so_that_it_is_reported_once() {
    let item: TokenStream = "fn kept() -> String { t() }".parse().unwrap();
    let tokens = expand(Kind::Function, &TokenStream::new(), item).to_string();
    assert!(tokens.starts_with("fn kept ()"), "{tokens}");
    assert!(tokens.contains("compile_error"), "{tokens}");
}

#[test]
fn the_function_stays_as_it_was_written() {
    for item in [
        "#[must_use] pub fn f(mut input: Vec<u8>) -> Vec<u8> { input.sort(); input }",
        "fn f(input: &[u8]) -> Result<String, MyError> { read(input) }",
        "fn r#type(input: &str) -> String { read(input) }",
        "fn f(haar::Json(input): haar::Json<Point>) -> haar::Json<Point> { haar::Json(input) }",
    ] {
        let before = item.parse::<TokenStream>().unwrap().to_string();
        assert!(
            expanded(Kind::Function, item).starts_with(&before),
            "{item}"
        );
    }
}

#[test]
fn exports_and_manifest_exist_on_wasm_only() {
    let text = expanded(Kind::Http, "fn f(request: Request) -> Response { t() }");
    let wasm = text.find("# [cfg (target_arch = \"wasm32\")]").unwrap();
    for unsafe_part in [
        "haar_abi_v1",
        "haar_alloc",
        "haar_run",
        "\"haar.manifest\"",
        "allow (unsafe_code)",
    ] {
        assert!(wasm < text.find(unsafe_part).unwrap(), "{unsafe_part}");
    }
    assert!(text.contains("\"http\""));
}
