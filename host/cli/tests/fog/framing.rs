//! Requests that two parsers could read as different ones, over a bare connection.

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use crate::fog::hub_alone;
use crate::process::{PATIENCE, drain};

/// Sends bytes as they are, and reads until the hub hangs up.
fn exchange(url: &str, bytes: &str) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A hub that has read enough hangs up while we still send.
    let _ = stream.write_all(bytes.as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
    String::from_utf8_lossy(&drain(stream)).into_owned()
}

const SMUGGLED: &str = "GET /v1/hub HTTP/1.1\r\nHost: hub\r\n\r\n";

/// Sends a head and a second request behind it, which must never be answered.
#[track_caller]
fn check(url: &str, (name, head): &(&str, String), statuses: &[&str]) {
    let answer = exchange(url, &format!("{head}{SMUGGLED}"));
    let status = answer.split(' ').nth(1).unwrap_or_default();
    assert!(statuses.contains(&status), "{name}: {answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: {answer}");
    assert!(
        !answer.contains("software"),
        "{name} was smuggled in: {answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_requests_are_refused_and_smuggle_nothing() {
    let fog = hub_alone().await;
    let post = "POST /v1/call/x HTTP/1.1\r\n";
    let host = "Host: hub\r\n";
    let cases = [
        (
            "two lengths",
            format!("{post}{host}Content-Length: 0\r\nContent-Length: 38\r\n\r\n"),
        ),
        (
            "a list of lengths",
            format!("{post}{host}Content-Length: 0, 38\r\n\r\n"),
        ),
        (
            "a signed length",
            format!("{post}{host}Content-Length: +0\r\n\r\n"),
        ),
        (
            "two encodings",
            format!(
                "{post}{host}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"
            ),
        ),
        (
            "an unknown encoding",
            format!("{post}{host}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ),
        ("no host", format!("{post}Content-Length: 0\r\n\r\n")),
        (
            "two hosts",
            format!("{post}{host}Host: other\r\nContent-Length: 0\r\n\r\n"),
        ),
        (
            "a space before the colon",
            format!("{post}{host}Content-Length : 0\r\n\r\n"),
        ),
        (
            "a folded header",
            format!("{post}{host}X: a\r\n b\r\nContent-Length: 0\r\n\r\n"),
        ),
        ("a bare line", format!("{post}{host}nonsense\r\n\r\n")),
        ("no method at all", "\0\0\0\0\r\n\r\n".to_owned()),
    ];
    for case in cases {
        check(&fog.hub.url, &case, &["400"]);
    }
}

/// RFC 9112 §6.1 lets a server go by the chunks alone if it hangs up afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_length_beside_chunks_ends_the_connection_with_its_answer() {
    let fog = hub_alone().await;
    let head = "POST /v1/call/x HTTP/1.1\r\nHost: hub\r\n";
    let (chunked, chunks) = ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n");
    let cases = [
        (
            "length first",
            format!("{head}Content-Length: 38\r\n{chunked}\r\n{chunks}"),
        ),
        (
            "chunks first",
            format!("{head}{chunked}Content-Length: 5\r\n\r\n{chunks}"),
        ),
    ];
    for case in cases {
        check(&fog.hub.url, &case, &["400", "404"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_end_are_cut_off() {
    let fog = hub_alone().await;
    let many: String = (0..500).map(|at| format!("X-{at}: y\r\n")).collect();
    let answer = exchange(
        &fog.hub.url,
        &format!("GET /healthz HTTP/1.1\r\nHost: hub\r\n{many}\r\n"),
    );
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let long = "y".repeat(100 << 10);
    let answer = exchange(
        &fog.hub.url,
        &format!("GET /healthz HTTP/1.1\r\nHost: hub\r\nX: {long}\r\n\r\n"),
    );
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
    let answer = exchange(
        &fog.hub.url,
        "GET /healthz HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
