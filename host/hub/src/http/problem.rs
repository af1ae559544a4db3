//! Errors as data: RFC 9457 problems with a stable code, what happened, and what to do next.

use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use super::{Answer, full};

/// One error answer.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    next: &'static str,
    retry_after_s: Option<u64>,
    more: Map<String, Value>,
}

impl Problem {
    /// An error with its stable code, what happened, and the next step.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<String>,
        next: &'static str,
    ) -> Self {
        let detail = detail.into();
        Self {
            status,
            code,
            detail,
            next,
            retry_after_s: None,
            more: Map::new(),
        }
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Adds a fact that a program may read.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Nothing stands at this address.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            format!("there is no {what} here"),
            "GET /v1/functions lists what can be called",
        )
    }

    /// A function that nobody has published.
    pub fn unknown_function(name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown-function",
            format!("no function '{name}' is published at this hub"),
            "list the functions with GET /v1/functions, or publish it with `haar publish`",
        )
    }

    /// More bytes than are read here.
    pub fn too_large(max: u64) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            format!("the body has more than {max} bytes"),
            "send less, or split the work into several calls",
        )
        .with("max_bytes", max)
    }

    /// A request that cannot be understood.
    pub fn bad_request(code: &'static str, detail: impl Into<String>, next: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail, next)
    }

    /// The hub itself failed; the buyer is not charged.
    pub fn internal(detail: impl std::fmt::Display) -> Self {
        tracing::error!(target: "haar::hub::failed", %detail);
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "hub-failed",
            "the hub could not finish this; nothing was charged",
            "try again with the same Idempotency-Key; tell the hub's owner if it stays",
        )
    }

    /// The answer to send.
    pub fn into_answer(self) -> Answer {
        let mut body = self.more;
        body.insert("type".into(), json!(format!("about:blank#{}", self.code)));
        body.insert("code".into(), json!(self.code));
        body.insert("status".into(), json!(self.status.as_u16()));
        body.insert("title".into(), json!(self.status.canonical_reason()));
        body.insert("detail".into(), json!(self.detail));
        body.insert("next".into(), json!(self.next));

        let mut answer = Answer::new(full(Value::Object(body).to_string() + "\n"));
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}
