//! The miners that are connected: hello, offers, and what they answer.
//!
//! A session checks signatures and turns frames into inputs of the machine; the machine decides.
//! Every attempt has a stream of its own, so a slow answer holds up nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use haar_protocol::Input;
use haar_records::wire::{Hello, Offer, Payload, Provider, Reveal, ToHub, ToMiner, Welcome};
use haar_records::{BlobHash, ExecutionReceipt, JobId, MinerId, SealedReceipt, SignatureError};
use haar_swarm::{Control, Frames, FramesTx};
use tokio::sync::mpsc;

use crate::journal::Row;
use crate::limits::{BINDING_MAX, HELLO_TIMEOUT, HOLDERS_KEPT, HOLDERS_NAMED, HOLDINGS_MAX};
use crate::shared::Shared;

/// Messages to one attempt that wait to be sent.
const MESSAGES_WAITING_MAX: usize = 8;

/// Who is connected, and who has which module.
#[derive(Debug, Default)]
pub struct Sessions {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    miners: BTreeMap<MinerId, Session>,
    /// Who has run a module, and so seeds it. A hint: a wrong one costs a retry.
    holders: BTreeMap<BlobHash, Vec<MinerId>>,
}

#[derive(Debug)]
struct Session {
    control: Control,
    provider: Provider,
    attempts: BTreeMap<JobId, mpsc::Sender<ToMiner>>,
}

/// A hello that is not believed.
#[derive(Debug, thiserror::Error)]
enum HelloFault {
    #[error("the miner's key did not sign this endpoint: {0}")]
    Signature(#[from] SignatureError),
    #[error("the binding names another endpoint")]
    OtherEndpoint,
    #[error("the binding names another hub")]
    OtherHub,
    #[error("the binding has expired, or is valid for more than a day; check the clock")]
    Expiry,
    #[error("a miner runs at least one attempt at a time")]
    NoCapacity,
    #[error("{0}")]
    Admission(String),
}

impl Sessions {
    /// Where a connected miner serves its blobs.
    #[must_use]
    pub fn provider(&self, miner: &MinerId) -> Option<Provider> {
        self.lock()
            .miners
            .get(miner)
            .map(|session| session.provider.clone())
    }

    /// A few connected miners that have run this module.
    #[must_use]
    pub fn holders(&self, module: &BlobHash, but: &MinerId) -> Vec<Provider> {
        let state = self.lock();
        let holders = state.holders.get(module).map_or(&[][..], Vec::as_slice);
        let others = holders.iter().rev().filter(|miner| *miner != but);
        others
            .filter_map(|miner| state.miners.get(miner))
            .map(|session| session.provider.clone())
            .take(HOLDERS_NAMED)
            .collect()
    }

    /// Ends a miner's connection.
    pub fn close(&self, miner: &MinerId, reason: &str) {
        if let Some(session) = self.lock().miners.get(miner) {
            session.control.close(reason);
        }
    }

    /// Whether a message about this attempt can be sent.
    #[must_use]
    pub fn has_stream(&self, miner: &MinerId, job: &JobId) -> bool {
        let state = self.lock();
        let session = state.miners.get(miner);
        let attempt = session.and_then(|session| session.attempts.get(job));
        attempt.is_some_and(|attempt| !attempt.is_closed())
    }

    /// Sends a message on the stream of an attempt, if it is still there.
    pub fn send(&self, miner: &MinerId, job: &JobId, message: ToMiner) {
        let mut state = self.lock();
        let Some(session) = state.miners.get_mut(miner) else {
            return;
        };
        let is_last = matches!(message, ToMiner::Closed { .. });
        if let Some(attempt) = session.attempts.get(job) {
            // A full queue is a miner that does not read; its lease ends the attempt.
            let _ = attempt.try_send(message);
        }
        if is_last {
            session.attempts.remove(job);
        }
    }

    fn note_holder(&self, module: BlobHash, miner: MinerId) {
        let mut state = self.lock();
        if state.holders.len() >= HOLDINGS_MAX && !state.holders.contains_key(&module) {
            state.holders.pop_first();
        }
        let holders = state.holders.entry(module).or_default();
        holders.retain(|holder| *holder != miner);
        holders.push(miner);
        if holders.len() > HOLDERS_KEPT {
            holders.remove(0);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes miners in until the swarm shuts down.
pub async fn listen(shared: Arc<Shared>) {
    while let Some(control) = shared.swarm.accept_control().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            if let Err(error) = greet(&shared, &control).await {
                tracing::info!(target: "haar::miner::refused", %error);
                control.close("no valid hello");
            }
        });
    }
}

/// Reads the hello, answers it, and keeps the session until the connection ends.
async fn greet(shared: &Arc<Shared>, control: &Control) -> Result<(), String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let waiting = async {
        let mut frames = control.accept().await.map_err(|error| words(&error))?;
        let hello = frames
            .recv::<Hello>()
            .await
            .map_err(|error| words(&error))?;
        Ok::<_, String>((frames, hello.ok_or("the stream ended before the hello")?))
    };
    let (mut frames, hello) = tokio::time::timeout(HELLO_TIMEOUT, waiting)
        .await
        .map_err(|error| words(&error))??;

    let miner = MinerId(hello.binding.record.miner);
    let checked = match check_hello(shared, control, &hello) {
        Ok(()) => shared
            .admit_miner(miner, hello.owner)
            .await
            .map_err(HelloFault::Admission),
        Err(fault) => Err(fault),
    };
    if let Err(fault) = checked {
        let reason = fault.to_string();
        let _ = frames
            .send(&Welcome::Refused {
                reason: reason.clone(),
            })
            .await;
        frames.finish();
        // The reason shall arrive before the connection goes.
        let _ = tokio::time::timeout(Duration::from_secs(2), control.closed()).await;
        return Err(format!("miner {miner}: {reason}"));
    }

    let (hub, operator) = (shared.options.hub, shared.options.key.address());
    let welcome = Welcome::Joined {
        hub,
        operator,
        domain: shared.options.domain,
    };
    frames.send(&welcome).await.map_err(|error| words(&error))?;
    keep(shared, control, miner, hello).await;
    Ok(())
}

fn check_hello(shared: &Shared, control: &Control, hello: &Hello) -> Result<(), HelloFault> {
    let binding = &hello.binding.record;
    hello.binding.check(&shared.options.domain, binding.miner)?;
    if binding.endpointId != control.remote().0 {
        return Err(HelloFault::OtherEndpoint);
    }
    if binding.hubWallet != shared.options.hub.0 {
        return Err(HelloFault::OtherHub);
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    if binding.expiry < now || now + BINDING_MAX.as_secs() < binding.expiry {
        return Err(HelloFault::Expiry);
    }
    if hello.capacity == 0 {
        return Err(HelloFault::NoCapacity);
    }
    Ok(())
}

/// Keeps a session: in the map while the connection lives, and the machine informed.
async fn keep(shared: &Arc<Shared>, control: &Control, miner: MinerId, hello: Hello) {
    let provider = Provider {
        endpoint: control.remote(),
        addresses: hello.addresses,
    };
    if let Err(error) = shared.swarm.learn(&provider) {
        tracing::debug!(target: "haar::miner::addresses_refused", %error);
    }
    let session = Session {
        control: control.clone(),
        provider,
        attempts: BTreeMap::new(),
    };
    let older = shared.sessions.lock().miners.insert(miner, session);
    if let Some(older) = older {
        older.control.close("the miner connected again");
    }

    tracing::info!(target: "haar::miner::joined", miner = miner.short(), software = %hello.software);
    let joined = Input::MinerJoined {
        miner,
        owner: hello.owner,
        capacity: hello.capacity,
    };
    let _ = shared.core.input(joined, Vec::new()).await;

    let reason = control.closed().await;
    let is_current = {
        let mut state = shared.sessions.lock();
        let is_current = state
            .miners
            .get(&miner)
            .is_some_and(|session| session.control.id() == control.id());
        if is_current {
            state.miners.remove(&miner);
        }
        is_current
    };
    // A miner that connected again has not left.
    if is_current {
        tracing::info!(target: "haar::miner::left", miner = miner.short(), %reason);
        let _ = shared
            .core
            .input(Input::MinerLeft { miner }, Vec::new())
            .await;
    }
}

/// Opens a stream for an attempt and offers the job on it.
pub fn offer(shared: &Arc<Shared>, miner: MinerId, job: JobId, offer: Offer) {
    let (messages, waiting) = mpsc::channel(MESSAGES_WAITING_MAX);
    let control = {
        let mut state = shared.sessions.lock();
        let Some(session) = state.miners.get_mut(&miner) else {
            return;
        };
        session.attempts.insert(job, messages);
        session.control.clone()
    };
    let attempt = Attempt {
        shared: shared.clone(),
        miner,
        job,
        offer,
    };
    tokio::spawn(attempt.run(control, waiting));
}

/// One attempt's stream.
struct Attempt {
    shared: Arc<Shared>,
    miner: MinerId,
    job: JobId,
    offer: Offer,
}

impl Attempt {
    async fn run(self, control: Control, mut waiting: mpsc::Receiver<ToMiner>) {
        let (miner, job) = (self.miner, self.job);
        let mut frames = match control.open().await {
            Ok(frames) => frames,
            Err(error) => {
                tracing::debug!(target: "haar::attempt::no_stream", miner = miner.short(), %error);
                return;
            }
        };
        let offer = ToMiner::Offer(Box::new(self.offer.clone()));
        if let Err(error) = frames.send(&offer).await {
            tracing::debug!(target: "haar::attempt::not_offered", job = job.short(), %error);
            return;
        }
        tracing::debug!(target: "haar::attempt::offered", job = job.short(), miner = miner.short());
        self.converse(frames, &mut waiting).await;
    }

    /// Passes messages both ways until either side ends.
    async fn converse(self, frames: Frames, waiting: &mut mpsc::Receiver<ToMiner>) {
        let (mut tx, mut rx) = frames.split();
        loop {
            tokio::select! {
                message = waiting.recv() => {
                    let Some(message) = message else { break };
                    let is_last = matches!(message, ToMiner::Closed { .. });
                    if !send(&mut tx, &message).await || is_last {
                        break;
                    }
                }
                answer = rx.recv::<ToHub>() => match answer {
                    Ok(Some(answer)) => self.take(answer).await,
                    // The miner has nothing more to say; what we say may still arrive.
                    Ok(None) => {
                        if let Some(message) = waiting.recv().await {
                            send(&mut tx, &message).await;
                        }
                        break;
                    }
                    Err(error) => {
                        tracing::debug!(target: "haar::attempt::broken", job = self.job.short(), %error);
                        break;
                    }
                },
            }
        }
        tx.finish();
    }

    /// Checks what a miner says and hands it to the machine.
    async fn take(&self, answer: ToHub) {
        let (miner, job) = (self.miner, self.job);
        let (input, rows) = match answer {
            ToHub::Accepted => (Input::Accepted { miner, job }, Vec::new()),
            ToHub::Declined { reason } => {
                tracing::info!(target: "haar::attempt::declined", job = job.short(), miner = miner.short(), ?reason);
                (Input::Declined { miner, job }, Vec::new())
            }
            ToHub::Abstained { reason } => {
                tracing::warn!(target: "haar::attempt::abstained", job = job.short(), miner = miner.short(), ?reason);
                (Input::Abstained { miner, job }, Vec::new())
            }
            ToHub::Sealed { seal, signature } => {
                let receipt = SealedReceipt {
                    jobId: job.0,
                    miner: miner.0,
                    seal,
                };
                let digest = self.shared.options.domain.digest(&receipt);
                if !self.is_signed(&signature.check(digest, miner.0)) {
                    return;
                }
                (
                    Input::Sealed {
                        miner,
                        job,
                        seal,
                        signature,
                    },
                    Vec::new(),
                )
            }
            ToHub::Revealed(reveal) => match self.open(reveal).await {
                Some(opened) => opened,
                None => return,
            },
        };
        // A hub that is stopping loses nothing: the miner says it again.
        let _ = self.shared.core.input(input, rows).await;
    }

    async fn open(&self, reveal: Reveal) -> Option<(Input, Vec<Row>)> {
        let (miner, job) = (self.miner, self.job);
        let receipt = ExecutionReceipt {
            jobId: job.0,
            specHash: self.offer.assignment.record.specHash,
            miner: miner.0,
            hubWallet: self.shared.options.hub.0,
            resultHash: reveal.outcome.result_hash(),
            fuelUsed: reveal.outcome.fuel_used.0,
            status: reveal.outcome.status.code(),
            executedAt: reveal.executed_at,
        };
        let digest = self.shared.options.domain.digest(&receipt);
        if !self.is_signed(&reveal.signature.check(digest, miner.0)) {
            return None;
        }

        self.shared
            .sessions
            .note_holder(self.offer.spec.module, miner);
        let rows = match reveal.output {
            Payload::Inline(bytes) if BlobHash::of(&bytes) == reveal.outcome.output => {
                vec![Row::Blob(reveal.outcome.output, bytes)]
            }
            // Kept nowhere: if this outcome is agreed on, the output is fetched by its hash.
            Payload::Inline(_) | Payload::Blob(..) => Vec::new(),
        };
        let (salt, executed_at) = (reveal.salt, reveal.executed_at);
        let (outcome, signature) = (reveal.outcome, reveal.signature);
        Some((
            Input::Revealed {
                miner,
                job,
                outcome,
                salt,
                executed_at,
                signature,
            },
            rows,
        ))
    }

    fn is_signed(&self, checked: &Result<(), SignatureError>) -> bool {
        if let Err(error) = checked {
            tracing::warn!(target: "haar::attempt::not_signed", job = self.job.short(), miner = self.miner.short(), %error);
        }
        checked.is_ok()
    }
}

/// Sends a message; false when the stream is gone.
async fn send(tx: &mut FramesTx, message: &ToMiner) -> bool {
    match tx.send(message).await {
        Ok(()) => true,
        Err(error) => {
            tracing::debug!(target: "haar::attempt::not_sent", %error);
            false
        }
    }
}
