//! What all parts of a running hub share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use haar_records::{Address, BlobHash, BuyerId, Domain, HubId, Keypair, MinerId, Snm};
use haar_swarm::Swarm;

use crate::calls::Calls;
use crate::core::Core;
use crate::functions::Functions;
use crate::journal::Journal;
use crate::sessions::Sessions;
use crate::settle::{Money, Settler};

/// What a hub's owner chooses.
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// Where the hub keeps its database and blobs.
    pub dir: PathBuf,
    /// Where buyers reach it over HTTP.
    pub http: SocketAddr,
    /// Where miners reach it over QUIC.
    pub swarm: SocketAddr,
    /// The operator's key: signs assignments, receipts and batches.
    pub key: Keypair,
    /// The hub's wallet; zero in a private cluster.
    pub hub: HubId,
    /// Where signatures count.
    pub domain: Domain,
    /// The account that calls without an order are charged to.
    pub house: BuyerId,
    /// What a call costs.
    pub prices: Prices,
    /// Seconds between settlements; none settles only when it is told to.
    pub settle_every_s: Option<u64>,
    /// How the hub deviates from honesty, for demonstrations and tests.
    pub misbehave: Option<Misbehaviour>,
}

/// A hub that cheats on purpose, so that people can watch it being caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Settles another charge than its receipt says.
    Overcharge,
}

/// What a call costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    /// For every answer.
    pub base_fee: Snm,
    /// Atoms of SNM for one unit of fuel.
    pub fuel_price: u64,
}

impl Default for Prices {
    /// A thousandth of a token, and one token for 10^12 fuel (minutes of one core).
    fn default() -> Self {
        Self {
            base_fee: Snm(1_000_000_000_000_000),
            fuel_price: 1_000_000,
        }
    }
}

/// A running hub's parts.
#[derive(Debug)]
pub struct Shared {
    /// What the owner chose.
    pub options: HubOptions,
    /// Where HTTP is really served (a port of 0 has become one).
    pub http: SocketAddr,
    /// Blobs and connections.
    pub swarm: Swarm,
    /// The machine and its journal.
    pub core: Core,
    /// Published names.
    pub functions: Functions,
    /// Connected miners.
    pub sessions: Sessions,
    /// Calls that wait for their answer.
    pub calls: Calls,
    /// The money's side.
    pub settler: Settler,
    /// The chain, if there is one.
    pub money: Option<Money>,
    /// Bytes that were left with `PUT /v1/blobs` since the start.
    pub put_bytes: std::sync::atomic::AtomicU64,
    /// Drawn at every start, so that miners notice a hub that was killed and started again.
    pub life: u64,
    /// What the operator's requests must carry.
    pub token: String,
    /// A second connection to the database, for reading.
    pub(crate) reader: Mutex<Journal>,
}

impl Shared {
    /// Reads the database.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Journal) -> T) -> T {
        read(&self.reader.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A blob of at most `bytes_max` bytes, wherever the hub keeps it.
    pub(crate) async fn blob(
        &self,
        hash: BlobHash,
        bytes_max: u64,
    ) -> Result<Option<Bytes>, String> {
        if let Some(bytes) = self
            .read(|journal| journal.blob(&hash))
            .map_err(|e| e.to_string())?
        {
            return Ok(Some(bytes.into()));
        }
        if !self.swarm.has(hash).await {
            return Ok(None);
        }
        let read = self.swarm.read(hash, bytes_max).await;
        read.map(Some).map_err(|error| error.to_string())
    }

    /// Whether this miner may join, or why not.
    pub(crate) async fn admit_miner(&self, miner: MinerId, owner: Address) -> Result<(), String> {
        let admitted = self.core.look(|machine| machine.admits(&miner, &owner));
        admitted.map_err(|reason| reason.to_string())?;
        match &self.money {
            Some(money) => money.check_miner(miner, owner).await,
            None => Ok(()),
        }
    }
}
