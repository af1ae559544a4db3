//! Where all of a miner's attempts meet: the machine, and who waits for what it says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use haar_protocol::Time;
use haar_protocol::miner::{Miner, MinerInput, MinerOutput};
use haar_records::wire::{Offer, Payload};
use haar_records::{JobId, MinerId};
use tokio::sync::mpsc;

use crate::lab::Lab;
use crate::{MinerConfig, MinerEvent};

/// What the machine says about one attempt that waits to be sent.
const OUTPUTS_WAITING_MAX: usize = 16;

/// A miner's desk. Clones are the same desk.
#[derive(Clone)]
pub struct Desk {
    inner: Arc<Inner>,
}

struct Inner {
    config: MinerConfig,
    lab: Lab,
    events: mpsc::Sender<MinerEvent>,
    state: Mutex<State>,
}

struct State {
    machine: Miner,
    /// The stream of each attempt: the newest one counts.
    streams: BTreeMap<JobId, mpsc::Sender<MinerOutput>>,
    /// What was offered, until it is forgotten.
    offers: BTreeMap<JobId, Arc<Offer>>,
    /// Outputs of runs that wait for their reveal.
    outputs: BTreeMap<JobId, Payload>,
}

impl Desk {
    /// A desk without attempts.
    pub fn start(config: MinerConfig, lab: Lab, events: mpsc::Sender<MinerEvent>) -> Self {
        let machine = Miner::new(MinerId(config.key.address()), config.capacity);
        let state = State {
            machine,
            streams: BTreeMap::new(),
            offers: BTreeMap::new(),
            outputs: BTreeMap::new(),
        };
        Self {
            inner: Arc::new(Inner {
                config,
                lab,
                events,
                state: Mutex::new(state),
            }),
        }
    }

    /// What the owner chose.
    pub fn config(&self) -> &MinerConfig {
        &self.inner.config
    }

    /// Tells the owner.
    pub async fn tell(&self, event: MinerEvent) {
        // An owner who does not listen does not stop the miner.
        let _ = self.inner.events.send(event).await;
    }

    /// The connection is gone.
    pub fn disconnected(&self) {
        self.lock().streams.clear();
        self.handle(MinerInput::Disconnected);
    }

    /// Takes an offer in; what the machine says about it comes out of the returned channel.
    pub fn offered(&self, job: JobId, offer: Offer, deadline: Time) -> mpsc::Receiver<MinerOutput> {
        let (stream, outputs) = mpsc::channel(OUTPUTS_WAITING_MAX);
        let attempt = offer.assignment.record.attempt;
        {
            let mut state = self.lock();
            state.streams.insert(job, stream);
            state.offers.entry(job).or_insert_with(|| Arc::new(offer));
        }
        self.handle(MinerInput::Offered {
            job,
            attempt,
            deadline,
        });
        outputs
    }

    /// The output that a reveal carries.
    pub fn output(&self, job: &JobId) -> Option<Payload> {
        self.lock().outputs.get(job).cloned()
    }

    /// Hands an input to the machine and carries out what it says.
    pub fn handle(&self, input: MinerInput) {
        let mut outbox = Vec::new();
        let mut state = self.lock();
        state.machine.handle(now(), input, &mut outbox);
        for output in outbox {
            self.carry_out(&mut state, output);
        }
    }

    fn carry_out(&self, state: &mut State, output: MinerOutput) {
        let job = match &output {
            MinerOutput::Run { job, .. } => {
                if let Some(offer) = state.offers.get(job).cloned() {
                    tokio::spawn(self.clone().run(*job, offer));
                }
                return;
            }
            MinerOutput::Evidence(conflict) => {
                tracing::warn!(target: "haar::hub::equivocated", job = conflict.job.short(), ?conflict);
                return;
            }
            MinerOutput::Forget { job, .. } => {
                state.offers.remove(job);
                state.outputs.remove(job);
                state.streams.remove(job);
                return;
            }
            MinerOutput::Accept { job }
            | MinerOutput::Decline { job, .. }
            | MinerOutput::Seal { job, .. }
            | MinerOutput::Abstain { job }
            | MinerOutput::Reveal { job, .. } => *job,
        };
        if let Some(stream) = state.streams.get(&job) {
            // A hub that does not read sees an attempt that lapses.
            let _ = stream.try_send(output);
        }
    }

    /// Runs an attempt and tells the machine how it ended.
    async fn run(self, job: JobId, offer: Arc<Offer>) {
        let started = std::time::Instant::now();
        match self.inner.lab.run(&offer).await {
            Ok(done) => {
                let outcome = done.outcome;
                self.lock().outputs.insert(job, done.output);
                let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.tell(MinerEvent::Ran { job, outcome, ms }).await;
                let salt = job.salt(&self.inner.lab.salt_secret());
                let executed_at = now().0 / 1_000;
                self.handle(MinerInput::RunFinished {
                    job,
                    outcome,
                    salt,
                    executed_at,
                });
            }
            Err(reason) => {
                self.tell(MinerEvent::Abstained {
                    job,
                    reason: reason.to_string(),
                })
                .await;
                self.handle(MinerInput::RunAbstained { job });
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Now, in milliseconds since 1970.
pub fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
