//! The hub's side of the chain: what came in, what goes out, and who has a stake.

use std::sync::Arc;
use std::time::Duration;

use haar_bindings::deploy::Contracts;
use haar_bindings::settle::{self, BatchState, CLAIMS_MAX, Claim};
use haar_bindings::{Sender, miner, pay};
use haar_protocol::{Batch, Input};
use haar_records::{Address, BatchHeader, HubId, MinerId, Signed};

use crate::journal::Row;
use crate::shared::Shared;

/// How often the chain is asked for new deposits.
const DEPOSITS_EVERY: Duration = Duration::from_secs(1);
/// The note that holds the first block without known deposits.
const BLOCK_NOTE: &str = "deposits_from_block";

/// The chain as one hub uses it.
#[derive(Debug)]
pub struct Money {
    contracts: Contracts,
    sender: Sender,
    hub: HubId,
    /// Blocks behind the tip that count as settled: 0 on a development chain, where nothing forks.
    confirmations: u64,
}

impl Money {
    /// The money of `hub`; `sender` pays the gas of its settlements.
    #[must_use]
    pub fn new(contracts: Contracts, sender: Sender, hub: HubId, confirmations: u64) -> Self {
        Self {
            contracts,
            sender,
            hub,
            confirmations,
        }
    }

    /// Whether a miner has a stake, and is paid to the owner that it names.
    pub async fn check_miner(&self, miner: MinerId, owner: Address) -> Result<(), String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let joined = miner::owner_of_key(&self.contracts, miner.0).await;
        let Some(joined) = joined.map_err(|error| words(&error))? else {
            return Err("the miner's key has no stake: join the miner registry first".to_owned());
        };
        let state = miner::state(&self.contracts, joined)
            .await
            .map_err(|error| words(&error))?;
        match state {
            // Settlements name the signing key; only a key that is the miner itself can be paid.
            Some(state)
                if joined == miner && state.payout == owner && state.leaves_at.is_none() =>
            {
                Ok(())
            }
            Some(state) if state.leaves_at.is_some() => Err("the miner is leaving".to_owned()),
            Some(state) if state.payout != owner => Err(format!(
                "the miner is paid to {}, not to {owner}",
                state.payout
            )),
            _ => Err("the miner's stake belongs to another key".to_owned()),
        }
    }

    /// Brings a batch onto the chain, if it is not there.
    pub(crate) async fn commit(&self, signed: &Signed<BatchHeader>) -> Result<(), String> {
        let committed = settle::commit(
            &self.contracts,
            &self.sender,
            &signed.record,
            signed.signature,
        )
        .await;
        committed.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Finalizes a batch; false while it can still be challenged.
    pub(crate) async fn finalize(&self, header: &BatchHeader) -> Result<bool, String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let state = settle::batch_state(&self.contracts, header).await;
        if let BatchState::Committed { final_from } = state.map_err(|error| words(&error))? {
            let now = self
                .contracts
                .chain()
                .now()
                .await
                .map_err(|error| words(&error))?;
            if now < final_from {
                return Ok(false);
            }
        }
        let finalized = settle::finalize(&self.contracts, &self.sender, header).await;
        finalized.map(|()| true).map_err(|error| words(&error))
    }

    /// Claims for every miner of a final batch: each gets what it has not had yet.
    pub(crate) async fn pay(&self, batch: &Batch) -> Result<(), String> {
        let tree = batch.pay_tree();
        let claim = |(miner, cumulative): &(MinerId, haar_records::Snm)| {
            let proof = tree.proof(*miner, *cumulative)?;
            Some(Claim {
                miner: *miner,
                cumulative: *cumulative,
                proof,
            })
        };
        let claims: Vec<Claim> = batch.pay.iter().filter_map(claim).collect();
        for claims in claims.chunks(CLAIMS_MAX) {
            let paid = settle::claim_many(&self.contracts, &self.sender, self.hub, claims).await;
            paid.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// Tells the machine of every deposit, once.
pub(crate) async fn watch_deposits(shared: Arc<Shared>) {
    let noted = shared
        .read(|journal| journal.note(BLOCK_NOTE))
        .ok()
        .flatten();
    let mut from: u64 = noted.and_then(|text| text.parse().ok()).unwrap_or(0);
    loop {
        match look(&shared, from).await {
            Ok(next) => from = next,
            Err(error) => tracing::warn!(target: "haar::deposits::not_read", %error),
        }
        tokio::time::sleep(DEPOSITS_EVERY).await;
    }
}

async fn look(shared: &Shared, from: u64) -> Result<u64, String> {
    let Some(money) = &shared.money else {
        return Ok(from);
    };
    let found = pay::deposits(&money.contracts, money.hub, from, money.confirmations).await;
    let (deposits, next) = found.map_err(|error| error.to_string())?;
    for deposit in &deposits {
        let pay::Deposit {
            buyer,
            amount,
            reference,
            ..
        } = *deposit;
        tracing::info!(target: "haar::deposit::booked", %buyer, %amount);
        let booked = Input::Deposited {
            buyer,
            amount,
            reference,
        };
        shared
            .core
            .input(booked, Vec::new())
            .await
            .map_err(|error| error.to_string())?;
    }
    if next != from {
        let note = vec![Row::Note(BLOCK_NOTE, next.to_string())];
        shared
            .core
            .store(note)
            .await
            .map_err(|error| error.to_string())?;
    }
    Ok(next)
}
