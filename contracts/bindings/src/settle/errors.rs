//! Why a batch is not committed or made final, and a claim not paid.

use alloy::primitives::{Address, B256};
use haar_records::Snm;

use super::{CLAIMS_MAX, seconds};
use crate::chain::{self, ChainError};
use crate::contracts::hubs::HubRegistry::HubRegistryNotActive;
use crate::contracts::settlement::Settlement::{
    SettlementBatchNotFinal, SettlementHubSuspected, SettlementInvalidProof,
    SettlementInvalidSignature, SettlementStaleEpoch, SettlementTotalFalls,
    SettlementWrongPredecessor,
};
use crate::contracts::wallet::HubWallet::{
    HubWalletExposureExceedsFreeze, HubWalletPromisesExceedFunds,
};
use crate::hub::Phase;

/// A batch that the chain does not take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Only an Active hub may commit.
    #[error("the hub is {phase}: it may not commit batches")]
    HubMayNotCommit {
        /// Where it stands.
        phase: Phase,
    },
    /// There is another batch for this epoch, or a later one.
    #[error("epoch {epoch} is over: the chain is at epoch {last}")]
    EpochTaken {
        /// This batch's epoch.
        epoch: u64,
        /// The chain's last one.
        last: u64,
    },
    /// It does not continue the hub's chain of batches.
    #[error("the batch follows {given}, but the last one is {last}")]
    WrongPredecessor {
        /// What the header says.
        given: B256,
        /// What is true.
        last: B256,
    },
    /// Cumulative earnings never fall.
    #[error("the miners' total of {given} is below the last batch's {last}")]
    TotalFalls {
        /// What the header says.
        given: Snm,
        /// What the last batch said.
        last: Snm,
    },
    /// Open value is bounded by the stake.
    #[error(
        "open batches of {open} exceed what the stake allows, {limit}: add to the stake or wait"
    )]
    ExposureExceedsStake {
        /// With this batch.
        open: Snm,
        /// The most.
        limit: Snm,
    },
    /// More is promised than has been received.
    #[error("miners are promised {promised}, and the wallet has {funds}")]
    NotCovered {
        /// With this batch.
        promised: Snm,
        /// What is there.
        funds: Snm,
    },
    /// The signature is not the operator's.
    #[error("signed by {found}, but the hub's operator is {operator}")]
    NotTheOperator {
        /// Who should have signed.
        operator: Address,
        /// Who signed.
        found: Address,
    },
    /// A fraud took this batch down.
    #[error("the batch is void")]
    Voided,
    /// The chain.
    #[error(transparent)]
    Chain(ChainError),
}

impl From<ChainError> for CommitError {
    fn from(error: ChainError) -> Self {
        let ChainError::Refused(refusal) = &error else {
            return Self::Chain(error);
        };
        if let Some(HubRegistryNotActive { phase, .. }) = refusal.is()
            && let Ok(phase) = Phase::new(phase)
        {
            return Self::HubMayNotCommit { phase };
        }
        if let Some(SettlementInvalidSignature { expected, got }) = refusal.is() {
            return Self::NotTheOperator {
                operator: expected,
                found: got,
            };
        }
        if let Some(SettlementWrongPredecessor { have, want }) = refusal.is() {
            return Self::WrongPredecessor {
                given: have,
                last: want,
            };
        }
        if let Some(SettlementStaleEpoch { have, want }) = refusal.is() {
            let [epoch, next] = [have, want].map(|epoch| u64::try_from(epoch).unwrap_or(u64::MAX));
            return Self::EpochTaken {
                epoch,
                last: next.saturating_sub(1),
            };
        }
        if let Some(SettlementTotalFalls { have, want }) = refusal.is()
            && let (Ok(given), Ok(last)) = (chain::snm(have), chain::snm(want))
        {
            return Self::TotalFalls { given, last };
        }
        if let Some(HubWalletExposureExceedsFreeze { open, limit }) = refusal.is()
            && let (Ok(open), Ok(limit)) = (chain::snm(open), chain::snm(limit))
        {
            return Self::ExposureExceedsStake { open, limit };
        }
        if let Some(HubWalletPromisesExceedFunds { promised, funds }) = refusal.is()
            && let (Ok(promised), Ok(funds)) = (chain::snm(promised), chain::snm(funds))
        {
            return Self::NotCovered { promised, funds };
        }
        Self::Chain(error)
    }
}

/// A batch that is not made final.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FinalizeError {
    /// It can still be challenged.
    #[error("the batch can be challenged until {until}")]
    WindowOpen {
        /// When the window ends, in seconds since 1970.
        until: u64,
    },
    /// Only what was final before the suspicion is beyond doubt.
    #[error("the hub has been suspected since {since}")]
    HubSuspected {
        /// When that began, in seconds since 1970.
        since: u64,
    },
    /// An earlier batch comes first.
    #[error("the batch before it, {batch}, is not final")]
    PredecessorNotFinal {
        /// Which.
        batch: B256,
    },
    /// The chain does not know it.
    #[error("the batch was never committed")]
    Unknown,
    /// A fraud took it down.
    #[error("the batch is void")]
    Voided,
    /// The chain.
    #[error(transparent)]
    Chain(ChainError),
}

impl From<ChainError> for FinalizeError {
    fn from(error: ChainError) -> Self {
        let ChainError::Refused(refusal) = &error else {
            return Self::Chain(error);
        };
        if let Some(SettlementBatchNotFinal { readyAt }) = refusal.is() {
            return Self::WindowOpen {
                until: seconds(readyAt),
            };
        }
        if let Some(SettlementHubSuspected { since, .. }) = refusal.is() {
            return Self::HubSuspected {
                since: seconds(since),
            };
        }
        if let Some(SettlementWrongPredecessor { have, .. }) = refusal.is() {
            return Self::PredecessorNotFinal { batch: have };
        }
        Self::Chain(error)
    }
}

/// A claim that is not paid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// The proof does not lead to the hub's latest final root.
    #[error("the proof does not fit the hub's latest final batch")]
    WrongProof,
    /// Too many for one transaction.
    #[error("{count} claims at once, {CLAIMS_MAX} at the most")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// The chain.
    #[error(transparent)]
    Chain(ChainError),
}

impl From<ChainError> for ClaimError {
    fn from(error: ChainError) -> Self {
        match &error {
            ChainError::Refused(refusal) if refusal.is::<SettlementInvalidProof>().is_some() => {
                Self::WrongProof
            }
            _ => Self::Chain(error),
        }
    }
}
