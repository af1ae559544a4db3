//! Gets a blob from whoever has it, and becomes one who has it.
//!
//! Providers are asked in the order given; the next one goes on where the last one failed. Every
//! group of 16 KiB is verified before it is stored, so a lie costs no more than that.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use haar_records::wire::{PROVIDERS_MAX, Provider};
use haar_records::{BlobHash, EndpointId};
use iroh::endpoint::{Connection, VarInt};
use iroh_blobs::HashAndFormat;
use iroh_blobs::api::remote::GetProgressItem;
use iroh_blobs::get::fsm::{AtBlobHeaderNextError, DecodeError};
use iroh_blobs::get::{GetError, request::get_verified_size};
use iroh_blobs::protocol::{ERR_LIMIT, ERR_PERMISSION};
use tokio::time::{Instant, timeout, timeout_at};

use crate::door::CODE_DONE;
use crate::limits::{BLOB_BYTES_MAX, PROVIDER_RATE_MIN};
use crate::peer::{BadProvider, endpoint_addr, iroh_hash};
use crate::start::Swarm;
use crate::store::{ReadError, Shelves, StoreError, failed};

/// A blob, and who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The verified bytes.
    pub bytes: Bytes,
    /// Who sent the last of them; nobody, when they were here already.
    pub from: Option<EndpointId>,
}

/// A blob that could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// More than a blob may have, or than the cache can hold now.
    #[error("there is no room for {bytes} bytes of blob {hash}")]
    NoRoom {
        /// Which.
        hash: BlobHash,
        /// How many.
        bytes: u64,
    },
    /// The blob of this name has another size: whoever named both was wrong.
    #[error("blob {hash} has {actual} bytes and not {asked}")]
    WrongSize {
        /// Which.
        hash: BlobHash,
        /// What was asked for.
        asked: u64,
        /// What it has, verified.
        actual: u64,
    },
    /// Nobody of those who were asked delivered it.
    #[error("nobody delivered blob {hash}: {}", tell(.tried))]
    Nobody {
        /// Which.
        hash: BlobHash,
        /// Who failed and how, in the order asked.
        tried: Vec<(EndpointId, ProviderFault)>,
    },
    /// The disk or the database failed, or the swarm is shut down.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How one provider failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderFault {
    /// It names no endpoint.
    #[error(transparent)]
    BadProvider(#[from] BadProvider),
    /// It is this swarm itself.
    #[error("that is us")]
    Ourselves,
    /// It could not be connected to.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// It does not have the blob, or not all of it.
    #[error("does not have it")]
    Lacks,
    /// It refused, or it has too much to do.
    #[error("refused")]
    Refused,
    /// It sent other bytes.
    #[error("sent wrong bytes")]
    Lied,
    /// It sent nothing for too long.
    #[error("silent")]
    Silent,
    /// It sent too little for too long.
    #[error("too slow")]
    TooSlow,
    /// The transfer broke off.
    #[error("broke off: {0}")]
    Broken(String),
}

/// Why a provider's turn ended without the blob.
enum Failure {
    /// Ask the next one.
    Provider(ProviderFault),
    /// No other can do better.
    Size(u64),
    Store(StoreError),
}

impl Swarm {
    /// Gets a blob of exactly `bytes` bytes: from here, else from the providers in turn.
    ///
    /// Two fetches of one blob wait for each other. What was fetched is kept and served to others.
    /// Dropping the future gives the download up; what has come is used by the next fetch, if that
    /// comes before the next sweep.
    pub async fn fetch(
        &self,
        hash: BlobHash,
        bytes: u64,
        providers: &[Provider],
    ) -> Result<Fetched, FetchError> {
        if let Some(here) = self.fetch_here(hash, bytes).await? {
            return Ok(here);
        }
        let flight = self.inner.flights.join(hash);
        let _turn = flight.turn.lock().await;
        // Whoever flew before us may have landed it.
        if let Some(here) = self.fetch_here(hash, bytes).await? {
            return Ok(here);
        }
        if bytes > BLOB_BYTES_MAX {
            return Err(FetchError::NoRoom { hash, bytes });
        }

        let _permit = self
            .inner
            .fetches
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let shelves = &self.inner.shelves;
        let content = HashAndFormat::raw(iroh_hash(hash));
        // Without it the sweep could take away what has come so far.
        let _held = shelves
            .store()
            .tags()
            .temp_tag(content)
            .await
            .map_err(failed)?;
        let _room = Reservation::make(shelves, hash, bytes).await?;

        let mut tried = Vec::new();
        for provider in providers.iter().take(PROVIDERS_MAX) {
            match Box::pin(self.fetch_from(hash, bytes, provider)).await {
                Ok(()) => return self.land(hash, bytes, provider.endpoint).await,
                Err(Failure::Provider(fault)) => {
                    let (blob, from) = (hash.short(), provider.endpoint.short());
                    tracing::info!(target: "haar::swarm::skipped", blob, from, %fault);
                    tried.push((provider.endpoint, fault));
                }
                Err(Failure::Size(actual)) => {
                    return Err(FetchError::WrongSize {
                        hash,
                        asked: bytes,
                        actual,
                    });
                }
                Err(Failure::Store(error)) => return Err(error.into()),
            }
        }
        Err(FetchError::Nobody { hash, tried })
    }

    /// The blob, if it is here as a whole.
    async fn fetch_here(&self, hash: BlobHash, bytes: u64) -> Result<Option<Fetched>, FetchError> {
        let shelves = &self.inner.shelves;
        let Some(actual) = shelves.size(hash).await.map_err(failed)? else {
            return Ok(None);
        };
        if actual != bytes {
            return Err(FetchError::WrongSize {
                hash,
                asked: bytes,
                actual,
            });
        }
        match shelves.read(hash, bytes).await {
            Ok(read) => {
                // It may have lost its tag by eviction and wait for the sweep.
                shelves.keep_fetched(hash, bytes).await?;
                Ok(Some(Fetched {
                    bytes: read,
                    from: None,
                }))
            }
            Err(ReadError::Absent { .. }) => Ok(None),
            Err(error) => Err(failed(error).into()),
        }
    }

    /// Keeps a blob that has just arrived.
    async fn land(
        &self,
        hash: BlobHash,
        bytes: u64,
        from: EndpointId,
    ) -> Result<Fetched, FetchError> {
        let shelves = &self.inner.shelves;
        shelves.keep_fetched(hash, bytes).await?;
        let read = shelves.read(hash, bytes).await.map_err(failed)?;
        self.inner
            .tally
            .fetched_blobs
            .fetch_add(1, Ordering::Relaxed);
        tracing::debug!(
            target: "haar::swarm::fetched", blob = hash.short(), bytes, from = from.short()
        );
        Ok(Fetched {
            bytes: read,
            from: Some(from),
        })
    }

    /// Gets what is missing of a blob from one provider.
    async fn fetch_from(
        &self,
        hash: BlobHash,
        bytes: u64,
        provider: &Provider,
    ) -> Result<(), Failure> {
        let address = endpoint_addr(provider).map_err(ProviderFault::from)?;
        if provider.endpoint == self.endpoint_id() {
            return Err(ProviderFault::Ourselves.into());
        }
        let connecting = self.inner.endpoint.connect(address, iroh_blobs::ALPN);
        let connection = timeout(self.inner.limits.connect_max, connecting)
            .await
            .map_err(|_| ProviderFault::Unreachable("no answer".to_owned()))?
            .map_err(|error| ProviderFault::Unreachable(format!("{error:#}")))?;
        // A provider answers; it has nothing to ask.
        connection.set_max_concurrent_bi_streams(VarInt::from_u32(0));

        let result = self.transfer(hash, bytes, &connection).await;
        connection.close(VarInt::from_u32(CODE_DONE), b"done");
        result
    }

    async fn transfer(
        &self,
        hash: BlobHash,
        bytes: u64,
        connection: &Connection,
    ) -> Result<(), Failure> {
        let stall_max = self.inner.limits.stall_max;
        // First, so that no bytes are stored for a blob that we do not want.
        let (actual, _) = timeout(stall_max, get_verified_size(connection, &iroh_hash(hash)))
            .await
            .map_err(|_| ProviderFault::Silent)?
            .map_err(fault)?;
        if actual != bytes {
            return Err(Failure::Size(actual));
        }

        let content = HashAndFormat::raw(iroh_hash(hash));
        let get = self
            .inner
            .shelves
            .store()
            .remote()
            .fetch(connection.clone(), content);
        let mut items = Box::pin(get.stream());
        let late = Instant::now() + stall_max + Duration::from_secs(bytes / PROVIDER_RATE_MIN);
        loop {
            let stalled = Instant::now() + stall_max;
            match timeout_at(stalled.min(late), items.next()).await {
                Ok(Some(GetProgressItem::Progress(_))) => {}
                Ok(Some(GetProgressItem::Done(stats))) => {
                    let read = stats.payload_bytes_read;
                    self.inner
                        .tally
                        .fetched_bytes
                        .fetch_add(read, Ordering::Relaxed);
                    return Ok(());
                }
                Ok(Some(GetProgressItem::Error(error))) => return Err(fault(error)),
                Ok(None) => {
                    return Err(ProviderFault::Broken("no more progress".to_owned()).into());
                }
                Err(_) if late <= stalled => return Err(ProviderFault::TooSlow.into()),
                Err(_) => return Err(ProviderFault::Silent.into()),
            }
        }
    }
}

impl From<ProviderFault> for Failure {
    fn from(fault: ProviderFault) -> Self {
        Self::Provider(fault)
    }
}

/// Whose fault it is that a transfer failed.
fn fault(error: GetError) -> Failure {
    let code = error.iroh_error_code();
    if code == Some(ERR_PERMISSION) || code == Some(ERR_LIMIT) {
        return ProviderFault::Refused.into();
    }
    match &error {
        GetError::Decode { source, .. } => match source {
            DecodeError::ParentHashMismatch { .. } | DecodeError::LeafHashMismatch { .. } => {
                ProviderFault::Lied.into()
            }
            DecodeError::Write { .. } => Failure::Store(failed(error)),
            DecodeError::ChunkNotFound { .. }
            | DecodeError::ParentNotFound { .. }
            | DecodeError::LeafNotFound { .. } => ProviderFault::Lacks.into(),
            _ if code.is_some() => ProviderFault::Lacks.into(),
            _ => ProviderFault::Broken(format!("{error:#}")).into(),
        },
        GetError::AtBlobHeaderNext {
            source: AtBlobHeaderNextError::NotFound { .. },
            ..
        } => ProviderFault::Lacks.into(),
        _ if code.is_some() => ProviderFault::Lacks.into(),
        // Covers a stream that could not be opened as well, so it is not the store's for sure; a
        // store that is really broken shows itself when the blob is kept.
        _ => ProviderFault::Broken(format!("{error:#}")).into(),
    }
}

fn tell(tried: &[(EndpointId, ProviderFault)]) -> String {
    if tried.is_empty() {
        return "nobody was asked".to_owned();
    }
    let tell =
        |(endpoint, fault): &(EndpointId, ProviderFault)| format!("{} {fault}", endpoint.short());
    tried.iter().map(tell).collect::<Vec<_>>().join(", ")
}

/// Room in the cache for a blob under way; given back when dropped.
struct Reservation<'a> {
    shelves: &'a Shelves,
    bytes: u64,
}

impl<'a> Reservation<'a> {
    async fn make(shelves: &'a Shelves, hash: BlobHash, bytes: u64) -> Result<Self, FetchError> {
        let evicted = shelves
            .lock()
            .reserve(bytes)
            .ok_or(FetchError::NoRoom { hash, bytes })?;
        let reservation = Self { shelves, bytes };
        shelves.drop_tags(&evicted).await?;
        Ok(reservation)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.shelves.lock().release(self.bytes);
    }
}

/// The downloads under way, one per blob.
#[derive(Debug, Default)]
pub(crate) struct Flights(Arc<Mutex<BTreeMap<BlobHash, Waiting>>>);

#[derive(Debug, Default)]
struct Waiting {
    count: usize,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// One fetch among those of the same blob.
struct Flight {
    flights: Arc<Mutex<BTreeMap<BlobHash, Waiting>>>,
    hash: BlobHash,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Flights {
    fn join(&self, hash: BlobHash) -> Flight {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = flights.entry(hash).or_default();
        waiting.count += 1;
        Flight {
            flights: Arc::clone(&self.0),
            hash,
            turn: Arc::clone(&waiting.turn),
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = flights.get_mut(&self.hash) {
            waiting.count -= 1;
            if waiting.count == 0 {
                flights.remove(&self.hash);
            }
        }
    }
}
