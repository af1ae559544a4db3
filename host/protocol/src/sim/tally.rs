//! What the world knows to be true, and the comparison of the hub with it.

use std::collections::{BTreeMap, BTreeSet};

use haar_records::eip712::seal;
use haar_records::wire::AttemptEnd;
use haar_records::{JobId, MinerId, Outcome, OutcomeKey, Snm, charge};

use super::actor::{Actor, Kind};
use super::{Report, Violation};
use crate::hub::{AttemptState, AttemptView, Hub, JobState, JobView};
use crate::input::Order;
use crate::output::{Answer, Batch};

/// The world's own books, kept from what it sees and never from the hub's.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) deposited: Snm,
    taken: BTreeMap<JobId, Order>,
    answers: BTreeMap<JobId, Answer>,
    earned: BTreeMap<MinerId, Snm>,
    charged: Snm,
    /// Honest miners that a wrong verdict made look like liars.
    framed: BTreeSet<MinerId>,
    batches: BTreeMap<u64, Batch>,
    settled_in: BTreeMap<JobId, u64>,
    /// The last round of each job whose seals were closed.
    closed: BTreeMap<JobId, u32>,
    out: BTreeSet<MinerId>,
}

impl Tally {
    /// The hub took this order, and so owes an answer.
    pub(super) fn took(&mut self, order: &Order) {
        self.taken.entry(order.job).or_insert_with(|| order.clone());
    }

    pub(super) fn is_taken(&self, job: &JobId) -> bool {
        self.taken.contains_key(job)
    }

    /// After every step: no money came or went, no job was lost.
    pub(super) fn check_step(&self, hub: &Hub) -> Result<(), Violation> {
        hub.ledger().check()?;
        let found = hub
            .ledger()
            .accounts()
            .map(|(_, account)| account.deposited)
            .sum();
        if found != self.deposited {
            return Err(Violation::Deposits {
                expected: self.deposited,
                found,
            });
        }
        if hub.jobs_live() != self.taken.len() - self.answers.len() {
            let is_lost = |job: &&JobId| !self.answers.contains_key(job) && hub.job(job).is_none();
            let lost = self.taken.keys().find(is_lost).copied().unwrap_or_default();
            return Err(Violation::Lost { job: lost });
        }
        Ok(())
    }

    /// The hub answers a buyer.
    pub(super) fn answered(
        &mut self,
        hub: &Hub,
        job: JobId,
        answer: &Answer,
        truth: &Outcome,
        actors: &BTreeMap<MinerId, Actor>,
        report: &mut Report,
    ) -> Result<(), Violation> {
        if matches!(answer, Answer::Refused(_) | Answer::NoMiner { .. }) {
            // An expired order is refused even where its job was answered long ago.
            report.turned_down += 1;
            return Ok(());
        }
        if let Some(first) = self.answers.get(&job) {
            return if first == answer {
                Ok(())
            } else {
                Err(Violation::AnsweredTwice { job })
            };
        }
        if !self.taken.contains_key(&job) {
            return Err(Violation::AnsweredTwice { job });
        }
        self.answers.insert(job, answer.clone());
        let view = hub.job(&job).ok_or(Violation::Lost { job })?;
        check_owners(&view)?;

        let Answer::Agreed {
            outcome,
            charged,
            agreeing,
            ..
        } = answer
        else {
            report.refunded += 1;
            return self.check_shares(hub, &view, &[], Snm::ZERO);
        };
        report.settled += 1;
        report.attempts += view.attempts.len() as u64;
        let key = outcome.key();
        self.check_truth(&view, key, truth.key(), agreeing, actors, report)?;
        check_margin(&view, key, agreeing)?;
        self.check_nobody_unpaid(&view, key)?;

        let expected = charge(&view.order.terms(), key.fuel_used);
        if *charged != expected {
            return Err(Violation::Charge {
                job,
                charged: *charged,
                expected,
            });
        }
        self.charged.0 += charged.0;
        self.check_shares(hub, &view, agreeing, *charged)
    }

    /// The hub closes a round's set of seals.
    pub(super) fn closed(&mut self, job: JobId, round: u32) {
        self.closed.insert(job, round);
    }

    /// The hub heard a reveal and perhaps believed it.
    pub(super) fn revealed(&self, hub: &Hub, job: JobId, miner: MinerId) -> Result<(), Violation> {
        let Some(view) = hub.job(&job) else {
            return Ok(());
        };
        let is_early = |attempt: &AttemptView| {
            let is_believed = attempt.state == AttemptState::Revealed;
            is_believed
                && self
                    .closed
                    .get(&job)
                    .is_none_or(|round| *round < attempt.round)
        };
        let attempt = view.attempts.iter().find(|attempt| attempt.miner == miner);
        if attempt.is_some_and(is_early) {
            return Err(Violation::RevealedEarly { job, miner });
        }
        Ok(())
    }

    /// The hub puts a miner out.
    pub(super) fn dismissed(&mut self, actor: &Actor) -> Result<(), Violation> {
        self.out.insert(actor.id);
        if actor.kind.is_harmless() && !self.framed.contains(&actor.id) {
            return Err(Violation::InnocentDismissed {
                miner: actor.id,
                kind: actor.kind,
            });
        }
        Ok(())
    }

    /// The chain sees a batch, perhaps again.
    pub(super) fn batch(&mut self, batch: &Batch) -> Result<(), Violation> {
        let epoch = batch.epoch;
        let wrong = |what| Err(Violation::Batch { epoch, what });
        if let Some(first) = self.batches.get(&epoch) {
            return if first == batch {
                Ok(())
            } else {
                wrong("two batches of one epoch")
            };
        }
        if batch.previous != self.batches.keys().next_back().copied() {
            return wrong("it does not follow the last batch");
        }
        for leaf in &batch.leaves {
            let job = JobId(leaf.jobId);
            let Some(Answer::Agreed { charged, .. }) = self.answers.get(&job) else {
                return wrong("it settles a job that was not agreed");
            };
            if charged.0 != leaf.charged {
                return wrong("it settles a job for another price");
            }
            if self.settled_in.insert(job, epoch).is_some() {
                return wrong("it settles a job a second time");
            }
        }
        let before = self.batches.values().next_back();
        let cumulative = |miner: &MinerId| {
            let find = |pay: &[(MinerId, Snm)]| pay.iter().find(|line| line.0 == *miner).copied();
            before
                .and_then(|batch| find(&batch.pay))
                .map_or(Snm::ZERO, |line| line.1)
        };
        if batch
            .pay
            .iter()
            .any(|(miner, sum)| *sum < cumulative(miner))
        {
            return wrong("a miner's total falls");
        }
        let total_before = before.map_or(0, |batch| batch.miner_total_cum.0);
        if batch.miner_total_cum.0 - total_before > batch.total_charged.0 {
            return wrong("miners earn more than the jobs cost");
        }
        self.batches.insert(epoch, batch.clone());
        Ok(())
    }

    /// At the end: each job has its end, and the chain pays exactly what was earned.
    pub(super) fn check_end(&self, hub: &Hub) -> Result<(), Violation> {
        let mut endless = self
            .taken
            .keys()
            .filter(|job| !self.answers.contains_key(job));
        if let Some(job) = endless.next() {
            let state = hub.job(job).map_or(JobState::Refunded, |view| view.state);
            return Err(Violation::NeverEnds { job: *job, state });
        }
        if let Some(busy) = hub.miners().find(|miner| miner.running > 0) {
            let (miner, running) = (busy.miner, busy.running);
            return Err(Violation::BusyForEver { miner, running });
        }
        let agreed = |answer: &&Answer| matches!(answer, Answer::Agreed { .. });
        let agreed = self.answers.values().filter(agreed).count();
        let epoch = self.batches.keys().next_back().copied().unwrap_or(0);
        let wrong = |what| Err(Violation::Batch { epoch, what });
        if agreed != self.settled_in.len() {
            return wrong("an agreed job was never settled");
        }
        let Some(last) = self.batches.get(&epoch) else {
            return Ok(());
        };
        let earned: Vec<_> = self.earned.iter().filter(|(_, sum)| sum.0 > 0).collect();
        if !last.pay.iter().map(|(miner, sum)| (miner, sum)).eq(earned) {
            return wrong("the last batch does not pay what was earned");
        }
        let charged: u128 = self
            .batches
            .values()
            .map(|batch| batch.total_charged.0)
            .sum();
        if charged != self.charged.0 {
            return wrong("all batches together charge something else than the verdicts");
        }
        Ok(())
    }

    fn check_truth(
        &mut self,
        view: &JobView,
        accepted: OutcomeKey,
        truth: OutcomeKey,
        agreeing: &[MinerId],
        actors: &BTreeMap<MinerId, Actor>,
        report: &mut Report,
    ) -> Result<(), Violation> {
        if accepted == truth {
            return Ok(());
        }
        let first = &actors[&agreeing[0]];
        let conspires = |miner: &MinerId| {
            let actor = &actors[miner];
            actor.kind == Kind::Colluder && actor.group == first.group
        };
        if view.order.quorum == 1 {
            report.wrong_optimistic += 1;
        } else if agreeing.iter().all(conspires) {
            report.wrong_colluding += 1;
        } else {
            return Err(Violation::WrongAccepted {
                job: view.order.job,
            });
        }
        let dissents = |attempt: &&AttemptView| !agreeing.contains(&attempt.miner);
        self.framed.extend(
            view.attempts
                .iter()
                .filter(dissents)
                .map(|attempt| attempt.miner),
        );
        Ok(())
    }

    /// Who revealed the accepted outcome is paid, unless it was put out or withheld the output.
    fn check_nobody_unpaid(&self, view: &JobView, agreed: OutcomeKey) -> Result<(), Violation> {
        let job = view.order.job;
        let is_unpaid = |attempt: &&AttemptView| {
            let is_cancelled = attempt.state == AttemptState::Ended(AttemptEnd::Cancelled);
            let agrees = attempt
                .reveal
                .is_some_and(|reveal| reveal.outcome.key() == agreed);
            is_cancelled && agrees && !self.out.contains(&attempt.miner)
        };
        let unpaid = view.attempts.iter().find(is_unpaid);
        unpaid.map_or(Ok(()), |attempt| {
            Err(Violation::Unpaid {
                job,
                miner: attempt.miner,
            })
        })
    }

    /// Every agreeing miner gets the same, everybody else nothing, and the totals follow.
    fn check_shares(
        &mut self,
        hub: &Hub,
        view: &JobView,
        agreeing: &[MinerId],
        charged: Snm,
    ) -> Result<(), Violation> {
        let job = view.order.job;
        let fee = charged.0 * u128::from(super::world::FEE_PPM) / 1_000_000;
        let share = (charged.0 - fee)
            .checked_div(agreeing.len() as u128)
            .unwrap_or(0);
        for attempt in &view.attempts {
            let AttemptView { miner, earned, .. } = *attempt;
            let agrees = agreeing.contains(&miner);
            let expected = if agrees { Snm(share) } else { Snm::ZERO };
            if earned != expected {
                return Err(Violation::Share {
                    job,
                    miner,
                    earned,
                    expected,
                });
            }
            let total = self.earned.entry(miner).or_default();
            total.0 += expected.0;
            // Other jobs may have been decided in the same step; their shares come next.
            let owed = hub.ledger().cumulative(&miner);
            if owed < *total {
                return Err(Violation::Cumulative {
                    miner,
                    owed,
                    earned: *total,
                });
            }
        }
        Ok(())
    }

    /// After all answers of a step: each miner is owed the sum of its shares.
    pub(super) fn check_totals(&self, hub: &Hub) -> Result<(), Violation> {
        for (miner, owed) in hub.ledger().earnings() {
            let earned = self.earned.get(&miner).copied().unwrap_or_default();
            if owed != earned {
                return Err(Violation::Cumulative {
                    miner,
                    owed,
                    earned,
                });
            }
        }
        Ok(())
    }
}

fn check_owners(view: &JobView) -> Result<(), Violation> {
    let owners: BTreeSet<_> = view.attempts.iter().map(|attempt| attempt.owner).collect();
    if owners.len() == view.attempts.len() {
        return Ok(());
    }
    Err(Violation::SharedOwner {
        job: view.order.job,
    })
}

/// Counts once more, from the evidence alone.
fn check_margin(view: &JobView, agreed: OutcomeKey, agreeing: &[MinerId]) -> Result<(), Violation> {
    let job = view.order.job;
    let mut groups: BTreeMap<OutcomeKey, usize> = BTreeMap::new();
    for attempt in &view.attempts {
        let counts = matches!(
            attempt.state,
            AttemptState::Ended(AttemptEnd::Agreed | AttemptEnd::Dissented)
        );
        let (Some((sealed, _)), Some(reveal)) = (attempt.seal, attempt.reveal) else {
            continue;
        };
        let key = reveal.outcome.key();
        let opened = seal(job, attempt.miner, key.result, key.fuel_used.0, reveal.salt);
        if counts && opened == sealed && key.fuel_used <= view.order.fuel_max {
            *groups.entry(key).or_default() += 1;
        }
    }
    let first = groups.remove(&agreed).unwrap_or(0);
    let second = groups.values().copied().max().unwrap_or(0);
    let has_margin = first >= second + usize::from(view.order.quorum);
    if first == agreeing.len() && has_margin {
        Ok(())
    } else {
        Err(Violation::Margin { job })
    }
}
