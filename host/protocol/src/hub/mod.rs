//! The hub: takes orders, hires miners, judges answers, keeps the books.
//!
//! Decides everything that costs or earns money, from its inputs alone; the same journal gives the
//! same hub. It never signs, sends, stores or waits.

mod job;
mod life;
mod pool;
mod settlement;
mod speech;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use haar_records::wire::AttemptEnd;
use haar_records::{Address, JobId, MinerId};

use crate::config::{
    ATTEMPTS_MAX, BATCH_JOBS_MAX, DEADLINE_MS_MAX, HIRE_SCAN_MAX, HubConfig, JOBS_KEPT_MAX,
    JOBS_LIVE_MAX,
};
use crate::input::{Input, Order, Time, Timer};
use crate::ledger::Ledger;
use crate::output::{Answer, DismissReason, NoVerdict, Output, Refusal};
use job::{Job, Phase};
use pool::Pool;
use settlement::Settlement;

pub use view::{AttemptState, AttemptView, JobState, JobView, MinerView, RevealView};

/// A hub's memory.
#[derive(Debug, Clone)]
pub struct Hub {
    config: HubConfig,
    /// The latest time seen; clocks that go back do not take it along.
    now: Time,
    sequence: u64,
    pool: Pool,
    jobs: BTreeMap<JobId, Job>,
    /// Jobs without an end.
    live: usize,
    ledger: Ledger,
    settlement: Settlement,
    /// Jobs about which something changed.
    dirty: BTreeSet<JobId>,
    /// Jobs that want a miner and did not get one, oldest first.
    wanting: BTreeSet<(u64, JobId)>,
    /// Where the last look through `wanting` ended.
    scanned: (u64, JobId),
    /// Ended jobs by the time at which they may be forgotten.
    ended: BTreeSet<(Time, JobId)>,
    /// Miners to put out, once the job that convicted them is back in its place.
    convicted: Vec<Conviction>,
}

#[derive(Debug, Clone, Copy)]
struct Conviction {
    miner: MinerId,
    owner: Address,
    job: JobId,
    reason: DismissReason,
}

impl Hub {
    /// A hub without miners, jobs or money.
    #[must_use]
    pub fn new(config: HubConfig) -> Self {
        Self {
            config,
            now: Time::default(),
            sequence: 0,
            pool: Pool::default(),
            jobs: BTreeMap::new(),
            live: 0,
            ledger: Ledger::default(),
            settlement: Settlement::default(),
            dirty: BTreeSet::new(),
            wanting: BTreeSet::new(),
            scanned: (0, JobId::default()),
            ended: BTreeSet::new(),
            convicted: Vec::new(),
        }
    }

    /// Takes one event and pushes what the surroundings should do about it.
    pub fn handle(&mut self, now: Time, input: Input, outbox: &mut Vec<Output>) {
        self.now = self.now.max(now);
        match input {
            Input::Started => self.start(outbox),
            Input::MinerJoined {
                miner,
                owner,
                capacity,
            } => {
                self.join(miner, owner, capacity, outbox);
            }
            Input::MinerLeft { miner } => self.leave(miner, outbox),
            Input::Ordered(order) => self.order(order, outbox),
            Input::Accepted { miner, job } => self.accepted(miner, job, outbox),
            Input::Declined { miner, job } | Input::Abstained { miner, job } => {
                self.declined(miner, job, outbox);
            }
            Input::Sealed {
                miner,
                job,
                seal,
                signature,
            } => {
                self.sealed(miner, job, (seal, signature), outbox);
            }
            Input::Revealed {
                miner,
                job,
                outcome,
                salt,
                executed_at,
                signature,
            } => {
                let reveal = RevealView {
                    outcome,
                    salt,
                    executed_at,
                    signature,
                };
                self.revealed(miner, job, reveal, outbox);
            }
            Input::OutputStored { job, bytes } => self.output_stored(job, bytes, outbox),
            Input::OutputMissing { job, miner } => self.output_missing(job, miner, outbox),
            Input::TimerFired { timer } => self.timer_fired(timer, outbox),
            Input::Deposited {
                buyer,
                amount,
                reference,
            } => {
                self.ledger.deposit(buyer, amount, reference);
            }
            Input::SettleNow => self.close_epoch(outbox),
            Input::BatchCommitted { epoch } => self.settlement.committed(epoch),
            Input::BatchFinalized { epoch } => self.settlement.finalized(epoch),
        }
        self.settle_down(outbox);
        self.forget_old_jobs();
    }

    /// Follows every consequence of the input until nothing changes.
    fn settle_down(&mut self, outbox: &mut Vec<Output>) {
        loop {
            if let Some(job) = self.dirty.pop_first() {
                self.advance(job, outbox);
            } else if let Some(conviction) = self.convicted.pop() {
                self.dismiss(conviction, outbox);
            } else if self.pool.take_changed() {
                self.look_at_waiting_jobs();
            } else {
                return;
            }
        }
    }

    /// A miner is free, or will never be: half of the looks go to the oldest jobs, half go round, so that old jobs
    /// which only a busy owner could serve do not block all others.
    fn look_at_waiting_jobs(&mut self) {
        let half = HIRE_SCAN_MAX / 2;
        let oldest = self.wanting.iter().take(half).copied();
        let after = (
            std::ops::Bound::Excluded(self.scanned),
            std::ops::Bound::Unbounded,
        );
        let further: Vec<_> = self.wanting.range(after).take(half).copied().collect();
        let is_round = further.len() < half;
        self.dirty
            .extend(oldest.chain(further.iter().copied()).map(|(_, job)| job));
        let start = (0, JobId::default());
        self.scanned = if is_round { start } else { further[half - 1] };
    }

    fn order(&mut self, order: Order, outbox: &mut Vec<Output>) {
        let id = order.job;
        if let Some(job) = self.jobs.get(&id) {
            // The same order again: a live job answers when it ends.
            if let Some(answer) = job.answer.clone() {
                outbox.push(Output::Answer { job: id, answer });
            }
            return;
        }
        if let Some(answer) = self.refuse_or_hold(&order) {
            outbox.push(Output::Answer { job: id, answer });
            return;
        }
        outbox.push(Output::SetTimer {
            at: order.deadline,
            timer: Timer::Deadline { job: id },
        });
        self.sequence += 1;
        self.jobs
            .insert(id, Job::new(order, self.now, self.sequence));
        self.live += 1;
        self.dirty.insert(id);
    }

    /// Reserves the money, or gives the answer that says why not.
    fn refuse_or_hold(&mut self, order: &Order) -> Option<Answer> {
        let in_order = 1 <= order.quorum && order.quorum <= order.attempts;
        if !in_order || order.attempts > ATTEMPTS_MAX {
            return Some(Answer::Refused(Refusal::BadQuorum));
        }
        // An order that has expired may be one that was forgotten; so no job is ever done twice.
        let latest = self.now.after_ms(DEADLINE_MS_MAX);
        if order.deadline <= self.now || order.deadline > latest {
            return Some(Answer::Refused(Refusal::BadDeadline));
        }
        let undecided = self.live + self.settlement.open();
        if self.live >= JOBS_LIVE_MAX || undecided >= BATCH_JOBS_MAX || !self.make_room() {
            return Some(Answer::Refused(Refusal::TooManyJobs));
        }
        if self.pool.owners() < usize::from(order.quorum) {
            return Some(Answer::NoMiner {
                retry_after_ms: self.config.retry_after_ms,
            });
        }
        let needed = order.max_charge;
        let available = self.ledger.hold(order.buyer, needed).err()?;
        Some(Answer::Refused(Refusal::InsufficientFunds {
            needed,
            available,
        }))
    }

    fn timer_fired(&mut self, timer: Timer, outbox: &mut Vec<Output>) {
        match timer {
            Timer::Deadline { job } => {
                let is_over = |job: &Job| !job.is_ended() && job.order.deadline <= self.now;
                if self.jobs.get(&job).is_some_and(is_over) {
                    self.with_job(job, |hub, job| {
                        hub.end_without_verdict(job, NoVerdict::Deadline, outbox);
                    });
                }
            }
            Timer::Attempt { job, attempt } => self.attempt_due(job, attempt, outbox),
            Timer::Stragglers { job, round } => self.stragglers_due(job, round, outbox),
            Timer::Reveals { job, .. } | Timer::Patience { job } => {
                self.dirty.insert(job);
            }
        }
    }

    fn close_epoch(&mut self, outbox: &mut Vec<Output>) {
        let jobs = self.settlement.closable();
        if jobs.is_empty() {
            if let Some(batch) = self.settlement.pending() {
                outbox.push(Output::Settle {
                    batch: batch.clone(),
                });
            }
            return;
        }
        let epoch = self.settlement.epoch();
        let mut leaves = Vec::with_capacity(jobs.len());
        for id in jobs {
            let job = self
                .jobs
                .get_mut(&id)
                .expect("a decided job is kept until it is settled");
            job.epoch = Some(epoch);
            leaves.push(job.leaf().expect("a decided job has a leaf"));
        }
        let pay = self.ledger.earnings().collect();
        let batch = self.settlement.close(leaves, pay).clone();
        outbox.push(Output::Settle { batch });
    }

    /// A new life of the process: nobody is here, timers and requests are lost, time was lost too.
    fn start(&mut self, outbox: &mut Vec<Output>) {
        self.pool.all_leave();
        let live: Vec<JobId> = {
            let live = self.jobs.iter().filter(|(_, job)| !job.is_ended());
            live.map(|(id, _)| *id).collect()
        };
        for id in live {
            self.with_job(id, |hub, job| hub.resume(job, outbox));
            self.dirty.insert(id);
        }
        if let Some(batch) = self.settlement.pending() {
            outbox.push(Output::Settle {
                batch: batch.clone(),
            });
        }
    }

    /// Runs `change` on a job that is taken out meanwhile, so that it can change the hub as well.
    fn with_job(&mut self, id: JobId, change: impl FnOnce(&mut Self, &mut Job)) {
        if let Some(mut job) = self.jobs.remove(&id) {
            change(self, &mut job);
            self.jobs.insert(id, job);
        }
    }

    /// Puts a miner and all others of its owner out, and their open attempts with them.
    fn dismiss(&mut self, conviction: Conviction, outbox: &mut Vec<Output>) {
        let Conviction {
            miner,
            owner,
            job,
            reason,
        } = conviction;
        if self.pool.is_dismissed(&miner, &owner) {
            return;
        }
        for miner in self.pool.dismiss(miner, owner) {
            outbox.push(Output::Dismiss {
                miner,
                owner,
                job,
                reason,
            });
            for id in self.pool.jobs_of(&miner) {
                self.with_job(id, |hub, job| {
                    // What was weighed already stays weighed.
                    if !matches!(job.phase, Phase::Fetching { .. })
                        && let Some(place) = job.place_of(&miner)
                    {
                        hub.end_attempt(job, place, AttemptEnd::Cancelled, outbox);
                    }
                });
                self.dirty.insert(id);
            }
        }
    }

    /// Whether there is room for one more job, after forgetting an old one if need be.
    fn make_room(&mut self) -> bool {
        if self.jobs.len() < JOBS_KEPT_MAX {
            return true;
        }
        let mut oldest = self.ended.iter().take(HIRE_SCAN_MAX);
        let found = oldest.find(|(_, id)| {
            let job = &self.jobs[id];
            job.order.deadline <= self.now && self.is_forgettable(job)
        });
        let Some(found) = found.copied() else {
            return false;
        };
        self.ended.remove(&found);
        self.jobs.remove(&found.1);
        true
    }

    fn forget_old_jobs(&mut self) {
        while let Some((at, id)) = self.ended.first().copied() {
            if at > self.now {
                return;
            }
            self.ended.pop_first();
            if self.is_forgettable(&self.jobs[&id]) {
                self.jobs.remove(&id);
            } else {
                let later = self.now.after_ms(self.config.retention_ms.max(1));
                self.ended.insert((later, id));
            }
        }
    }

    /// The books are closed on it: refunded, or in a batch that the chain has.
    fn is_forgettable(&self, job: &Job) -> bool {
        match job.phase {
            Phase::Refunded => true,
            Phase::Settled => job
                .epoch
                .is_some_and(|epoch| self.settlement.is_committed(epoch)),
            _ => false,
        }
    }
}
