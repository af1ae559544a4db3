//! The vault in which taken stakes lie still for 120 days.

use alloy::primitives::{Address, U256};
use haar_records::Snm;

use crate::chain::ChainError;
use crate::contracts::vault::ExpropriationVault::{
    ExpropriationVaultFrozen, ExpropriationVaultWrongState, lotCountCall, lotsCall, releaseCall,
};
use crate::deploy::Contracts;
use crate::send::Sender;

/// The most lots that one look returns, the newest ones.
const LOTS_MAX: u64 = 1_000;

/// What became of a lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LotState {
    /// It lies still.
    Frozen,
    /// It went back to where it came from.
    Restored,
    /// It went to the treasury.
    Released,
}

/// One sum taken from one hub or miner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lot {
    /// Its number, from 1.
    pub id: u64,
    /// Whose it was.
    pub from: Address,
    /// How much.
    pub amount: Snm,
    /// From when it may go to the treasury, in seconds since 1970.
    pub release_at: u64,
    /// What became of it.
    pub state: LotState,
}

/// A lot that stays where it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// Nobody can shorten the freeze.
    #[error("the lot is frozen until {release_at}")]
    Frozen {
        /// In seconds since 1970.
        release_at: u64,
    },
    /// There is no such lot, or it has left.
    #[error("there is no frozen lot of this number")]
    NotThere,
    /// The chain.
    #[error(transparent)]
    Chain(ChainError),
}

impl From<ChainError> for ReleaseError {
    fn from(error: ChainError) -> Self {
        let ChainError::Refused(refusal) = &error else {
            return Self::Chain(error);
        };
        if let Some(ExpropriationVaultFrozen { releaseAt }) = refusal.is() {
            return Self::Frozen {
                release_at: u64::try_from(releaseAt).unwrap_or(u64::MAX),
            };
        }
        if refusal.is::<ExpropriationVaultWrongState>().is_some() {
            return Self::NotThere;
        }
        Self::Chain(error)
    }
}

/// The newest lots, oldest first.
pub async fn lots(contracts: &Contracts) -> Result<Vec<Lot>, ChainError> {
    let count = contracts
        .chain()
        .ask(contracts.at().vault, lotCountCall {})
        .await?;
    let count =
        u64::try_from(count).map_err(|_| ChainError::Nonsense("there are too many lots"))?;
    let mut lots = Vec::new();
    for id in count.saturating_sub(LOTS_MAX) + 1..=count {
        lots.extend(lot(contracts, id).await?);
    }
    Ok(lots)
}

/// One lot; `None` if there is none of this number.
pub async fn lot(contracts: &Contracts, id: u64) -> Result<Option<Lot>, ChainError> {
    let asked = lotsCall {
        lotId: U256::from(id),
    };
    let found = contracts.chain().ask(contracts.at().vault, asked).await?;
    let state = match found.state {
        0 => return Ok(None),
        1 => LotState::Frozen,
        2 => LotState::Restored,
        3 => LotState::Released,
        _ => return Err(ChainError::Nonsense("a lot is in no known state")),
    };
    Ok(Some(Lot {
        id,
        from: found.from,
        amount: Snm(found.amount),
        release_at: found.releaseAt.to(),
        state,
    }))
}

/// Sends a lot to the treasury. Anybody may, once its time has come.
pub async fn release(contracts: &Contracts, sender: &Sender, id: u64) -> Result<(), ReleaseError> {
    sender
        .call(
            contracts.at().vault,
            releaseCall {
                lotId: U256::from(id),
            },
        )
        .await?;
    Ok(())
}
