//! One HTTP request, as a function sees it.

use super::first;
use crate::convert::{FromInput, InputError, Json};
use serde::de::DeserializeOwned;

/// A request to an HTTP function.
///
/// It holds what the hub let through: allow-listed headers and declared facts only. Natively it is
/// built by hand, for tests:
///
/// ```
/// use haar::Request;
///
/// let request = Request::new("POST", "/render").with_query("page=2&q=a%20b").with_body("# Hi");
/// assert_eq!(request.query_value("q").as_deref(), Some("a b"));
/// assert_eq!(request.text().unwrap(), "# Hi");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) facts: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// A request with neither query, headers, facts nor body.
    pub fn new(method: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            query: String::new(),
            headers: Vec::new(),
            facts: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Sets the query, without the question mark.
    #[must_use]
    pub fn with_query(mut self, query: impl Into<String>) -> Self {
        self.query = query.into();
        self
    }

    /// Adds a header; its name becomes lower case, as in every frame.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn with_fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The method, in upper case.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path below the function's own, starting with a slash. Escapes other than those of
    /// unreserved characters are still escaped.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query as it came, without the question mark.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// The first value of a query field, decoded as a form is.
    pub fn query_value(&self, name: &str) -> Option<String> {
        self.query
            .split('&')
            .map(|field| field.split_once('=').unwrap_or((field, "")))
            .find(|(key, _)| decode(key) == name)
            .map(|(_, value)| decode(value))
    }

    /// The first value of a header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// All headers, sorted by name.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// Something the hub knows and the module's manifest asked for, such as a route parameter.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// All facts, sorted by name.
    pub fn facts(&self) -> &[(String, String)] {
        &self.facts
    }

    /// The body's bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body's bytes, without a copy.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// The body as text.
    pub fn text(&self) -> Result<&str, InputError> {
        std::str::from_utf8(&self.body).map_err(|error| InputError::NotUtf8 {
            valid_bytes: error.valid_up_to(),
        })
    }

    /// The body as a JSON value.
    pub fn json<T: DeserializeOwned>(self) -> Result<T, InputError> {
        Json::from_input(self.body).map(|Json(value)| value)
    }
}

/// Undoes the escapes of a form field. What is no escape stays as it is.
fn decode(field: &str) -> String {
    let bytes = field.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = bytes
            .get(at + 1..at + 3)
            .filter(|_| byte == b'%')
            .and_then(|digits| Some(hex_digit(digits[0])? << 4 | hex_digit(digits[1])?));
        match escaped {
            Some(byte) => decoded.push(byte),
            None => decoded.push(if byte == b'+' { b' ' } else { byte }),
        }
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, name: &str, expected: Option<&str>) {
        let request = Request::new("GET", "/").with_query(query);
        assert_eq!(request.query_value(name).as_deref(), expected);
    }

    #[test]
    fn a_query_field_is_decoded_like_a_form() {
        check("a=1&b=x+y%21", "b", Some("x y!"));
        check("caf%C3%A9=1", "café", Some("1"));
        check("a=1=2", "a", Some("1=2"));
    }

    #[test]
    fn the_first_of_equal_fields_counts() {
        check("a=1&a=2", "a", Some("1"));
    }

    #[test]
    fn a_field_without_a_value_is_empty() {
        check("a", "a", Some(""));
        check("b", "a", None);
        check("", "a", None);
    }

    #[test]
    fn a_broken_escape_stays_as_it_is() {
        check("a=%", "a", Some("%"));
        check("a=%g0%4", "a", Some("%g0%4"));
        check("a=%é", "a", Some("%é"));
        check("a=%+1", "a", Some("% 1"));
    }

    #[test]
    fn a_header_is_found_in_any_case() {
        let request = Request::new("GET", "/").with_header("Accept", "text/html");
        assert_eq!(request.header("ACCEPT"), Some("text/html"));
        assert_eq!(request.headers(), [("accept".into(), "text/html".into())]);
    }

    #[test]
    fn a_body_that_is_no_text_says_where() {
        let request = Request::new("POST", "/").with_body(*b"ab\xff");
        let message = request.text().map_err(|error| error.to_string());
        assert_eq!(
            message,
            Err("the input is not UTF-8: the first bad byte is at 2".into())
        );
    }
}
