//! A hub as far as a miner sees one, and a miner that works for it.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use haar_miner::{
    Guests, HubAddress, LookUpError, MinerConfig, MinerError, MinerEvent, Misbehaviour, run,
};
use haar_records::eip712::seals_hash;
use haar_records::wire::{
    AttemptEnd, Hello, Offer, Payload, Reveal, SealEntry, ToHub, ToMiner, Welcome,
};
use haar_records::{
    Address, Assignment, B256, BlobHash, Domain, ExecutionReceipt, Fuel, HubId, JobId, Keypair,
    MinerCredit, MinerId, RunConfig, SealSet, SealedReceipt, Signed, Spec,
};
use haar_swarm::{Control, Frames, Swarm, SwarmConfig};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Nothing here takes that long; it only keeps a failing test from hanging.
const HANG: Duration = Duration::from_secs(120);

pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(HANG, future)
        .await
        .expect("the test does not hang")
}

pub fn key(number: u8) -> Keypair {
    Keypair::from_bytes([number; 32]).unwrap()
}

/// Echoes its input and says so in the log.
pub const ECHO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 4)
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 1024))
        (i32.store (i32.const 4) (i32.const 200000))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 4) (i32.load (i32.const 8)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// The hub's side.
pub struct Hub {
    pub swarm: Swarm,
    pub key: Keypair,
    pub id: HubId,
    pub domain: Domain,
    _dir: TempDir,
}

impl Hub {
    pub async fn start() -> Self {
        Self::with_secret(77).await
    }

    /// The same hub at another endpoint.
    pub async fn with_secret(secret: u8) -> Self {
        let dir = TempDir::new().unwrap();
        let swarm = within(Swarm::start(SwarmConfig {
            secret: [secret; 32],
            dir: dir.path().to_owned(),
            bind: "127.0.0.1:0".parse().unwrap(),
            serve_control: true,
        }))
        .await
        .unwrap();
        Self {
            swarm,
            key: key(1),
            id: HubId::from([0x11; 20]),
            domain: Domain {
                chain_id: 7,
                settlement: Address::repeat_byte(3),
            },
            _dir: dir,
        }
    }

    /// Somebody who only fetches.
    pub async fn start_another() -> Swarm {
        let dir = TempDir::new().unwrap().keep();
        let config = SwarmConfig {
            secret: [78; 32],
            dir,
            bind: "127.0.0.1:0".parse().unwrap(),
            serve_control: false,
        };
        within(Swarm::start(config)).await.unwrap()
    }

    pub fn address(&self) -> HubAddress {
        HubAddress {
            provider: self.swarm.provider(),
            hub: self.id,
            operator: self.key.address(),
            domain: self.domain,
            life: 1,
        }
    }

    pub fn welcome(&self) -> Welcome {
        Welcome::Joined {
            hub: self.id,
            operator: self.key.address(),
            domain: self.domain,
        }
    }

    /// Waits for a miner, and answers its hello.
    pub async fn greet(&self, welcome: &Welcome) -> (Control, Hello) {
        let control = within(self.swarm.accept_control()).await.unwrap();
        let mut frames = within(control.accept()).await.unwrap();
        let hello: Hello = within(frames.recv()).await.unwrap().unwrap();
        within(frames.send(welcome)).await.unwrap();
        frames.finish();
        (control, hello)
    }

    /// An offer of one run of a module on an input, both of which are published.
    pub async fn offer(&self, number: u8, module: &str, input: &[u8]) -> Offer {
        let module = wat::parse_str(module).unwrap();
        let module_bytes = module.len() as u64;
        let module = within(self.swarm.publish(module.into())).await.unwrap();
        let hash = BlobHash::of(input);
        let payload = if input.len() <= haar_records::wire::INLINE_BYTES_MAX {
            Payload::Inline(input.to_vec())
        } else {
            within(self.swarm.publish(input.to_vec().into()))
                .await
                .unwrap();
            Payload::Blob(hash, input.len() as u64)
        };
        let spec = Spec {
            module,
            input: hash,
            fuel_max: Fuel(1_000_000_000),
            config: RunConfig::for_call(module, hash),
        };
        let assignment = Assignment {
            jobId: B256::repeat_byte(number),
            specHash: spec.hash().0,
            miner: key(2).address(),
            hubWallet: self.id.0,
            attempt: 0,
            deadline: 0,
        };
        Offer {
            assignment: self.key.sign_record(&self.domain, assignment),
            spec,
            module_bytes,
            input: payload,
            providers: vec![self.swarm.provider()],
            lease_ms: 60_000,
        }
    }

    /// Signs an assignment anew, after a test has changed it.
    pub fn sign(&self, offer: &mut Offer) {
        let record = offer.assignment.record.clone();
        offer.assignment = self.key.sign_record(&self.domain, record);
    }

    /// The request to reveal against these seals.
    pub fn request(&self, job: JobId, seals: &[(MinerId, B256)]) -> ToMiner {
        let record = SealSet {
            jobId: job.0,
            round: 1,
            sealsHash: seals_hash(seals),
        };
        ToMiner::RevealRequest {
            seal_set: self.key.sign_record(&self.domain, record),
            seals: seals
                .iter()
                .map(|&(miner, seal)| SealEntry { miner, seal })
                .collect(),
        }
    }

    pub fn closing(&self, cumulative: u128) -> ToMiner {
        ToMiner::Closed {
            end: AttemptEnd::Agreed,
            credit: Some(self.credit(cumulative)),
        }
    }

    pub fn credit(&self, cumulative: u128) -> Signed<MinerCredit> {
        let record = MinerCredit {
            hubWallet: self.id.0,
            miner: key(2).address(),
            cumulative,
            epoch: 1,
        };
        self.key.sign_record(&self.domain, record)
    }

    /// Takes a seal whose signature must be the miner's.
    pub async fn seal(&self, frames: &mut Frames, job: JobId) -> B256 {
        let message = recv(frames).await;
        let Some(ToHub::Sealed { seal, signature }) = message else {
            panic!("no seal: {message:?}");
        };
        let receipt = SealedReceipt {
            jobId: job.0,
            miner: key(2).address(),
            seal,
        };
        signature
            .check(self.domain.digest(&receipt), key(2).address())
            .unwrap();
        seal
    }

    /// Takes a reveal whose signature and seal must be right.
    pub async fn reveal(&self, frames: &mut Frames, offer: &Offer, sealed: B256) -> Reveal {
        let message = recv(frames).await;
        let Some(ToHub::Revealed(reveal)) = message else {
            panic!("no reveal: {message:?}");
        };
        let assignment = &offer.assignment.record;
        let receipt = ExecutionReceipt {
            jobId: assignment.jobId,
            specHash: assignment.specHash,
            miner: key(2).address(),
            hubWallet: self.id.0,
            resultHash: reveal.outcome.result_hash(),
            fuelUsed: reveal.outcome.fuel_used.0,
            status: reveal.outcome.status.code(),
            executedAt: reveal.executed_at,
        };
        reveal
            .signature
            .check(self.domain.digest(&receipt), key(2).address())
            .unwrap();
        let opened = haar_records::eip712::seal(
            JobId(assignment.jobId),
            miner_id(),
            reveal.outcome.result_hash(),
            reveal.outcome.fuel_used.0,
            reveal.salt,
        );
        assert_eq!(opened, sealed, "the reveal opens its seal");
        assert_eq!(reveal.output.hash(), reveal.outcome.output);
        reveal
    }
}

pub fn miner_id() -> MinerId {
    MinerId(key(2).address())
}

pub fn job_of(offer: &Offer) -> JobId {
    JobId(offer.assignment.record.jobId)
}

/// Opens an attempt's stream with an offer.
pub async fn open(control: &Control, offer: &Offer) -> Frames {
    let mut frames = within(control.open()).await.unwrap();
    let message = ToMiner::Offer(Box::new(offer.clone()));
    within(frames.send(&message)).await.unwrap();
    frames
}

pub async fn recv(frames: &mut Frames) -> Option<ToHub> {
    within(frames.recv::<ToHub>()).await.unwrap()
}

pub async fn accepted(frames: &mut Frames) {
    assert_eq!(recv(frames).await, Some(ToHub::Accepted));
}

/// The miner's side.
pub struct Working {
    pub dir: TempDir,
    pub events: mpsc::Receiver<MinerEvent>,
    pub hub: Arc<Mutex<HubAddress>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), MinerError>>,
}

impl Working {
    pub fn start(hub: &Hub) -> Self {
        Self::with(hub.address(), None)
    }

    pub fn with(address: HubAddress, misbehave: Option<Misbehaviour>) -> Self {
        let dir = TempDir::new().unwrap();
        let config = MinerConfig {
            key: key(2),
            owner: Address::repeat_byte(9),
            capacity: 2,
            dir: dir.path().to_owned(),
            bind: "127.0.0.1:0".parse().unwrap(),
            // Processes of their own have tests of their own; here guests are honest.
            guests: Guests::InProcess,
            misbehave,
        };
        let hub = Arc::new(Mutex::new(address));
        let shown = Arc::clone(&hub);
        let look_up = move || {
            let address = shown.lock().unwrap().clone();
            async move { Ok::<_, LookUpError>(address) }
        };
        let (sender, events) = mpsc::channel(1_000);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(config, look_up, sender, stopped));
        Self {
            dir,
            events,
            hub,
            stop,
            task,
        }
    }

    /// Waits for an event that the test looks for, past all others.
    pub async fn event<T>(&mut self, pick: impl Fn(MinerEvent) -> Option<T>) -> T {
        within(async {
            loop {
                let event = self.events.recv().await.expect("the miner lives");
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        })
        .await
    }

    /// Ends the miner, which must not have failed.
    pub async fn stop(self) -> TempDir {
        self.stop.send(true).unwrap();
        within(self.task).await.unwrap().unwrap();
        self.dir
    }

    /// Waits for the error that ends the miner.
    pub async fn fails(self) -> MinerError {
        within(self.task).await.unwrap().unwrap_err()
    }
}
