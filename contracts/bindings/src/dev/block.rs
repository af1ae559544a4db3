//! Blocks with at most one transaction, and how JSON-RPC shows them.

use alloy::consensus::transaction::Recovered;
use alloy::consensus::{
    BlockHeader as _, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, Sealed, Transaction as _,
    TxEnvelope, TxType, constants::EMPTY_OMMER_ROOT_HASH, proofs,
};
use alloy::primitives::{Address, B256, Bloom, Log, logs_bloom};
use alloy::rpc::types::{
    Block, BlockTransactions, Header as RpcHeader, Log as RpcLog, Transaction, TransactionReceipt,
};

/// The gas that one block has room for.
pub(super) const BLOCK_GAS: u64 = 30_000_000;

/// Wei per gas, the same in every block: nobody competes for room on this chain.
pub(super) const BASE_FEE: u64 = 1_000_000_000;

/// A mined block.
#[derive(Debug)]
pub(super) struct Mined {
    pub(super) header: Sealed<Header>,
    pub(super) transaction: Option<Executed>,
}

/// A transaction and what became of it.
#[derive(Debug, Clone)]
pub(super) struct Executed {
    pub(super) signed: Recovered<TxEnvelope>,
    pub(super) succeeded: bool,
    pub(super) gas_used: u64,
    pub(super) logs: Vec<Log>,
    pub(super) created: Option<Address>,
}

impl Executed {
    fn receipt<T: AsRef<Log>>(&self, logs: Vec<T>) -> ReceiptEnvelope<T> {
        let receipt = ReceiptWithBloom {
            logs_bloom: logs_bloom(self.logs.iter()),
            receipt: Receipt {
                status: self.succeeded.into(),
                cumulative_gas_used: self.gas_used,
                logs,
            },
        };
        match self.signed.tx_type() {
            TxType::Eip2930 => ReceiptEnvelope::Eip2930(receipt),
            TxType::Eip1559 => ReceiptEnvelope::Eip1559(receipt),
            TxType::Eip4844 => ReceiptEnvelope::Eip4844(receipt),
            TxType::Eip7702 => ReceiptEnvelope::Eip7702(receipt),
            TxType::Legacy => ReceiptEnvelope::Legacy(receipt),
        }
    }
}

impl Mined {
    /// Closes a block. The state root stays zero: nobody asks this chain for state proofs, and
    /// hashing the whole state would cost more than running the transaction.
    pub(super) fn close(
        parent: Option<&Sealed<Header>>,
        timestamp: u64,
        transaction: Option<Executed>,
    ) -> Self {
        let envelopes: Vec<&TxEnvelope> =
            transaction.iter().map(|one| one.signed.inner()).collect();
        let receipts: Vec<ReceiptEnvelope> = transaction
            .iter()
            .map(|one| one.receipt(one.logs.clone()))
            .collect();
        let header = Header {
            parent_hash: parent.map_or(B256::ZERO, Sealed::hash),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            transactions_root: proofs::calculate_transaction_root(&envelopes),
            receipts_root: proofs::calculate_receipt_root(&receipts),
            logs_bloom: transaction
                .as_ref()
                .map_or(Bloom::ZERO, |one| logs_bloom(one.logs.iter())),
            number: parent.map_or(0, |parent| parent.number() + 1),
            gas_limit: BLOCK_GAS,
            gas_used: transaction.as_ref().map_or(0, |one| one.gas_used),
            timestamp,
            mix_hash: randomness(parent.map_or(B256::ZERO, Sealed::hash)),
            base_fee_per_gas: Some(BASE_FEE),
            ..Header::default()
        };
        Self {
            header: Sealed::new(header),
            transaction,
        }
    }

    fn hash(&self) -> B256 {
        self.header.hash()
    }

    /// The answer to `eth_getBlockByNumber`.
    pub(super) fn to_block(&self, full: bool) -> Block {
        let transactions = if full {
            BlockTransactions::Full(self.to_transaction().into_iter().collect())
        } else {
            let hash = self.transaction.as_ref().map(|one| *one.signed.tx_hash());
            BlockTransactions::Hashes(hash.into_iter().collect())
        };
        Block {
            header: RpcHeader::from_sealed(self.header.clone()),
            uncles: Vec::new(),
            transactions,
            withdrawals: None,
        }
    }

    /// The answer to `eth_getTransactionByHash`.
    pub(super) fn to_transaction(&self) -> Option<Transaction> {
        let executed = self.transaction.as_ref()?;
        Some(Transaction {
            inner: executed.signed.clone(),
            block_hash: Some(self.hash()),
            block_number: Some(self.header.number()),
            transaction_index: Some(0),
            effective_gas_price: Some(executed.signed.effective_gas_price(Some(BASE_FEE))),
            block_timestamp: Some(self.header.timestamp()),
        })
    }

    /// The answer to `eth_getTransactionReceipt`.
    pub(super) fn to_receipt(&self) -> Option<TransactionReceipt> {
        let executed = self.transaction.as_ref()?;
        Some(TransactionReceipt {
            inner: executed.receipt(self.to_logs()),
            transaction_hash: *executed.signed.tx_hash(),
            transaction_index: Some(0),
            block_hash: Some(self.hash()),
            block_number: Some(self.header.number()),
            gas_used: executed.gas_used,
            effective_gas_price: executed.signed.effective_gas_price(Some(BASE_FEE)),
            blob_gas_used: None,
            blob_gas_price: None,
            from: executed.signed.signer(),
            to: executed.signed.to(),
            contract_address: executed.created,
        })
    }

    /// This block's part of the answer to `eth_getLogs`, before filtering.
    pub(super) fn to_logs(&self) -> Vec<RpcLog> {
        let Some(executed) = &self.transaction else {
            return Vec::new();
        };
        let shown = executed.logs.iter().zip(0..).map(|(log, index)| RpcLog {
            inner: log.clone(),
            block_hash: Some(self.hash()),
            block_number: Some(self.header.number()),
            block_timestamp: Some(self.header.timestamp()),
            transaction_hash: Some(*executed.signed.tx_hash()),
            transaction_index: Some(0),
            log_index: Some(index),
            removed: false,
        });
        shown.collect()
    }
}

/// `prevrandao` of the block after `parent`: the same on every replay, and nobody's choice.
pub(super) fn randomness(parent: B256) -> B256 {
    alloy::primitives::keccak256([parent.as_slice(), b"haar dev chain"].concat())
}
