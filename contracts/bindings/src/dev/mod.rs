//! A chain for development: an EVM in this process that mines a block for every transaction.
//!
//! It runs the same bytecode as a public chain and answers the same JSON-RPC, so everything above
//! it is the same code with either. It keeps its blocks in a file if asked to. It has no peers, no
//! mempool and no old states, and its accounts' keys are known to everybody.

mod accounts;
mod block;
mod chain;
mod evm;
mod journal;
mod rpc;
mod serve;
mod transport;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

pub use accounts::{ACCOUNTS, account};
pub use journal::JournalError;
pub use rpc::REQUEST_BYTES_MAX;
pub use serve::serve;
pub(crate) use transport::client;

use chain::Ledger;

/// The chain id that development chains have by custom.
pub const CHAIN_ID: u64 = 31_337;

/// A handle to a development chain; clones are handles to the same chain.
#[derive(Clone)]
pub struct DevChain {
    clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    ledger: Arc<Mutex<Ledger>>,
}

impl fmt::Debug for DevChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let height = self
            .ledger
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .height();
        write!(f, "DevChain(block {height})")
    }
}

impl DevChain {
    /// A new chain in memory. `clock` tells the seconds since 1970.
    #[must_use]
    pub fn new(clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        let ledger = Ledger::new(clock());
        Self {
            clock: Arc::new(clock),
            ledger: Arc::new(Mutex::new(ledger)),
        }
    }

    /// The chain that is kept in the file at `path`, or a new one that will be.
    ///
    /// Every block is on disk before its sender hears of it, so the chain survives `kill -9`.
    pub fn open(
        path: &Path,
        clock: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Result<Self, JournalError> {
        let ledger = Ledger::open(path, clock())?;
        Ok(Self {
            clock: Arc::new(clock),
            ledger: Arc::new(Mutex::new(ledger)),
        })
    }

    /// Answers one JSON-RPC request, or a batch of them, with JSON.
    #[must_use]
    pub fn handle(&self, request: &[u8]) -> Vec<u8> {
        let now = (self.clock)();
        // A block is added only after everything that can fail, so a panic leaves a whole chain.
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        rpc::handle(&mut ledger, now, request)
    }
}

/// The machine's clock, in seconds since 1970.
#[must_use]
pub fn system_clock() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
