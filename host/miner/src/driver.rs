//! Carries out what the machine wants, and tells it what happened.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use haar_protocol::miner::{SealedSet, SetConflict};
use haar_protocol::{Credit, Miner, MinerInput, MinerOutput, Time};
use haar_records::wire::{AttemptEnd, Offer, Payload, REASON_BYTES_MAX, Reveal, SealEntry, ToHub};
use haar_records::{
    B256, ExecutionReceipt, JobId, Keypair, MinerCredit, Outcome, SealSet, SealedReceipt,
    Signature, Signed, Snm, SpecHash,
};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::check::Parties;
use crate::clock::{now, unix_seconds, until};
use crate::config::Misbehaviour;
use crate::credit::Credits;
use crate::event::MinerEvent;
use crate::fault::HubFault;
use crate::job::{Bench, Work};

/// The longest lease that is believed.
const LEASE_MS_MAX: u64 = haar_protocol::config::DEADLINE_MS_MAX;
/// The most proofs of a false hub that are kept on disk.
const EVIDENCE_MAX: usize = 64;

/// Everything that the attempts of one miner share.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) key: Keypair,
    pub(crate) parties: Parties,
    pub(crate) bench: Bench,
    pub(crate) credits: Credits,
    pub(crate) dir: PathBuf,
    pub(crate) salt_secret: [u8; 32],
    pub(crate) events: mpsc::Sender<MinerEvent>,
    pub(crate) state: Mutex<State>,
}

/// The machine, and what the machine does not keep.
#[derive(Debug)]
pub(crate) struct State {
    machine: Miner,
    /// Invariant: one for each attempt of the machine, so bounded by it.
    jobs: BTreeMap<JobId, Job>,
    evidence: usize,
}

#[derive(Debug)]
struct Job {
    offer: Arc<Offer>,
    spec: SpecHash,
    /// The newest stream of the attempt.
    route: mpsc::Sender<Word>,
    /// The run, as long as it runs.
    run: Option<AbortHandle>,
    output: Option<Payload>,
    seal: Option<B256>,
    /// Why there is no answer.
    abstention: String,
}

/// Something to say to the hub on the stream of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    Accept,
    Seal(B256),
    Reveal {
        spec: SpecHash,
        outcome: Outcome,
        salt: B256,
        executed_at: u64,
        output: Payload,
    },
    Decline(String),
    Abstain(String),
}

impl Word {
    /// Whether there is nothing to say after it.
    pub(crate) fn is_last(&self) -> bool {
        matches!(self, Self::Decline(_) | Self::Abstain(_))
    }
}

impl State {
    pub(crate) fn new(machine: Miner) -> Self {
        Self {
            machine,
            jobs: BTreeMap::new(),
            evidence: 0,
        }
    }

    /// Says it, unless the stream is gone or does not read: the hub offers again what it still wants.
    fn say(&self, job: &JobId, word: Word) {
        if let Some(known) = self.jobs.get(job) {
            let _ = known.route.try_send(word);
        }
    }
}

impl Driver {
    /// Shows something to whoever watches. A watcher that does not keep up misses it.
    pub(crate) fn tell(&self, event: MinerEvent) {
        let _ = self.events.try_send(event);
    }

    /// Takes an offer that was checked; its answers come by `route`.
    pub(crate) fn offered(
        self: &Arc<Self>,
        offer: Box<Offer>,
        route: mpsc::Sender<Word>,
    ) -> Result<JobId, HubFault> {
        let assignment = &offer.assignment.record;
        let job = JobId(assignment.jobId);
        let spec = SpecHash(assignment.specHash);
        let attempt = assignment.attempt;
        let deadline = now().after_ms(offer.lease_ms.min(LEASE_MS_MAX));

        let mut state = self.lock();
        match state.jobs.get_mut(&job) {
            Some(known) if known.spec != spec => return Err(HubFault::OtherSpec),
            Some(known) => known.route = route,
            None => {
                self.tell(MinerEvent::Offered {
                    job,
                    attempt,
                    spec,
                    module: offer.spec.module,
                    fuel_max: offer.spec.fuel_max,
                });
                let job_state = Job {
                    offer: Arc::from(offer),
                    spec,
                    route,
                    run: None,
                    output: None,
                    seal: None,
                    abstention: String::new(),
                };
                state.jobs.insert(job, job_state);
            }
        }
        let input = MinerInput::Offered {
            job,
            attempt,
            deadline,
        };
        self.handle(&mut state, input);
        Ok(job)
    }

    /// Takes a closed set of seals.
    pub(crate) fn reveal_requested(
        self: &Arc<Self>,
        job: JobId,
        seal_set: &Signed<SealSet>,
        seals: &[SealEntry],
    ) -> Result<(), HubFault> {
        let seals = self.parties.check_seals(job, seal_set, seals)?;
        let mut state = self.lock();
        let Some(known) = state.jobs.get(&job) else {
            return Err(HubFault::OutOfTurn);
        };
        // The machine would not reveal either; here it is the hub's fault, to be shown.
        let seal = known.seal.ok_or(HubFault::OutOfTurn)?;
        if !seals.contains(&(self.parties.miner, seal)) {
            return Err(HubFault::SealMissing);
        }
        let input = MinerInput::RevealRequested {
            job,
            round: seal_set.record.round,
            seals,
            signature: seal_set.signature,
        };
        self.handle(&mut state, input);
        Ok(())
    }

    /// Takes the end of an attempt, and the hub's promise if it is one.
    pub(crate) async fn closed(
        self: &Arc<Self>,
        job: JobId,
        end: AttemptEnd,
        credit: Option<Signed<MinerCredit>>,
    ) -> Result<(), HubFault> {
        let mut fault = None;
        let mut total = None;
        if let Some(credit) = credit {
            match self.parties.check_credit(&credit) {
                Ok(()) => {
                    total = Some(Credit {
                        cumulative: Snm(credit.record.cumulative),
                        epoch: credit.record.epoch,
                    });
                    if let Err(error) = self.credits.keep(credit).await {
                        tracing::error!(target: "haar::miner::credit_lost", %error);
                    }
                }
                Err(found) => fault = Some(found),
            }
        }
        let input = MinerInput::Closed {
            job,
            end,
            credit: total,
        };
        self.handle(&mut self.lock(), input);
        fault.map_or(Ok(()), Err)
    }

    /// Tells the machine that the connection is gone.
    pub(crate) fn disconnected(self: &Arc<Self>) {
        self.handle(&mut self.lock(), MinerInput::Disconnected);
    }

    /// Ends what is being fetched; what runs already runs to its end, and nobody hears of it.
    pub(crate) fn give_up(&self) {
        for job in self.lock().jobs.values_mut() {
            if let Some(run) = job.run.take() {
                run.abort();
            }
        }
    }

    /// The signed message for a word, unless the miner misbehaves by keeping silent.
    pub(crate) fn message(&self, job: JobId, word: Word) -> Option<ToHub> {
        let misbehave = self.bench.misbehave;
        match word {
            Word::Accept => Some(ToHub::Accepted),
            Word::Decline(reason) => Some(ToHub::Declined { reason }),
            Word::Abstain(reason) => Some(ToHub::Abstained { reason }),
            Word::Seal(_) if misbehave == Some(Misbehaviour::Silent) => None,
            Word::Seal(seal) => Some(self.seal(job, seal)),
            Word::Reveal { .. } if misbehave == Some(Misbehaviour::NeverReveal) => None,
            Word::Reveal {
                spec,
                outcome,
                salt,
                executed_at,
                output,
            } => {
                let signature = self.sign_outcome(job, spec, &outcome, executed_at);
                self.tell(MinerEvent::Revealed { job });
                Some(ToHub::Revealed(Reveal {
                    outcome,
                    salt,
                    executed_at,
                    signature,
                    output,
                }))
            }
        }
    }

    fn seal(&self, job: JobId, seal: B256) -> ToHub {
        let receipt = SealedReceipt {
            jobId: job.0,
            miner: self.parties.miner.0,
            seal,
        };
        let signature = self
            .key
            .sign_record(&self.parties.domain, receipt)
            .signature;
        self.tell(MinerEvent::Sealed { job, seal });
        ToHub::Sealed { seal, signature }
    }

    fn sign_outcome(
        &self,
        job: JobId,
        spec: SpecHash,
        outcome: &Outcome,
        executed_at: u64,
    ) -> Signature {
        let receipt = ExecutionReceipt {
            jobId: job.0,
            specHash: spec.0,
            miner: self.parties.miner.0,
            hubWallet: self.parties.hub.0,
            resultHash: outcome.result_hash(),
            fuelUsed: outcome.fuel_used.0,
            status: outcome.status.code(),
            executedAt: executed_at,
        };
        self.key
            .sign_record(&self.parties.domain, receipt)
            .signature
    }

    /// Feeds the machine, and does what it wants.
    fn handle(self: &Arc<Self>, state: &mut State, input: MinerInput) {
        let mut outbox = Vec::new();
        state.machine.handle(now(), input, &mut outbox);
        for output in outbox {
            self.carry_out(state, output);
        }
    }

    fn carry_out(self: &Arc<Self>, state: &mut State, output: MinerOutput) {
        match output {
            MinerOutput::Run { job, deadline } => self.start(state, job, deadline),
            MinerOutput::Forget { job, end } => {
                if let Some(run) = state.jobs.remove(&job).and_then(|job| job.run) {
                    run.abort();
                }
                let credit = state.machine.credit();
                self.tell(MinerEvent::Closed { job, end, credit });
            }
            MinerOutput::Evidence(conflict) => self.keep_evidence(state, conflict),
            MinerOutput::Accept { job } => state.say(&job, Word::Accept),
            MinerOutput::Decline { job, reason } => {
                let reason = reason.to_string();
                state.say(&job, Word::Decline(reason.clone()));
                state.jobs.remove(&job);
                self.tell(MinerEvent::Declined { job, reason });
            }
            MinerOutput::Seal { job, seal } => {
                if let Some(known) = state.jobs.get_mut(&job) {
                    known.seal = Some(seal);
                }
                state.say(&job, Word::Seal(seal));
            }
            MinerOutput::Abstain { job } => {
                if let Some(known) = state.jobs.remove(&job) {
                    let _ = known.route.try_send(Word::Abstain(known.abstention));
                }
            }
            MinerOutput::Reveal {
                job,
                outcome,
                salt,
                executed_at,
            } => {
                let Some(known) = state.jobs.get(&job) else {
                    return;
                };
                if let Some(output) = known.output.clone() {
                    let spec = known.spec;
                    let word = Word::Reveal {
                        spec,
                        outcome,
                        salt,
                        executed_at,
                        output,
                    };
                    state.say(&job, word);
                }
            }
        }
    }

    /// Starts the work of a job.
    fn start(self: &Arc<Self>, state: &mut State, job: JobId, deadline: Time) {
        let Some(known) = state.jobs.get_mut(&job) else {
            return;
        };
        let (driver, offer) = (Arc::clone(self), Arc::clone(&known.offer));
        let run = tokio::spawn(async move {
            let began = Instant::now();
            let left = until(deadline);
            let working = Box::pin(driver.bench.work(&offer, began + left));
            let result = tokio::time::timeout(left, working)
                .await
                .unwrap_or_else(|_| Err("the lease ended before the run".to_owned()));
            let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            driver.finished(job, result.map(|work| (work, ms)));
        });
        known.run = Some(run.abort_handle());
    }

    fn finished(self: &Arc<Self>, job: JobId, result: Result<(Work, u64), String>) {
        let mut state = self.lock();
        let Some(known) = state.jobs.get_mut(&job) else {
            return;
        };
        known.run = None;
        let input = match result {
            Ok((work, ms)) => {
                known.output = Some(work.output);
                let outcome = work.outcome;
                tracing::info!(
                    target: "haar::run::finished", job = job.short(), status = ?outcome.status,
                    fuel = outcome.fuel_used.0, ms,
                );
                self.tell(MinerEvent::Ran { job, outcome, ms });
                MinerInput::RunFinished {
                    job,
                    outcome,
                    salt: job.salt(&self.salt_secret),
                    executed_at: unix_seconds(),
                }
            }
            Err(reason) => {
                tracing::warn!(target: "haar::run::abstained", job = job.short(), %reason);
                known.abstention = shortened(&reason);
                self.tell(MinerEvent::Abstained { job, reason });
                MinerInput::RunAbstained { job }
            }
        };
        self.handle(&mut state, input);
    }

    fn keep_evidence(&self, state: &mut State, conflict: SetConflict) {
        tracing::warn!(target: "haar::hub::false_set", job = conflict.job.short());
        if state.evidence < EVIDENCE_MAX {
            state.evidence += 1;
            let path = self.dir.join(format!("evidence-{}.txt", conflict.job));
            if let Err(error) = std::fs::write(&path, describe(&conflict)) {
                tracing::error!(target: "haar::hub::evidence_lost", %error);
            }
        }
        self.tell(MinerEvent::Evidence(Arc::new(conflict)));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The proof as text: both sets with the hub's signatures.
fn describe(conflict: &SetConflict) -> String {
    let SetConflict { job, first, second } = conflict;
    let set = |set: &SealedSet| {
        let seals: String = set
            .seals
            .iter()
            .map(|(miner, seal)| format!("  {miner} {seal}\n"))
            .collect();
        format!("round {} signature {}\n{seals}", set.round, set.signature)
    };
    format!("job {job}\n{}{}", set(first), set(second))
}

/// A reason that fits a frame, cut between two characters.
pub(crate) fn shortened(reason: &str) -> String {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason[..end].to_owned()
}
