//! Keeps blobs on disk: published ones for ever, fetched ones while there is room.
//!
//! The names of tags are the only memory of which is which. A blob without a tag vanishes at the next
//! sweep.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt as _;
use haar_records::BlobHash;
use iroh_blobs::HashAndFormat;
use iroh_blobs::api::proto::BlobStatus;
use iroh_blobs::store::GcConfig;
use iroh_blobs::store::fs::FsStore;
use iroh_blobs::store::fs::options::{Options, PathOptions};

use crate::limits::{BLOB_BYTES_MAX, Limits};
use crate::peer::iroh_hash;
use crate::shelf::Shelf;
use crate::start::Swarm;

const PUBLISHED: &str = "published/";
const FETCHED: &str = "fetched/";

/// A blob that could not be stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Larger than any blob may be.
    #[error("a blob of {bytes} bytes is larger than {BLOB_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// The disk or the database failed, or the swarm is shut down.
    #[error("the blob store failed: {0}")]
    Failed(String),
}

/// A blob that could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is not here, or not all of it.
    #[error("blob {hash} is not here")]
    Absent {
        /// Which.
        hash: BlobHash,
    },
    /// It is larger than the caller wants to hold.
    #[error("blob {hash} has {bytes} bytes, more than {bytes_max}")]
    TooLarge {
        /// Which.
        hash: BlobHash,
        /// Its size.
        bytes: u64,
        /// What was allowed.
        bytes_max: u64,
    },
    /// The range is not within the blob.
    #[error("blob {hash} has only {bytes} bytes")]
    OutOfRange {
        /// Which.
        hash: BlobHash,
        /// Its size.
        bytes: u64,
    },
    /// The disk or the database failed, or the swarm is shut down.
    #[error("the blob store failed: {0}")]
    Failed(String),
}

/// The blobs of this process and the order of their use.
#[derive(Debug)]
pub(crate) struct Shelves {
    store: FsStore,
    paths: PathOptions,
    shelf: Mutex<Shelf>,
}

impl Shelves {
    /// Opens the store in a directory, which no other process may have open.
    pub(crate) async fn open(dir: &Path, limits: &Limits) -> Result<Self, StoreError> {
        std::fs::create_dir_all(dir).map_err(failed)?;
        let mut options = Options::new(dir);
        options.gc = Some(GcConfig {
            interval: limits.sweep_interval,
            add_protected: None,
        });
        let paths = options.path.clone();
        let store = FsStore::load_with_opts(dir.join("blobs.db"), options)
            .await
            .map_err(failed)?;

        let shelves = Self {
            store,
            paths,
            shelf: Mutex::new(Shelf::new(limits.cache_bytes_max)),
        };
        shelves.recall().await?;
        Ok(shelves)
    }

    /// Shelves what earlier runs fetched, and evicts what no longer fits.
    async fn recall(&self) -> Result<(), StoreError> {
        let mut tags = self
            .store
            .tags()
            .list_prefix(FETCHED)
            .await
            .map_err(failed)?;
        while let Some(tag) = tags.next().await {
            let hash = BlobHash::from(*tag.map_err(failed)?.hash.as_bytes());
            let bytes = self.size(hash).await.map_err(failed)?;
            let room = bytes.and_then(|bytes| self.lock().reserve(bytes).map(|gone| (bytes, gone)));
            match room {
                Some((bytes, evicted)) => {
                    self.drop_tags(&evicted).await?;
                    let mut shelf = self.lock();
                    shelf.release(bytes);
                    shelf.put(hash, bytes);
                }
                None => self.drop_tags(&[hash]).await?,
            }
        }
        Ok(())
    }

    pub(crate) fn store(&self) -> &FsStore {
        &self.store
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets fetched blobs; the next sweep deletes them.
    pub(crate) async fn drop_tags(&self, hashes: &[BlobHash]) -> Result<(), StoreError> {
        for hash in hashes {
            self.store
                .tags()
                .delete(format!("{FETCHED}{hash}"))
                .await
                .map_err(failed)?;
        }
        Ok(())
    }

    /// Keeps a blob that was fetched, until its place is needed.
    pub(crate) async fn keep_fetched(&self, hash: BlobHash, bytes: u64) -> Result<(), StoreError> {
        if self.lock().touch(hash) {
            return Ok(());
        }
        let tags = self.store.tags();
        let published = tags
            .get(format!("{PUBLISHED}{hash}"))
            .await
            .map_err(failed)?;
        if published.is_some() {
            return Ok(());
        }
        let content = HashAndFormat::raw(iroh_hash(hash));
        tags.set(format!("{FETCHED}{hash}"), content)
            .await
            .map_err(failed)?;
        self.lock().put(hash, bytes);
        Ok(())
    }

    /// The size of a blob that is here as a whole.
    pub(crate) async fn size(&self, hash: BlobHash) -> io::Result<Option<u64>> {
        match self
            .store
            .blobs()
            .status(iroh_hash(hash))
            .await
            .map_err(io::Error::other)?
        {
            BlobStatus::Complete { size } => Ok(Some(size)),
            BlobStatus::Partial { .. } | BlobStatus::NotFound => Ok(None),
        }
    }

    async fn publish(&self, bytes: Bytes) -> Result<BlobHash, StoreError> {
        let size = bytes.len() as u64;
        if size > BLOB_BYTES_MAX {
            return Err(StoreError::TooLarge { bytes: size });
        }
        let hash = BlobHash::of(&bytes);
        let name = format!("{PUBLISHED}{hash}");
        self.store
            .blobs()
            .add_bytes(bytes)
            .with_named_tag(name)
            .await
            .map_err(failed)?;
        // The files first: the database must never name bytes that a power cut can take back.
        self.sync_files(hash).await.map_err(failed)?;
        // Ends the running transaction, which is durable when this returns.
        self.store.sync_db().await.map_err(failed)?;

        let was_fetched = self.lock().remove(hash);
        if was_fetched {
            self.drop_tags(&[hash]).await?;
        }
        Ok(hash)
    }

    /// Writes a blob's files through to the disk. Small blobs have none, they live in the database.
    async fn sync_files(&self, hash: BlobHash) -> io::Result<()> {
        let hash = iroh_hash(hash);
        let files = [self.paths.data_path(&hash), self.paths.outboard_path(&hash)];
        let folder = self.paths.data_path.clone();
        let sync = move || {
            let mut is_stored_in_files = false;
            for file in &files {
                match std::fs::File::open(file) {
                    Ok(file) => file.sync_all()?,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
                is_stored_in_files = true;
            }
            if is_stored_in_files {
                std::fs::File::open(folder)?.sync_all()?;
            }
            Ok(())
        };
        tokio::task::spawn_blocking(sync)
            .await
            .map_err(io::Error::other)?
    }

    pub(crate) async fn read(&self, hash: BlobHash, bytes_max: u64) -> Result<Bytes, ReadError> {
        let bytes = self
            .size(hash)
            .await
            .map_err(unread)?
            .ok_or(ReadError::Absent { hash })?;
        if bytes > bytes_max {
            return Err(ReadError::TooLarge {
                hash,
                bytes,
                bytes_max,
            });
        }
        let read = self
            .store
            .blobs()
            .get_bytes(iroh_hash(hash))
            .await
            .map_err(unread)?;
        self.lock().touch(hash);
        Ok(read)
    }

    async fn read_range(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, ReadError> {
        let bytes = self
            .size(hash)
            .await
            .map_err(unread)?
            .ok_or(ReadError::Absent { hash })?;
        if range.start > range.end || bytes < range.end {
            return Err(ReadError::OutOfRange { hash, bytes });
        }
        self.lock().touch(hash);
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let read = self
            .store
            .blobs()
            .export_ranges(iroh_hash(hash), range)
            .concatenate();
        read.await.map(Bytes::from).map_err(unread)
    }
}

impl Swarm {
    /// Stores a blob for ever and serves it; durable before this returns.
    pub async fn publish(&self, bytes: Bytes) -> Result<BlobHash, StoreError> {
        let hash = self.inner.shelves.publish(bytes).await?;
        tracing::debug!(target: "haar::swarm::published", blob = hash.short());
        Ok(hash)
    }

    /// Whether the whole blob is here.
    pub async fn has(&self, hash: BlobHash) -> bool {
        self.size(hash).await.is_some()
    }

    /// The size of a blob that is here as a whole.
    pub async fn size(&self, hash: BlobHash) -> Option<u64> {
        self.inner.shelves.size(hash).await.ok().flatten()
    }

    /// Reads a blob that is here, if it is not larger than `bytes_max`.
    pub async fn read(&self, hash: BlobHash, bytes_max: u64) -> Result<Bytes, ReadError> {
        self.inner.shelves.read(hash, bytes_max).await
    }

    /// Reads bytes of a blob that is here; the caller bounds the range's length.
    pub async fn read_range(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, ReadError> {
        self.inner.shelves.read_range(hash, range).await
    }
}

pub(crate) fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Failed(format!("{error:#}"))
}

fn unread(error: impl std::fmt::Display) -> ReadError {
    ReadError::Failed(format!("{error:#}"))
}
