//! The bytes that Rust and Solidity must agree on: `vectors/eip712.json` and `vectors/trees.json`.
//!
//! These tests write the files when `UPDATE_EXPECT=1` is set, and compare otherwise. The contracts'
//! tests read the same files.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::path::PathBuf;

use alloy_sol_types::SolStruct;
use haar_records::eip712::{FunctionEntry, JobSpec, RunConfigEntry, miners_hash};
use haar_records::tree::{JobTree, PayTree};
use haar_records::*;
use serde_json::{Value, json};

/// Compares `value` with the committed file, or rewrites it.
#[track_caller]
fn check(name: &str, value: &Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../vectors")
        .join(name);
    let text = serde_json::to_string_pretty(value).unwrap() + "\n";
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        committed, text,
        "{name} is not current: run the test with UPDATE_EXPECT=1"
    );
}

fn word(tag: u8) -> B256 {
    keccak256([tag])
}

fn party(tag: u8) -> Address {
    Address::from_slice(&word(tag)[12..])
}

fn domain() -> Domain {
    Domain {
        chain_id: 31_337,
        settlement: party(0xda),
    }
}

fn case<T: SolStruct>(name: &str, record: &T, fields: Value) -> Value {
    json!({
        "type": name,
        "fields": fields,
        "structHash": record.eip712_hash_struct(),
        "digest": domain().digest(record),
    })
}

/// One case: the struct from its fields, and the same fields as JSON (numbers as decimal strings).
macro_rules! vector {
    ($name:ident as $type:literal { $($field:ident: $value:expr),* $(,)? }) => {{
        let record = $name { $($field: $value),* };
        let fields = json!({ $(stringify!($field): text(&record.$field)),* });
        case($type, &record, fields)
    }};
}

/// Numbers in decimal, everything else as it prints.
fn text<T: std::fmt::Display>(value: &T) -> String {
    value.to_string()
}

fn jobs() -> Vec<Value> {
    vec![
        vector!(JobSpec as "JobSpec" {
            moduleHash: word(1), inputHash: word(2), configHash: word(3),
            fuelLimit: 1_000_000_000, abiVersion: 1,
        }),
        vector!(RunConfigEntry as "RunConfig" {
            profileHash: Profile::V1.hash(), memoryPagesMax: 2_048, seed: word(4),
            time: 1_700_000_000_000_000_000, environmentHash: word(5),
        }),
        vector!(JobOrder as "JobOrder" {
            specHash: word(6), buyer: party(7), hubWallet: party(8), channelId: B256::ZERO,
            maxCharge: 5_000_000_000_000_000_000, fuelPrice: 1_000, baseFee: 7,
            attempts: 7, quorum: 2, deadline: 1_900_000_000, nonce: 9,
        }),
        vector!(Assignment as "Assignment" {
            jobId: word(9), specHash: word(6), miner: party(10), hubWallet: party(8),
            attempt: 3, deadline: 1_900_000_000,
        }),
    ]
}

fn receipts() -> Vec<Value> {
    vec![
        vector!(SealedReceipt as "SealedReceipt" {
            jobId: word(9), miner: party(10), seal: word(11),
        }),
        vector!(SealSet as "SealSet" { jobId: word(9), round: 1, sealsHash: word(12) }),
        vector!(ExecutionReceipt as "ExecutionReceipt" {
            jobId: word(9), specHash: word(6), miner: party(10), hubWallet: party(8),
            resultHash: word(13), fuelUsed: u64::MAX, status: 2, executedAt: 1_900_000_000,
        }),
        vector!(HubReceipt as "HubReceipt" {
            jobId: word(9), specHash: word(6), buyer: party(7), hubWallet: party(8),
            resultHash: word(13), fuelUsed: 42, charged: u128::MAX, receiptsHash: word(14),
            paymentRef: word(15), completedAt: 1_900_000_001,
        }),
    ]
}

fn money() -> Vec<Value> {
    vec![
        vector!(MinerCredit as "MinerCredit" {
            hubWallet: party(8), miner: party(10), cumulative: 12, epoch: 4,
        }),
        vector!(BatchHeader as "BatchHeader" {
            hubWallet: party(8), epoch: 4, prevBatch: word(16), jobsRoot: word(17),
            payRoot: word(18), daHash: word(19), jobs: 3, totalCharged: 100, minerTotalCum: 90,
        }),
        vector!(MinerBinding as "MinerBinding" {
            miner: party(10), endpointId: word(20), hubWallet: party(8), expiry: 1_900_000_000,
        }),
        vector!(FunctionEntry as "FunctionEntry" {
            name: "wordcount".to_owned(), version: "1.0.0".to_owned(), moduleHash: word(1),
            moduleBytes: 12_345, author: party(21),
        }),
    ]
}

#[test]
fn every_signed_record_has_its_digest() {
    let cases: Vec<Value> = [jobs(), receipts(), money()].concat();
    let voucher = Voucher {
        channelId: word(22),
        maxClaimableAmount: 77,
    };
    let channels = Domain {
        settlement: party(0xdb),
        ..domain()
    };
    check(
        "eip712.json",
        &json!({
            "chainId": domain().chain_id,
            "verifyingContract": domain().settlement,
            "domainSeparator": domain().eip712().hash_struct(),
            "cases": cases,
            "x402": {
                "verifyingContract": channels.settlement,
                "type": "Voucher",
                "fields": { "channelId": voucher.channelId, "maxClaimableAmount": "77" },
                "structHash": voucher.eip712_hash_struct(),
                "digest": voucher.eip712_signing_hash(&channels.x402()),
            },
        }),
    );
}

fn job_leaf(tag: u8) -> JobLeaf {
    JobLeaf {
        jobId: word(tag),
        specHash: word(6),
        buyer: party(7),
        channelId: B256::ZERO,
        resultHash: word(13),
        fuelUsed: 1_000 + u64::from(tag),
        charged: 5 + u128::from(tag),
        minersHash: miners_hash(&[MinerId(party(10)), MinerId(party(11))], word(14)),
    }
}

fn job_tree(count: u8) -> Value {
    let leaves: Vec<B256> = (0..count).map(|tag| job_leaf(tag).leaf_hash()).collect();
    let tree = JobTree::new(leaves.clone());
    let proofs: Vec<Value> = (0..usize::from(count))
        .map(|index| json!({ "index": index, "siblings": tree.proof(index).unwrap() }))
        .collect();
    json!({ "leaves": leaves, "root": tree.root(), "proofs": proofs })
}

fn pay_tree(count: u8) -> Value {
    let earnings: Vec<(MinerId, Snm)> = (0..count)
        .map(|tag| (MinerId(party(tag)), Snm(u128::from(tag) * 1_000)))
        .collect();
    let tree = PayTree::new(&earnings);
    let of = |(miner, sum): &(MinerId, Snm)| {
        let siblings = tree.proof(*miner, *sum).unwrap();
        (
            json!({ "miner": miner.0, "cumulative": sum.0.to_string() }),
            json!({ "miner": miner.0, "siblings": siblings }),
        )
    };
    let (leaves, proofs): (Vec<Value>, Vec<Value>) = earnings.iter().map(of).unzip();
    json!({ "leaves": leaves, "root": tree.root(), "proofs": proofs })
}

#[test]
fn both_settlement_trees_have_their_roots() {
    let leaf = job_leaf(3);
    let fields = json!({
        "jobId": leaf.jobId, "specHash": leaf.specHash, "buyer": leaf.buyer,
        "channelId": leaf.channelId, "resultHash": leaf.resultHash,
        "fuelUsed": leaf.fuelUsed.to_string(), "charged": leaf.charged.to_string(),
        "minersHash": leaf.minersHash,
    });
    check(
        "trees.json",
        &json!({
            "jobTrees": ([1, 2, 3, 5, 8, 13].map(job_tree)),
            "payTrees": ([1, 2, 3, 7, 10].map(pay_tree)),
            "jobLeaves": [{ "fields": fields, "hash": leaf.leaf_hash() }],
        }),
    );
}

/// The hub's half of `vectors/http-frame.json`; the guest SDK checks the other half.
#[test]
fn http_frames_are_the_guests_frames() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/http-frame.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let string = |value: &Value| value.as_str().unwrap().to_owned();
    let pairs = |value: &Value| -> Vec<(String, String)> {
        let pair = |pair: &Value| (string(&pair[0]), string(&pair[1]));
        value.as_array().unwrap().iter().map(pair).collect()
    };
    let bytes = |value: &Value| alloy_primitives::hex::decode(value.as_str().unwrap()).unwrap();

    for case in file["requests"].as_array().unwrap() {
        let request = http_frame::Request {
            method: string(&case["method"]),
            path: string(&case["path"]),
            query: string(&case["query"]),
            headers: pairs(&case["headers"]),
            facts: pairs(&case["facts"]),
            body: bytes(&case["body_hex"]),
        };
        assert_eq!(
            request.encode().unwrap(),
            bytes(&case["frame_hex"]),
            "{case}"
        );
    }
    for case in file["responses"].as_array().unwrap() {
        let response = http_frame::Response::decode(&bytes(&case["payload_hex"])).unwrap();
        assert_eq!(u64::from(response.status), case["status"].as_u64().unwrap());
        assert_eq!(response.headers, pairs(&case["headers"]));
        assert_eq!(response.body, bytes(&case["body_hex"]));
    }
}
