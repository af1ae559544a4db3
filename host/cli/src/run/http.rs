//! An HTTP function at its author's desk: the frame that a hub would make of a request, and the
//! response in the output.

use std::str::FromStr;

use anyhow::{Context, Result};
use haar_meter::Report;
use haar_records::http_frame::{HEADERS_ALLOWED, Request, Response};

/// `METHOD /path?query`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLine {
    method: String,
    path: String,
    query: String,
}

impl FromStr for RequestLine {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(' ') {
            Some((method, target)) if !method.is_empty() && target.starts_with('/') => {
                let (path, query) = target.split_once('?').unwrap_or((target, ""));
                Ok(Self {
                    method: method.to_owned(),
                    path: path.to_owned(),
                    query: query.to_owned(),
                })
            }
            _ => Err("write it like \"GET /path?name=value\""),
        }
    }
}

impl RequestLine {
    /// What a client most likely means that names no request.
    pub fn usual(body: &[u8]) -> Self {
        Self {
            method: if body.is_empty() { "GET" } else { "POST" }.to_owned(),
            path: "/".to_owned(),
            query: String::new(),
        }
    }

    /// The input that a hub would form: canonical, with the allowed headers only.
    pub fn frame(&self, headers: &[Header], body: Vec<u8>) -> Result<Vec<u8>> {
        let headers = headers.iter().map(|it| (it.0.as_str(), it.1.as_str()));
        let (method, path) = (&self.method, &self.path);
        Request::canonical(method, path, &self.query, headers, &HEADERS_ALLOWED, body)
            .and_then(|request| request.encode())
            .context("no hub would pass on this request")
    }
}

/// `NAME: VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header(String, String);

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text
            .split_once(':')
            .ok_or("write it like \"content-type: text/plain\"")?;
        if !HEADERS_ALLOWED.contains(&name.to_ascii_lowercase().as_str()) {
            let allowed = HEADERS_ALLOWED.join(" and ");
            return Err(format!("a hub passes on {allowed} only"));
        }
        Ok(Self(name.to_owned(), value.trim().to_owned()))
    }
}

/// Whether the module's manifest says that it answers requests; the hub asks the same.
pub fn is_http(report: &Report) -> bool {
    let manifest = report.manifest.as_deref().unwrap_or_default();
    serde_json::from_slice::<serde_json::Value>(manifest)
        .is_ok_and(|manifest| manifest["kind"] == "http")
}

/// The response in an output.
pub fn response(output: &[u8]) -> Result<Response> {
    Response::decode(output).context("the function's output is no HTTP response")
}

/// Status and headers, one line each.
pub fn head(response: &Response) -> String {
    let mut head = format!("response     {}", response.status);
    for (name, value) in &response.headers {
        head.push_str(&format!("\n             {name}: {value}"));
    }
    head
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str, &str)>) {
        let parsed = text.parse::<RequestLine>().ok();
        let parsed = parsed
            .as_ref()
            .map(|it| (it.method.as_str(), it.path.as_str(), it.query.as_str()));
        assert_eq!(parsed, expected);
    }

    #[test]
    fn a_request_is_a_method_and_a_target() {
        check("GET /", Some(("GET", "/", "")));
        check("POST /a/b?c=d?e", Some(("POST", "/a/b", "c=d?e")));
        check("GET", None);
        check("/path", None);
        check("GET path", None);
    }

    #[test]
    fn a_request_without_a_body_gets() {
        assert_eq!(RequestLine::usual(b""), "GET /".parse().unwrap());
        assert_eq!(RequestLine::usual(b"x"), "POST /".parse().unwrap());
    }

    #[test]
    fn headers_that_no_hub_passes_on_are_refused() {
        assert!("Content-Type: text/plain".parse::<Header>().is_ok());
        assert!(
            "cookie: a=b"
                .parse::<Header>()
                .unwrap_err()
                .contains("accept")
        );
        assert!("accept".parse::<Header>().is_err());
    }
}
