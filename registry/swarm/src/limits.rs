//! How much a stranger may ask of us, and how long we wait for one.

use std::time::Duration;

/// The most bytes of one blob; a fetched blob is held in memory once.
pub const BLOB_BYTES_MAX: u64 = 256 << 20;
/// The most socket addresses of one peer.
pub const ADDRESSES_MAX: usize = 16;
/// The most peers whose addresses are remembered; the longest known is forgotten first.
pub const LEARNED_MAX: usize = 4096;
/// The most downloads at once. It also keeps us below a provider's [`CONNECTIONS_EACH_MAX`].
pub const FETCHES_MAX: usize = 8;

/// The most incoming connections of one protocol.
pub const CONNECTIONS_MAX: usize = 1024;
/// The most incoming connections of one protocol from one endpoint.
pub const CONNECTIONS_EACH_MAX: usize = 16;
/// The most connections that are still shaking hands.
pub const HANDSHAKES_MAX: usize = 256;
/// The most accepted control connections that wait for [`crate::Swarm::accept_control`].
pub const ARRIVALS_MAX: usize = 64;
/// The most streams that a peer may have open on a control connection: one per attempt.
pub const CONTROL_STREAMS_MAX: u32 = 256;
/// The most requests that a peer may have open on a blob connection.
pub const BLOB_STREAMS_MAX: u32 = 32;
/// The most bytes that an incoming connection may have sent and we have not yet read.
pub const RECEIVE_WINDOW_BYTES: u32 = 2 << 20;

/// How often a silent connection is tried.
pub const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long a peer may be silent before its connection counts as dead.
pub const IDLE_MAX: Duration = Duration::from_secs(20);
/// How long a handshake may take.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// The slowest average that a provider may send with, in bytes per second.
pub const PROVIDER_RATE_MIN: u64 = 32 << 10;

/// What an operator may want to change; [`Limits::default`] suits a server.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How many bytes of fetched blobs are kept and served. Published blobs do not count.
    pub cache_bytes_max: u64,
    /// How often the bytes of evicted blobs are given back to the disk.
    pub sweep_interval: Duration,
    /// How long a provider may take to connect.
    pub connect_max: Duration,
    /// How long a provider may send nothing.
    pub stall_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cache_bytes_max: 4 << 30,
            sweep_interval: Duration::from_secs(60),
            connect_max: Duration::from_secs(10),
            stall_max: Duration::from_secs(10),
        }
    }
}
