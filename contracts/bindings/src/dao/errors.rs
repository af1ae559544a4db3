//! Why the DAO does not do something.

use alloy::primitives::Address;
use haar_records::Snm;

use super::{ProposalState, REASON_BYTES_MAX};
use crate::chain::{self, ChainError};
use crate::contracts::governor::DaoGovernor::{
    GovernorAlreadyCastVote, GovernorInsufficientProposerVotes, GovernorUnexpectedProposalState,
};
use crate::contracts::hubs::HubRegistry::{
    HubRegistryAmountExceedsFreeze, HubRegistryRateLimited, HubRegistrySuspicionTooYoung,
    HubRegistryWrongPhase,
};
use crate::contracts::timelock::TimelockController::TimelockUnexpectedOperationState;
use crate::hub::Phase;

/// Something that the DAO does not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaoError {
    /// Proposing needs votes; delegate to yourself a block before.
    #[error("{proposer} has votes for {votes}, and {needed} are needed to propose")]
    TooFewVotes {
        /// Who.
        proposer: Address,
        /// What it has.
        votes: Snm,
        /// What it needs.
        needed: Snm,
    },
    /// Not now.
    #[error("the proposal is {state:?}")]
    WrongState {
        /// Where it stands.
        state: ProposalState,
    },
    /// One holder, one vote.
    #[error("{voter} has voted already")]
    VotedAlready {
        /// Who.
        voter: Address,
    },
    /// The timelock is not over.
    #[error("the decision still waits in the timelock")]
    StillWaiting,
    /// Nobody is expropriated without a suspicion that everybody had time to see.
    #[error("the hub is not suspected for long enough: not before {ripe_at}")]
    SuspicionTooYoung {
        /// In seconds since 1970.
        ripe_at: u64,
    },
    /// Only a suspected hub.
    #[error("the hub is {phase}")]
    WrongPhase {
        /// Where it stands.
        phase: Phase,
    },
    /// Only the stake may be taken.
    #[error("{asked} is more than the stake of {frozen}")]
    ExceedsStake {
        /// What was asked.
        asked: Snm,
        /// What there is.
        frozen: Snm,
    },
    /// Only so much in thirty days.
    #[error("{asked} is more than the {available} that the DAO may take now")]
    RateLimited {
        /// What was asked.
        asked: Snm,
        /// What is left.
        available: Snm,
    },
    /// A text that nobody reads.
    #[error("the reason has more than {REASON_BYTES_MAX} bytes")]
    ReasonTooLong,
    /// The chain.
    #[error(transparent)]
    Chain(ChainError),
}

impl From<ChainError> for DaoError {
    fn from(error: ChainError) -> Self {
        let ChainError::Refused(refusal) = &error else {
            return Self::Chain(error);
        };
        if let Some(GovernorInsufficientProposerVotes {
            proposer,
            votes,
            threshold,
        }) = refusal.is()
            && let (Ok(votes), Ok(needed)) = (chain::snm(votes), chain::snm(threshold))
        {
            return Self::TooFewVotes {
                proposer,
                votes,
                needed,
            };
        }
        if let Some(GovernorUnexpectedProposalState { current, .. }) = refusal.is()
            && let Ok(state) = ProposalState::new(current)
        {
            return Self::WrongState { state };
        }
        if let Some(GovernorAlreadyCastVote { voter }) = refusal.is() {
            return Self::VotedAlready { voter };
        }
        if refusal.is::<TimelockUnexpectedOperationState>().is_some() {
            return Self::StillWaiting;
        }
        if let Some(HubRegistrySuspicionTooYoung { ripeAt }) = refusal.is() {
            return Self::SuspicionTooYoung {
                ripe_at: u64::try_from(ripeAt).unwrap_or(u64::MAX),
            };
        }
        if let Some(HubRegistryWrongPhase { have, .. }) = refusal.is()
            && let Ok(phase) = Phase::new(have)
        {
            return Self::WrongPhase { phase };
        }
        if let Some(HubRegistryAmountExceedsFreeze { asked, frozen }) = refusal.is()
            && let (Ok(asked), Ok(frozen)) = (chain::snm(asked), chain::snm(frozen))
        {
            return Self::ExceedsStake { asked, frozen };
        }
        if let Some(HubRegistryRateLimited { asked, available }) = refusal.is()
            && let (Ok(asked), Ok(available)) = (chain::snm(asked), chain::snm(available))
        {
            return Self::RateLimited { asked, available };
        }
        Self::Chain(error)
    }
}
