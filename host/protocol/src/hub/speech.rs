//! What miners say, and what is believed of it.
//!
//! Everything may come twice, late, early or about nothing: then it changes nothing. A miner that
//! still speaks about an attempt that is over is told so again.

use haar_records::eip712::seal;
use haar_records::wire::AttemptEnd;
use haar_records::{Address, B256, JobId, MinerId, Signature};

use super::job::{Attempt, Job, Phase};
use super::view::{AttemptState, RevealView};
use super::{Conviction, Hub};
use crate::config::HubConfig;
use crate::input::Timer;
use crate::output::{Credit, DismissReason, Output};

impl Hub {
    pub(super) fn join(
        &mut self,
        miner: MinerId,
        owner: Address,
        capacity: u16,
        outbox: &mut Vec<Output>,
    ) {
        if let Err(reason) = self.pool.join(miner, owner, capacity) {
            outbox.push(Output::TurnAway { miner, reason });
            return;
        }
        for id in self.pool.jobs_of(&miner) {
            self.with_job(id, |hub, job| {
                let place = job.place_of(&miner).expect("a miner's job has its attempt");
                if job.attempts[place].is_running() {
                    hub.offer(job, place, outbox);
                } else if job.attempts[place].is_sealed()
                    && matches!(job.phase, Phase::Revealing { .. })
                {
                    outbox.push(request_reveal(job, vec![miner]));
                }
            });
        }
    }

    pub(super) fn leave(&mut self, miner: MinerId, outbox: &mut Vec<Output>) {
        if !self.pool.leave(&miner) {
            return;
        }
        let due = self.now.after_ms(self.config.return_ms);
        for id in self.pool.jobs_of(&miner) {
            self.with_job(id, |_, job| {
                let place = job.place_of(&miner).expect("a miner's job has its attempt");
                let attempt = &mut job.attempts[place];
                if attempt.is_running() && due < attempt.due {
                    attempt.due = due;
                    outbox.push(attempt_timer(id, attempt));
                }
            });
        }
    }

    pub(super) fn accepted(&mut self, miner: MinerId, job: JobId, outbox: &mut Vec<Output>) {
        let Some((job, place)) = self.spoken_of(miner, job, outbox) else {
            return;
        };
        let id = job.id();
        let attempt = &mut job.attempts[place];
        if attempt.state == AttemptState::Offered {
            attempt.state = AttemptState::Accepted;
            attempt.due = attempt.lease;
            outbox.push(attempt_timer(id, attempt));
        }
    }

    pub(super) fn declined(&mut self, miner: MinerId, job: JobId, outbox: &mut Vec<Output>) {
        let Some((found, place)) = self.spoken_of(miner, job, outbox) else {
            return;
        };
        // Who has sealed has an answer; it cannot take that back.
        if found.attempts[place].is_running() {
            // Declining costs availability, or a miner that takes nothing would be asked first for ever.
            self.pool.lapsed(&miner);
            self.with_job(job, |hub, job| {
                hub.end_attempt(job, place, AttemptEnd::Cancelled, outbox);
            });
            self.dirty.insert(job);
        }
    }

    pub(super) fn sealed(
        &mut self,
        miner: MinerId,
        job: JobId,
        sealed: (B256, Signature),
        outbox: &mut Vec<Output>,
    ) {
        if self.contradicts(miner, job, |attempt| {
            attempt.seal.is_some_and(|(first, _)| first != sealed.0)
        }) {
            return;
        }
        let now = self.now;
        let HubConfig {
            stragglers_factor,
            stragglers_ms_min,
            ..
        } = self.config;
        let Some((found, place)) = self.spoken_of(miner, job, outbox) else {
            return;
        };
        let attempt = &mut found.attempts[place];
        // A running attempt is always of the open round; its seal comes before anything is shown.
        if !attempt.is_running() {
            return;
        }
        attempt.state = AttemptState::Sealed;
        attempt.seal = Some(sealed);
        let own_ms = now.ms_since(attempt.hired_at);
        if found.stragglers.is_none() {
            let window = own_ms.saturating_mul(stragglers_factor);
            found.window_ms = window.max(stragglers_ms_min);
            outbox.push(found.open_window(now));
        }
        self.pool.run_ended(&miner);
        self.dirty.insert(job);
    }

    pub(super) fn revealed(
        &mut self,
        miner: MinerId,
        job: JobId,
        reveal: RevealView,
        outbox: &mut Vec<Output>,
    ) {
        let key = reveal.outcome.key();
        if self.contradicts(miner, job, |attempt| {
            attempt
                .reveal
                .is_some_and(|first| first.outcome.key() != key)
        }) {
            return;
        }
        let Some((found, place)) = self.spoken_of(miner, job, outbox) else {
            return;
        };
        let fuel_max = found.order.fuel_max;
        let is_revealing = matches!(found.phase, Phase::Revealing { .. });
        let attempt = &mut found.attempts[place];
        // An early reveal is not even looked at, so nobody gains by sending one.
        if !is_revealing || !attempt.is_sealed() {
            return;
        }

        let (sealed, _) = attempt.seal.expect("a sealed attempt has its seal");
        let opened = seal(job, miner, key.result, key.fuel_used.0, reveal.salt);
        attempt.reveal = Some(reveal);
        if opened == sealed && key.fuel_used <= fuel_max {
            attempt.state = AttemptState::Revealed;
        } else {
            self.with_job(job, |hub, job| {
                hub.end_attempt(job, place, AttemptEnd::Dissented, outbox);
                hub.convict(job, place, DismissReason::FalseReveal);
            });
        }
        self.dirty.insert(job);
    }

    /// A hired miner did not accept or seal in time.
    pub(super) fn attempt_due(&mut self, job: JobId, number: u32, outbox: &mut Vec<Output>) {
        let now = self.now;
        let place = number as usize;
        let is_late = |attempt: &Attempt| attempt.is_running() && attempt.due <= now;
        if !self
            .jobs
            .get(&job)
            .and_then(|job| job.attempts.get(place))
            .is_some_and(is_late)
        {
            return;
        }
        self.with_job(job, |hub, job| hub.lapse(job, place, outbox));
        self.dirty.insert(job);
    }

    /// Whether the miner has signed something else about this job before. It is out, then.
    fn contradicts(
        &mut self,
        miner: MinerId,
        job: JobId,
        differs: impl Fn(&Attempt) -> bool,
    ) -> bool {
        let Some(found) = self.jobs.get(&job) else {
            return false;
        };
        let Some(place) = found.place_of(&miner) else {
            return false;
        };
        let attempt = &found.attempts[place];
        if !differs(attempt) {
            return false;
        }
        let (owner, reason) = (attempt.owner, DismissReason::Equivocated);
        self.convicted.push(Conviction {
            miner,
            owner,
            job,
            reason,
        });
        true
    }

    /// The attempt that a miner speaks of, unless it is over: then the miner is told so.
    fn spoken_of(
        &mut self,
        miner: MinerId,
        id: JobId,
        outbox: &mut Vec<Output>,
    ) -> Option<(&mut Job, usize)> {
        if !self.jobs.contains_key(&id) {
            if self.pool.is_known(&miner) {
                let end = AttemptEnd::Cancelled;
                outbox.push(Output::CloseAttempt {
                    miner,
                    job: id,
                    end,
                    credit: None,
                });
            }
            return None;
        }
        let credit = Credit {
            cumulative: self.ledger.cumulative(&miner),
            epoch: self.settlement.epoch(),
        };
        let job = self.jobs.get_mut(&id)?;
        let place = job.place_of(&miner)?;
        if let AttemptState::Ended(end) = job.attempts[place].state {
            let credit = (end == AttemptEnd::Agreed).then_some(credit);
            outbox.push(Output::CloseAttempt {
                miner,
                job: id,
                end,
                credit,
            });
            return None;
        }
        Some((job, place))
    }
}

/// The request for a round's reveals, addressed to these miners.
pub(super) fn request_reveal(job: &Job, to: Vec<MinerId>) -> Output {
    Output::RequestReveal {
        job: job.id(),
        round: job.round,
        seals: job.seals(),
        to,
    }
}

/// Comes when the attempt's next step is due.
pub(super) fn attempt_timer(job: JobId, attempt: &Attempt) -> Output {
    Output::SetTimer {
        at: attempt.due,
        timer: Timer::Attempt {
            job,
            attempt: attempt.number,
        },
    }
}
