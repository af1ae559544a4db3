//! Blobs over HTTP: for publishing, for tabs, and for whoever has no iroh.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use serde_json::json;

use super::{Answer, Problem, full, json, read_body};
use crate::limits::{BLOB_BYTES_MAX, BLOBS_PUT_BYTES_MAX};
use crate::shared::Shared;
use haar_records::BlobHash;

fn parse(hash: &str) -> Result<BlobHash, Problem> {
    hash.parse().map_err(|error| {
        Problem::bad_request(
            "bad-hash",
            format!("{error}"),
            "name a blob by its BLAKE3 hash: b3sum FILE",
        )
    })
}

/// `PUT /v1/blobs/<hash>`: the bytes must have the hash they are sent under.
pub async fn put(
    shared: &Arc<Shared>,
    hash: &str,
    request: Request<Incoming>,
) -> Result<Answer, Problem> {
    let claimed = parse(hash)?;
    let bytes = read_body(request, BLOB_BYTES_MAX).await?;
    let found = BlobHash::of(&bytes);
    if found != claimed {
        return Err(Problem::bad_request(
            "wrong-hash",
            format!("these bytes are {found}, not {claimed}"),
            "send the bytes that the hash names",
        ));
    }
    let size = bytes.len();
    if !shared.swarm.has(found).await {
        let before = shared.put_bytes.fetch_add(size as u64, Ordering::Relaxed);
        if before.saturating_add(size as u64) > BLOBS_PUT_BYTES_MAX {
            return Err(storage_full());
        }
    }
    shared
        .swarm
        .publish(bytes)
        .await
        .map_err(Problem::internal)?;
    Ok(json(
        StatusCode::CREATED,
        &json!({ "hash": found.to_string(), "bytes": size }),
    ))
}

/// Nobody deletes what a function needs, so what strangers may leave here is bounded.
fn storage_full() -> Problem {
    Problem::new(
        StatusCode::INSUFFICIENT_STORAGE,
        "storage-full",
        format!("this hub takes {BLOBS_PUT_BYTES_MAX} bytes of blobs between two starts"),
        "publish at another hub, or ask this one's owner to start it again",
    )
}

/// `GET /v1/blobs/<hash>`, with a single `Range: bytes=a-b` if asked.
pub async fn get(
    shared: &Arc<Shared>,
    hash: &str,
    request: &Request<Incoming>,
) -> Result<Answer, Problem> {
    let hash = parse(hash)?;
    // Small inputs and outputs live in the database, larger blobs in the swarm's store.
    let small = shared
        .read(|journal| journal.blob(&hash))
        .map_err(Problem::internal)?;
    let size = match &small {
        Some(bytes) => Some(bytes.len() as u64),
        None => shared.swarm.size(hash).await,
    };
    let size = size.ok_or_else(|| Problem::not_found(format_args!("blob {hash}")))?;
    let range = match request.headers().get(header::RANGE) {
        Some(value) => Some(parse_range(value, size).ok_or_else(|| unsatisfiable(size))?),
        None => None,
    };

    let (from, to) = range.unwrap_or((0, size));
    let bytes = match small {
        Some(bytes) => part(bytes, from, to),
        None => shared
            .swarm
            .read_range(hash, from..to)
            .await
            .map_err(Problem::internal)?,
    };
    let mut answer = Answer::new(full(bytes));
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if range.is_some() {
        let value = format!("bytes {from}-{}/{size}", to - 1);
        headers.insert(
            header::CONTENT_RANGE,
            HeaderValue::from_str(&value).expect("digits are a header value"),
        );
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(answer)
}

/// A range that is known to lie inside of the bytes.
fn part(bytes: Vec<u8>, from: u64, to: u64) -> Bytes {
    let at = |place: u64| {
        usize::try_from(place)
            .unwrap_or(bytes.len())
            .min(bytes.len())
    };
    let (from, to) = (at(from), at(to));
    Bytes::from(bytes).slice(from..to)
}

fn unsatisfiable(size: u64) -> Problem {
    Problem::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "bad-range",
        format!("the blob has {size} bytes"),
        "ask for one range inside of it: Range: bytes=0-99",
    )
}

/// `bytes=a-b`, `bytes=a-` or `bytes=-n` as a half-open range inside `size`.
fn parse_range(value: &HeaderValue, size: u64) -> Option<(u64, u64)> {
    let (from, to) = value
        .to_str()
        .ok()?
        .strip_prefix("bytes=")?
        .split_once('-')?;
    let (from, to) = match (from.is_empty(), to.is_empty()) {
        (false, false) => (
            from.parse().ok()?,
            to.parse::<u64>().ok()?.checked_add(1)?.min(size),
        ),
        (false, true) => (from.parse().ok()?, size),
        (true, false) => (size.saturating_sub(to.parse().ok()?), size),
        (true, true) => return None,
    };
    (from < to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &'static str, size: u64, expected: Option<(u64, u64)>) {
        assert_eq!(
            parse_range(&HeaderValue::from_static(text), size),
            expected,
            "{text}"
        );
    }

    #[test]
    fn ranges_stay_inside_the_blob() {
        check("bytes=0-9", 100, Some((0, 10)));
        check("bytes=90-1000", 100, Some((90, 100)));
        check("bytes=90-", 100, Some((90, 100)));
        check("bytes=-10", 100, Some((90, 100)));
        check("bytes=-1000", 100, Some((0, 100)));
        check("bytes=100-", 100, None);
        check("bytes=9-3", 100, None);
        check("bytes=-", 100, None);
        check("bytes=0-18446744073709551615", 100, None);
        check("items=0-1", 100, None);
        check("bytes=0-1", 0, None);
    }
}
