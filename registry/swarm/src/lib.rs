//! Publishes, fetches and serves blobs, and carries the conversations of hubs and miners, over iroh.
//!
//! The only crate that knows iroh. It moves bytes and proves that they are the bytes that were asked
//! for; it never decides who computes what, who is honest or who is paid.
//!
//! What always holds:
//! - Bytes that [`Swarm::fetch`] returns have the hash and the size that were asked for, whoever sent
//!   them. A peer that lies, stalls or lacks the blob costs time and nothing else.
//! - A published blob survives the death of the process once [`Swarm::publish`] has returned, and it
//!   is never evicted. A fetched blob is kept and served until the quota needs its place.
//! - Nobody can write into the store from outside, list it, or watch what it is loading.
//! - Nothing phones home: no relay, name service, port mapper or probe that was not configured.
//! - A frame's length is checked before anything is allocated for it, and no frame of a stranger
//!   ends more than its own stream.
//! - A panic while serving one connection ends that connection only.
//! - Connections are capped in total and per endpoint, streams per connection, frames, blobs, learned
//!   addresses and concurrent downloads by named maximums in [`limits`].

mod control;
mod door;
mod events;
mod fetch;
mod frames;
pub mod limits;
mod peer;
mod shelf;
mod start;
mod store;

pub use control::{ConnectError, Control, ControlError};
pub use fetch::{FetchError, Fetched, ProviderFault};
pub use frames::{Frames, FramesError, FramesRx, FramesTx};
pub use limits::Limits;
pub use peer::BadProvider;
pub use start::{Counters, StartError, Swarm, SwarmConfig};
pub use store::{ReadError, StoreError};
