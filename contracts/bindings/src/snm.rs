//! The token: who has how much, and moving it.

use alloy::primitives::{Address, B256, U256};
use haar_records::Snm;

use crate::chain::{self, ChainError};
use crate::contracts::snm::SNM::{
    ERC20InsufficientBalance, allowanceCall, approveCall, balanceOfCall, transferCall,
};
use crate::deploy::Contracts;
use crate::send::Sender;

/// SNM that does not move.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// Not that much is there.
    #[error("{owner} has {have}, and {need} are needed")]
    NotFunded {
        /// Whose money.
        owner: Address,
        /// What it has.
        have: Snm,
        /// What it needs.
        need: Snm,
    },
    /// The chain.
    #[error(transparent)]
    Chain(ChainError),
}

impl From<ChainError> for TransferError {
    fn from(error: ChainError) -> Self {
        if let ChainError::Refused(refusal) = &error
            && let Some(ERC20InsufficientBalance {
                sender,
                balance,
                needed,
            }) = refusal.is()
            && let (Ok(have), Ok(need)) = (chain::snm(balance), chain::snm(needed))
        {
            return Self::NotFunded {
                owner: sender,
                have,
                need,
            };
        }
        Self::Chain(error)
    }
}

/// What `owner` has.
pub async fn balance(contracts: &Contracts, owner: Address) -> Result<Snm, ChainError> {
    let asked = balanceOfCall { account: owner };
    chain::snm(contracts.chain().ask(contracts.at().snm, asked).await?)
}

/// Moves SNM of the sender and returns the transaction's hash.
pub async fn transfer(
    contracts: &Contracts,
    sender: &Sender,
    to: Address,
    amount: Snm,
) -> Result<B256, TransferError> {
    let moved = transferCall {
        to,
        value: U256::from(amount.0),
    };
    Ok(sender
        .call(contracts.at().snm, moved)
        .await?
        .transaction_hash)
}

/// Lets `spender` take exactly this much, and never more: there are no unlimited allowances.
pub async fn approve(
    contracts: &Contracts,
    sender: &Sender,
    spender: Address,
    amount: Snm,
) -> Result<(), ChainError> {
    let value = U256::from(amount.0);
    let asked = allowanceCall {
        owner: sender.address(),
        spender,
    };
    if contracts.chain().ask(contracts.at().snm, asked).await? != value {
        sender
            .call(contracts.at().snm, approveCall { spender, value })
            .await?;
    }
    Ok(())
}
