//! Settling: one batch per epoch, final after its window, then every miner's claim.
//!
//! Each verb first looks whether the chain has it already. So a hub that was killed between
//! sending and noting it down may do everything again, and nobody is paid twice.

mod errors;

use alloy::primitives::{B256, U256};
use alloy::sol_types::{SolEvent as _, SolStruct as _};
use haar_records::{BatchHeader, HubId, MinerId, Signature, Snm};

use crate::chain::{self, ChainError};
use crate::contracts::settlement::Settlement::{
    self, MinerPaid, SettlementAmountNotIncreasing, chainOfCall, claimCall, claimManyCall,
    commitBatchCall, digestOfCall, finalizeBatchCall, paidToCall, stateOfCall,
};
use crate::deploy::Contracts;
use crate::mirror::mirror;
use crate::send::Sender;
pub use errors::{ClaimError, CommitError, FinalizeError};

/// The most claims in one transaction; a transaction's gas is bounded.
pub const CLAIMS_MAX: usize = 150;

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchState {
    /// The chain does not know it.
    None,
    /// It can be challenged, and be finalized from then on, in seconds since 1970.
    Committed {
        /// When the window ends.
        final_from: u64,
    },
    /// Miners can claim.
    Finalized,
    /// A fraud took it down.
    Voided,
}

/// The tip of a hub's chain of batches: what the next one continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tip {
    /// `prevBatch` of the next batch.
    pub batch: B256,
    /// The next epoch is greater than this one.
    pub epoch: u64,
    /// What miners have earned in all, as of the last batch.
    pub miner_total: Snm,
}

/// A batch that is on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitment {
    /// The header's hash.
    pub batch: B256,
    /// Where it stands now.
    pub state: BatchState,
    /// Whether it was there before this call.
    pub was_there: bool,
    /// The transaction, if this call sent one.
    pub transaction: Option<B256>,
}

/// One miner's earnings in all, with the proof that the hub's latest batch says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who earned.
    pub miner: MinerId,
    /// How much since the beginning.
    pub cumulative: Snm,
    /// From `PayTree::proof`.
    pub proof: Vec<B256>,
}

/// What a miner got by a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// Who got it.
    pub miner: MinerId,
    /// How much.
    pub amount: Snm,
    /// How much in all, with this.
    pub total: Snm,
}

/// The name of a batch: its header's hash, as the contract has it.
#[must_use]
pub fn batch_id(header: &BatchHeader) -> B256 {
    header.eip712_hash_struct()
}

/// Where a batch stands.
pub async fn batch_state(
    contracts: &Contracts,
    header: &BatchHeader,
) -> Result<BatchState, ChainError> {
    let asked = stateOfCall {
        header: mirror(header),
    };
    let found = contracts
        .chain()
        .ask(contracts.at().settlement, asked)
        .await?;
    match found.state {
        0 => Ok(BatchState::None),
        1 => Ok(BatchState::Committed {
            final_from: seconds(found.dueAt),
        }),
        2 => Ok(BatchState::Finalized),
        3 => Ok(BatchState::Voided),
        _ => Err(ChainError::Nonsense("a batch is in no known state")),
    }
}

/// What the hub's next batch has to continue.
pub async fn tip(contracts: &Contracts, hub: HubId) -> Result<Tip, ChainError> {
    let asked = chainOfCall { hub: hub.0 };
    let found = contracts
        .chain()
        .ask(contracts.at().settlement, asked)
        .await?;
    let miner_total = Snm(found.lastCum);
    Ok(Tip {
        batch: found.lastBatch,
        epoch: found.lastEpoch,
        miner_total,
    })
}

/// Commits a batch, unless it is on the chain already.
pub async fn commit(
    contracts: &Contracts,
    sender: &Sender,
    header: &BatchHeader,
    signature: Signature,
) -> Result<Commitment, CommitError> {
    if let Some(there) = find(contracts, header).await? {
        return Ok(there);
    }
    let signature = signature.0.to_vec().into();
    let committed = commitBatchCall {
        header: mirror(header),
        operatorSig: signature,
    };
    let receipt = match sender.call(contracts.at().settlement, committed).await {
        Ok(receipt) => receipt,
        // Somebody may have relayed it in the meantime; anybody may.
        Err(error) => {
            let found = find(contracts, header).await;
            return found?.ok_or_else(|| error.into());
        }
    };

    let batch = batch_id(header);
    let state = batch_state(contracts, header).await?;
    tracing::info!(
        target: "haar::settlement::committed",
        hub = %header.hubWallet, epoch = header.epoch, %batch, jobs = header.jobs
    );
    let transaction = Some(receipt.transaction_hash);
    Ok(Commitment {
        batch,
        state,
        was_there: false,
        transaction,
    })
}

async fn find(
    contracts: &Contracts,
    header: &BatchHeader,
) -> Result<Option<Commitment>, CommitError> {
    let state = batch_state(contracts, header).await?;
    let there = Commitment {
        batch: batch_id(header),
        state,
        was_there: true,
        transaction: None,
    };
    match state {
        BatchState::None => Ok(None),
        BatchState::Voided => Err(CommitError::Voided),
        BatchState::Committed { .. } | BatchState::Finalized => Ok(Some(there)),
    }
}

/// Makes a batch final once its window is over. Nothing happens if it is final already.
pub async fn finalize(
    contracts: &Contracts,
    sender: &Sender,
    header: &BatchHeader,
) -> Result<(), FinalizeError> {
    match batch_state(contracts, header).await? {
        BatchState::None => return Err(FinalizeError::Unknown),
        BatchState::Voided => return Err(FinalizeError::Voided),
        BatchState::Finalized => return Ok(()),
        BatchState::Committed { .. } => {}
    }
    let finalized = finalizeBatchCall {
        header: mirror(header),
    };
    if let Err(error) = sender.call(contracts.at().settlement, finalized).await {
        let state = batch_state(contracts, header).await?;
        return if state == BatchState::Finalized {
            Ok(())
        } else {
            Err(error.into())
        };
    }
    tracing::info!(target: "haar::settlement::final", batch = %batch_id(header));
    Ok(())
}

/// Pays one miner what it has not had yet; `None` if that is nothing.
pub async fn claim(
    contracts: &Contracts,
    sender: &Sender,
    hub: HubId,
    claim: &Claim,
) -> Result<Option<Payment>, ClaimError> {
    let claimed = claimCall {
        hub: hub.0,
        miner: claim.miner.0,
        cumulative: U256::from(claim.cumulative.0),
        proof: claim.proof.clone(),
    };
    let receipt = match sender.call(contracts.at().settlement, claimed).await {
        Ok(receipt) => receipt,
        Err(ChainError::Refused(refusal))
            if refusal.is::<SettlementAmountNotIncreasing>().is_some() =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    Ok(payments(receipt.logs())?.pop())
}

/// Pays many miners of one hub; those with nothing to get are passed over.
pub async fn claim_many(
    contracts: &Contracts,
    sender: &Sender,
    hub: HubId,
    claims: &[Claim],
) -> Result<Vec<Payment>, ClaimError> {
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    if claims.len() > CLAIMS_MAX {
        return Err(ClaimError::TooMany {
            count: claims.len(),
        });
    }
    let lines = claims.iter().cloned().map(|line| Settlement::Claim {
        miner: line.miner.0,
        cumulative: U256::from(line.cumulative.0),
        proof: line.proof,
    });
    let claimed = claimManyCall {
        hub: hub.0,
        claims: lines.collect(),
    };
    let receipt = sender.call(contracts.at().settlement, claimed).await?;
    Ok(payments(receipt.logs())?)
}

/// What a miner has had from a hub in all.
pub async fn paid(contracts: &Contracts, hub: HubId, miner: MinerId) -> Result<Snm, ChainError> {
    let asked = paidToCall {
        hub: hub.0,
        miner: miner.0,
    };
    Ok(Snm(contracts
        .chain()
        .ask(contracts.at().settlement, asked)
        .await?
        .total))
}

/// What is signed for the record with this hash, as the contract says it.
pub async fn digest_of(contracts: &Contracts, struct_hash: B256) -> Result<B256, ChainError> {
    let asked = digestOfCall {
        structHash: struct_hash,
    };
    contracts
        .chain()
        .ask(contracts.at().settlement, asked)
        .await
}

fn payments(logs: &[alloy::rpc::types::Log]) -> Result<Vec<Payment>, ChainError> {
    let events = logs
        .iter()
        .filter_map(|log| MinerPaid::decode_log(&log.inner).ok());
    let payments = events.map(|event| {
        let (amount, total) = (chain::snm(event.amount)?, chain::snm(event.cumulative)?);
        Ok(Payment {
            miner: MinerId(event.miner),
            amount,
            total,
        })
    });
    payments.collect()
}

fn seconds(time: U256) -> u64 {
    u64::try_from(time).unwrap_or(u64::MAX)
}
