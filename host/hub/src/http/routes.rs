//! Which address is answered by what.

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;

use super::{Answer, Problem, blobs, call, functions, jobs, page, status};
use crate::shared::Shared;

/// Finds the handler of a request and runs it.
pub async fn route(shared: &Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Problem> {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    if let Some(rest) = path.strip_prefix("/f/") {
        return call::http_function(shared, rest, request).await;
    }

    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (&method, parts.as_slice()) {
        (&Method::GET, [""]) => Ok(page::home(shared)),
        (&Method::GET, ["healthz" | "readyz"]) => Ok(status::health(shared)),
        (&Method::GET, ["metrics"]) => Ok(status::metrics(shared)),
        (&Method::GET, ["v1", "hub"]) => Ok(status::hub(shared)),
        (&Method::GET, ["v1", "miners"]) => Ok(status::miners(shared)),
        (&Method::GET, ["v1", "ledger"]) => Ok(status::ledger(shared)),
        (&Method::POST, ["v1", "settle"]) => status::settle(shared, &request).await,
        (&Method::GET, ["v1", "functions"]) => Ok(functions::list(shared)),
        (&Method::GET, ["v1", "functions", name]) => functions::show(shared, name),
        (&Method::POST, ["v1", "functions"]) => functions::publish(shared, request).await,
        (&Method::POST, ["v1", "call", name]) => call::call(shared, name, request).await,
        (&Method::GET | &Method::HEAD, ["v1", "blobs", hash]) => {
            blobs::get(shared, hash, &request).await
        }
        (&Method::PUT, ["v1", "blobs", hash]) => blobs::put(shared, hash, request).await,
        (&Method::POST, ["v1", "jobs", name]) => jobs::order(shared, name, request).await,
        (&Method::GET, ["v1", "jobs", job]) => jobs::show(shared, job),
        (&Method::GET, ["v1", "jobs", job, "output"]) => jobs::output(shared, job).await,
        (&Method::GET, ["v1", "batches", epoch]) => status::batch(shared, epoch),
        (&Method::GET, ["v1", "receipts", job]) => jobs::receipt(shared, job),
        _ if is_known(&parts) => Err(Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            format!("{method} does nothing at {path}"),
            "see GET / for what can be asked here",
        )),
        _ => Err(Problem::not_found(&path)),
    }
}

/// Whether another method would be answered at this address.
fn is_known(parts: &[&str]) -> bool {
    matches!(
        parts,
        [""] | ["healthz" | "readyz" | "metrics"]
            | ["v1", "hub" | "miners" | "ledger" | "settle" | "functions"]
            | [
                "v1",
                "functions" | "call" | "blobs" | "jobs" | "receipts",
                _
            ]
            | ["v1", "jobs", _, "output"]
    )
}
