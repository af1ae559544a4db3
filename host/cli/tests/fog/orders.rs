//! Orders: the same one again, and who pays.

use reqwest::Method;
use serde_json::json;

use crate::fog::{key, shared, write_key};
use crate::process::{haar, run};

#[tokio::test]
async fn the_same_call_with_the_same_key_is_one_job() {
    let fog = shared().await;
    let headers = [("idempotency-key", "one")];
    let (first, second) = tokio::join!(
        fog.buyer.call_with("wordcount", b"once", &headers),
        fog.buyer.call_with("wordcount", b"once", &headers),
    );
    let third = fog.buyer.call_with("wordcount", b"once", &headers).await;
    for again in [&second, &third] {
        assert_eq!(first.output(), again.output());
        for name in ["haar-job", "haar-charged", "haar-receipt-signature"] {
            assert_eq!(first.header(name), again.header(name));
        }
    }

    let other_body = fog.buyer.call_with("wordcount", b"twice", &headers).await;
    other_body.problem(409, "key-reused");
    let other_function = fog.buyer.call_with("markdown", b"once", &headers).await;
    other_function.problem(409, "key-reused");
    let other_fuel = [("idempotency-key", "one"), ("haar-fuel-max", "1000000")];
    fog.buyer
        .call_with("wordcount", b"once", &other_fuel)
        .await
        .problem(409, "key-reused");
}

#[tokio::test]
async fn an_ordered_job_shows_its_life_and_keeps_its_output() {
    let fog = shared().await;
    let job = fog.buyer.order("wordcount", b"later").await;
    let seen = fog.ended(&job).await;
    assert_eq!(
        (&seen["state"], &seen["answer"]["kind"]),
        (&json!("settled"), &json!("agreed"))
    );
    for attempt in seen["attempts"].as_array().unwrap() {
        assert_eq!(attempt["state"], "agreed", "{seen:#}");
        assert!(attempt["sealed"].is_string(), "{seen:#}");
    }
    let path = format!("/v1/jobs/{job}/output");
    let output = fog.buyer.send(fog.buyer.request(Method::GET, &path)).await;
    let called = fog.buyer.call("wordcount", b"later").await;
    assert_eq!(output.output(), called.output());
}

#[tokio::test]
async fn a_buyer_without_a_deposit_is_asked_to_pay_first() {
    let fog = shared().await;
    let path = write_key(&fog.dir.path().join("poor"), &key(200));
    let mut command = haar();
    command
        .args([
            "call",
            "wordcount",
            "/dev/null",
            "--hub",
            &fog.hub.url,
            "--key",
        ])
        .arg(path);
    let ended = run(command).await;
    assert_eq!(ended.code, 1);
    assert!(
        ended.stderr.contains("[insufficient-funds, 402]"),
        "{}",
        ended.stderr
    );
    assert!(ended.stdout.is_empty());
}
