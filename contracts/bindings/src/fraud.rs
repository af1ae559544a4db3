//! The proofs that need no vote: two signed statements that contradict each other.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::{SolCall, SolEvent as _};
use haar_records::eip712::JobSpec;
use haar_records::{BatchHeader, ExecutionReceipt, HubReceipt, JobLeaf, Signed, Snm};

use crate::chain::{self, ChainError};
use crate::contracts::frauds::FraudProofs::{
    FraudProofsAbiNotSlashable, FraudProofsAlreadyPunished, FraudProofsNoContradiction,
    FraudProofsNotDeterministic, FraudProofsUnknownSigner, FraudProved, bountyOfCall,
    proveLeafContradictsReceiptCall, proveMinerEquivocationCall, proveTwoBatchesCall,
    proveTwoReceiptsCall, withdrawBountyCall,
};
use crate::contracts::settlement::Settlement::SettlementInvalidProof;
use crate::deploy::Contracts;
use crate::mirror::mirror;
use crate::send::Sender;

/// A proof that does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FraudError {
    /// It was proved before.
    #[error("this fraud has been punished already")]
    AlreadyPunished,
    /// The two statements agree.
    #[error("the two statements do not contradict each other")]
    NoContradiction,
    /// A signature is not the accused's.
    #[error("signed by {found}, which is no key of {accused}")]
    UnknownSigner {
        /// Who is said to have signed.
        accused: Address,
        /// Who signed.
        found: Address,
    },
    /// The leaf is not in the batch.
    #[error("the batch has no such leaf at this place")]
    WrongProof,
    /// The outcomes may differ between honest runs.
    #[error("the outcomes are not of a kind that must agree")]
    NotSlashable,
    /// The chain.
    #[error(transparent)]
    Chain(ChainError),
}

impl From<ChainError> for FraudError {
    fn from(error: ChainError) -> Self {
        let ChainError::Refused(refusal) = &error else {
            return Self::Chain(error);
        };
        if refusal.is::<FraudProofsAlreadyPunished>().is_some() {
            return Self::AlreadyPunished;
        }
        if refusal.is::<FraudProofsNoContradiction>().is_some() {
            return Self::NoContradiction;
        }
        if let Some(FraudProofsUnknownSigner { claimedBy, got }) = refusal.is() {
            return Self::UnknownSigner {
                accused: claimedBy,
                found: got,
            };
        }
        if refusal.is::<SettlementInvalidProof>().is_some() {
            return Self::WrongProof;
        }
        let soft = refusal.is::<FraudProofsAbiNotSlashable>().is_some()
            || refusal.is::<FraudProofsNotDeterministic>().is_some();
        if soft {
            Self::NotSlashable
        } else {
            Self::Chain(error)
        }
    }
}

/// A fraud that the chain has punished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Punishment {
    /// The hub or miner.
    pub culprit: Address,
    /// Names the fraud: each is punished once.
    pub key: B256,
    /// What the reporter can withdraw for it.
    pub bounty: Snm,
    /// The transaction.
    pub transaction: B256,
}

/// A leaf of a committed batch, with the proof of its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedLeaf {
    /// The batch.
    pub header: BatchHeader,
    /// What the hub settled.
    pub leaf: JobLeaf,
    /// Its place.
    pub index: u32,
    /// From `JobTree::proof`.
    pub proof: Vec<B256>,
}

/// E4: a hub settled a job with another result, fuel or charge than it had signed.
pub async fn contradicted_leaf(
    contracts: &Contracts,
    reporter: &Sender,
    receipt: &Signed<HubReceipt>,
    settled: &PlacedLeaf,
) -> Result<Punishment, FraudError> {
    let proof = proveLeafContradictsReceiptCall {
        receipt: mirror(&receipt.record),
        operatorSig: receipt.signature.0.to_vec().into(),
        header: mirror(&settled.header),
        leaf: mirror(&settled.leaf),
        index: U256::from(settled.index),
        proof: settled.proof.clone(),
    };
    submit(contracts, reporter, proof).await
}

/// E1: a miner signed two different outcomes of one spec.
pub async fn miner_equivocation(
    contracts: &Contracts,
    reporter: &Sender,
    one: &Signed<ExecutionReceipt>,
    other: &Signed<ExecutionReceipt>,
    spec: &JobSpec,
) -> Result<Punishment, FraudError> {
    let proof = proveMinerEquivocationCall {
        a: mirror(&one.record),
        sigA: one.signature.0.to_vec().into(),
        b: mirror(&other.record),
        sigB: other.signature.0.to_vec().into(),
        spec: mirror(spec),
    };
    submit(contracts, reporter, proof).await
}

/// E2: a hub signed two different receipts of one job.
pub async fn hub_equivocation(
    contracts: &Contracts,
    reporter: &Sender,
    one: &Signed<HubReceipt>,
    other: &Signed<HubReceipt>,
) -> Result<Punishment, FraudError> {
    let proof = proveTwoReceiptsCall {
        a: mirror(&one.record),
        sigA: one.signature.0.to_vec().into(),
        b: mirror(&other.record),
        sigB: other.signature.0.to_vec().into(),
    };
    submit(contracts, reporter, proof).await
}

/// E2: a hub signed two different batches of one epoch.
pub async fn batch_equivocation(
    contracts: &Contracts,
    reporter: &Sender,
    one: &Signed<BatchHeader>,
    other: &Signed<BatchHeader>,
) -> Result<Punishment, FraudError> {
    let proof = proveTwoBatchesCall {
        a: mirror(&one.record),
        sigA: one.signature.0.to_vec().into(),
        b: mirror(&other.record),
        sigB: other.signature.0.to_vec().into(),
    };
    submit(contracts, reporter, proof).await
}

/// What a reporter can withdraw.
pub async fn bounty(contracts: &Contracts, reporter: Address) -> Result<Snm, ChainError> {
    let asked = bountyOfCall { reporter };
    chain::snm(contracts.chain().ask(contracts.at().frauds, asked).await?)
}

/// Pays the sender the bounties that it has earned.
pub async fn withdraw_bounty(contracts: &Contracts, reporter: &Sender) -> Result<(), ChainError> {
    reporter
        .call(contracts.at().frauds, withdrawBountyCall {})
        .await?;
    Ok(())
}

async fn submit<C: SolCall>(
    contracts: &Contracts,
    reporter: &Sender,
    proof: C,
) -> Result<Punishment, FraudError> {
    let receipt = reporter.call(contracts.at().frauds, proof).await?;
    let mut events = receipt
        .logs()
        .iter()
        .filter_map(|log| FraudProved::decode_log(&log.inner).ok());
    let event = events
        .next()
        .ok_or(ChainError::Nonsense("a proof left no event"))?;
    let punishment = Punishment {
        culprit: event.culprit,
        key: event.key,
        bounty: chain::snm(event.bounty)?,
        transaction: receipt.transaction_hash,
    };
    tracing::warn!(
        target: "haar::fraud::proved",
        culprit = %punishment.culprit, key = %punishment.key, bounty = %punishment.bounty
    );
    Ok(punishment)
}
