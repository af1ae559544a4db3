//! A miner's stake, the key that signs its receipts, and where its earnings go.

use alloy::primitives::Address;
use haar_records::{MinerId, Snm};

use crate::chain::{self, ChainError};
use crate::contracts::miners::MinerRegistry::{
    MinerRegistryAlreadyJoined, MinerRegistryKeyTaken, MinerRegistryStakeTooSmall, joinCall,
    keyOwnerCall, minersCall,
};
use crate::deploy::Contracts;
use crate::send::Sender;
use crate::snm::{self, TransferError};

/// A miner as the chain knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinerState {
    /// What it loses if it lies.
    pub stake: Snm,
    /// The key that signs its receipts.
    pub signing_key: Address,
    /// Where its earnings go.
    pub payout: Address,
    /// When it can take its stake back, in seconds since 1970, if it is leaving.
    pub leaves_at: Option<u64>,
}

/// A miner that cannot join.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The stake is below the registry's smallest.
    #[error("a stake of {have} is too small: a miner stakes at least {min}")]
    StakeTooSmall {
        /// What was offered.
        have: Snm,
        /// What is needed.
        min: Snm,
    },
    /// It has not enough SNM.
    #[error("{owner} has {have}, and {need} are needed")]
    NotFunded {
        /// Whose money.
        owner: Address,
        /// What it has.
        have: Snm,
        /// What it needs.
        need: Snm,
    },
    /// It is in already, with another key or payout address.
    #[error("miner {miner} has joined before")]
    AlreadyJoined {
        /// Who.
        miner: Address,
    },
    /// A key belongs to one miner for ever.
    #[error("the key {key} belongs to miner {owner}")]
    KeyTaken {
        /// The key.
        key: Address,
        /// Its owner.
        owner: Address,
    },
    /// The chain.
    #[error(transparent)]
    Chain(ChainError),
}

impl From<ChainError> for JoinError {
    fn from(error: ChainError) -> Self {
        let ChainError::Refused(refusal) = &error else {
            return Self::Chain(error);
        };
        if let Some(MinerRegistryStakeTooSmall { have, min }) = refusal.is()
            && let (Ok(have), Ok(min)) = (chain::snm(have), chain::snm(min))
        {
            return Self::StakeTooSmall { have, min };
        }
        if let Some(MinerRegistryAlreadyJoined { miner }) = refusal.is() {
            return Self::AlreadyJoined { miner };
        }
        if let Some(MinerRegistryKeyTaken { key, owner }) = refusal.is() {
            return Self::KeyTaken { key, owner };
        }
        match TransferError::from(error) {
            TransferError::NotFunded { owner, have, need } => Self::NotFunded { owner, have, need },
            TransferError::Chain(error) => Self::Chain(error),
        }
    }
}

/// Joins with a stake. Nothing happens if exactly this has been done before.
pub async fn join(
    contracts: &Contracts,
    sender: &Sender,
    stake: Snm,
    signing_key: Address,
    payout: Address,
) -> Result<MinerId, JoinError> {
    let miner = MinerId(sender.address());
    if let Some(now) = state(contracts, miner).await? {
        if now.signing_key == signing_key && now.payout == payout {
            return Ok(miner);
        }
        return Err(JoinError::AlreadyJoined { miner: miner.0 });
    }

    let owned = snm::balance(contracts, sender.address()).await?;
    if owned < stake {
        return Err(JoinError::NotFunded {
            owner: miner.0,
            have: owned,
            need: stake,
        });
    }
    snm::approve(contracts, sender, contracts.at().miners, stake).await?;
    let joined = joinCall {
        stake: stake.0,
        signingKey: signing_key,
        payout,
        caps: 0,
    };
    sender.call(contracts.at().miners, joined).await?;
    tracing::info!(target: "haar::miner::joined", miner = miner.short(), %stake);
    Ok(miner)
}

/// What the chain knows of the miner; `None` if it has no stake.
pub async fn state(
    contracts: &Contracts,
    miner: MinerId,
) -> Result<Option<MinerState>, ChainError> {
    let asked = minersCall { miner: miner.0 };
    let found = contracts.chain().ask(contracts.at().miners, asked).await?;
    let leaves_at: u64 = found.leaveAt.to();
    Ok((found.stake > 0).then_some(MinerState {
        stake: Snm(found.stake),
        signing_key: found.signingKey,
        payout: found.payout,
        leaves_at: (leaves_at > 0).then_some(leaves_at),
    }))
}

/// The miner that a key belongs or belonged to.
pub async fn owner_of_key(
    contracts: &Contracts,
    key: Address,
) -> Result<Option<MinerId>, ChainError> {
    let owner = contracts
        .chain()
        .ask(contracts.at().miners, keyOwnerCall { key })
        .await?;
    Ok((owner != Address::ZERO).then_some(MinerId(owner)))
}
