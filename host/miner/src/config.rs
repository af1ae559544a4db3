//! Who a miner is, and which hub it works for.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;

use haar_records::wire::Provider;
use haar_records::{Address, Domain, HubId, Keypair, MinerId};

/// The most runs at once; a hub takes no larger claim.
pub const CAPACITY_MAX: u16 = haar_protocol::config::CAPACITY_MAX;

/// One miner.
#[derive(Debug, Clone)]
pub struct MinerConfig {
    /// Signs its receipts. The key of its endpoint and its salts are derived from it.
    pub key: Keypair,
    /// Who owns it and is paid; one owner has one attempt in a job.
    pub owner: Address,
    /// Runs at once, from 1 to [`CAPACITY_MAX`].
    pub capacity: u16,
    /// Where blobs and credits are kept. No two running miners may have the same.
    pub dir: PathBuf,
    /// The UDP address to listen at; port 0 takes any.
    pub bind: SocketAddr,
    /// Where guests run.
    pub guests: Guests,
    /// What it does wrong on purpose: nothing, but in demonstrations and tests.
    pub misbehave: Option<Misbehaviour>,
}

/// Where a miner runs guests: strangers' code, which may be after its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guests {
    /// In processes that can do nothing else. What a miner that works for others does.
    #[cfg(target_os = "linux")]
    Confined(haar_sandbox::process::Program),
    /// In the miner's own process, beside its keys: for tests, and for systems that cannot confine.
    InProcess,
}

impl MinerConfig {
    /// The name by which the hub knows this miner.
    #[must_use]
    pub fn id(&self) -> MinerId {
        MinerId(self.key.address())
    }
}

/// What a dishonest miner does. It exists so that a demonstration and the tests can show that it does
/// not pay; an honest operator never sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Answers other bytes than the run gave, and signs for them.
    Lie,
    /// Claims more fuel than the run used.
    FuelCheat,
    /// Accepts and never seals.
    Silent,
    /// Seals and never reveals.
    NeverReveal,
}

/// A hub as it has to show itself, and where it listens now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubAddress {
    /// Its endpoint and addresses.
    pub provider: Provider,
    /// Its wallet.
    pub hub: HubId,
    /// The key that signs its assignments.
    pub operator: Address,
    /// Where its signatures count.
    pub domain: Domain,
    /// Which life of the hub's process answers. A hub that was killed says no goodbye; another
    /// number tells sooner than the silence does.
    pub life: u64,
}

/// A hub that cannot be found now; the miner tries again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the hub cannot be found: {0}")]
pub struct LookUpError(pub String);

/// Says where the hub is, each time that the miner wants to join: it may have moved.
///
/// A fixed [`HubAddress`] is one, and so is an async closure.
pub trait LookUp: Send + Sync {
    /// Finds the hub.
    fn look_up(&self) -> impl Future<Output = Result<HubAddress, LookUpError>> + Send;
}

impl LookUp for HubAddress {
    async fn look_up(&self) -> Result<HubAddress, LookUpError> {
        Ok(self.clone())
    }
}

impl<F, A> LookUp for F
where
    F: Fn() -> A + Send + Sync,
    A: Future<Output = Result<HubAddress, LookUpError>> + Send,
{
    fn look_up(&self) -> impl Future<Output = Result<HubAddress, LookUpError>> + Send {
        self()
    }
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lie => "lie",
            Self::FuelCheat => "fuel-cheat",
            Self::Silent => "silent",
            Self::NeverReveal => "never-reveal",
        })
    }
}
