//! The miners that a hub knows, and whom it hires next.
//!
//! A draw is weighted by the miner's record and made from the order's entropy, so it can be
//! replayed and no miner can choose its job or its peers.

use std::collections::{BTreeMap, BTreeSet};

use haar_records::{Address, JobId, MinerId};

use super::job::Job;
use super::view::MinerView;
use crate::config::{CAPACITY_MAX, DISMISSED_MAX, MINERS_MAX, UNREVEALED_APART_MS, UNREVEALED_MAX};
use crate::input::Time;
use crate::ledger::Ledger;
use crate::output::TurnAway;

/// A beginner's weight in a draw; the best record weighs four times as much.
const WEIGHT_BEGINNER: u64 = 4;
const WEIGHT_RECORD_MAX: u32 = 12;
/// Each lapse in a row halves the weight, down to a sixteenth.
const LAPSES_MAX: u32 = 4;

#[derive(Debug, Clone)]
pub(crate) struct Known {
    owner: Address,
    is_present: bool,
    capacity: u16,
    running: u16,
    record: u32,
    lapses: u32,
    unrevealed: u32,
    unrevealed_at: Time,
    /// Jobs in which it has an attempt that is not over.
    jobs: BTreeSet<JobId>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Pool {
    miners: BTreeMap<MinerId, Known>,
    /// Present miners; they alone are drawn from.
    present: BTreeSet<MinerId>,
    /// Present miners of each owner.
    owners: BTreeMap<Address, u32>,
    dismissed_miners: BTreeSet<MinerId>,
    dismissed_owners: BTreeSet<Address>,
    /// Runs that present miners could begin now.
    free: u64,
    /// Somebody became free or left since `take_changed`.
    has_changed: bool,
}

/// Whether somebody can be hired for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hire {
    Miner(MinerId, Address),
    /// Somebody could be, but is busy.
    Busy,
    /// Nobody here could be, ever.
    Nobody,
}

impl Known {
    fn weight(&self) -> u64 {
        let weight = WEIGHT_BEGINNER + u64::from(self.record.min(WEIGHT_RECORD_MAX));
        (weight >> self.lapses.min(LAPSES_MAX)).max(1)
    }

    fn free(&self) -> u64 {
        u64::from(self.capacity.saturating_sub(self.running))
    }
}

impl Pool {
    pub(crate) fn ids(&self) -> impl Iterator<Item = MinerId> {
        self.miners.keys().copied()
    }

    pub(crate) fn view(&self, miner: &MinerId, ledger: &Ledger) -> Option<MinerView> {
        let known = self.miners.get(miner)?;
        Some(MinerView {
            miner: *miner,
            owner: known.owner,
            is_present: known.is_present,
            is_dismissed: self.is_dismissed(miner, &known.owner),
            capacity: known.capacity,
            running: known.running,
            record: known.record,
            cumulative: ledger.cumulative(miner),
        })
    }

    pub(crate) fn admits(&self, miner: &MinerId, owner: &Address) -> Result<(), TurnAway> {
        if self.is_dismissed(miner, owner) {
            return Err(TurnAway::Dismissed);
        }
        if let Some(known) = self.miners.get(miner) {
            let is_same = known.owner == *owner;
            return if is_same {
                Ok(())
            } else {
                Err(TurnAway::OwnerChanged)
            };
        }
        // Forgetting whom we dismissed would let them in again, so a full list lets nobody in.
        let is_full = self.dismissed_miners.len() >= DISMISSED_MAX
            || self.dismissed_owners.len() >= DISMISSED_MAX;
        let has_room = self.miners.len() < MINERS_MAX || self.forgettable().is_some();
        if is_full || !has_room {
            Err(TurnAway::TooManyMiners)
        } else {
            Ok(())
        }
    }

    pub(crate) fn join(
        &mut self,
        miner: MinerId,
        owner: Address,
        capacity: u16,
    ) -> Result<(), TurnAway> {
        self.admits(&miner, &owner)?;
        if !self.miners.contains_key(&miner) && self.miners.len() >= MINERS_MAX {
            let stranger = self.forgettable().expect("admits found somebody to forget");
            self.miners.remove(&stranger);
        }
        self.leave(&miner);
        let known = self.miners.entry(miner).or_insert_with(|| Known {
            owner,
            is_present: false,
            capacity: 0,
            running: 0,
            record: 0,
            lapses: 0,
            unrevealed: 0,
            unrevealed_at: Time::default(),
            jobs: BTreeSet::new(),
        });
        known.capacity = capacity.min(CAPACITY_MAX);
        known.is_present = true;
        self.free += known.free();
        self.has_changed = true;
        self.present.insert(miner);
        *self.owners.entry(owner).or_default() += 1;
        Ok(())
    }

    pub(crate) fn leave(&mut self, miner: &MinerId) -> bool {
        let Some(known) = self.miners.get_mut(miner).filter(|known| known.is_present) else {
            return false;
        };
        known.is_present = false;
        self.free -= known.free();
        self.has_changed = true;
        self.present.remove(miner);
        let owner = known.owner;
        let count = self
            .owners
            .get_mut(&owner)
            .expect("a present miner's owner is counted");
        *count -= 1;
        if *count == 0 {
            self.owners.remove(&owner);
        }
        true
    }

    pub(crate) fn all_leave(&mut self) {
        for miner in std::mem::take(&mut self.present) {
            if let Some(known) = self.miners.get_mut(&miner) {
                known.is_present = false;
            }
        }
        self.owners.clear();
        self.free = 0;
    }

    /// Puts a miner and its owner out for ever. Returns all miners of that owner.
    pub(crate) fn dismiss(&mut self, miner: MinerId, owner: Address) -> Vec<MinerId> {
        self.dismissed_miners.insert(miner);
        self.dismissed_owners.insert(owner);
        let all: Vec<MinerId> = self
            .miners
            .iter()
            .filter(|(_, known)| known.owner == owner)
            .map(|(miner, _)| *miner)
            .collect();
        for miner in &all {
            self.leave(miner);
        }
        all
    }

    pub(crate) fn is_dismissed(&self, miner: &MinerId, owner: &Address) -> bool {
        self.dismissed_miners.contains(miner) || self.dismissed_owners.contains(owner)
    }

    pub(crate) fn is_known(&self, miner: &MinerId) -> bool {
        self.miners.contains_key(miner)
    }

    pub(crate) fn owners(&self) -> usize {
        self.owners.len()
    }

    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// Draws the next miner for a job.
    pub(crate) fn draw(&self, job: &Job) -> Hire {
        let used: BTreeSet<Address> = job.attempts.iter().map(|attempt| attempt.owner).collect();
        if self.free == 0 {
            let has_other = self.owners.keys().any(|owner| !used.contains(owner));
            return if has_other { Hire::Busy } else { Hire::Nobody };
        }
        let mut any = false;
        let mut candidates = Vec::new();
        let mut total = 0;
        for miner in &self.present {
            let known = &self.miners[miner];
            if used.contains(&known.owner) {
                continue;
            }
            any = true;
            if known.free() > 0 {
                total += known.weight();
                candidates.push((total, *miner, known.owner));
            }
        }
        if candidates.is_empty() {
            return if any { Hire::Busy } else { Hire::Nobody };
        }

        let number = job.attempts.len() as u64;
        let hash = blake3::keyed_hash(&job.order.entropy, &number.to_be_bytes());
        let mut word = [0; 8];
        word.copy_from_slice(&hash.as_bytes()[..8]);
        // Multiply and shift: the bias is below total / 2^64.
        let drawn = (u128::from(u64::from_be_bytes(word)) * u128::from(total)) >> 64;
        let place = candidates.partition_point(|(upto, _, _)| u128::from(*upto) <= drawn);
        let (_, miner, owner) = candidates[place];
        Hire::Miner(miner, owner)
    }

    pub(crate) fn hired(&mut self, miner: &MinerId, job: JobId) {
        let known = self.known(miner);
        known.running += 1;
        known.jobs.insert(job);
        if known.is_present {
            self.free -= 1;
        }
    }

    /// The run is over, by a seal or otherwise.
    pub(crate) fn run_ended(&mut self, miner: &MinerId) {
        let known = self.known(miner);
        let before = known.free();
        known.running -= 1;
        let gained = known.free() - before;
        if known.is_present {
            self.free += gained;
            self.has_changed |= gained > 0;
        }
    }

    pub(crate) fn attempt_ended(&mut self, miner: &MinerId, job: &JobId) {
        self.known(miner).jobs.remove(job);
    }

    pub(crate) fn jobs_of(&self, miner: &MinerId) -> Vec<JobId> {
        self.miners
            .get(miner)
            .map(|known| known.jobs.iter().copied().collect())
            .unwrap_or_default()
    }

    pub(crate) fn agreed(&mut self, miner: &MinerId) {
        let known = self.known(miner);
        known.record = known.record.saturating_add(1);
        known.lapses = 0;
        known.unrevealed = 0;
    }

    pub(crate) fn lapsed(&mut self, miner: &MinerId) {
        let known = self.known(miner);
        known.lapses = known.lapses.saturating_add(1);
    }

    pub(crate) fn wrong(&mut self, miner: &MinerId) {
        self.known(miner).record = 0;
    }

    /// Counts a seal that was not opened; true where it was one too many.
    ///
    /// One outage leaves many seals unopened at once. It is one fault, and no reason to dismiss.
    pub(crate) fn unrevealed(&mut self, miner: &MinerId, now: Time) -> bool {
        let known = self.known(miner);
        known.record = 0;
        known.lapses = known.lapses.saturating_add(1);
        if known.unrevealed == 0 || now >= known.unrevealed_at.after_ms(UNREVEALED_APART_MS) {
            known.unrevealed += 1;
            known.unrevealed_at = now;
        }
        known.unrevealed >= UNREVEALED_MAX
    }

    fn known(&mut self, miner: &MinerId) -> &mut Known {
        self.miners
            .get_mut(miner)
            .expect("a miner with an attempt is not forgotten")
    }

    /// A miner about whom nothing would be lost.
    fn forgettable(&self) -> Option<MinerId> {
        let is_blank = |known: &Known| {
            !known.is_present && known.record == 0 && known.unrevealed == 0 && known.jobs.is_empty()
        };
        self.miners
            .iter()
            .find(|(_, known)| is_blank(known))
            .map(|(miner, _)| *miner)
    }
}

#[cfg(test)]
mod tests {
    use haar_records::{B256, BuyerId, Fuel, Snm, SpecHash};

    use super::*;
    use crate::input::Order;

    fn miner(number: u8) -> MinerId {
        MinerId::from([number; 20])
    }

    fn job(entropy: u32) -> Job {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&entropy.to_be_bytes());
        let order = Order {
            job: JobId::default(),
            spec: SpecHash::default(),
            buyer: BuyerId::default(),
            channel: B256::ZERO,
            max_charge: Snm::ZERO,
            fuel_price: 0,
            base_fee: Snm::ZERO,
            fuel_max: Fuel(0),
            attempts: 1,
            quorum: 1,
            deadline: Time(1),
            entropy: seed,
        };
        Job::new(order, Time(0), 0)
    }

    /// Draws often between miner 1, changed, and miner 2; compares how often 1 is hired.
    #[track_caller]
    fn check(change: impl Fn(&mut Pool, &MinerId), percent: std::ops::RangeInclusive<u32>) {
        let mut pool = Pool::default();
        for number in [1, 2] {
            pool.join(miner(number), Address::repeat_byte(number), 2)
                .expect("there is room");
        }
        change(&mut pool, &miner(1));
        let is_first = |entropy: &u32| matches!(pool.draw(&job(*entropy)), Hire::Miner(drawn, _) if drawn == miner(1));
        let found = (0..10_000).filter(is_first).count() as u32 / 100;
        assert!(percent.contains(&found), "{found} %");
    }

    #[test]
    fn strangers_are_hired_alike() {
        check(|_, _| {}, 48..=52);
    }

    #[test]
    fn the_best_record_weighs_four_times_as_much() {
        check(
            |pool, miner| (0..100).for_each(|_| pool.agreed(miner)),
            78..=82,
        );
    }

    #[test]
    fn lapses_make_a_miner_rare_but_never_impossible() {
        check(Pool::lapsed, 31..=35);
        check(
            |pool, miner| (0..100).for_each(|_| pool.lapsed(miner)),
            18..=22,
        );
    }

    #[test]
    fn an_agreed_answer_ends_the_lapses_and_a_wrong_one_the_record() {
        check(
            |pool, miner| {
                pool.lapsed(miner);
                pool.agreed(miner);
                pool.wrong(miner);
            },
            48..=52,
        );
    }

    #[test]
    fn a_full_or_absent_or_dismissed_miner_is_not_drawn() {
        let fill = |pool: &mut Pool, miner: &MinerId| {
            pool.hired(miner, JobId::from([1; 32]));
            pool.hired(miner, JobId::from([2; 32]));
        };
        check(fill, 0..=0);
        check(|pool, miner| _ = pool.leave(miner), 0..=0);
        check(
            |pool, miner| _ = pool.dismiss(*miner, Address::repeat_byte(1)),
            0..=0,
        );
    }

    #[test]
    fn a_miner_keeps_its_owner() {
        let mut pool = Pool::default();
        pool.join(miner(1), Address::repeat_byte(1), 1)
            .expect("there is room");
        let other = Address::repeat_byte(2);
        assert_eq!(pool.join(miner(1), other, 1), Err(TurnAway::OwnerChanged));
    }

    #[test]
    fn a_full_pool_forgets_strangers_before_it_turns_anybody_away() {
        let mut pool = Pool::default();
        let number = |at: usize| {
            let mut bytes = [0; 20];
            bytes[..8].copy_from_slice(&(at as u64).to_be_bytes());
            (MinerId::from(bytes), Address::from(bytes))
        };
        for at in 0..MINERS_MAX {
            let (miner, owner) = number(at);
            pool.join(miner, owner, 1).expect("there is room");
        }
        let (late, owner) = number(MINERS_MAX);
        assert_eq!(pool.join(late, owner, 1), Err(TurnAway::TooManyMiners));
        pool.leave(&number(7).0);
        pool.join(late, owner, 1).expect("a stranger made room");
        assert!(!pool.is_known(&number(7).0));
    }
}
