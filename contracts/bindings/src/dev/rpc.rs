//! Answers JSON-RPC requests: the methods that alloy's provider needs, and nothing more.

use alloy::consensus::BlockHeader as _;
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::rpc::types::{FeeHistory, Filter, FilterBlockOption, Log, TransactionRequest};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::CHAIN_ID;
use super::block::{BASE_FEE, BLOCK_GAS, Mined};
use super::chain::{Ledger, Rejection};
use super::evm::CallFailure;
use crate::refusal::reason;

/// The largest request.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;

/// The most calls in one request.
const BATCH_CALLS_MAX: usize = 100;

/// The most logs in one answer; a reader asks again with a smaller range.
const LOGS_MAX: usize = 10_000;

/// The most blocks that one fee history goes back.
const FEE_BLOCKS_MAX: u64 = 1_024;

/// The most blocks that one `evm_mine` adds.
const MINE_BLOCKS_MAX: u64 = 1_024;

#[derive(Debug, Deserialize)]
struct Request {
    #[serde(default)]
    id: Value,
    method: String,
    #[serde(default)]
    params: Value,
}

/// Why a request has no result.
#[derive(Debug, Serialize)]
struct Failure {
    code: i64,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Bytes>,
}

impl Failure {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    fn params(what: impl std::fmt::Display) -> Self {
        Self::new(-32602, format!("invalid params: {what}"))
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::new(-32000, rejection.to_string())
    }
}

impl From<CallFailure> for Failure {
    fn from(failure: CallFailure) -> Self {
        match failure {
            CallFailure::Reverted(data) => {
                let reason = reason(&data);
                let message = reason.map_or("execution reverted".to_owned(), |reason| {
                    format!("execution reverted: {reason}")
                });
                Self {
                    code: 3,
                    message,
                    data: Some(data),
                }
            }
            CallFailure::Halted(reason) => Self::new(-32000, format!("EVM error {reason}")),
            CallFailure::Invalid(reason) => Self::new(-32000, reason),
        }
    }
}

/// Answers one request or one batch.
pub(super) fn handle(ledger: &mut Ledger, now: u64, bytes: &[u8]) -> Vec<u8> {
    let parsed = match serde_json::from_slice::<Value>(bytes) {
        _ if bytes.len() > REQUEST_BYTES_MAX => {
            Err(Failure::new(-32600, "the request is too large"))
        }
        Err(error) => Err(Failure::new(-32700, format!("parse error: {error}"))),
        Ok(Value::Array(calls)) if calls.is_empty() || calls.len() > BATCH_CALLS_MAX => Err(
            Failure::new(-32600, format!("a batch has 1 to {BATCH_CALLS_MAX} calls")),
        ),
        Ok(parsed) => Ok(parsed),
    };
    let answer = match parsed {
        Err(failure) => respond(Value::Null, Err(failure)),
        Ok(Value::Array(calls)) => calls
            .into_iter()
            .map(|call| handle_one(ledger, now, call))
            .collect(),
        Ok(call) => handle_one(ledger, now, call),
    };
    serde_json::to_vec(&answer).expect("a JSON value can always be written")
}

fn handle_one(ledger: &mut Ledger, now: u64, call: Value) -> Value {
    match serde_json::from_value::<Request>(call) {
        Err(error) => respond(
            Value::Null,
            Err(Failure::new(-32600, format!("invalid request: {error}"))),
        ),
        Ok(request) => {
            let result = answer(ledger, now, &request.method, &Params(request.params));
            respond(request.id, result)
        }
    }
}

fn respond(id: Value, result: Result<Value, Failure>) -> Value {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
    }
}

/// The parameters of a call, by position.
struct Params(Value);

impl Params {
    fn get<T: DeserializeOwned>(&self, index: usize) -> Result<T, Failure> {
        self.optional(index)?
            .ok_or_else(|| Failure::params(format!("number {index} is missing")))
    }

    fn optional<T: DeserializeOwned>(&self, index: usize) -> Result<Option<T>, Failure> {
        match self.0.get(index) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value.clone())
                .map(Some)
                .map_err(Failure::params),
        }
    }

    /// A number in hexadecimal, as the protocol has it, or in decimal, as people type it.
    fn number(&self, index: usize) -> Result<Option<u64>, Failure> {
        if let Some(number) = self.0.get(index).and_then(Value::as_u64) {
            return Ok(Some(number));
        }
        Ok(self.optional::<U64>(index)?.map(|number| number.to()))
    }
}

fn answer(ledger: &mut Ledger, now: u64, method: &str, params: &Params) -> Result<Value, Failure> {
    match method {
        "eth_sendRawTransaction" => show(ledger.send(now, &params.get::<Bytes>(0)?)?),
        "evm_mine" => {
            let blocks = params.number(0)?.unwrap_or(1);
            if blocks > MINE_BLOCKS_MAX {
                return Err(Failure::params(format!(
                    "at most {MINE_BLOCKS_MAX} blocks at once"
                )));
            }
            (0..blocks).try_for_each(|_| ledger.mine(now))?;
            Ok(json!("0x0"))
        }
        "evm_increaseTime" => {
            let seconds = params
                .number(0)?
                .ok_or_else(|| Failure::params("no seconds"))?;
            Ok(json!(ledger.increase_time(now, seconds)?))
        }
        "evm_setNextBlockTimestamp" => {
            let timestamp = params
                .number(0)?
                .ok_or_else(|| Failure::params("no timestamp"))?;
            ledger.set_next_timestamp(now, timestamp)?;
            Ok(Value::Null)
        }
        _ => read(ledger, now, method, params),
    }
}

fn read(ledger: &Ledger, now: u64, method: &str, params: &Params) -> Result<Value, Failure> {
    let account = |index| Ok::<_, Failure>(ledger.world().account(params.get::<Address>(index)?));
    match method {
        "eth_chainId" => show(U64::from(CHAIN_ID)),
        "net_version" => Ok(json!(CHAIN_ID.to_string())),
        "web3_clientVersion" => Ok(json!(concat!("haar-dev-chain/", env!("CARGO_PKG_VERSION")))),
        "eth_blockNumber" => show(U64::from(ledger.height())),
        "eth_gasPrice" => show(U64::from(BASE_FEE)),
        "eth_maxPriorityFeePerGas" => show(U64::ZERO),
        "eth_feeHistory" => show(fee_history(ledger, params)?),
        "eth_call" => {
            only_now(ledger, params, 1)?;
            show(
                ledger
                    .world()
                    .call(ledger.next_place(now), &params.get(0)?)?,
            )
        }
        "eth_estimateGas" => {
            let request: TransactionRequest = params.get(0)?;
            show(U64::from(
                ledger.world().estimate(ledger.next_place(now), &request)?,
            ))
        }
        "eth_getBalance" => {
            only_now(ledger, params, 1)?;
            show(account(0)?.balance)
        }
        "eth_getTransactionCount" => {
            only_now(ledger, params, 1)?;
            show(U64::from(account(0)?.nonce))
        }
        "eth_getCode" => {
            only_now(ledger, params, 1)?;
            show(ledger.world().code(params.get(0)?))
        }
        "eth_getStorageAt" => {
            only_now(ledger, params, 2)?;
            show(
                ledger
                    .world()
                    .storage(params.get(0)?, params.get::<U256>(1)?),
            )
        }
        "eth_getTransactionReceipt" => show(
            ledger
                .block_of(params.get::<B256>(0)?)
                .and_then(Mined::to_receipt),
        ),
        "eth_getTransactionByHash" => show(
            ledger
                .block_of(params.get::<B256>(0)?)
                .and_then(Mined::to_transaction),
        ),
        "eth_getBlockByNumber" => {
            let tag = params.get(0)?;
            let full = params.optional(1)?.unwrap_or(false);
            if tag == BlockNumberOrTag::Pending {
                return show(ledger.next_block(now).to_block(full));
            }
            let block = find(ledger, tag);
            show(block.map(|block| block.to_block(full)))
        }
        "eth_getLogs" => show(logs(ledger, &params.get(0)?)?),
        _ => Err(Failure::new(
            -32601,
            format!("the method {method} does not exist"),
        )),
    }
}

fn show<T: Serialize>(value: T) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|error| Failure::new(-32603, error.to_string()))
}

fn find(ledger: &Ledger, tag: BlockNumberOrTag) -> Option<&Mined> {
    let number = match tag {
        BlockNumberOrTag::Number(number) => number,
        BlockNumberOrTag::Earliest => 0,
        // What is mined here is final at once.
        _ => ledger.height(),
    };
    ledger.blocks().get(usize::try_from(number).ok()?)
}

/// This chain keeps no old states; a question about one must not get today's answer.
fn only_now(ledger: &Ledger, params: &Params, index: usize) -> Result<(), Failure> {
    let now = match params.optional::<BlockId>(index)? {
        None => true,
        Some(BlockId::Number(tag)) => {
            find(ledger, tag).is_some_and(|block| block.header.number() == ledger.height())
        }
        Some(BlockId::Hash(hash)) => ledger
            .blocks()
            .last()
            .is_some_and(|block| block.header.hash() == hash.block_hash),
    };
    if now {
        Ok(())
    } else {
        Err(Failure::new(
            -32000,
            "this chain keeps only its latest state",
        ))
    }
}

fn fee_history(ledger: &Ledger, params: &Params) -> Result<FeeHistory, Failure> {
    let count = params.number(0)?.unwrap_or(1).clamp(1, FEE_BLOCKS_MAX);
    let newest = find(ledger, params.get(1)?).ok_or_else(|| Failure::params("no such block"))?;
    let percentiles = params
        .optional::<Vec<f64>>(2)?
        .map_or(0, |asked| asked.len());

    let newest = newest.header.number();
    let oldest = (newest + 1).saturating_sub(count);
    let range = oldest as usize..=newest as usize;
    let ratio = |block: &Mined| block.header.gas_used() as f64 / BLOCK_GAS as f64;
    let ratios: Vec<f64> = ledger.blocks()[range].iter().map(ratio).collect();
    Ok(FeeHistory {
        base_fee_per_gas: vec![u128::from(BASE_FEE); ratios.len() + 1],
        reward: (percentiles > 0).then(|| vec![vec![0; percentiles.min(100)]; ratios.len()]),
        gas_used_ratio: ratios,
        oldest_block: oldest,
        ..FeeHistory::default()
    })
}

fn logs(ledger: &Ledger, filter: &Filter) -> Result<Vec<Log>, Failure> {
    let height = ledger.height();
    let number = |tag: Option<BlockNumberOrTag>| match tag {
        Some(BlockNumberOrTag::Number(number)) => number,
        Some(BlockNumberOrTag::Earliest) => 0,
        _ => height,
    };
    let (from, to) = match filter.block_option {
        FilterBlockOption::Range {
            from_block,
            to_block,
        } => (number(from_block), number(to_block)),
        FilterBlockOption::AtBlockHash(hash) => {
            let found = ledger
                .blocks()
                .iter()
                .find(|block| block.header.hash() == hash);
            let at = found
                .ok_or_else(|| Failure::new(-32000, "unknown block"))?
                .header
                .number();
            (at, at)
        }
    };

    let mut found = Vec::new();
    let to = to.min(height);
    let range = if from <= to {
        from as usize..to as usize + 1
    } else {
        0..0
    };
    for block in &ledger.blocks()[range] {
        if filter.matches_bloom(block.header.logs_bloom()) {
            found.extend(
                block
                    .to_logs()
                    .into_iter()
                    .filter(|log| filter.matches(&log.inner)),
            );
        }
        if found.len() > LOGS_MAX {
            let message = format!("more than {LOGS_MAX} logs; ask for a smaller range");
            return Err(Failure::new(-32005, message));
        }
    }
    Ok(found)
}
