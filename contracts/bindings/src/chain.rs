//! One way to reach a chain, be it in this process or behind a URL.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy::eips::BlockNumberOrTag;
use alloy::network::TransactionBuilder as _;
use alloy::primitives::{Address, B256, U64, U256};
use alloy::providers::{DynProvider, Provider, ProviderBuilder};
use alloy::rpc::client::RpcClient;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;
use alloy::transports::{RpcError, TransportError};
use haar_records::Snm;
use serde_json::Value;

use crate::dev::{self, DevChain};
use crate::refusal::Refusal;

/// A chain that does not answer for this long is taken for dead.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);

/// Why something that concerns the chain did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// Nobody answered, or not what was asked. It may have happened all the same.
    #[error("the chain does not answer: {0}")]
    Unreachable(String),
    /// The node did not take the transaction or the question.
    #[error("the chain's node refused: {0}")]
    Node(String),
    /// A contract said no.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The transaction was sent, but no block has it yet. It may still happen.
    #[error("transaction {hash} is not in a block after {} s", waited.as_secs())]
    NotMined {
        /// The transaction.
        hash: B256,
        /// How long we waited.
        waited: Duration,
    },
    /// An answer that cannot be true.
    #[error("the chain's answer makes no sense: {0}")]
    Nonsense(&'static str),
}

impl From<TransportError> for ChainError {
    fn from(error: TransportError) -> Self {
        let RpcError::ErrorResp(answer) = &error else {
            return Self::Unreachable(error.to_string());
        };
        match answer.as_revert_data() {
            Some(data) => Self::Refused(Refusal { data }),
            // Without data there is at least the node's text.
            None => Self::Node(answer.message.to_string()),
        }
    }
}

/// A chain. Clones share the connection and the order in which each key sends.
#[derive(Clone, Debug)]
pub struct Chain {
    provider: DynProvider,
    id: u64,
    turns: Turns,
}

/// One lock for each key, so that two senders of one key never use the same nonce.
type Turns = Arc<Mutex<BTreeMap<Address, Arc<tokio::sync::Mutex<()>>>>>;

impl Chain {
    /// The chain behind the JSON-RPC endpoint `url`.
    pub async fn connect(url: &str) -> Result<Self, ChainError> {
        let url = url
            .parse()
            .map_err(|_| ChainError::Unreachable(format!("'{url}' is no URL")))?;
        Self::over(RpcClient::new_http(url)).await
    }

    /// A development chain in this process.
    pub async fn dev(chain: DevChain) -> Result<Self, ChainError> {
        Self::over(dev::client(chain)).await
    }

    async fn over(client: RpcClient) -> Result<Self, ChainError> {
        // No fillers: the sender decides about nonces, gas and fees itself.
        let builder = ProviderBuilder::new().disable_recommended_fillers();
        let provider = builder.connect_client(client).erased();
        let id = within(provider.get_chain_id()).await?;
        Ok(Self {
            provider,
            id,
            turns: Turns::default(),
        })
    }

    /// alloy's provider, for what has no verb here.
    #[must_use]
    pub fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// The chain's EIP-155 id.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The number of the last block.
    pub async fn height(&self) -> Result<u64, ChainError> {
        within(self.provider.get_block_number()).await
    }

    /// The chain's time as the next transaction would see it, in seconds since 1970.
    ///
    /// On a quiet chain that mines on demand, the last block may be hours old. Not every node
    /// shows the block that it is working on; then the last one has to do.
    pub async fn now(&self) -> Result<u64, ChainError> {
        let time = |tag| async move {
            let block = within(async { self.provider.get_block_by_number(tag).await }).await?;
            Ok::<_, ChainError>(block.map(|block| block.header.timestamp))
        };
        let last = time(BlockNumberOrTag::Latest).await?;
        let last = last.ok_or(ChainError::Nonsense("it has no last block"))?;
        let pending = time(BlockNumberOrTag::Pending).await.ok().flatten();
        Ok(pending.unwrap_or(last).max(last))
    }

    /// Puts the clock of a development chain forward and mines a block there.
    pub async fn time_travel(&self, seconds: u64) -> Result<(), ChainError> {
        self.steer("evm_increaseTime", vec![U64::from(seconds)])
            .await?;
        self.steer("evm_mine", vec![]).await
    }

    /// Sets the time of a development chain's next block.
    pub async fn set_next_block_time(&self, timestamp: u64) -> Result<(), ChainError> {
        self.steer("evm_setNextBlockTimestamp", vec![U64::from(timestamp)])
            .await
    }

    /// Mines an empty block on a development chain.
    pub async fn mine(&self) -> Result<(), ChainError> {
        self.steer("evm_mine", vec![]).await
    }

    /// Asks a contract, without a transaction.
    pub async fn ask<C: SolCall>(
        &self,
        contract: Address,
        call: C,
    ) -> Result<C::Return, ChainError> {
        let request = TransactionRequest::default()
            .with_to(contract)
            .with_input(call.abi_encode());
        let answer = within(async { self.provider.call(request).await }).await?;
        C::abi_decode_returns(&answer)
            .map_err(|_| ChainError::Nonsense("there is no such contract at this address"))
    }

    async fn steer(&self, method: &'static str, params: Vec<U64>) -> Result<(), ChainError> {
        within(self.provider.raw_request::<_, Value>(method.into(), params)).await?;
        Ok(())
    }

    /// The lock that orders what `key` sends.
    pub(crate) fn turn_of(&self, key: Address) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(key).or_default().clone()
    }
}

/// Waits for an answer, but not for ever.
pub(crate) async fn within<T, E>(
    question: impl IntoFuture<Output = Result<T, E>>,
) -> Result<T, ChainError>
where
    ChainError: From<E>,
{
    let answer = tokio::time::timeout(REQUEST_TIME_MAX, question.into_future()).await;
    let silence =
        |_| ChainError::Unreachable(format!("silent for {} s", REQUEST_TIME_MAX.as_secs()));
    Ok(answer.map_err(silence)??)
}

/// An amount that the token can have.
pub(crate) fn snm(amount: U256) -> Result<Snm, ChainError> {
    u128::try_from(amount)
        .map(Snm)
        .map_err(|_| ChainError::Nonsense("more SNM than there can be"))
}
