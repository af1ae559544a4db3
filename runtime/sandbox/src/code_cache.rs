//! Compiled code on disk, so that a restart compiles nothing again.
//!
//! Native code can only be believed, so everything about an entry is checked before it is: the
//! folder is the owner's alone, the file is plain and the owner's alone, and its bytes carry the MAC
//! of a key that never leaves the owner, made for this one name. Whatever fails a check is removed,
//! told, and compiled again; it is never a reason to stop.
//!
//! Layout: `<folder>/key` and `<folder>/<engine id>/<module>-<profile>-<pages>.cwasm`. Entries are
//! written under a temporary name, synced and renamed; never written again, as they are mapped.

mod disk;
mod index;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::artifact::{Artifact, ArtifactError, CodeId, check_file};
use crate::cache::Cache;
use crate::engine::EngineId;
use crate::prepare::PrepareError;
use crate::seal::CodeKey;
use disk::Owner;
use index::Index;

/// Failures of compilers that are remembered at a time.
const FAILURES_MAX: usize = 256;
/// Faults that are kept until somebody asks for them; more are only counted.
const FAULTS_MAX: usize = 64;

/// A folder that cannot hold a cache.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeCacheError {
    /// Others could put code there, and it would be run.
    #[error("{} is not this user's alone; make it a folder of mode 0700", .path.display())]
    NotPrivate {
        /// The folder.
        path: PathBuf,
    },
    /// It cannot be made, read or written.
    #[error("cannot keep compiled code in {}: {reason}", .path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

/// Something in the folder that was not believed, or could not be kept. For the log: the cache goes
/// on without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", .path.display())]
pub struct CodeFault {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, and what was done.
    pub reason: String,
}

/// Compiled code that outlives the process.
pub struct CodeCache {
    /// The engine's own folder.
    folder: PathBuf,
    engine: EngineId,
    key: CodeKey,
    owner: Owner,
    flights: Cache<()>,
    index: Mutex<Index>,
    faults: Mutex<(Vec<CodeFault>, u64)>,
}

impl std::fmt::Debug for CodeCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeCache")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl CodeCache {
    /// Opens or makes the cache in `folder`, with the key that lies there; the first time it is
    /// drawn. Entries of other engines are deleted.
    pub fn open(folder: &Path, engine: EngineId, bytes_max: u64) -> Result<Self, CodeCacheError> {
        let owner = disk::own(folder)?;
        let (key, faults) = disk::key(folder, &owner)?;
        let cache = Self::start(folder, engine, bytes_max, key, owner)?;
        faults.into_iter().for_each(|fault| cache.tell(fault));
        Ok(cache)
    }

    /// The same with a key that the caller keeps elsewhere.
    pub fn open_with_key(
        folder: &Path,
        engine: EngineId,
        bytes_max: u64,
        key: CodeKey,
    ) -> Result<Self, CodeCacheError> {
        let owner = disk::own(folder)?;
        Self::start(folder, engine, bytes_max, key, owner)
    }

    fn start(
        folder: &Path,
        engine: EngineId,
        bytes_max: u64,
        key: CodeKey,
        owner: Owner,
    ) -> Result<Self, CodeCacheError> {
        let mut faults = disk::forget_other_engines(folder, engine);
        let folder = folder.join(engine.to_string());
        disk::own(&folder)?;
        let (index, found) = Index::read(&folder, bytes_max);
        faults.extend(found);
        let cache = Self {
            folder,
            engine,
            key,
            owner,
            flights: Cache::new(FAILURES_MAX),
            index: Mutex::new(index),
            faults: Mutex::default(),
        };
        faults.into_iter().for_each(|fault| cache.tell(fault));
        cache.evict(None);
        Ok(cache)
    }

    /// The key of one entry: for the process that compiles it, and for those that map it.
    #[must_use]
    pub fn entry_key(&self, id: CodeId) -> CodeKey {
        self.key.of_entry(self.engine, id)
    }

    /// The file of an entry, if there is one that can be believed.
    #[must_use]
    pub fn find(&self, id: CodeId) -> Option<File> {
        let path = self.path(id);
        let file = match self.owner.open(&path) {
            Ok(Some(file)) => file,
            Ok(None) => {
                self.index().remove(id);
                return None;
            }
            Err(reason) => {
                self.distrust(id, &reason);
                return None;
            }
        };
        match check_file(&file, &self.entry_key(id)) {
            Ok(header) if header.id == id => {}
            Ok(_) => {
                self.distrust(id, "it is the code of another module");
                return None;
            }
            Err(error) => {
                self.distrust(id, &error.to_string());
                return None;
            }
        }
        disk::touch(&file);
        self.index().touch(id);
        Some(file)
    }

    /// The file of an entry; what is not there is compiled, once for all that ask at the same time.
    ///
    /// An entry that cannot be kept is given all the same, as a file without a name. Code of another
    /// module than the one that was asked for is refused.
    pub fn find_or_compile(
        &self,
        id: CodeId,
        compile: impl FnOnce() -> Result<Artifact, PrepareError>,
    ) -> Result<File, PrepareError> {
        if let Some(file) = self.find(id) {
            return Ok(file);
        }
        let mut own = None;
        self.flights.fly(id, || {
            // Somebody may have been at it a moment ago.
            own = self.find(id);
            if own.is_none() {
                let artifact = compile()?;
                // It may come from a process that a module has taken over: that one has spoiled
                // its own entry, and must not reach another's.
                if artifact.id() != id {
                    return Err(PrepareError::Compile {
                        reason: "the compiler answered with the code of another module".to_owned(),
                    });
                }
                own = Some(self.put_or_hold(&artifact)?);
            }
            Ok(())
        })?;
        own.or_else(|| self.find(id))
            .ok_or_else(|| PrepareError::Host {
                reason: "compiled code vanished from the cache".to_owned(),
            })
    }

    /// Puts an artifact away and gives its file.
    pub fn put(&self, artifact: &Artifact) -> Result<File, ArtifactError> {
        let id = artifact.id();
        let bytes = artifact.to_bytes(&self.entry_key(id));
        let file = disk::write(&self.folder, &self.path(id), &bytes).map_err(|error| {
            ArtifactError::Io {
                reason: error.to_string(),
            }
        })?;
        self.index().insert(id, bytes.len() as u64);
        self.evict(Some(id));
        Ok(file)
    }

    /// Puts an artifact away, or holds it in a file without a name: a full disk stops no job.
    fn put_or_hold(&self, artifact: &Artifact) -> Result<File, ArtifactError> {
        let error = match self.put(artifact) {
            Ok(file) => return Ok(file),
            Err(error) => error,
        };
        self.tell(CodeFault {
            path: self.path(artifact.id()),
            reason: format!("{error}; not kept"),
        });
        let bytes = artifact.to_bytes(&self.entry_key(artifact.id()));
        disk::nameless(&bytes).map_err(|error| ArtifactError::Io {
            reason: error.to_string(),
        })
    }

    /// What was not believed since the last time somebody asked, and how much more there was.
    #[must_use]
    pub fn take_faults(&self) -> (Vec<CodeFault>, u64) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *faults)
    }

    /// Bytes of all entries.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.index().bytes()
    }

    fn path(&self, id: CodeId) -> PathBuf {
        self.folder.join(index::name(id))
    }

    fn distrust(&self, id: CodeId, reason: &str) {
        let path = self.path(id);
        self.index().remove(id);
        let removed = disk::remove(&path);
        let reason = format!("{reason}; {}", if removed { "removed" } else { "ignored" });
        self.tell(CodeFault { path, reason });
    }

    fn tell(&self, fault: CodeFault) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.0.len() < FAULTS_MAX {
            faults.0.push(fault);
        } else {
            faults.1 += 1;
        }
    }

    /// Deletes the longest unused entries until the rest fits. What is mapped stays mapped.
    fn evict(&self, keep: Option<CodeId>) {
        for id in self.index().evict(keep) {
            disk::remove(&self.path(id));
        }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
