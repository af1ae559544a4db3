//! Receipts: saved, replayed without the hub, and useless once they are changed.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use crate::fog::{Fog, HONEST, shared};
use crate::guests;
use crate::process::{Ended, haar, run};

/// Saves a job's receipt as a buyer does.
async fn save(fog: &Fog, job: &str) -> PathBuf {
    let folder = fog.dir.path().join("receipts").join(job);
    let mut command = haar();
    command
        .args(["receipt", job, "--hub", &fog.hub.url, "--out"])
        .arg(&folder);
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    let ended = run(command).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    folder
}

async fn replay(folder: &Path) -> Ended {
    let mut command = haar();
    command.args(["replay", "--json"]).arg(folder);
    run(command).await
}

impl Fog {
    /// Saves a job's receipt and replays it: the same output and fuel, all signatures good.
    pub async fn check_replay(&self, job: &str) {
        let ended = replay(&save(self, job).await).await;
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let record: Value = serde_json::from_slice(&ended.stdout).unwrap();
        assert_eq!(
            (&record["same"], &record["signatures"]),
            (&json!(true), &json!(3))
        );
    }
}

#[tokio::test]
async fn every_kind_of_outcome_can_be_replayed_without_the_hub() {
    let mut fog = Fog::start(&[HONEST, HONEST]).await;
    fog.publish_example("wordcount").await;
    fog.publish("loops", &guests::endless_loop()).await;
    fog.publish("aborts", &guests::command("unreachable")).await;
    let mut folders = Vec::new();
    for text in [
        String::new(),
        "a small input".to_owned(),
        "a large input\n".repeat(50_000),
    ] {
        let answer = fog.buyer.call("wordcount", text.as_bytes()).await;
        folders.push((
            save(&fog, answer.header("haar-job")).await,
            answer.header("haar-output").to_owned(),
        ));
    }
    let nothing = haar_records::BlobHash::of(b"").to_string();
    for name in ["loops", "aborts"] {
        let headers = [("haar-fuel-max", "30000000")];
        let problem = fog.buyer.call_with(name, b"x", &headers).await.json();
        folders.push((
            save(&fog, problem["job"].as_str().unwrap()).await,
            nothing.clone(),
        ));
    }

    fog.hub.kill();
    for (folder, output) in folders {
        let ended = replay(&folder).await;
        assert_eq!(ended.code, 0, "{}: {}", folder.display(), ended.stderr);
        let record: Value = serde_json::from_slice(&ended.stdout).unwrap();
        assert_eq!(record["same"], true);
        assert_eq!(record["output"], output);
    }
}

/// Changes a copy of a receipt, and expects the replay to refuse it with these words.
async fn check_refused(folder: &Path, change: impl FnOnce(&Path), words: &str) {
    let copy = tempfile::tempdir().unwrap();
    for name in ["receipt.json", "module.wasm", "input"] {
        std::fs::copy(folder.join(name), copy.path().join(name)).unwrap();
    }
    change(copy.path());
    let ended = replay(copy.path()).await;
    assert_eq!(
        ended.code,
        1,
        "{words}: {}",
        String::from_utf8_lossy(&ended.stdout)
    );
    assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

/// Changes one value of a receipt, named by its path.
fn set(pointer: &'static str, value: Value) -> impl FnOnce(&Path) {
    move |folder| {
        let path = folder.join("receipt.json");
        let mut receipt: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        *receipt.pointer_mut(pointer).unwrap() = value;
        std::fs::write(&path, receipt.to_string()).unwrap();
    }
}

#[tokio::test]
async fn a_changed_receipt_is_refused_and_says_what_was_changed() {
    let fog = shared().await;
    let answer = fog.buyer.call("wordcount", b"the truth").await;
    let job = answer.header("haar-job");
    let folder = save(&fog, job).await;
    let path = format!("/v1/receipts/{job}");
    let served = fog.buyer.send(fog.buyer.request(Method::GET, &path)).await;
    assert_eq!(
        std::fs::read(folder.join("receipt.json")).unwrap(),
        served.body
    );

    let write = |name: &'static str| move |at: &Path| std::fs::write(at.join(name), "x").unwrap();
    check_refused(
        &folder,
        write("input"),
        "module.wasm or input is not what the receipt names",
    )
    .await;
    check_refused(&folder, write("module.wasm"), "module.wasm or input is not").await;
    check_refused(
        &folder,
        write("receipt.json"),
        "receipt.json is not a receipt",
    )
    .await;
    let gone = |at: &Path| std::fs::remove_file(at.join("input")).unwrap();
    check_refused(&folder, gone, "cannot read ").await;
    check_refused(
        &folder,
        set("/outcome/fuel_used", json!(1)),
        "the receipt of miner 0x",
    )
    .await;
    check_refused(
        &folder,
        set("/outcome/status", json!("trapped")),
        "the receipt of miner 0x",
    )
    .await;
    check_refused(
        &folder,
        set("/outcome/status", json!("great")),
        "unknown status 'great'",
    )
    .await;
    check_refused(
        &folder,
        set("/spec/fuel_max", json!(7)),
        "does not have the hash",
    )
    .await;
    check_refused(
        &folder,
        set("/spec/time_ns", json!(7)),
        "does not have the hash",
    )
    .await;
    check_refused(
        &folder,
        set("/hub_receipt/charged", json!("7")),
        "the hub's receipt",
    )
    .await;
    check_refused(&folder, set("/miners", json!([])), "other miners' receipts").await;
    check_refused(&folder, set("/miners/0/signature", json!("0x00")), "").await;
}
