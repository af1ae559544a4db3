//! The DAO: who holds SNM proposes, votes, queues and executes.

mod errors;

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::sol_types::{SolCall as _, SolEvent as _};
use haar_records::{HubId, Snm};

use crate::chain::{self, ChainError};
use crate::contracts::governor::DaoGovernor::{
    ProposalCreated, castVoteCall, executeCall, proposeCall, queueCall, stateCall,
};
use crate::contracts::hubs::HubRegistry::{
    HubExpropriated, blacklistCall, expropriableCall, expropriateCall, rehabilitateCall,
};
use crate::contracts::snm::SNM::delegateCall;
use crate::deploy::Contracts;
use crate::send::Sender;
pub use errors::DaoError;

/// The longest reason of a proposal.
pub const REASON_BYTES_MAX: usize = 4 << 10;

/// Something the DAO is asked to do, as the governor knows it: whoever has this can queue and
/// execute it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The governor's name for it.
    pub id: U256,
    /// Votes count as of this time, in seconds since 1970.
    pub votes_from: u64,
    /// The vote ends then, unless a late quorum prolongs it.
    pub votes_until: u64,
    target: Address,
    call: Bytes,
    description: String,
}

/// What a holder says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vote {
    /// No.
    Against,
    /// Yes.
    For,
    /// Neither, but it counts for the quorum.
    Abstain,
}

/// Where a proposal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProposalState {
    /// The vote has not begun.
    Pending,
    /// The vote is on.
    Active,
    /// Taken back.
    Canceled,
    /// Voted down, or without a quorum.
    Defeated,
    /// It can be queued.
    Succeeded,
    /// It waits in the timelock.
    Queued,
    /// Too late.
    Expired,
    /// Done.
    Executed,
}

impl ProposalState {
    fn new(index: u8) -> Result<Self, ChainError> {
        Ok(match index {
            0 => Self::Pending,
            1 => Self::Active,
            2 => Self::Canceled,
            3 => Self::Defeated,
            4 => Self::Succeeded,
            5 => Self::Queued,
            6 => Self::Expired,
            7 => Self::Executed,
            _ => return Err(ChainError::Nonsense("a proposal is in no known state")),
        })
    }
}

/// Gives the sender's votes to `delegate`, itself as a rule. Undelegated SNM does not vote.
pub async fn delegate(
    contracts: &Contracts,
    sender: &Sender,
    delegate: Address,
) -> Result<(), ChainError> {
    sender
        .call(
            contracts.at().snm,
            delegateCall {
                delegatee: delegate,
            },
        )
        .await?;
    Ok(())
}

/// How much the DAO may expropriate now, from all hubs together.
pub async fn expropriable(contracts: &Contracts) -> Result<Snm, ChainError> {
    chain::snm(
        contracts
            .chain()
            .ask(contracts.at().hubs, expropriableCall {})
            .await?,
    )
}

/// Proposes to take `amount` of a suspected hub's stake.
pub async fn propose_expropriation(
    contracts: &Contracts,
    proposer: &Sender,
    hub: HubId,
    amount: Snm,
    reason: &str,
) -> Result<Proposal, DaoError> {
    let call = expropriateCall {
        hub: hub.0,
        amount: amount.0,
    }
    .abi_encode();
    propose(contracts, proposer, call.into(), reason).await
}

/// Proposes to blacklist a suspected hub: it stays suspected until it is rehabilitated.
pub async fn propose_blacklisting(
    contracts: &Contracts,
    proposer: &Sender,
    hub: HubId,
    evidence: B256,
    reason: &str,
) -> Result<Proposal, DaoError> {
    let call = blacklistCall {
        hub: hub.0,
        evidence,
    }
    .abi_encode();
    propose(contracts, proposer, call.into(), reason).await
}

/// Proposes to make a hub whole again.
pub async fn propose_rehabilitation(
    contracts: &Contracts,
    proposer: &Sender,
    hub: HubId,
    reason: &str,
) -> Result<Proposal, DaoError> {
    let call = rehabilitateCall { hub: hub.0 }.abi_encode();
    propose(contracts, proposer, call.into(), reason).await
}

async fn propose(
    contracts: &Contracts,
    proposer: &Sender,
    call: Bytes,
    reason: &str,
) -> Result<Proposal, DaoError> {
    if reason.len() > REASON_BYTES_MAX {
        return Err(DaoError::ReasonTooLong);
    }
    let (target, description) = (contracts.at().hubs, reason.to_owned());
    let proposed = proposeCall {
        targets: vec![target],
        values: vec![U256::ZERO],
        calldatas: vec![call.clone()],
        description: description.clone(),
    };
    let receipt = proposer.call(contracts.at().governor, proposed).await?;
    let mut events = receipt
        .logs()
        .iter()
        .filter_map(|log| ProposalCreated::decode_log(&log.inner).ok());
    let event = events
        .next()
        .ok_or(ChainError::Nonsense("a proposal left no event"))?;
    let time = |time: U256| u64::try_from(time).unwrap_or(u64::MAX);
    tracing::info!(target: "haar::dao::proposed", id = %event.proposalId, reason);
    Ok(Proposal {
        id: event.proposalId,
        votes_from: time(event.voteStart),
        votes_until: time(event.voteEnd),
        target,
        call,
        description,
    })
}

/// Where a proposal stands.
pub async fn proposal_state(
    contracts: &Contracts,
    proposal: &Proposal,
) -> Result<ProposalState, ChainError> {
    let asked = stateCall {
        proposalId: proposal.id,
    };
    ProposalState::new(
        contracts
            .chain()
            .ask(contracts.at().governor, asked)
            .await?,
    )
}

/// Votes with what had been delegated to the sender when the vote began.
pub async fn vote(
    contracts: &Contracts,
    voter: &Sender,
    proposal: &Proposal,
    vote: Vote,
) -> Result<(), DaoError> {
    let support = match vote {
        Vote::Against => 0,
        Vote::For => 1,
        Vote::Abstain => 2,
    };
    let cast = castVoteCall {
        proposalId: proposal.id,
        support,
    };
    voter.call(contracts.at().governor, cast).await?;
    Ok(())
}

/// Puts a proposal that was accepted into the timelock. Anybody may.
pub async fn queue(
    contracts: &Contracts,
    sender: &Sender,
    proposal: &Proposal,
) -> Result<(), DaoError> {
    let (targets, values, calldatas, hash) = proposal.parts();
    let queued = queueCall {
        targets,
        values,
        calldatas,
        descriptionHash: hash,
    };
    sender.call(contracts.at().governor, queued).await?;
    Ok(())
}

/// Does what was decided, once the timelock is over. Anybody may. Returns the number of the
/// vault's lot, if something was taken.
pub async fn execute(
    contracts: &Contracts,
    sender: &Sender,
    proposal: &Proposal,
) -> Result<Option<u64>, DaoError> {
    let (targets, values, calldatas, hash) = proposal.parts();
    let executed = executeCall {
        targets,
        values,
        calldatas,
        descriptionHash: hash,
    };
    let receipt = sender.call(contracts.at().governor, executed).await?;
    tracing::info!(target: "haar::dao::executed", id = %proposal.id);
    let mut taken = receipt
        .logs()
        .iter()
        .filter_map(|log| HubExpropriated::decode_log(&log.inner).ok());
    Ok(taken
        .next()
        .and_then(|event| u64::try_from(event.lotId).ok()))
}

impl Proposal {
    fn parts(&self) -> (Vec<Address>, Vec<U256>, Vec<Bytes>, B256) {
        let hash = keccak256(&self.description);
        (
            vec![self.target],
            vec![U256::ZERO],
            vec![self.call.clone()],
            hash,
        )
    }
}
