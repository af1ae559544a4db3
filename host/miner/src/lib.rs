//! The miner: takes attempts from a hub, runs them in the sandbox, signs what came out.
//!
//! A thin driver around `haar_protocol::miner`: the machine decides when to run, seal and reveal;
//! this crate checks the hub's signatures, fetches blobs, runs guests and speaks on the wire.

mod attempt;
mod connection;
mod desk;
mod lab;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use haar_records::wire::{AttemptEnd, Provider};
use haar_records::{Address, Domain, HubId, JobId, Keypair, Outcome, Snm};
use haar_sandbox::{Sandbox, SandboxConfig};
use haar_swarm::{Swarm, SwarmConfig};
use tokio::sync::{mpsc, watch};

pub use crate::connection::ConnectFault;

/// The shortest and the longest wait before a lost hub is dialled again.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(15));

/// What a miner's owner chooses.
#[derive(Debug, Clone)]
pub struct MinerConfig {
    /// Signs receipts; its address is the miner's id.
    pub key: Keypair,
    /// Who is paid. One owner has one attempt in a job.
    pub owner: Address,
    /// Attempts at once.
    pub capacity: u16,
    /// Where blobs and the last credit are kept.
    pub dir: PathBuf,
    /// The UDP address to listen at.
    pub bind: SocketAddr,
    /// How the miner deviates from honesty, for demonstrations and tests.
    pub misbehave: Option<Misbehaviour>,
}

/// A miner that cheats on purpose, so that people can watch it being caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Answers other bytes than the run gave.
    Lie,
    /// Claims more fuel than the run used.
    FuelCheat,
    /// Accepts and never answers.
    Silent,
    /// Seals and never reveals.
    NeverReveal,
}

/// A hub, and what a miner must find there to trust its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubAddress {
    /// Where it listens.
    pub provider: Provider,
    /// Its wallet.
    pub hub: HubId,
    /// The key that signs its assignments.
    pub operator: Address,
    /// Where its signatures count.
    pub domain: Domain,
}

/// Something that a miner's owner may want to see.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MinerEvent {
    /// The hub has taken the miner in.
    Joined,
    /// The hub did not take the miner in.
    Refused {
        /// Why.
        reason: String,
    },
    /// The connection is gone; the miner dials again.
    Lost {
        /// Why.
        reason: String,
    },
    /// The hub offered an attempt.
    Offered {
        /// Which job.
        job: JobId,
    },
    /// A run is done.
    Ran {
        /// Which job.
        job: JobId,
        /// What it gave.
        outcome: Outcome,
        /// How long it took, fetching and compiling included.
        ms: u64,
    },
    /// An attempt could not be run.
    Abstained {
        /// Which job.
        job: JobId,
        /// Why.
        reason: String,
    },
    /// The hub closed an attempt.
    Closed {
        /// Which job.
        job: JobId,
        /// How it ended.
        end: AttemptEnd,
        /// What the hub owes in total now.
        owed: Option<Snm>,
    },
}

/// A miner that cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MinerError {
    /// The swarm cannot be joined.
    #[error(transparent)]
    Swarm(#[from] haar_swarm::StartError),
    /// The sandbox cannot be made.
    #[error(transparent)]
    Sandbox(#[from] haar_sandbox::SandboxError),
    /// A file cannot be used.
    #[error("cannot use the folder {}: {source}", dir.display())]
    Folder {
        /// Which.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Finds the hub again: it may have moved while it was away.
pub trait LookUp: Send {
    /// The hub's present address, or why it cannot be told.
    fn look_up(&mut self) -> impl Future<Output = Result<HubAddress, String>> + Send;
}

/// Mines for one hub until `stop` says true.
pub async fn run(
    config: MinerConfig,
    mut hub: impl LookUp,
    events: mpsc::Sender<MinerEvent>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), MinerError> {
    let dir = config.dir.clone();
    std::fs::create_dir_all(&dir).map_err(|source| MinerError::Folder { dir, source })?;
    let swarm = Swarm::start(SwarmConfig {
        // The endpoint's key follows from the miner's, and tells nothing about it.
        secret: blake3::derive_key("haar 2026 miner endpoint", &config.key.to_bytes()),
        dir: config.dir.join("blobs"),
        bind: config.bind,
        serve_control: false,
    })
    .await?;
    let sandbox = Arc::new(Sandbox::new(SandboxConfig::default())?);
    let lab = lab::Lab::new(config.clone(), swarm.clone(), sandbox);
    let desk = desk::Desk::start(config, lab, events);

    tokio::select! {
        () = mine(&desk, &swarm, &mut hub) => {}
        _ = stop.wait_for(|is_stopping| *is_stopping) => {}
    }
    swarm.shutdown().await;
    Ok(())
}

/// Connects, works, and connects again.
async fn mine(desk: &desk::Desk, swarm: &Swarm, hub: &mut impl LookUp) {
    let mut wait = RECONNECT.0;
    loop {
        let ended = match hub.look_up().await {
            Ok(address) => connection::keep(desk, swarm, &address).await,
            Err(reason) => Err(ConnectFault::NotFound(reason)),
        };
        match ended {
            // It worked for a while: the next attempt may be quick again.
            Ok(reason) => {
                wait = RECONNECT.0;
                desk.tell(MinerEvent::Lost { reason }).await;
            }
            Err(ConnectFault::Refused(reason)) => {
                desk.tell(MinerEvent::Refused { reason }).await;
            }
            Err(fault) => {
                desk.tell(MinerEvent::Lost {
                    reason: fault.to_string(),
                })
                .await
            }
        }
        desk.disconnected();
        // Jitter, so that a restarted hub is not dialled by everybody in one moment.
        let jitter = u64::from(swarm.endpoint_id().as_bytes()[0]);
        tokio::time::sleep(wait + Duration::from_millis(jitter)).await;
        wait = (wait * 2).min(RECONNECT.1);
    }
}
