//! Bad input from buyers: each gets its code, what happened, and what to do next.

use std::io::Write;
use std::net::TcpStream;

use reqwest::Method;

use crate::fog::{hub_alone, shared};
use crate::guests;
use crate::process::{PATIENCE, drain};

#[tokio::test]
async fn an_unknown_function_is_a_404() {
    let fog = hub_alone().await;
    fog.buyer
        .call("nothing", b"")
        .await
        .problem(404, "unknown-function");
    fog.buyer
        .call("nothing@1.2.3", b"")
        .await
        .problem(404, "unknown-function");
    let odd = fog.buyer.call("..%2f..%2fetc", b"").await;
    odd.problem(404, "unknown-function");
    let request = fog.buyer.request(Method::POST, "/f/nothing/page");
    fog.buyer
        .send(request)
        .await
        .problem(404, "unknown-function");
}

#[tokio::test]
async fn an_unknown_address_is_a_404_and_a_wrong_method_a_405() {
    let fog = hub_alone().await;
    let ask = async |method, path: &str| fog.buyer.send(fog.buyer.request(method, path)).await;
    ask(Method::GET, "/v2/functions")
        .await
        .problem(404, "not-found");
    let job = format!("/v1/jobs/0x{}", "ab".repeat(32));
    ask(Method::GET, &job).await.problem(404, "not-found");
    ask(Method::GET, &format!("/v1/receipts/0x{}", "ab".repeat(32)))
        .await
        .problem(404, "not-found");
    ask(Method::GET, "/v1/jobs/xyz")
        .await
        .problem(400, "bad-job");
    ask(Method::GET, "/v1/call/wordcount")
        .await
        .problem(405, "method-not-allowed");
    ask(Method::DELETE, "/v1/functions")
        .await
        .problem(405, "method-not-allowed");
    ask(Method::POST, "/v1/ledger")
        .await
        .problem(405, "method-not-allowed");
    ask(Method::GET, "/v1/settle")
        .await
        .problem(405, "method-not-allowed");
    ask(Method::POST, "/v1/settle")
        .await
        .problem(401, "not-the-operator");
}

#[tokio::test]
async fn a_body_too_large_is_refused_before_it_is_sent() {
    let fog = shared().await;
    let at = fog.buyer.url.strip_prefix("http://").unwrap();
    for path in ["/v1/call/wordcount", "/v1/jobs/wordcount", "/f/markdown/"] {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: hub\r\nContent-Length: 999999999999\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        // Not one byte of the body is sent: an answer can only come before it is read.
        let answer = drain_head(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
    }

    let endless = vec![b'x'; (10 << 20) + 1];
    let request = fog
        .buyer
        .request(Method::POST, "/v1/call/wordcount")
        .body(endless);
    // The hub may hang up while we still send; then there is no answer to look at.
    if let Some(answer) = fog.buyer.try_send(request).await {
        assert_eq!(answer.problem(413, "body-too-large")["max_bytes"], 10 << 20);
    }
}

/// The first bytes of an answer.
fn drain_head(stream: &mut TcpStream) -> String {
    use std::io::Read;
    let mut bytes = [0; 4096];
    let count = stream.read(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

#[tokio::test]
async fn bad_headers_of_a_call_are_a_400() {
    let fog = shared().await;
    let cases = [
        ("haar-fuel-max", "lots", "bad-fuel"),
        ("haar-fuel-max", "-1", "bad-fuel"),
        ("haar-fuel-max", "400000000001", "bad-fuel"),
        ("haar-fuel-max", "99999999999999999999999", "bad-fuel"),
        ("haar-verification", "certain", "bad-verification"),
        ("idempotency-key", "", "bad-key"),
        ("idempotency-key", &"k".repeat(129), "bad-key"),
        ("haar-order", "0g", "bad-order"),
        ("haar-order", "abc", "bad-order"),
        ("haar-order", "00", "bad-order"),
    ];
    for (name, value, code) in cases {
        let answer = fog
            .buyer
            .call_with("wordcount", b"x", &[(name, value)])
            .await;
        answer.problem(400, code);
    }
    let umlaut = [("haar-fuel-max", "\u{e4}")];
    fog.buyer
        .call_with("wordcount", b"x", &umlaut)
        .await
        .problem(400, "bad-header");
    fog.buyer.call("wordcount", b"x").await.output();
}

#[tokio::test]
async fn a_job_that_nobody_is_here_to_run_is_a_503_that_says_when_to_come_back() {
    let fog = hub_alone().await;
    fog.publish("echo", &guests::slow_echo()).await;
    let answer = fog.buyer.call("echo", b"x").await;
    answer.problem(503, "no-miner");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
    let house = &fog.buyer.get("/v1/ledger").await["house"];
    assert_eq!(
        (&house["held"], &house["spent"]),
        (&"0 SNM".into(), &"0 SNM".into())
    );
}

#[tokio::test]
async fn a_function_that_speaks_no_http_is_not_served_as_a_page() {
    let fog = shared().await;
    let request = fog.buyer.request(Method::GET, "/f/wordcount/");
    fog.buyer.send(request).await.problem(409, "not-http");
}

#[tokio::test]
async fn bytes_that_do_not_have_their_hash_are_refused() {
    let fog = hub_alone().await;
    let put = async |path: &str| {
        let request = fog.buyer.request(Method::PUT, path).body("other bytes");
        fog.buyer.send(request).await
    };
    put(&format!("/v1/blobs/{}", "ab".repeat(32)))
        .await
        .problem(400, "wrong-hash");
    put("/v1/blobs/short").await.problem(400, "bad-hash");
    let missing = format!("/v1/blobs/{}", "ab".repeat(32));
    let request = fog.buyer.request(Method::GET, &missing);
    fog.buyer.send(request).await.problem(404, "not-found");
}

#[tokio::test]
async fn a_client_that_hangs_up_harms_nobody() {
    let fog = shared().await;
    let at = fog.buyer.url.strip_prefix("http://").unwrap();
    for head in [
        "",
        "POST",
        "POST /v1/call/wordcount HTTP/1.1\r\nHost: hub\r\nContent-Length: 9\r\n\r\nabc",
    ] {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        drain(stream);
    }
    fog.buyer.call("wordcount", b"still here").await.output();
}
