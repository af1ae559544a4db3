//! Whose money is where: buyers' accounts, miners' earnings, the hub's fee.
//!
//! Money enters by a deposit, is held while a job lives, and is then spent or free again. It never
//! appears, disappears or moves twice; `check` proves that from the books alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use haar_records::{B256, BuyerId, MinerId, Snm};

use crate::config::{BUYERS_MAX, DEPOSITS_KEPT_MAX, PPM};

/// One buyer's money. Invariant: `deposited = available + held + spent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// All that ever came in.
    pub deposited: Snm,
    /// Free for orders.
    pub available: Snm,
    /// Reserved for jobs that live.
    pub held: Snm,
    /// Charged for jobs that were answered.
    pub spent: Snm,
    /// Reserved once and free again. Invariant: all reservations = held + spent + refunded.
    pub refunded: Snm,
    /// All reservations ever made.
    pub reserved: Snm,
}

/// The books of a hub.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    buyers: BTreeMap<BuyerId, Account>,
    earned: BTreeMap<MinerId, Snm>,
    fees: Snm,
    /// References of deposits, and their order, so that the oldest can be forgotten.
    references: BTreeSet<B256>,
    references_by_age: VecDeque<B256>,
}

/// Books that do not add up: a bug of ours, never somebody's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerViolation {
    /// A buyer's money is not where it should be.
    #[error("buyer {buyer}: deposited is not available + held + spent")]
    Account {
        /// Whose.
        buyer: BuyerId,
    },
    /// A buyer's reservations went nowhere.
    #[error("buyer {buyer}: reserved is not held + spent + refunded")]
    Reservations {
        /// Whose.
        buyer: BuyerId,
    },
    /// What buyers spent is not what miners and hub got.
    #[error("buyers spent {spent}, but miners and hub got {received}")]
    Spent {
        /// By all buyers.
        spent: Snm,
        /// By all miners and the hub.
        received: Snm,
    },
}

/// Who gets what for one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// For each agreeing miner.
    pub miner: Snm,
    /// For the hub: its fee and what cannot be divided.
    pub hub: Snm,
}

impl Shares {
    /// Divides a charge among `miners` agreeing miners and the hub.
    #[must_use]
    pub fn of(charged: Snm, fee_ppm: u64, miners: usize) -> Self {
        let ppm = u128::from(fee_ppm.min(PPM));
        let whole = u128::from(PPM);
        // Split, so that the largest charge does not overflow.
        let fee = charged.0 / whole * ppm + charged.0 % whole * ppm / whole;
        let miner = (charged.0 - fee).checked_div(miners as u128).unwrap_or(0);
        Self {
            miner: Snm(miner),
            hub: Snm(charged.0 - miner * miners as u128),
        }
    }
}

impl Ledger {
    /// One buyer's account; empty for a stranger.
    #[must_use]
    pub fn account(&self, buyer: &BuyerId) -> Account {
        self.buyers.get(buyer).copied().unwrap_or_default()
    }

    /// All accounts, by buyer.
    pub fn accounts(&self) -> impl Iterator<Item = (BuyerId, Account)> {
        self.buyers
            .iter()
            .map(|(buyer, account)| (*buyer, *account))
    }

    /// What a miner earned since the beginning.
    #[must_use]
    pub fn cumulative(&self, miner: &MinerId) -> Snm {
        self.earned.get(miner).copied().unwrap_or_default()
    }

    /// All miners that earned something, and what.
    pub fn earnings(&self) -> impl Iterator<Item = (MinerId, Snm)> {
        self.earned.iter().map(|(miner, sum)| (*miner, *sum))
    }

    /// What all miners earned since the beginning.
    #[must_use]
    pub fn earned_total(&self) -> Snm {
        self.earned.values().copied().sum()
    }

    /// What the hub kept since the beginning.
    #[must_use]
    pub fn fees(&self) -> Snm {
        self.fees
    }

    /// Whether all books add up.
    pub fn check(&self) -> Result<(), LedgerViolation> {
        let mut spent = Snm::ZERO;
        for (buyer, account) in &self.buyers {
            let buyer = *buyer;
            if Snm(account.available.0 + account.held.0 + account.spent.0) != account.deposited {
                return Err(LedgerViolation::Account { buyer });
            }
            if Snm(account.held.0 + account.spent.0 + account.refunded.0) != account.reserved {
                return Err(LedgerViolation::Reservations { buyer });
            }
            spent.0 += account.spent.0;
        }
        let received = Snm(self.earned_total().0 + self.fees.0);
        if spent != received {
            return Err(LedgerViolation::Spent { spent, received });
        }
        Ok(())
    }

    /// Books a deposit, unless it is booked already or there is no room for its buyer.
    pub(crate) fn deposit(&mut self, buyer: BuyerId, amount: Snm, reference: B256) {
        if self.references.contains(&reference) {
            return;
        }
        if self.buyers.len() >= BUYERS_MAX && !self.buyers.contains_key(&buyer) {
            return;
        }
        let account = self.buyers.entry(buyer).or_default();
        // More than 2^128 atoms cannot exist; a driver that says so is not believed.
        let Some(deposited) = account.deposited.checked_add(amount) else {
            return;
        };
        account.deposited = deposited;
        account.available.0 += amount.0;

        self.references.insert(reference);
        self.references_by_age.push_back(reference);
        if self.references_by_age.len() > DEPOSITS_KEPT_MAX
            && let Some(oldest) = self.references_by_age.pop_front()
        {
            self.references.remove(&oldest);
        }
    }

    /// Reserves money for a job, or says how much there is.
    pub(crate) fn hold(&mut self, buyer: BuyerId, amount: Snm) -> Result<(), Snm> {
        let available = self.account(&buyer).available;
        let Some(left) = available.checked_sub(amount) else {
            return Err(available);
        };
        // Reservations only count up; a buyer that wraps them has ordered 2^128 atoms of work.
        let Some(reserved) = self.account(&buyer).reserved.checked_add(amount) else {
            return Err(available);
        };
        let account = self.buyers.entry(buyer).or_default();
        account.available = left;
        account.held.0 += amount.0;
        account.reserved = reserved;
        Ok(())
    }

    /// Frees a reservation.
    pub(crate) fn refund(&mut self, buyer: BuyerId, held: Snm) {
        self.release(buyer, held, Snm::ZERO);
    }

    /// Turns a reservation into earnings and frees the rest.
    pub(crate) fn pay(
        &mut self,
        buyer: BuyerId,
        held: Snm,
        charged: Snm,
        fee_ppm: u64,
        miners: &[MinerId],
    ) -> Shares {
        assert!(charged <= held, "a charge is never above its reservation");
        let shares = Shares::of(charged, fee_ppm, miners.len());
        self.release(buyer, held, charged);
        for miner in miners {
            if shares.miner > Snm::ZERO {
                self.earned.entry(*miner).or_default().0 += shares.miner.0;
            }
        }
        self.fees.0 += shares.hub.0;
        shares
    }

    fn release(&mut self, buyer: BuyerId, held: Snm, charged: Snm) {
        let account = self
            .buyers
            .get_mut(&buyer)
            .expect("a reservation has an account");
        account.held = account
            .held
            .checked_sub(held)
            .expect("a reservation is held until it ends");
        account.available.0 += held.0 - charged.0;
        account.refunded.0 += held.0 - charged.0;
        account.spent.0 += charged.0;
        assert!(
            account.available.0 + account.held.0 + account.spent.0 == account.deposited.0,
            "money neither appears nor disappears"
        );
    }
}
