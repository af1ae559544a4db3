//! Opens a trusted guest's directories, and keeps those that are for reading only from changing.

use std::any::Any;
use std::io::{IoSliceMut, SeekFrom};
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use wasi_common::dir::{OpenResult, ReaddirCursor, ReaddirEntity};
use wasi_common::file::{Advice, FdFlags, FileType, Filestat, OFlags};
use wasi_common::snapshots::preview_1::types::Errno;
use wasi_common::{Error, SystemTimeSpec, WasiCtx, WasiDir, WasiFile};

use super::{Access, Directory, TrustedError};

/// Opens a directory of this machine for the guest.
pub(super) fn open(wasi: &WasiCtx, directory: &Directory) -> Result<(), TrustedError> {
    let failed = |reason: String| TrustedError::Directory {
        host: directory.host.clone(),
        reason,
    };
    let opened = Dir::open_ambient_dir(&directory.host, ambient_authority())
        .map_err(|error| failed(error.to_string()))?;
    let opened: Box<dyn WasiDir> = Box::new(wasi_common::sync::dir::Dir::from_cap_std(opened));
    let opened = match directory.access {
        Access::Read => Box::new(ReadOnlyDir(opened)),
        Access::Write => opened,
    };
    wasi.push_preopened_dir(opened, &directory.guest)
        .map_err(|error| failed(error.to_string()))
}

/// A directory in which nothing can be changed. What is opened in it is like it.
///
/// Links and renames from a writable directory into this one fail as well: the other one asks for
/// a directory of its own type, which this is not.
struct ReadOnlyDir(Box<dyn WasiDir>);

fn read_only<T>() -> Result<T, Error> {
    Err(Errno::Rofs.into())
}

#[wiggle::async_trait]
impl WasiDir for ReadOnlyDir {
    fn as_any(&self) -> &dyn Any {
        self
    }

    async fn open_file(
        &self,
        symlink_follow: bool,
        path: &str,
        oflags: OFlags,
        read: bool,
        write: bool,
        fdflags: FdFlags,
    ) -> Result<OpenResult, Error> {
        let changes = OFlags::CREATE | OFlags::EXCLUSIVE | OFlags::TRUNCATE;
        if write || oflags.intersects(changes) || fdflags.contains(FdFlags::APPEND) {
            return read_only();
        }
        let opened = self
            .0
            .open_file(symlink_follow, path, oflags, read, write, fdflags);
        Ok(match opened.await? {
            OpenResult::File(file) => OpenResult::File(Box::new(ReadOnlyFile(file))),
            OpenResult::Dir(dir) => OpenResult::Dir(Box::new(Self(dir))),
        })
    }

    async fn create_dir(&self, _: &str) -> Result<(), Error> {
        read_only()
    }

    async fn readdir(
        &self,
        cursor: ReaddirCursor,
    ) -> Result<Box<dyn Iterator<Item = Result<ReaddirEntity, Error>> + Send>, Error> {
        self.0.readdir(cursor).await
    }

    async fn symlink(&self, _: &str, _: &str) -> Result<(), Error> {
        read_only()
    }

    async fn remove_dir(&self, _: &str) -> Result<(), Error> {
        read_only()
    }

    async fn unlink_file(&self, _: &str) -> Result<(), Error> {
        read_only()
    }

    async fn read_link(&self, path: &str) -> Result<PathBuf, Error> {
        self.0.read_link(path).await
    }

    async fn get_filestat(&self) -> Result<Filestat, Error> {
        self.0.get_filestat().await
    }

    async fn get_path_filestat(&self, path: &str, follow: bool) -> Result<Filestat, Error> {
        self.0.get_path_filestat(path, follow).await
    }

    async fn rename(&self, _: &str, _: &dyn WasiDir, _: &str) -> Result<(), Error> {
        read_only()
    }

    async fn hard_link(&self, _: &str, _: &dyn WasiDir, _: &str) -> Result<(), Error> {
        read_only()
    }

    async fn set_times(
        &self,
        _: &str,
        _: Option<SystemTimeSpec>,
        _: Option<SystemTimeSpec>,
        _: bool,
    ) -> Result<(), Error> {
        read_only()
    }
}

/// A file that can be read. A descriptor for reading could still set times; this one cannot.
struct ReadOnlyFile(Box<dyn WasiFile>);

#[wiggle::async_trait]
impl WasiFile for ReadOnlyFile {
    fn as_any(&self) -> &dyn Any {
        self
    }

    async fn get_filetype(&self) -> Result<FileType, Error> {
        self.0.get_filetype().await
    }

    #[cfg(unix)]
    fn pollable(&self) -> Option<BorrowedFd<'_>> {
        self.0.pollable()
    }

    fn isatty(&self) -> bool {
        self.0.isatty()
    }

    async fn get_fdflags(&self) -> Result<FdFlags, Error> {
        self.0.get_fdflags().await
    }

    async fn get_filestat(&self) -> Result<Filestat, Error> {
        self.0.get_filestat().await
    }

    async fn set_filestat_size(&self, _: u64) -> Result<(), Error> {
        read_only()
    }

    async fn advise(&self, offset: u64, len: u64, advice: Advice) -> Result<(), Error> {
        self.0.advise(offset, len, advice).await
    }

    async fn set_times(
        &self,
        _: Option<SystemTimeSpec>,
        _: Option<SystemTimeSpec>,
    ) -> Result<(), Error> {
        read_only()
    }

    async fn read_vectored<'a>(&self, buffers: &mut [IoSliceMut<'a>]) -> Result<u64, Error> {
        self.0.read_vectored(buffers).await
    }

    async fn read_vectored_at<'a>(
        &self,
        buffers: &mut [IoSliceMut<'a>],
        offset: u64,
    ) -> Result<u64, Error> {
        self.0.read_vectored_at(buffers, offset).await
    }

    async fn seek(&self, to: SeekFrom) -> Result<u64, Error> {
        self.0.seek(to).await
    }

    async fn peek(&self, buffer: &mut [u8]) -> Result<u64, Error> {
        self.0.peek(buffer).await
    }

    fn num_ready_bytes(&self) -> Result<u64, Error> {
        self.0.num_ready_bytes()
    }

    async fn readable(&self) -> Result<(), Error> {
        self.0.readable().await
    }
}
