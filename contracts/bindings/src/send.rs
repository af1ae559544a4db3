//! Signs transactions and waits until each is in a block.
//!
//! One key sends one transaction at a time, and the chain says which nonce is next. alloy's own
//! filler counts by itself and never resyncs, so one failed send would block the key for ever.

use std::sync::Arc;
use std::time::Duration;

use alloy::consensus::SignableTransaction as _;
use alloy::eips::eip2718::Encodable2718 as _;
use alloy::network::TransactionBuilder as _;
use alloy::primitives::{Address, B256, U256};
use alloy::providers::Provider as _;
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::signers::SignerSync as _;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolConstructor};
use haar_records::Keypair;
use tokio::time::Instant;

use crate::chain::{Chain, ChainError, within};
use crate::refusal::Refusal;

/// How long a transaction may take to get into a block.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks for a receipt: at first short, for chains that mine at once, then longer.
const LOOK_AFTER: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];

/// Another process may send with the same key; then the nonce is asked for again.
const NONCE_TRIES: u32 = 8;

/// No transaction of ours needs more (EIP-7825 allows no more either).
const GAS_MAX: u64 = 1 << 24;

/// Sends with one key.
#[derive(Clone, Debug)]
pub struct Sender {
    chain: Chain,
    signer: PrivateKeySigner,
    turn: Arc<tokio::sync::Mutex<()>>,
    patience: Duration,
}

impl Sender {
    /// Sends with `key` on `chain`.
    #[must_use]
    pub fn new(chain: &Chain, key: &Keypair) -> Self {
        let signer = PrivateKeySigner::from_bytes(&B256::from(key.to_bytes()));
        let signer = signer.expect("a keypair holds a valid key");
        let turn = chain.turn_of(signer.address());
        Self {
            chain: chain.clone(),
            signer,
            turn,
            patience: PATIENCE,
        }
    }

    /// Waits this long for a block instead of two minutes.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The account that pays the gas and that contracts see.
    #[must_use]
    pub fn address(&self) -> Address {
        self.signer.address()
    }

    /// The chain that it sends on.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Sends one transaction and waits for its receipt. A contract's refusal is found out before
    /// anything is sent, wherever possible.
    pub async fn send(
        &self,
        request: TransactionRequest,
    ) -> Result<TransactionReceipt, ChainError> {
        let _turn = self.turn.lock().await;
        let request = request
            .with_from(self.address())
            .with_chain_id(self.chain.id());
        let hash = self.submit(&request).await?;
        let receipt = self.wait(hash).await?;
        if receipt.status() {
            tracing::debug!(target: "haar::chain::mined", %hash, gas = receipt.gas_used);
            return Ok(receipt);
        }

        // It passed the trial and failed in the block: somebody else was faster. Asking again
        // gives the reason, if it still holds.
        match within(async { self.chain.provider().call(request).await }).await {
            Err(refused @ ChainError::Refused(_)) => Err(refused),
            _ => Err(Refusal {
                data: Default::default(),
            }
            .into()),
        }
    }

    /// Calls a contract's function in a transaction.
    pub async fn call<C: SolCall>(
        &self,
        contract: Address,
        call: C,
    ) -> Result<TransactionReceipt, ChainError> {
        let request = TransactionRequest::default().with_to(contract);
        self.send(request.with_input(call.abi_encode())).await
    }

    /// Puts a contract on the chain: its code, followed by what its constructor is told.
    pub async fn create(
        &self,
        code: &[u8],
        told: impl SolConstructor,
    ) -> Result<Address, ChainError> {
        let code = [code, &told.abi_encode()].concat();
        let receipt = self
            .send(TransactionRequest::default().with_deploy_code(code))
            .await?;
        receipt
            .contract_address
            .ok_or(ChainError::Nonsense("a new contract has no address"))
    }

    /// Gives another account whole coins of the chain, for its gas.
    pub async fn give_gas(&self, to: Address, coins: u64) -> Result<(), ChainError> {
        let wei = U256::from(coins) * U256::from(10).pow(U256::from(18));
        self.send(TransactionRequest::default().with_to(to).with_value(wei))
            .await?;
        Ok(())
    }

    async fn submit(&self, request: &TransactionRequest) -> Result<B256, ChainError> {
        let provider = self.chain.provider();
        let gas = within(async { provider.estimate_gas(request.clone()).await }).await?;
        let gas = gas.saturating_add(gas / 4).min(GAS_MAX);
        let mut tries = 0;
        loop {
            tries += 1;
            let nonce = async {
                provider
                    .get_transaction_count(self.address())
                    .pending()
                    .await
            };
            let nonce = within(nonce).await?;
            let fees = within(async { provider.estimate_eip1559_fees().await }).await?;
            let filled = request
                .clone()
                .with_nonce(nonce)
                .with_gas_limit(gas)
                .with_max_fee_per_gas(fees.max_fee_per_gas)
                .with_max_priority_fee_per_gas(fees.max_priority_fee_per_gas);
            let (raw, hash) = self.sign(filled)?;

            let sent = within(async { provider.send_raw_transaction(&raw).await }).await;
            match sent {
                Ok(_) => return Ok(hash),
                Err(ChainError::Node(text)) if is_nonce_taken(&text) && tries < NONCE_TRIES => {
                    tracing::warn!(target: "haar::chain::nonce-taken", nonce, tries, text);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn sign(&self, request: TransactionRequest) -> Result<(Vec<u8>, B256), ChainError> {
        let unsigned = request
            .build_1559()
            .map_err(|_| ChainError::Nonsense("a transaction lacks a part"))?;
        let signature = self.signer.sign_hash_sync(&unsigned.signature_hash());
        let signature = signature.map_err(|_| ChainError::Nonsense("the key does not sign"))?;
        let signed = unsigned.into_signed(signature);
        let envelope = alloy::consensus::TxEnvelope::from(signed);
        Ok((envelope.encoded_2718(), *envelope.tx_hash()))
    }

    async fn wait(&self, hash: B256) -> Result<TransactionReceipt, ChainError> {
        let start = Instant::now();
        let [mut pause, longest] = LOOK_AFTER;
        loop {
            let receipt = self.chain.provider().get_transaction_receipt(hash);
            // The transaction is out; a node that is deaf for a moment changes nothing about it.
            match within(receipt).await {
                Ok(Some(receipt)) => return Ok(receipt),
                Ok(None) | Err(ChainError::Unreachable(_)) => {}
                Err(error) => return Err(error),
            }
            let waited = start.elapsed();
            if waited >= self.patience {
                return Err(ChainError::NotMined { hash, waited });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}

fn is_nonce_taken(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    // "Already known" is somebody else's transaction too: another process has sent exactly the
    // same with this nonce. To take it for ours would drop one of two equal payments.
    [
        "nonce too low",
        "nonce too high",
        "replacement transaction underpriced",
        "already known",
    ]
    .iter()
    .any(|known| text.contains(known))
}
