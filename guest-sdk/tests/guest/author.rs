//! Every shape of function compiles, can be called natively, and converts as promised.
//!
//! Each function stands in a module of its own, because a compiled module has one entry point.

use haar::{FromInput, IntoOutput, Json};

mod bytes {
    #[haar::function]
    pub fn double(mut input: Vec<u8>) -> Vec<u8> {
        input.extend_from_within(..);
        input
    }
}

mod borrowed_bytes {
    #[haar::function]
    pub fn tail(input: &[u8]) -> &[u8] {
        input.get(1..).unwrap_or_default()
    }
}

mod borrowed_text {
    #[haar::function]
    pub fn first_word(input: &str) -> Result<&str, std::fmt::Error> {
        input.split_whitespace().next().ok_or(std::fmt::Error)
    }
}

mod constant {
    #[haar::function]
    pub fn answer(_: String) -> &'static str {
        "42"
    }
}

mod opaque {
    #[haar::function]
    pub fn shout(input: String) -> impl haar::IntoOutput {
        input.to_uppercase()
    }
}

mod json {
    #[derive(serde::Deserialize)]
    pub struct Pair {
        pub a: i64,
        pub b: i64,
    }

    #[haar::function]
    pub fn divide(haar::Json(pair): haar::Json<Pair>) -> Result<haar::Json<i64>, String> {
        let quotient = pair.a.checked_div(pair.b).ok_or("cannot divide by zero")?;
        Ok(haar::Json(quotient))
    }
}

/// A function called `answer` or `input` must not be hidden by names of the expansion.
mod names {
    #[haar::function]
    pub fn input(input: String) -> String {
        input
    }
}

/// Private and used by nobody but the host: no warning may come of it.
mod unused {
    #[haar::http]
    fn hello(request: haar::Request) -> haar::Response {
        haar::Response::text(format!("hello {}", request.path()))
    }
}

#[test]
fn an_annotated_function_is_called_like_any_other() {
    assert_eq!(bytes::double(b"ab".to_vec()), b"abab");
    assert_eq!(borrowed_bytes::tail(b"abc"), b"bc");
    assert_eq!(borrowed_text::first_word(" a b"), Ok("a"));
    assert_eq!(constant::answer(String::new()), "42");
    assert_eq!(opaque::shout("a".into()).into_output(), Ok(b"A".to_vec()));
    assert_eq!(names::input("a".into()), "a");
    assert_eq!(json::divide(Json(json::Pair { a: 7, b: 2 })), Ok(Json(3)));
}

#[test]
fn an_error_of_the_function_becomes_its_text() {
    let outcome = json::divide(Json(json::Pair { a: 7, b: 0 }));
    assert_eq!(outcome.into_output(), Err("cannot divide by zero".into()));
}

#[test]
fn an_input_of_the_wrong_shape_is_refused_with_its_place() {
    let refusal = |input: &[u8]| {
        Json::<json::Pair>::from_input(input.to_vec())
            .err()
            .unwrap()
    };
    assert_eq!(
        refusal(b"{\"a\":1}").to_string(),
        "the input is not the JSON that this function takes: missing field `b` at line 1 column 7"
    );
    assert_eq!(
        String::from_input(b"ok\xff".to_vec())
            .unwrap_err()
            .to_string(),
        "the input is not UTF-8: the first bad byte is at 2"
    );
}

#[test]
fn an_output_that_json_cannot_say_is_an_error() {
    let map = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert_eq!(
        Json(map).into_output(),
        Err("the output cannot be written as JSON: key must be a string".into())
    );
}
