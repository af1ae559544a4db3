//! A buyer's call: from function and input to a job, and from the verdict to an answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use haar_protocol::{Answer, Input, Order};
use haar_records::wire::{INLINE_BYTES_MAX, Payload};
use haar_records::{
    B256, BlobHash, BuyerId, Fuel, JobId, JobOrder, RunConfig, Signed, Snm, Spec, SpecHash,
};
use tokio::sync::oneshot;

use crate::core::now;
use crate::functions::Published;
use crate::journal::{JobRow, Row};
use crate::limits::CALLS_MAX;
use crate::shared::Shared;

/// What a buyer asks for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The function.
    pub function: Published,
    /// The input's bytes, or a request frame.
    pub input: Bytes,
    /// The most fuel.
    pub fuel_max: Fuel,
    /// By how many miners the answer must lead.
    pub quorum: u8,
    /// The buyer's own signed order; without one the house pays.
    pub order: Option<Signed<JobOrder>>,
    /// The buyer's name for this call: asked again, it is the same job.
    pub key: Option<String>,
    /// How long the job may take.
    pub deadline: Duration,
}

/// A call that does not become a job.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskFault {
    /// The key stands for another call.
    #[error("this Idempotency-Key was used for another call")]
    KeyReused,
    /// The order does not fit the call.
    #[error("the order does not fit this call: {0}")]
    Order(String),
    /// Too many calls wait.
    #[error("the hub has {CALLS_MAX} calls waiting")]
    Busy,
    /// The hub failed.
    #[error("{0}")]
    Hub(String),
}

/// Calls with keys that can be placed at the same time, if their keys differ.
const KEY_TURNS: usize = 64;

/// Calls that wait, and the rows of jobs that live.
#[derive(Debug)]
pub struct Calls {
    waiting: Mutex<BTreeMap<JobId, Vec<oneshot::Sender<Answer>>>>,
    rows: Mutex<BTreeMap<JobId, Arc<JobRow>>>,
    /// One call of a key at a time: a retry that overtakes the first call must find its job.
    turns: [tokio::sync::Mutex<()>; KEY_TURNS],
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            rows: Mutex::default(),
            turns: std::array::from_fn(|_| tokio::sync::Mutex::default()),
        }
    }
}

impl Calls {
    /// Waits until no other call of this key is being placed.
    async fn turn(&self, key: &str) -> tokio::sync::MutexGuard<'_, ()> {
        let hash = blake3::hash(key.as_bytes());
        let at = usize::from(hash.as_bytes()[0]) % KEY_TURNS;
        self.turns[at].lock().await
    }

    /// Wakes whoever waits for this job.
    pub fn answer(&self, job: &JobId, answer: &Answer) {
        self.rows().remove(job);
        for waiter in self.waiting().remove(job).unwrap_or_default() {
            // The buyer may have hung up; the answer stays in the journal.
            let _ = waiter.send(answer.clone());
        }
    }

    /// Forgets buyers of this job who do not wait any more.
    pub fn forget(&self, job: &JobId) {
        let mut waiting = self.waiting();
        if let Some(waiters) = waiting.get_mut(job) {
            waiters.retain(|waiter| !waiter.is_closed());
            if waiters.is_empty() {
                waiting.remove(job);
            }
        }
    }

    /// A job's row: from memory while it lives, else from the journal.
    pub(crate) fn row(&self, shared: &Shared, job: &JobId) -> Result<Option<Arc<JobRow>>, String> {
        if let Some(row) = self.rows().get(job) {
            return Ok(Some(row.clone()));
        }
        let row = shared
            .read(|journal| journal.job(job))
            .map_err(|error| error.to_string())?;
        Ok(row.map(Arc::new))
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<JobId, Vec<oneshot::Sender<Answer>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<JobId, Arc<JobRow>>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Makes a call a durable job, and returns its id and where the answer will come.
    pub async fn place(&self, ask: Ask) -> Result<(JobId, oneshot::Receiver<Answer>), AskFault> {
        let request = request_hash(&ask);
        let _turn = match &ask.key {
            Some(key) => Some(self.calls.turn(key).await),
            None => None,
        };
        if let Some(key) = &ask.key
            && let Some((before, job)) = self.find_request(key)?
        {
            if before != request {
                return Err(AskFault::KeyReused);
            }
            return Ok((job, self.wait_for(job)?));
        }

        let (spec, payload) = self.spec_of(&ask).await?;
        let order = match &ask.order {
            Some(order) => self.check_order(order, &spec)?,
            None => self.house_order(&ask, spec.hash()),
        };
        let job = JobId(self.options.domain.digest(&order.record));
        let taken = machine_order(job, &order.record, &ask, spec.hash());
        let mut rows = Vec::new();
        let row = JobRow {
            spec,
            order,
            input: payload,
            module_bytes: ask.function.signed.record.module_bytes,
            function: ask.function.signed.record.function.to_string(),
        };
        let mut stored = row.clone();
        if let Payload::Inline(bytes) = &row.input {
            stored.input = Payload::Blob(row.input.hash(), row.input.len());
            rows.push(Row::Blob(row.input.hash(), bytes.clone()));
        }
        rows.push(Row::Job(job, Box::new(stored)));
        if let Some(key) = ask.key {
            rows.push(Row::Request { key, request, job });
        }

        let waiter = self.wait_for(job)?;
        self.calls.rows().insert(job, Arc::new(row));
        let input = Input::Ordered(taken);
        self.core
            .input(input, rows)
            .await
            .map_err(|error| AskFault::Hub(error.to_string()))?;
        Ok((job, waiter))
    }

    fn find_request(&self, key: &str) -> Result<Option<(BlobHash, JobId)>, AskFault> {
        self.read(|journal| journal.request(key))
            .map_err(|error| AskFault::Hub(error.to_string()))
    }

    /// A place where the job's answer will come; at once if it is there already.
    fn wait_for(&self, job: JobId) -> Result<oneshot::Receiver<Answer>, AskFault> {
        let (waiter, answer) = oneshot::channel();
        {
            let mut waiting = self.calls.waiting();
            if waiting.len() >= CALLS_MAX {
                return Err(AskFault::Busy);
            }
            waiting.entry(job).or_default().push(waiter);
        }
        // It may have been answered before, or just now.
        let known = self
            .core
            .look(|machine| machine.job(&job).and_then(|view| view.answer));
        if let Some(known) = known {
            self.calls.answer(&job, &known);
        }
        Ok(answer)
    }

    async fn spec_of(&self, ask: &Ask) -> Result<(Spec, Payload), AskFault> {
        let payload = if ask.input.len() <= INLINE_BYTES_MAX {
            Payload::Inline(ask.input.to_vec())
        } else {
            let published = self.swarm.publish(ask.input.clone()).await;
            let hash = published.map_err(|error| AskFault::Hub(error.to_string()))?;
            Payload::Blob(hash, ask.input.len() as u64)
        };
        let (module, input) = (ask.function.signed.record.module, payload.hash());
        let config = RunConfig::for_call(module, input);
        Ok((
            Spec {
                module,
                input,
                fuel_max: ask.fuel_max,
                config,
            },
            payload,
        ))
    }

    /// The order of a call that carries none: the house pays, the operator signs.
    fn house_order(&self, ask: &Ask, spec: SpecHash) -> Signed<JobOrder> {
        let prices = self.options.prices;
        let work = u128::from(ask.fuel_max.0) * u128::from(prices.fuel_price);
        let order = JobOrder {
            specHash: spec.0,
            buyer: self.options.house.0,
            hubWallet: self.options.hub.0,
            channelId: B256::ZERO,
            maxCharge: prices.base_fee.0.saturating_add(work),
            fuelPrice: prices.fuel_price,
            baseFee: prices.base_fee.0,
            attempts: ask.quorum,
            quorum: ask.quorum,
            deadline: now().0 / 1_000 + ask.deadline.as_secs(),
            nonce: u64::from_le_bytes(random()),
        };
        self.options.key.sign_record(&self.options.domain, order)
    }

    /// Whether a buyer's own order pays for this call at this hub's prices.
    fn check_order(
        &self,
        signed: &Signed<JobOrder>,
        spec: &Spec,
    ) -> Result<Signed<JobOrder>, AskFault> {
        let wrong = |what: &str| Err(AskFault::Order(what.to_owned()));
        let (order, prices) = (&signed.record, self.options.prices);
        if let Err(error) = signed.check(&self.options.domain, order.buyer) {
            return wrong(&error.to_string());
        }
        if order.buyer == self.options.house.0 {
            return wrong("the house's orders are the hub's own");
        }
        if order.specHash != spec.hash().0 {
            return wrong("it orders another spec (module, input or fuel limit differ)");
        }
        if order.hubWallet != self.options.hub.0 {
            return wrong("it is for another hub");
        }
        if order.fuelPrice < prices.fuel_price || order.baseFee < prices.base_fee.0 {
            return wrong("it pays less than GET /v1/hub asks for");
        }
        Ok(signed.clone())
    }
}

/// The order as the machine takes it, with the randomness from which it hires.
fn machine_order(job: JobId, order: &JobOrder, ask: &Ask, spec: SpecHash) -> Order {
    Order {
        job,
        spec,
        buyer: BuyerId(order.buyer),
        channel: order.channelId,
        max_charge: Snm(order.maxCharge),
        fuel_price: order.fuelPrice,
        base_fee: Snm(order.baseFee),
        fuel_max: ask.fuel_max,
        attempts: order.attempts,
        quorum: order.quorum,
        deadline: haar_protocol::Time(order.deadline.saturating_mul(1_000)),
        entropy: random(),
    }
}

/// What an idempotency key stands for. The payer is inside: nobody gets another's job by its key.
fn request_hash(ask: &Ask) -> BlobHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(ask.function.signed.record.module.as_bytes());
    hasher.update(&ask.fuel_max.0.to_le_bytes());
    hasher.update(&[ask.quorum]);
    let payer = ask.order.as_ref().map(|order| order.record.buyer);
    hasher.update(payer.unwrap_or_default().as_slice());
    hasher.update(&ask.input);
    BlobHash::from(*hasher.finalize().as_bytes())
}

/// Bytes that nobody can foresee.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}
