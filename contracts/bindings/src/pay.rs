//! How money reaches a hub, and how the hub hears of it.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, keccak256};
use alloy::providers::Provider as _;
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::SolEvent as _;
use haar_records::{BuyerId, HubId, Snm};

use crate::chain::{ChainError, snm as amount_of, within};
use crate::contracts::hubs::HubRegistry::FreezeChanged;
use crate::contracts::snm::SNM::Transfer;
use crate::contracts::wallet::HubWallet::syncCall;
use crate::deploy::Contracts;
use crate::send::Sender;
use crate::snm::{self, TransferError};
use crate::{hub, hub::Phase};

/// The most blocks that one look covers; public nodes refuse more.
const BLOCKS_MAX: u64 = 2_000;

/// Money that a buyer sent to a hub's wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit {
    /// Who sent it.
    pub buyer: BuyerId,
    /// How much.
    pub amount: Snm,
    /// Names this deposit and no other: the hash of the transaction's hash and the log's index.
    pub reference: B256,
    /// The transaction.
    pub transaction: B256,
    /// The block that it is in.
    pub block: u64,
}

/// A deposit that did not take place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DepositError {
    /// A hub without a stake at risk must not be paid.
    #[error("the hub is {phase}: it may not be paid")]
    HubNotActive {
        /// Where it stands.
        phase: Phase,
    },
    /// The transfer.
    #[error(transparent)]
    Transfer(TransferError),
}

impl<E: Into<TransferError>> From<E> for DepositError {
    fn from(error: E) -> Self {
        Self::Transfer(error.into())
    }
}

/// Sends SNM to an Active hub's wallet and lets the wallet book it. Returns the transaction.
///
/// The wallet cannot refuse a bare transfer, so the question whether the hub may be paid is asked
/// here.
pub async fn deposit_to_hub(
    contracts: &Contracts,
    buyer: &Sender,
    hub: HubId,
    amount: Snm,
) -> Result<B256, DepositError> {
    let phase = hub::phase(contracts, hub).await?;
    if phase != Phase::Active {
        return Err(DepositError::HubNotActive { phase });
    }
    let transaction = snm::transfer(contracts, buyer, hub.0, amount).await?;
    sync(buyer, hub).await?;
    Ok(transaction)
}

/// Lets the wallet book what has arrived. Anybody may.
pub async fn sync(sender: &Sender, hub: HubId) -> Result<(), ChainError> {
    sender.call(hub.0, syncCall {}).await?;
    Ok(())
}

/// The deposits to a hub since block `from`, and the block to go on from.
///
/// Looks at a bounded number of blocks and never at the last `confirmations` of them, which may
/// still change. What the owner freezes as stake is no deposit.
pub async fn deposits(
    contracts: &Contracts,
    hub: HubId,
    from: u64,
    confirmations: u64,
) -> Result<(Vec<Deposit>, u64), ChainError> {
    let height = contracts.chain().height().await?;
    let from = from.max(contracts.at().block);
    let Some(settled) = height
        .checked_sub(confirmations)
        .filter(|settled| from <= *settled)
    else {
        return Ok((Vec::new(), from));
    };
    let to = settled.min(from + BLOCKS_MAX - 1);

    let stakes = Filter::new()
        .address(contracts.at().hubs)
        .event_signature(FreezeChanged::SIGNATURE_HASH)
        .topic1(hub.0.into_word());
    let stakes = logs(contracts, stakes.from_block(from).to_block(to)).await?;
    let stakes: BTreeSet<B256> = stakes
        .iter()
        .filter_map(|log| log.transaction_hash)
        .collect();

    let transfers = Filter::new()
        .address(contracts.at().snm)
        .event_signature(Transfer::SIGNATURE_HASH)
        .topic2(hub.0.into_word());
    let transfers = logs(contracts, transfers.from_block(from).to_block(to)).await?;
    let mut deposits = Vec::new();
    for log in &transfers {
        let deposit = read(log)?;
        if deposit.buyer.0 != Address::ZERO && !stakes.contains(&deposit.transaction) {
            deposits.push(deposit);
        }
    }
    Ok((deposits, to + 1))
}

async fn logs(contracts: &Contracts, filter: Filter) -> Result<Vec<Log>, ChainError> {
    within(async { contracts.chain().provider().get_logs(&filter).await }).await
}

fn read(log: &Log) -> Result<Deposit, ChainError> {
    let missing = ChainError::Nonsense("a log has no place");
    let (Some(transaction), Some(block), Some(index)) =
        (log.transaction_hash, log.block_number, log.log_index)
    else {
        return Err(missing);
    };
    let event = Transfer::decode_log(&log.inner)
        .map_err(|_| ChainError::Nonsense("a transfer has another form"))?;
    Ok(Deposit {
        buyer: BuyerId(event.from),
        amount: amount_of(event.value)?,
        reference: keccak256([transaction.as_slice(), &index.to_be_bytes()].concat()),
        transaction,
        block,
    })
}
