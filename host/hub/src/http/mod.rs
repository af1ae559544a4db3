//! The hub's door for buyers: bounded HTTP/1.1 over hyper.
//!
//! hyper parses; every limit is ours: connections, header time, body bytes and body time. A request
//! that two parsers could read differently is refused before it is routed.

mod blobs;
mod call;
mod functions;
mod jobs;
mod page;
mod problem;
mod routes;
mod status;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub use problem::Problem;

use crate::shared::Shared;

/// An answer with its body in memory.
pub type Answer = http::Response<Full<Bytes>>;

/// Connections at one time.
pub const CONNECTIONS_MAX: usize = 1_024;
/// How long a client may take to send its headers.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to send its body.
pub const BODY_READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Header fields of one request.
pub const HEADERS_MAX: usize = 64;
/// Bytes of all headers of one request.
pub const HEADER_BYTES_MAX: usize = 32 << 10;
/// Bytes of a request's address.
pub const URI_BYTES_MAX: usize = 8 << 10;

/// A body that is complete and in memory.
pub fn full(bytes: impl Into<Bytes>) -> Full<Bytes> {
    Full::new(bytes.into())
}

/// Answers buyers until the task is dropped.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors: those in use will come back.
                tracing::warn!(target: "haar::hub::accept_failed", %error);
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };

        let _ = stream.set_nodelay(true);
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let shared = shared.clone();
                async move { Ok::<_, std::convert::Infallible>(answer(&shared, request).await) }
            });
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_READ_TIMEOUT)
                .title_case_headers(true)
                .max_headers(HEADERS_MAX)
                .max_buf_size(HEADER_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(target: "haar::hub::connection_ended", %error);
            }
            drop(permit);
        });
    }
}

async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Answer {
    if let Err(problem) = check_framing(&request) {
        let mut answer = problem.into_answer();
        // Nobody knows where the next request begins.
        let close = header::HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
        return answer;
    }
    let answered = routes::route(shared, request).await;
    answered.unwrap_or_else(Problem::into_answer)
}

/// Refuses what two HTTP parsers could read as two different requests (RFC 9112 §3.2, §6.1).
fn check_framing<B>(request: &Request<B>) -> Result<(), Problem> {
    let ambiguous = |detail: &str| {
        Err(Problem::bad_request(
            "ambiguous-request",
            detail,
            "send one Host and one length",
        ))
    };
    let headers = request.headers();
    if request.version() == http::Version::HTTP_11 && !has_one(headers, &header::HOST) {
        return ambiguous("a request needs exactly one Host");
    }
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    let encodings = headers.get_all(header::TRANSFER_ENCODING).iter().count();
    if lengths + encodings > 1 {
        return ambiguous("Content-Length and Transfer-Encoding exclude each other");
    }
    if request.uri().to_string().len() > URI_BYTES_MAX {
        let next = "shorten the address";
        let detail = format!("the address has more than {URI_BYTES_MAX} bytes");
        return Err(Problem::new(
            StatusCode::URI_TOO_LONG,
            "address-too-long",
            detail,
            next,
        ));
    }
    Ok(())
}

fn has_one(headers: &HeaderMap, name: &header::HeaderName) -> bool {
    headers.get_all(name).iter().count() == 1
}

/// Reads a body of at most `max` bytes; a longer one is refused before it is read.
async fn read_body(request: Request<Incoming>, max: u64) -> Result<Bytes, Problem> {
    let body = request.into_body();
    if body.size_hint().lower() > max {
        return Err(Problem::too_large(max));
    }
    let max_usize = usize::try_from(max).map_err(Problem::internal)?;
    let reading = Limited::new(body, max_usize).collect();
    match tokio::time::timeout(BODY_READ_TIMEOUT, reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Problem::too_large(max))
        }
        Ok(Err(error)) => Err(Problem::bad_request(
            "broken-body",
            format!("the body broke off: {error}"),
            "send it again",
        )),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-too-slow",
            format!(
                "the body took longer than {} s",
                BODY_READ_TIMEOUT.as_secs()
            ),
            "send it faster",
        )),
    }
}

/// An answer in JSON.
fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
    let mut answer = Answer::new(full(format!("{value:#}\n")));
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    answer
}
