//! The miner's side of an attempt: accept, run, seal, and reveal against one set of seals only.
//!
//! It never runs, signs or sends anything; the driver does, a native one and a browser tab alike.

use std::collections::BTreeMap;

use haar_records::eip712::seal;
use haar_records::wire::{AttemptEnd, SEALS_MAX};
use haar_records::{B256, JobId, MinerId, Outcome, Signature};

use crate::input::Time;
use crate::output::Credit;

/// The most attempts that a miner remembers, those that wait for their reveal included.
pub const ATTEMPTS_HELD_MAX: usize = 4_096;
/// How long an attempt is remembered beyond its deadline, for a late reveal or close.
pub const FORGET_AFTER_MS: u64 = 5 * 60 * 1_000;

/// Something that happened to a miner. The driver has checked the hub's signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MinerInput {
    /// The hub offers an attempt, perhaps one that the miner has already.
    Offered {
        /// Which job.
        job: JobId,
        /// The attempt's number.
        attempt: u32,
        /// Until when the seal must be there.
        deadline: Time,
    },
    /// The run is done.
    RunFinished {
        /// Which job.
        job: JobId,
        /// What it produced.
        outcome: Outcome,
        /// The miner's salt for this job (`JobId::salt`).
        salt: B256,
        /// Unix seconds.
        executed_at: u64,
    },
    /// The engine could not answer.
    RunAbstained {
        /// Which job.
        job: JobId,
    },
    /// The hub has closed a set of seals.
    RevealRequested {
        /// Which job.
        job: JobId,
        /// Which round.
        round: u32,
        /// The set, by miner.
        seals: Vec<(MinerId, B256)>,
        /// The hub's signature of it.
        signature: Signature,
    },
    /// The hub says that the attempt is over.
    Closed {
        /// Which job.
        job: JobId,
        /// How it ended.
        end: AttemptEnd,
        /// What the hub owes in total.
        credit: Option<Credit>,
    },
    /// The connection to the hub is gone. Runs go on: the hub offers again what it still wants.
    Disconnected,
}

/// Something for a miner's driver to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MinerOutput {
    /// Tell the hub that the miner has begun.
    Accept {
        /// Which job.
        job: JobId,
    },
    /// Tell the hub that the miner does not take it.
    Decline {
        /// Which job.
        job: JobId,
        /// Why.
        reason: Decline,
    },
    /// Fetch, meter and run; then say `RunFinished` or `RunAbstained`.
    Run {
        /// Which job.
        job: JobId,
        /// Until when it makes sense.
        deadline: Time,
    },
    /// Sign and send the commitment.
    Seal {
        /// Which job.
        job: JobId,
        /// The commitment.
        seal: B256,
    },
    /// Tell the hub that there is no answer.
    Abstain {
        /// Which job.
        job: JobId,
    },
    /// Sign and send the outcome, with its output.
    Reveal {
        /// Which job.
        job: JobId,
        /// What the run produced.
        outcome: Outcome,
        /// Opens the seal.
        salt: B256,
        /// Unix seconds.
        executed_at: u64,
    },
    /// Stop the run, if it still runs, and drop everything of the job.
    Forget {
        /// Which job.
        job: JobId,
        /// How it ended; nothing where the hub never said.
        end: Option<AttemptEnd>,
    },
    /// Keep this: the hub signed two sets for one round. Nothing was revealed against the second.
    Evidence(SetConflict),
}

/// Why a miner declines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Decline {
    /// All its runs are taken.
    #[error("the miner runs as many attempts as it can")]
    Full,
    /// The deadline has passed.
    #[error("the offer came after its deadline")]
    TooLate,
}

/// A set of seals as the hub signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSet {
    /// The round.
    pub round: u32,
    /// The seals, by miner.
    pub seals: Vec<(MinerId, B256)>,
    /// The hub's signature.
    pub signature: Signature,
}

/// Two signed sets for one job and round: proof of a hub that shows miners different things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetConflict {
    /// Which job.
    pub job: JobId,
    /// What the miner saw first.
    pub first: SealedSet,
    /// What came later.
    pub second: SealedSet,
}

/// A miner's attempts.
#[derive(Debug, Clone)]
pub struct Miner {
    id: MinerId,
    capacity: u16,
    attempts: BTreeMap<JobId, Held>,
    /// How many of the attempts run.
    running: u16,
    credit: Option<Credit>,
}

#[derive(Debug, Clone)]
struct Held {
    deadline: Time,
    answer: Option<Sealed>,
    /// The first set that held our seal: the only one to reveal against.
    set: Option<SealedSet>,
}

#[derive(Debug, Clone, Copy)]
struct Sealed {
    outcome: Outcome,
    salt: B256,
    executed_at: u64,
    seal: B256,
}

impl Miner {
    /// A miner without attempts that runs up to `capacity` at once.
    #[must_use]
    pub fn new(id: MinerId, capacity: u16) -> Self {
        Self {
            id,
            capacity,
            attempts: BTreeMap::new(),
            running: 0,
            credit: None,
        }
    }

    /// Runs that it does now.
    #[must_use]
    pub fn running(&self) -> u16 {
        self.running
    }

    /// Attempts that it remembers.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.attempts.len()
    }

    /// The largest total that the hub has promised.
    #[must_use]
    pub fn credit(&self) -> Option<Credit> {
        self.credit
    }

    /// Takes one event and pushes what the driver should do about it.
    pub fn handle(&mut self, now: Time, input: MinerInput, outbox: &mut Vec<MinerOutput>) {
        self.forget_expired(now, outbox);
        match input {
            MinerInput::Offered {
                job,
                attempt: _,
                deadline,
            } => {
                self.offered(now, job, deadline, outbox);
            }
            MinerInput::RunFinished {
                job,
                outcome,
                salt,
                executed_at,
            } => {
                self.finished(job, outcome, salt, executed_at, outbox);
            }
            MinerInput::RunAbstained { job } => self.abstained(job, outbox),
            MinerInput::RevealRequested {
                job,
                round,
                seals,
                signature,
            } => {
                self.reveal(
                    job,
                    SealedSet {
                        round,
                        seals,
                        signature,
                    },
                    outbox,
                );
            }
            MinerInput::Closed { job, end, credit } => self.closed(job, end, credit, outbox),
            MinerInput::Disconnected => {}
        }
    }

    fn offered(&mut self, now: Time, job: JobId, deadline: Time, outbox: &mut Vec<MinerOutput>) {
        if let Some(held) = self.attempts.get_mut(&job) {
            // The hub lost its memory or the connection. What was answered is answered alike.
            held.deadline = held.deadline.max(deadline);
            outbox.push(MinerOutput::Accept { job });
            if let Some(answer) = &held.answer {
                outbox.push(MinerOutput::Seal {
                    job,
                    seal: answer.seal,
                });
            }
            return;
        }
        if deadline <= now {
            outbox.push(MinerOutput::Decline {
                job,
                reason: Decline::TooLate,
            });
            return;
        }
        if self.running >= self.capacity || self.attempts.len() >= ATTEMPTS_HELD_MAX {
            outbox.push(MinerOutput::Decline {
                job,
                reason: Decline::Full,
            });
            return;
        }
        self.attempts.insert(
            job,
            Held {
                deadline,
                answer: None,
                set: None,
            },
        );
        self.running += 1;
        outbox.push(MinerOutput::Accept { job });
        outbox.push(MinerOutput::Run { job, deadline });
    }

    fn finished(
        &mut self,
        job: JobId,
        outcome: Outcome,
        salt: B256,
        executed_at: u64,
        outbox: &mut Vec<MinerOutput>,
    ) {
        let Some(held) = self.attempts.get_mut(&job) else {
            return;
        };
        if held.answer.is_some() {
            return;
        }
        let seal = seal(
            job,
            self.id,
            outcome.result_hash(),
            outcome.fuel_used.0,
            salt,
        );
        held.answer = Some(Sealed {
            outcome,
            salt,
            executed_at,
            seal,
        });
        self.running -= 1;
        outbox.push(MinerOutput::Seal { job, seal });
    }

    fn abstained(&mut self, job: JobId, outbox: &mut Vec<MinerOutput>) {
        let runs = self
            .attempts
            .get(&job)
            .is_some_and(|held| held.answer.is_none());
        if runs {
            self.remove(&job);
            outbox.push(MinerOutput::Abstain { job });
        }
    }

    fn reveal(&mut self, job: JobId, set: SealedSet, outbox: &mut Vec<MinerOutput>) {
        let id = self.id;
        let Some(held) = self.attempts.get_mut(&job) else {
            return;
        };
        let Some(answer) = held.answer else { return };
        let holds_ours = set.seals.contains(&(id, answer.seal));
        if !holds_ours || set.seals.len() > SEALS_MAX {
            return;
        }
        if let Some(first) = &held.set
            && first.seals != set.seals
        {
            // A hub that closes the set twice could show one miner's answer to another.
            if first.round == set.round {
                let conflict = SetConflict {
                    job,
                    first: first.clone(),
                    second: set,
                };
                outbox.push(MinerOutput::Evidence(conflict));
            }
            return;
        }
        held.set.get_or_insert(set);
        let Sealed {
            outcome,
            salt,
            executed_at,
            ..
        } = answer;
        outbox.push(MinerOutput::Reveal {
            job,
            outcome,
            salt,
            executed_at,
        });
    }

    fn closed(
        &mut self,
        job: JobId,
        end: AttemptEnd,
        credit: Option<Credit>,
        outbox: &mut Vec<MinerOutput>,
    ) {
        // Credits only grow; one that is late or again says nothing new.
        self.credit = self.credit.max(credit);
        if self.remove(&job) {
            outbox.push(MinerOutput::Forget {
                job,
                end: Some(end),
            });
        }
    }

    fn forget_expired(&mut self, now: Time, outbox: &mut Vec<MinerOutput>) {
        let expired: Vec<JobId> = self
            .attempts
            .iter()
            .filter(|(_, held)| held.deadline.after_ms(FORGET_AFTER_MS) < now)
            .map(|(job, _)| *job)
            .collect();
        for job in expired {
            self.remove(&job);
            outbox.push(MinerOutput::Forget { job, end: None });
        }
    }

    fn remove(&mut self, job: &JobId) -> bool {
        let Some(held) = self.attempts.remove(job) else {
            return false;
        };
        if held.answer.is_none() {
            self.running -= 1;
        }
        true
    }
}
