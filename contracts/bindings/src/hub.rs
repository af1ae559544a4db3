//! A hub's wallet: how it comes to be, where it stands, what its money is for.

use alloy::primitives::{Address, B256};
use haar_records::{HubId, Snm};

use crate::chain::ChainError;
use crate::contracts::hubs::HubRegistry::{
    HubRegistryFreezeTooSmall, HubRegistryNotOwner, HubRegistryWrongPhase, createHubCall,
    operatorOfCall, ownerOfCall, phaseOfCall, predictHubCall, registerCall, statusCall,
    topUpFreezeCall,
};
use crate::contracts::wallet::HubWallet::{ledgerCall, openExposureCall};
use crate::deploy::Contracts;
use crate::send::Sender;
use crate::snm::{self, TransferError};

/// Where a hub stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// No such hub.
    None,
    /// It has a wallet and no stake.
    Created,
    /// It may be paid and may pay.
    Active,
    /// It is under a suspicion; its money stays where it is.
    Suspected,
    /// The DAO has taken from its stake.
    Punished,
    /// It is leaving.
    Retiring,
    /// It has left.
    Retired,
}

impl Phase {
    pub(crate) fn new(index: u8) -> Result<Self, ChainError> {
        Ok(match index {
            0 => Self::None,
            1 => Self::Created,
            2 => Self::Active,
            3 => Self::Suspected,
            4 => Self::Punished,
            5 => Self::Retiring,
            6 => Self::Retired,
            _ => return Err(ChainError::Nonsense("a hub is in no known phase")),
        })
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A hub as the chain knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubState {
    /// Where it stands.
    pub phase: Phase,
    /// Whether the DAO has blacklisted it.
    pub blacklisted: bool,
    /// Whether buyers may pay it.
    pub may_be_paid: bool,
    /// Whether it may commit batches.
    pub may_commit: bool,
    /// From when the DAO may take its stake, in seconds since 1970.
    pub expropriable_from: Option<u64>,
    /// Who owns it.
    pub owner: Address,
    /// The key that signs for it.
    pub operator: Address,
    /// The stake.
    pub frozen: Snm,
    /// Revenue that can still be challenged.
    pub held: Snm,
    /// Final earnings that miners have not claimed.
    pub owed: Snm,
    /// The rest.
    pub free: Snm,
    /// Declared value of batches that are not final.
    pub open_exposure: Snm,
}

/// A hub that cannot be registered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The stake is below the registry's smallest.
    #[error("a stake of {have} is too small: a hub freezes at least {min}")]
    StakeTooSmall {
        /// What was offered.
        have: Snm,
        /// What is needed.
        min: Snm,
    },
    /// The owner has not enough SNM.
    #[error("{owner} has {have}, and {need} are needed")]
    NotFunded {
        /// Whose money.
        owner: Address,
        /// What it has.
        have: Snm,
        /// What it needs.
        need: Snm,
    },
    /// The hub was registered before and is not at its beginning any more.
    #[error("the hub is {phase}; only a new hub can be registered")]
    WrongPhase {
        /// Where it stands.
        phase: Phase,
    },
    /// Somebody else's hub.
    #[error("the hub belongs to {owner}")]
    NotOwner {
        /// Whose it is.
        owner: Address,
    },
    /// The chain.
    #[error(transparent)]
    Chain(ChainError),
}

impl From<ChainError> for RegisterError {
    fn from(error: ChainError) -> Self {
        let ChainError::Refused(refusal) = &error else {
            return Self::Chain(error);
        };
        if let Some(HubRegistryFreezeTooSmall { have, min }) = refusal.is()
            && let (Ok(have), Ok(min)) = (crate::chain::snm(have), crate::chain::snm(min))
        {
            return Self::StakeTooSmall { have, min };
        }
        if let Some(HubRegistryWrongPhase { have, .. }) = refusal.is()
            && let Ok(phase) = Phase::new(have)
        {
            return Self::WrongPhase { phase };
        }
        if let Some(HubRegistryNotOwner { owner, .. }) = refusal.is() {
            return Self::NotOwner { owner };
        }
        match TransferError::from(error) {
            TransferError::NotFunded { owner, have, need } => Self::NotFunded { owner, have, need },
            TransferError::Chain(error) => Self::Chain(error),
        }
    }
}

/// Makes the owner's hub with this salt, freezes `stake` and makes it Active.
///
/// May be called again after a crash: what is done already is not done twice.
pub async fn create_and_register(
    contracts: &Contracts,
    owner: &Sender,
    operator: Address,
    salt: B256,
    stake: Snm,
) -> Result<HubId, RegisterError> {
    let (chain, registry) = (contracts.chain(), contracts.at().hubs);
    let predicted = predictHubCall {
        owner: owner.address(),
        salt,
    };
    let hub = HubId(chain.ask(registry, predicted).await?);
    if phase(contracts, hub).await? == Phase::None {
        owner
            .call(registry, createHubCall { operator, salt })
            .await?;
        tracing::info!(target: "haar::hub::created", %hub, owner = %owner.address(), %operator);
    }
    match phase(contracts, hub).await? {
        Phase::Active => return Ok(hub),
        Phase::Created => {}
        phase => return Err(RegisterError::WrongPhase { phase }),
    }

    let owned = snm::balance(contracts, owner.address()).await?;
    if owned < stake {
        let owner = owner.address();
        return Err(RegisterError::NotFunded {
            owner,
            have: owned,
            need: stake,
        });
    }
    snm::approve(contracts, owner, registry, stake).await?;
    owner
        .call(
            registry,
            registerCall {
                hub: hub.0,
                freeze: stake.0,
            },
        )
        .await?;
    tracing::info!(target: "haar::hub::registered", %hub, %stake);
    Ok(hub)
}

/// Adds to the stake.
pub async fn top_up(
    contracts: &Contracts,
    owner: &Sender,
    hub: HubId,
    amount: Snm,
) -> Result<(), RegisterError> {
    snm::approve(contracts, owner, contracts.at().hubs, amount).await?;
    owner
        .call(
            contracts.at().hubs,
            topUpFreezeCall {
                hub: hub.0,
                amount: amount.0,
            },
        )
        .await?;
    Ok(())
}

/// Where the hub stands.
pub async fn phase(contracts: &Contracts, hub: HubId) -> Result<Phase, ChainError> {
    let asked = phaseOfCall { hub: hub.0 };
    Phase::new(contracts.chain().ask(contracts.at().hubs, asked).await?)
}

/// Everything about the hub; `None` if there is no such hub.
pub async fn state(contracts: &Contracts, hub: HubId) -> Result<Option<HubState>, ChainError> {
    let (chain, registry) = (contracts.chain(), contracts.at().hubs);
    let status = chain.ask(registry, statusCall { hub: hub.0 }).await?;
    let phase = Phase::new(status.phase)?;
    if phase == Phase::None {
        return Ok(None);
    }

    let ledger = chain.ask(hub.0, ledgerCall {}).await?;
    let expropriable_from: u64 = status.expropriableFrom.to();
    Ok(Some(HubState {
        phase,
        blacklisted: status.blacklisted,
        may_be_paid: status.mayBePaid,
        may_commit: status.mayCommit,
        expropriable_from: (expropriable_from > 0).then_some(expropriable_from),
        owner: chain.ask(registry, ownerOfCall { hub: hub.0 }).await?,
        operator: chain.ask(registry, operatorOfCall { hub: hub.0 }).await?,
        frozen: Snm(ledger.frozen),
        held: Snm(ledger.held),
        owed: Snm(ledger.owed),
        free: Snm(ledger.free),
        open_exposure: Snm(chain.ask(hub.0, openExposureCall {}).await?),
    }))
}
