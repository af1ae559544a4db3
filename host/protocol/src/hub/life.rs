//! A job's way from phase to phase: collect seals, reveal, judge, fetch, settle or refund.

use haar_records::wire::AttemptEnd;
use haar_records::{BlobHash, JobId, MinerId, OutcomeKey, Status, charge};

use super::job::{Attempt, Job, Phase};
use super::pool::Hire;
use super::speech::{attempt_timer, request_reveal};
use super::view::AttemptState;
use super::{Conviction, Hub};
use crate::config::{ATTEMPTS_MAX, OFFERS_MAX};
use crate::input::Timer;
use crate::output::{Answer, Credit, DismissReason, NoVerdict, Output};
use crate::quorum::{Weighing, weigh};

impl Hub {
    /// Moves a job on as far as it can go now.
    pub(super) fn advance(&mut self, id: JobId, outbox: &mut Vec<Output>) {
        self.with_job(id, |hub, job| {
            let mut moved = true;
            while moved {
                moved = match job.phase {
                    Phase::Collecting => hub.collect(job, outbox),
                    Phase::Revealing { .. } => hub.judge(job, outbox),
                    Phase::Fetching { agreed } => hub.await_output(job, agreed, outbox),
                    Phase::Settled | Phase::Refunded => false,
                };
            }
        });
    }

    /// Hires whom the round lacks, and closes the set of seals when all are in.
    fn collect(&mut self, job: &mut Job, outbox: &mut Vec<Output>) -> bool {
        let lack = self.hire_missing(job, outbox);
        if lack == Some(Hire::Busy) || lack == Some(Hire::Nobody) {
            self.wanting.insert((job.sequence, job.id()));
        } else {
            self.wanting.remove(&(job.sequence, job.id()));
        }
        if job.is_running() {
            return false;
        }
        if lack.is_none() || job.round_active() >= self.needed(job) {
            self.open_reveals(job, outbox);
            return true;
        }
        // Too few seals, and nobody runs: wait for somebody free, or for a while for somebody new.
        if lack == Some(Hire::Busy) {
            job.patience = None;
            return false;
        }
        let has_offers = (job.attempts.len() as u32) < OFFERS_MAX;
        match job.patience {
            None if has_offers => {
                let at = self.now.after_ms(self.config.patience_ms);
                job.patience = Some(at);
                outbox.push(Output::SetTimer {
                    at,
                    timer: Timer::Patience { job: job.id() },
                });
                false
            }
            Some(until) if has_offers && self.now < until => false,
            _ => {
                self.end_without_verdict(job, NoVerdict::NoMiner, outbox);
                false
            }
        }
    }

    /// Hires until the round is complete. Returns what was in the way, if something was.
    fn hire_missing(&mut self, job: &mut Job, outbox: &mut Vec<Output>) -> Option<Hire> {
        while job.round_active() < job.wanted {
            if job.attempts.len() as u32 >= OFFERS_MAX {
                return Some(Hire::Nobody);
            }
            match self.pool.draw(job) {
                Hire::Miner(miner, owner) => {
                    let attempt = Attempt::new(miner, owner, job, self.now);
                    self.hire(job, attempt, outbox);
                }
                lack => return Some(lack),
            }
        }
        None
    }

    fn hire(&mut self, job: &mut Job, attempt: Attempt, outbox: &mut Vec<Output>) {
        assert!(
            job.attempts
                .iter()
                .all(|other| other.owner != attempt.owner),
            "one owner has one attempt in a job"
        );
        self.pool.hired(&attempt.miner, job.id());
        job.attempts.push(attempt);
        job.patience = None;
        self.offer(job, job.attempts.len() - 1, outbox);
    }

    /// Makes or repeats an offer. The time that a repeated one may take begins anew.
    pub(super) fn offer(&mut self, job: &mut Job, place: usize, outbox: &mut Vec<Output>) {
        let id = job.id();
        let attempt = &mut job.attempts[place];
        attempt.state = AttemptState::Offered;
        attempt.lease = self
            .now
            .after_ms(self.config.lease_ms)
            .min(job.order.deadline);
        attempt.due = self.now.after_ms(self.config.accept_ms).min(attempt.lease);
        outbox.push(Output::Offer {
            miner: attempt.miner,
            job: id,
            attempt: attempt.number,
            deadline: attempt.lease,
        });
        outbox.push(attempt_timer(id, attempt));
    }

    /// Somebody has sealed long ago: the round goes on without the slow ones, if it can.
    pub(super) fn stragglers_due(&mut self, id: JobId, round: u32, outbox: &mut Vec<Output>) {
        let now = self.now;
        let is_due = |job: &Job| {
            let is_open = job.phase == Phase::Collecting && job.round == round;
            is_open && job.stragglers.is_some_and(|due| due <= now)
        };
        if !self.jobs.get(&id).is_some_and(is_due) {
            return;
        }
        self.with_job(id, |hub, job| {
            let running = (0..job.attempts.len()).filter(|place| job.attempts[*place].is_running());
            let running: Vec<usize> = running.collect();
            let sealed = job.round_active() - running.len() as u32;
            if sealed >= hub.needed(job) {
                job.wanted = sealed;
                for place in running {
                    hub.lapse(job, place, outbox);
                }
                return;
            }
            for place in running {
                // A slow miner is better than none.
                let has_offers = (job.attempts.len() as u32) < OFFERS_MAX;
                let Hire::Miner(miner, owner) = hub.pool.draw(job) else {
                    break;
                };
                if !has_offers {
                    break;
                }
                hub.lapse(job, place, outbox);
                let attempt = Attempt::new(miner, owner, job, now);
                hub.hire(job, attempt, outbox);
            }
            if job.is_running() {
                outbox.push(job.open_window(now));
            }
        });
        self.dirty.insert(id);
    }

    /// How many more answers could decide.
    fn needed(&self, job: &Job) -> u32 {
        match weigh(job.order.quorum, &job.answers()) {
            Weighing::NeedsMore(answers) => answers,
            Weighing::Accepted(_) => 0,
        }
    }

    fn open_reveals(&mut self, job: &mut Job, outbox: &mut Vec<Output>) {
        assert!(
            !job.is_running(),
            "reveals open when nobody can seal any more"
        );
        let due = self.now.after_ms(self.config.reveal_ms);
        self.wanting.remove(&(job.sequence, job.id()));
        job.phase = Phase::Revealing { due };
        job.patience = None;
        outbox.push(request_reveal(job, job.unrevealed()));
        let timer = Timer::Reveals {
            job: job.id(),
            round: job.round,
        };
        outbox.push(Output::SetTimer { at: due, timer });
    }

    /// Weighs the answers once all reveals are in or late.
    fn judge(&mut self, job: &mut Job, outbox: &mut Vec<Output>) -> bool {
        let Phase::Revealing { due } = job.phase else {
            return false;
        };
        let sealed: Vec<MinerId> = job.unrevealed();
        if !sealed.is_empty() && self.now < due {
            return false;
        }
        for miner in sealed {
            let place = job.place_of(&miner).expect("who sealed has an attempt");
            self.end_attempt(job, place, AttemptEnd::Dissented, outbox);
            if self.pool.unrevealed(&miner, self.now) {
                self.convict(job, place, DismissReason::NeverReveals);
            }
        }

        match weigh(job.order.quorum, &job.answers()) {
            Weighing::Accepted(agreed) => {
                job.phase = Phase::Fetching { agreed };
                if needs_output(job, agreed) {
                    outbox.push(fetch_output(job, agreed));
                    return false;
                }
                self.settle(job, agreed, 0, outbox);
                false
            }
            Weighing::NeedsMore(answers) => {
                // Each seal was paid for with work, so each one counts, opened or not.
                let left = u32::from(ATTEMPTS_MAX).saturating_sub(job.answers_bought());
                if answers > left {
                    self.end_without_verdict(job, NoVerdict::Disagreement, outbox);
                    return false;
                }
                job.round += 1;
                job.wanted = answers;
                job.stragglers = None;
                job.phase = Phase::Collecting;
                true
            }
        }
    }

    /// Goes on without a group that cannot deliver what it signed for.
    fn await_output(
        &mut self,
        job: &mut Job,
        agreed: OutcomeKey,
        outbox: &mut Vec<Output>,
    ) -> bool {
        let agreeing = job.agreeing(&agreed);
        if agreeing
            .iter()
            .any(|place| !job.attempts[*place].is_withheld)
        {
            return false;
        }
        for place in agreeing {
            self.lapse(job, place, outbox);
        }
        job.phase = Phase::Revealing { due: self.now };
        true
    }

    pub(super) fn output_missing(&mut self, id: JobId, miner: MinerId, _: &mut Vec<Output>) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let Some(place) = job.place_of(&miner) else {
            return;
        };
        if matches!(job.phase, Phase::Fetching { .. }) {
            job.attempts[place].is_withheld = true;
            self.dirty.insert(id);
        }
    }

    pub(super) fn output_stored(&mut self, id: JobId, bytes: u64, outbox: &mut Vec<Output>) {
        self.with_job(id, |hub, job| {
            if let Phase::Fetching { agreed } = job.phase {
                hub.settle(job, agreed, bytes, outbox);
            }
        });
    }

    /// The verdict: pays who agreed, puts out who did not, answers the buyer.
    fn settle(&mut self, job: &mut Job, agreed: OutcomeKey, bytes: u64, outbox: &mut Vec<Output>) {
        let places = job.agreeing(&agreed);
        let agreeing: Vec<MinerId> = places
            .iter()
            .map(|place| job.attempts[*place].miner)
            .collect();
        assert!(
            agreeing.len() >= usize::from(job.order.quorum),
            "a verdict has its quorum"
        );

        let charged = charge(&job.order.terms(), agreed.fuel_used);
        let (order, fee_ppm) = (&job.order, self.config.fee_ppm);
        let shares = self
            .ledger
            .pay(order.buyer, order.max_charge, charged, fee_ppm, &agreeing);
        let receipts_hash = job.receipts_hash(&self.config, &places);
        let first = job.attempts[places[0]]
            .reveal
            .expect("who agrees has revealed");
        let mut outcome = first.outcome;
        outcome.output_bytes = bytes;

        for place in 0..job.attempts.len() {
            let attempt = &mut job.attempts[place];
            if places.contains(&place) {
                attempt.earned = shares.miner;
                self.pool.agreed(&attempt.miner);
                self.end_attempt(job, place, AttemptEnd::Agreed, outbox);
            } else if attempt.answer().is_some() {
                self.pool.wrong(&attempt.miner);
                self.end_attempt(job, place, AttemptEnd::Dissented, outbox);
                self.convict(job, place, DismissReason::WrongOutcome);
            } else {
                self.end_attempt(job, place, AttemptEnd::Cancelled, outbox);
            }
        }

        let answer = Answer::Agreed {
            outcome,
            charged,
            attempts: job.attempts.len() as u32,
            agreeing,
            dissenting: job.ends_of(AttemptEnd::Dissented),
            receipts_hash,
        };
        self.settlement.decided(job.id());
        self.end(job, Phase::Settled, answer, outbox);
    }

    pub(super) fn end_without_verdict(
        &mut self,
        job: &mut Job,
        reason: NoVerdict,
        outbox: &mut Vec<Output>,
    ) {
        self.ledger.refund(job.order.buyer, job.order.max_charge);
        for place in 0..job.attempts.len() {
            self.end_attempt(job, place, AttemptEnd::Cancelled, outbox);
        }
        let answer = Answer::NoVerdict {
            reason,
            attempts: job.attempts.len() as u32,
        };
        self.end(job, Phase::Refunded, answer, outbox);
    }

    fn end(&mut self, job: &mut Job, phase: Phase, answer: Answer, outbox: &mut Vec<Output>) {
        assert!(job.answer.is_none() && !job.is_ended(), "a job ends once");
        assert!(
            job.attempts.iter().all(Attempt::is_ended),
            "an ended job has no open attempt"
        );
        self.wanting.remove(&(job.sequence, job.id()));
        self.live -= 1;
        job.phase = phase;
        job.ended_at = Some(self.now);
        job.answer = Some(answer.clone());
        let kept_until = self
            .now
            .max(job.order.deadline)
            .after_ms(self.config.retention_ms);
        self.ended.insert((kept_until, job.id()));
        outbox.push(Output::Answer {
            job: job.id(),
            answer,
        });
    }

    /// The miner was too slow or withheld its output. It costs availability, never a record.
    pub(super) fn lapse(&mut self, job: &mut Job, place: usize, outbox: &mut Vec<Output>) {
        self.pool.lapsed(&job.attempts[place].miner);
        self.end_attempt(job, place, AttemptEnd::Lapsed, outbox);
    }

    /// Ends an attempt, unless it has ended, and tells its miner.
    pub(super) fn end_attempt(
        &mut self,
        job: &mut Job,
        place: usize,
        end: AttemptEnd,
        outbox: &mut Vec<Output>,
    ) {
        let id = job.id();
        let attempt = &mut job.attempts[place];
        if attempt.is_ended() {
            return;
        }
        if attempt.is_running() {
            self.pool.run_ended(&attempt.miner);
        }
        self.pool.attempt_ended(&attempt.miner, &id);
        attempt.state = AttemptState::Ended(end);
        let miner = attempt.miner;
        let credit = (end == AttemptEnd::Agreed).then(|| Credit {
            cumulative: self.ledger.cumulative(&miner),
            epoch: self.settlement.epoch(),
        });
        outbox.push(Output::CloseAttempt {
            miner,
            job: id,
            end,
            credit,
        });
    }

    pub(super) fn convict(&mut self, job: &Job, place: usize, reason: DismissReason) {
        let Attempt { miner, owner, .. } = job.attempts[place];
        self.convicted.push(Conviction {
            miner,
            owner,
            job: job.id(),
            reason,
        });
    }

    /// Asks again for everything that a live job waits for. The hub's absence is nobody's lateness.
    pub(super) fn resume(&mut self, job: &mut Job, outbox: &mut Vec<Output>) {
        let id = job.id();
        let now = self.now;
        outbox.push(Output::SetTimer {
            at: job.order.deadline,
            timer: Timer::Deadline { job: id },
        });
        let back = now.after_ms(self.config.return_ms.saturating_add(self.config.accept_ms));
        for attempt in job
            .attempts
            .iter_mut()
            .filter(|attempt| attempt.is_running())
        {
            attempt.lease = now.after_ms(self.config.lease_ms).min(job.order.deadline);
            attempt.due = back.min(attempt.lease);
            outbox.push(attempt_timer(id, attempt));
        }
        if job.stragglers.is_some() {
            outbox.push(job.open_window(now));
        }
        if job.patience.is_some() {
            let at = now.after_ms(self.config.patience_ms);
            job.patience = Some(at);
            outbox.push(Output::SetTimer {
                at,
                timer: Timer::Patience { job: id },
            });
        }
        match job.phase {
            Phase::Revealing { .. } => {
                let due = back.after_ms(self.config.reveal_ms);
                job.phase = Phase::Revealing { due };
                let timer = Timer::Reveals {
                    job: id,
                    round: job.round,
                };
                outbox.push(Output::SetTimer { at: due, timer });
            }
            Phase::Fetching { agreed } => outbox.push(fetch_output(job, agreed)),
            Phase::Collecting | Phase::Settled | Phase::Refunded => {}
        }
    }
}

fn needs_output(job: &Job, agreed: OutcomeKey) -> bool {
    let place = job.agreeing(&agreed)[0];
    let outcome = job.attempts[place]
        .reveal
        .expect("who agrees has revealed")
        .outcome;
    agreed.status == Status::Returned && outcome.output != BlobHash::of(b"")
}

fn fetch_output(job: &Job, agreed: OutcomeKey) -> Output {
    let places = job.agreeing(&agreed);
    let outcome = job.attempts[places[0]]
        .reveal
        .expect("who agrees has revealed")
        .outcome;
    let delivers = places
        .iter()
        .filter(|place| !job.attempts[**place].is_withheld);
    let from = delivers.map(|place| job.attempts[*place].miner).collect();
    Output::FetchOutput {
        job: job.id(),
        outcome,
        from,
    }
}
