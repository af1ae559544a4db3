//! Files and folders that are this user's alone.

use std::fs::{DirBuilder, File, FileTimes, Metadata, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::{CodeCacheError, CodeFault};
use crate::engine::EngineId;
use crate::seal::{CodeKey, KEY_BYTES};

/// The key's file.
const KEY_NAME: &str = "key";
/// How the names of files end that are being written.
const TEMPORARY_EXTENSION: &str = ".tmp";
/// A temporary file of this age belongs to a process that died.
const TEMPORARY_LIFETIME: Duration = Duration::from_secs(600);
/// Names that are looked at in one folder.
const NAMES_MAX: usize = 100_000;
/// Permission bits that would let others read or write.
const OTHERS: u32 = 0o077;

/// Who may own what is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    uid: u32,
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> CodeCacheError {
    let path = path.to_owned();
    move |error| CodeCacheError::Io {
        path,
        reason: error.to_string(),
    }
}

/// A name in `folder` that nobody else uses for what is not whole yet.
fn temporary(folder: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!(
        ".{}-{count}{TEMPORARY_EXTENSION}",
        std::process::id()
    ));
    // Of a dead process with the same number.
    let _ = std::fs::remove_file(&path);
    path
}

/// Makes a folder, or makes sure that nobody else can write to it.
pub(super) fn own(folder: &Path) -> Result<Owner, CodeCacheError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(io(folder))?;
    let uid = effective_uid(folder).map_err(io(folder))?;
    let found = folder.symlink_metadata().map_err(io(folder))?;
    if !found.is_dir() || found.uid() != uid || found.mode() & OTHERS != 0 {
        return Err(CodeCacheError::NotPrivate {
            path: folder.to_owned(),
        });
    }
    Ok(Owner { uid })
}

/// Whose files this process makes, as the system sees it.
fn effective_uid(folder: &Path) -> std::io::Result<u32> {
    let path = temporary(folder);
    let uid = create(&path)?.metadata()?.uid();
    std::fs::remove_file(&path)?;
    Ok(uid)
}

impl Owner {
    /// Opens a file for reading, or says why it is not to be believed. `None`: there is none.
    pub(super) fn open(&self, path: &Path) -> Result<Option<File>, String> {
        let named = match path.symlink_metadata() {
            Ok(named) => named,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        self.check(&named)?;
        let file = File::open(path).map_err(|error| error.to_string())?;
        let opened = file.metadata().map_err(|error| error.to_string())?;
        self.check(&opened)?;
        if (named.dev(), named.ino()) != (opened.dev(), opened.ino()) {
            return Err("it was replaced while it was opened".to_owned());
        }
        Ok(Some(file))
    }

    fn check(&self, found: &Metadata) -> Result<(), String> {
        if !found.is_file() {
            return Err("it is no plain file".to_owned());
        }
        if found.uid() != self.uid {
            return Err(format!("it belongs to user {}", found.uid()));
        }
        if found.mode() & OTHERS != 0 {
            return Err(format!(
                "its mode {:o} lets others in",
                found.mode() & 0o777
            ));
        }
        Ok(())
    }
}

/// The key in the folder; drawn when there is none that can be believed.
pub(super) fn key(
    folder: &Path,
    owner: &Owner,
) -> Result<(CodeKey, Option<CodeFault>), CodeCacheError> {
    let path = folder.join(KEY_NAME);
    let mut fault = None;
    match read_key(&path, owner) {
        Ok(Some(key)) => return Ok((key, None)),
        Ok(None) => {}
        Err(reason) => {
            std::fs::remove_file(&path).map_err(io(&path))?;
            fault = Some(CodeFault {
                path: path.clone(),
                reason: format!("{reason}; a new key was drawn"),
            });
        }
    }

    let key = CodeKey::draw().map_err(io(Path::new("/dev/urandom")))?;
    let temporary = temporary(folder);
    let mut file = create(&temporary).map_err(io(&temporary))?;
    file.write_all(&key.to_bytes()).map_err(io(&temporary))?;
    file.sync_all().map_err(io(&temporary))?;
    // A link and not a rename: of two processes that start at once, one key wins for both.
    let linked = std::fs::hard_link(&temporary, &path);
    let _ = std::fs::remove_file(&temporary);
    match linked {
        Ok(()) => sync_folder(folder).map_err(io(folder))?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io(&path)(error)),
    }
    match read_key(&path, owner) {
        Ok(Some(key)) => Ok((key, fault)),
        Ok(None) => Err(CodeCacheError::Io {
            path,
            reason: "the key vanished".to_owned(),
        }),
        Err(reason) => Err(CodeCacheError::Io { path, reason }),
    }
}

fn read_key(path: &Path, owner: &Owner) -> Result<Option<CodeKey>, String> {
    let Some(file) = owner.open(path)? else {
        return Ok(None);
    };
    let mut bytes = Vec::with_capacity(KEY_BYTES + 1);
    file.take(KEY_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    let bytes = <[u8; KEY_BYTES]>::try_from(bytes).map_err(|_| "it is no key".to_owned())?;
    Ok(Some(CodeKey::from_bytes(bytes)))
}

/// Writes a file that appears whole or not at all, and gives it open for reading.
pub(super) fn write(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<File> {
    let temporary = temporary(folder);
    let written = create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        // Not the descriptor that can write: the file is mapped as code.
        let file = File::open(&temporary)?;
        std::fs::rename(&temporary, path)?;
        Ok(file)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    let file = written?;
    sync_folder(folder)?;
    Ok(file)
}

/// A file that lives in memory until it is closed.
#[cfg(target_os = "linux")]
pub(super) fn nameless(bytes: &[u8]) -> std::io::Result<File> {
    let file = rustix::fs::memfd_create("haar-code", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = File::from(file);
    file.write_all(bytes)?;
    Ok(file)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn nameless(_: &[u8]) -> std::io::Result<File> {
    Err(std::io::ErrorKind::Unsupported.into())
}

fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Remembers across restarts when an entry was last used. Not worth a complaint.
pub(super) fn touch(file: &File) {
    let _ = file.set_times(FileTimes::new().set_modified(SystemTime::now()));
}

/// Removes a file or a link, or an empty folder that stands in its place.
pub(super) fn remove(path: &Path) -> bool {
    std::fs::remove_file(path).is_ok() || std::fs::remove_dir(path).is_ok()
}

/// A name in a folder.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) is_plain: bool,
    pub(super) bytes: u64,
    pub(super) used: SystemTime,
}

impl Found {
    /// Another process may be writing it right now.
    pub(super) fn is_young_temporary(&self) -> bool {
        let age = self.used.elapsed().unwrap_or_default();
        self.name.ends_with(TEMPORARY_EXTENSION) && age < TEMPORARY_LIFETIME
    }
}

/// What lies in a folder, as far as its names are text.
pub(super) fn list(folder: &Path) -> Vec<Found> {
    let Ok(names) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    names
        .take(NAMES_MAX)
        .flatten()
        .filter_map(|found| {
            // Of the name itself: a link is not followed.
            let data = found.metadata().ok()?;
            Some(Found {
                name: found.file_name().into_string().ok()?,
                is_plain: data.is_file(),
                bytes: data.len(),
                used: data.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            })
        })
        .collect()
}

/// Deletes the entries of engines that this one is not: nobody will ask for them again.
///
/// Only what a cache makes is touched, so that a wrong folder loses nothing.
pub(super) fn forget_other_engines(folder: &Path, engine: EngineId) -> Vec<CodeFault> {
    let own = engine.to_string();
    let is_engine = |name: &str| {
        name.len() == own.len()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let mut faults = Vec::new();
    for found in list(folder) {
        if found.is_plain || found.name == own || !is_engine(&found.name) {
            continue;
        }
        let path = folder.join(&found.name);
        if path.symlink_metadata().is_ok_and(|data| data.is_dir()) {
            for entry in list(&path) {
                if entry.name.ends_with(".cwasm") || entry.name.ends_with(TEMPORARY_EXTENSION) {
                    remove(&path.join(&entry.name));
                }
            }
        }
        let reason = if remove(&path) {
            "code of another engine; removed"
        } else {
            "code of another engine; not all of it could be removed"
        };
        faults.push(fault(path, reason));
    }
    faults
}

fn fault(path: PathBuf, reason: &str) -> CodeFault {
    CodeFault {
        path,
        reason: reason.to_owned(),
    }
}
