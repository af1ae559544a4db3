//! The embedded chain, asked in raw JSON as any client would.

use haar_bindings::{Chain, ChainError, DevChain, Sender, U256, snm};
use haar_records::Snm;
use serde_json::{Value, json};

use crate::fog::{Fog, START, key, still_chain};

const ANN: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";

fn ask(chain: &DevChain, method: &str, params: Value) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    let answer = chain.handle(request.to_string().as_bytes());
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["id"], 7);
    answer
}

/// Asks a fresh chain and compares the result.
#[track_caller]
fn check(method: &str, params: Value, expected: Value) {
    assert_eq!(
        ask(&still_chain(), method, params)["result"],
        expected,
        "{method}"
    );
}

/// Asks a fresh chain and compares the error's code and a part of its text.
#[track_caller]
fn check_refused(method: &str, params: Value, code: i64, part: &str) {
    let answer = ask(&still_chain(), method, params);
    assert_eq!(answer["error"]["code"], code, "{answer}");
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(text.contains(part), "{text}");
}

#[test]
fn a_fresh_chain_answers_what_a_provider_asks() {
    check("eth_chainId", json!([]), json!("0x7a69"));
    check("net_version", json!([]), json!("31337"));
    check("eth_blockNumber", json!([]), json!("0x0"));
    check("eth_gasPrice", json!([]), json!("0x3b9aca00"));
    check("eth_maxPriorityFeePerGas", json!([]), json!("0x0"));
    check(
        "eth_getBalance",
        json!([ANN, "latest"]),
        json!("0x21e19e0c9bab2400000"),
    );
    check(
        "eth_getTransactionCount",
        json!([ANN, "pending"]),
        json!("0x0"),
    );
    check("eth_getCode", json!([ANN]), json!("0x"));
    check(
        "eth_getTransactionReceipt",
        json!([format!("0x{}", "1".repeat(64))]),
        Value::Null,
    );
    check("eth_getLogs", json!([{ "fromBlock": "0x0" }]), json!([]));
    check(
        "eth_estimateGas",
        json!([{ "from": ANN, "to": ANN, "value": "0x1" }]),
        json!("0x5208"),
    );
    check("eth_getBlockByNumber", json!(["0x1", false]), Value::Null);
}

#[test]
fn nonsense_is_refused_with_the_usual_codes() {
    check_refused("eth_foo", json!([]), -32601, "does not exist");
    check_refused("eth_getBalance", json!([]), -32602, "missing");
    check_refused("eth_getBalance", json!(["0x12"]), -32602, "invalid params");
    check_refused(
        "eth_sendRawTransaction",
        json!(["0x02c0"]),
        -32000,
        "failed to decode",
    );
    check_refused("evm_setNextBlockTimestamp", json!([1]), -32000, "timestamp");
    check_refused(
        "evm_increaseTime",
        json!(["0xffffffffffffffff"]),
        -32000,
        "timestamp",
    );
    check_refused("evm_mine", json!(["0xffffffff"]), -32602, "at most");
}

#[test]
fn a_malformed_request_gets_an_answer() {
    let chain = still_chain();
    for (request, code) in [
        ("", -32700),
        ("{", -32700),
        ("[]", -32600),
        ("1", -32600),
        (&format!("[{}1]", "1,".repeat(100)), -32600),
        (&format!("\"{}\"", "x".repeat(1 << 20)), -32600),
        (&"[".repeat(100_000), -32700),
    ] {
        let answer: Value = serde_json::from_slice(&chain.handle(request.as_bytes())).unwrap();
        assert_eq!(
            answer["error"]["code"],
            code,
            "{}",
            &request[..request.len().min(20)]
        );
    }
}

#[test]
fn a_batch_is_answered_in_order() {
    let call = |id: u64, method: &str| json!({ "id": id, "method": method });
    let batch = json!([call(1, "evm_mine"), call(2, "eth_blockNumber")]).to_string();
    let answer: Value = serde_json::from_slice(&still_chain().handle(batch.as_bytes())).unwrap();
    assert_eq!(
        answer[1],
        json!({ "jsonrpc": "2.0", "id": 2, "result": "0x1" })
    );
}

#[test]
fn old_states_are_not_kept_and_not_made_up() {
    let chain = still_chain();
    ask(&chain, "evm_mine", json!([]));
    let answer = ask(&chain, "eth_getBalance", json!([ANN, "0x0"]));
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("latest state")
    );
    let answer = ask(&chain, "eth_getBalance", json!([ANN, "0x1"]));
    assert_eq!(answer["result"], "0x21e19e0c9bab2400000");
}

#[test]
fn time_goes_forward_only() {
    let chain = still_chain();
    let time = |tag: &str| {
        let block = ask(&chain, "eth_getBlockByNumber", json!([tag, false]));
        let text = block["result"]["timestamp"].as_str().unwrap().to_owned();
        u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
    };
    assert_eq!(time("latest"), START);
    ask(&chain, "evm_mine", json!([]));
    assert_eq!(
        time("latest"),
        START + 1,
        "two blocks never have the same time"
    );
    ask(&chain, "evm_increaseTime", json!([100]));
    ask(&chain, "evm_mine", json!([]));
    assert_eq!(time("latest"), START + 101);
    ask(&chain, "evm_setNextBlockTimestamp", json!([START + 500]));
    ask(&chain, "evm_mine", json!([2]));
    assert_eq!(time("latest"), START + 501, "the clock goes on from there");
    assert_eq!(time("pending"), START + 502);
}

#[tokio::test]
async fn nonces_are_used_once_and_in_order() {
    let dev = still_chain();
    let chain = Chain::dev(dev.clone()).await.unwrap();
    let fog = Fog::new(&chain).await;
    let hash = snm::transfer(&fog.contracts, &fog.buyer, fog.owner.address(), Snm(1)).await;
    let hash = hash.unwrap().to_string();

    let sent = ask(&dev, "eth_getTransactionByHash", json!([hash]));
    assert_eq!(sent["result"]["nonce"], "0x0");
    let receipt = ask(&dev, "eth_getTransactionReceipt", json!([hash]));
    assert_eq!(receipt["result"]["status"], "0x1");
    assert_eq!(receipt["result"]["blockHash"], sent["result"]["blockHash"]);
}

#[tokio::test]
async fn one_key_can_send_many_transactions_at_once() {
    let chain = Chain::dev(still_chain()).await.unwrap();
    let fog = Fog::new(&chain).await;
    let to = fog.stranger.address();
    let sends = (0..8).map(|_| {
        // A sender of its own each: what orders them is the key.
        let (contracts, sender) = (fog.contracts.clone(), Sender::new(&chain, &key(2)));
        tokio::spawn(async move { snm::transfer(&contracts, &sender, to, Snm::whole(1)).await })
    });
    for send in sends.collect::<Vec<_>>() {
        send.await.unwrap().unwrap();
    }
    assert_eq!(fog.balance(&fog.stranger).await, Snm::whole(8));
}

#[tokio::test]
async fn two_programs_with_one_key_do_not_block_each_other() {
    // Two connections know nothing of each other's locks, as two processes would not.
    let dev = still_chain();
    let (one, other) = (
        Chain::dev(dev.clone()).await.unwrap(),
        Chain::dev(dev).await.unwrap(),
    );
    let fog = Fog::new(&one).await;
    let to = fog.stranger.address();
    let sends = [&one, &other].map(|chain| {
        let (contracts, sender) = (fog.contracts.clone(), Sender::new(chain, &key(2)));
        tokio::spawn(async move {
            for _ in 0..5 {
                snm::transfer(&contracts, &sender, to, Snm::whole(1))
                    .await
                    .unwrap();
            }
        })
    });
    for send in sends {
        send.await.unwrap();
    }
    assert_eq!(fog.balance(&fog.stranger).await, Snm::whole(10));
}

#[tokio::test]
async fn a_wrong_address_is_no_panic() {
    let chain = Chain::dev(still_chain()).await.unwrap();
    let fog = Fog::new(&chain).await;
    let asked = haar_bindings::contracts::snm::SNM::totalSupplyCall {};
    let nowhere = chain.ask(fog.stranger.address(), asked).await;
    assert!(
        matches!(nowhere, Err(ChainError::Nonsense(_))),
        "{nowhere:?}"
    );
    let asked = haar_bindings::contracts::snm::SNM::totalSupplyCall {};
    let supply = chain.ask(fog.contracts.at().snm, asked).await.unwrap();
    assert_eq!(supply, U256::from(Snm::whole(444_000_000).0));
}
