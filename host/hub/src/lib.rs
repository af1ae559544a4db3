//! The hub: takes buyers' jobs, hires miners, settles.
//!
//! A thin driver around `haar_protocol::hub`: HTTP for buyers, the swarm for miners, SQLite for
//! memory, a chain for money. It decides nothing and never runs guest code.

mod calls;
mod core;
mod dispatch;
mod functions;
pub mod http;
mod journal;
pub mod limits;
mod money;
mod receipts;
mod sessions;
mod settle;
mod shared;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use haar_protocol::{HubConfig, Input};
use haar_records::JobId;
use haar_swarm::{Swarm, SwarmConfig};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use crate::journal::JournalError;
pub use crate::money::Money;
pub use crate::shared::{HubOptions, Misbehaviour, Prices, Shared};

/// How long a miner that left is expected back before its attempt lapses.
const RETURN_MS: u64 = 10_000;
/// How long a job waits for somebody to hire.
const PATIENCE_MS: u64 = 30_000;

/// A hub that cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The database cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The swarm cannot be joined.
    #[error(transparent)]
    Swarm(#[from] haar_swarm::StartError),
    /// A file of the hub cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The address for buyers is taken.
    #[error("cannot listen for buyers at {address}: {source}")]
    Http {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The hub stopped while it started.
    #[error(transparent)]
    Stopping(#[from] crate::core::Stopping),
}

/// A running hub. Dropping it stops it; its journal loses nothing.
#[derive(Debug)]
pub struct Hub {
    /// What its parts share.
    pub shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Hub {
    /// Starts a hub: replays its journal, opens its doors, takes up what was left open.
    pub async fn start(options: HubOptions, money: Option<Money>) -> Result<Self, StartError> {
        let dir = options.dir.clone();
        std::fs::create_dir_all(&dir).map_err(|source| file(&dir, source))?;
        let token = secret_text(&dir.join("operator.token"))?;
        let swarm = Swarm::start(SwarmConfig {
            secret: secret_bytes(&dir.join("endpoint.key"))?,
            dir: dir.join("blobs"),
            bind: options.swarm,
            serve_control: true,
        })
        .await?;

        let database = dir.join("hub.db");
        let config = HubConfig {
            // Miners look for a restarted hub every two seconds; their attempts wait for them.
            return_ms: RETURN_MS,
            patience_ms: PATIENCE_MS,
            ..HubConfig::new(options.hub, options.domain)
        };
        let (core, outbox) = core::Core::start(&database, config)?;
        let reader = journal::Journal::open(&database)?;
        let functions = functions::Functions::load(core.clone(), reader.functions()?)?;
        let listener = listen(options.http).await?;
        let http = listener.local_addr().unwrap_or(options.http);
        let (settler, batches) = settle::Settler::new();
        let shared = Arc::new(Shared {
            options,
            http,
            swarm,
            core,
            functions,
            sessions: sessions::Sessions::default(),
            calls: calls::Calls::default(),
            settler,
            money,
            put_bytes: std::sync::atomic::AtomicU64::default(),
            // JSON's numbers are exact up to 2^53 only.
            life: u64::from_le_bytes(calls::random()) >> 11,
            token,
            reader: Mutex::new(reader),
        });

        let mut tasks = vec![tokio::spawn(dispatch::work(shared.clone(), outbox))];
        shared.core.input(Input::Started, Vec::new()).await?;
        keep_receipts(&shared);
        if shared.money.is_some() {
            tasks.push(tokio::spawn(money::watch_deposits(shared.clone())));
        } else {
            endow_house(&shared).await?;
        }
        tasks.push(tokio::spawn(settle::work(shared.clone(), batches)));
        tasks.push(tokio::spawn(sessions::listen(shared.clone())));
        tasks.push(tokio::spawn(http::serve(listener, shared.clone())));
        tracing::info!(target: "haar::hub::started", http = %http, hub = %shared.options.hub);
        Ok(Self { shared, tasks })
    }
}

/// In a private cluster money means nothing; the house has enough for every call.
async fn endow_house(shared: &Shared) -> Result<(), StartError> {
    let buyer = shared.options.house;
    let amount = haar_records::Snm::whole(1_000_000_000_000);
    let reference = haar_records::B256::repeat_byte(1);
    let endowment = Input::Deposited {
        buyer,
        amount,
        reference,
    };
    Ok(shared.core.input(endowment, Vec::new()).await?)
}

/// Writes receipts that a crash kept from being written.
fn keep_receipts(shared: &Arc<Shared>) {
    let jobs: Vec<JobId> = shared.core.look(|machine| machine.jobs().collect());
    for job in jobs {
        let is_kept = shared.read(|journal| matches!(journal.receipt(&job), Ok(Some(_))));
        if !is_kept {
            dispatch::keep_receipt(shared, job);
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listening = TcpListener::bind(address).await;
    listening.map_err(|source| StartError::Http { address, source })
}

fn file(path: &Path, source: std::io::Error) -> StartError {
    StartError::File {
        path: path.to_owned(),
        source,
    }
}

/// A secret of 32 bytes that is made at the first start.
fn secret_bytes(path: &Path) -> Result<[u8; 32], StartError> {
    let text = secret_text(path)?;
    let parsed = text.parse::<haar_records::BlobHash>();
    parsed.map(|secret| *secret.as_bytes()).map_err(|error| {
        file(
            path,
            std::io::Error::new(std::io::ErrorKind::InvalidData, error.to_string()),
        )
    })
}

/// A secret in hexadecimal, in a file that only the owner can read.
fn secret_text(path: &Path) -> Result<String, StartError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    if let Ok(text) = std::fs::read_to_string(path) {
        return Ok(text.trim().to_owned());
    }
    let secret = haar_records::BlobHash::from(calls::random::<32>()).to_string();
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let made = options.open(path).and_then(|mut made| {
        made.write_all(secret.as_bytes())?;
        made.sync_all()
    });
    made.map_err(|source| file(path, source))?;
    Ok(secret)
}
