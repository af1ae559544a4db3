//! wasi-common over a folder of the host, behind the same door as ours.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use haar_wasi::Function;
use tempfile::TempDir;
use wasi_common::WasiCtx;
use wasi_common::pipe::{ReadPipe, WritePipe};
use wasi_common::snapshots::preview_1::wasi_snapshot_preview1 as preview1;
use wasi_common::sync::{Dir, WasiCtxBuilder, ambient_authority};
use wiggle::GuestMemory;

/// A guest of wasi-common.
pub struct Theirs {
    context: WasiCtx,
    output: WritePipe<std::io::Cursor<Vec<u8>>>,
    pub memory: Vec<u8>,
    pub root: TempDir,
}

impl Theirs {
    /// The same world as `ours`: arguments, input and files.
    pub fn new(memory_bytes: usize, stdin: &str, files: &[(&str, String)]) -> Self {
        // In memory where that is to be had: files on a disk make a script ten times as long.
        let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let root = root.unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let folder = Dir::open_ambient_dir(root.path(), ambient_authority()).unwrap();
        let output = WritePipe::new_in_memory();
        let mut builder = WasiCtxBuilder::new();
        builder.arg("program").unwrap().arg("x").unwrap();
        builder.env("A", "1").unwrap();
        builder
            .stdin(Box::new(ReadPipe::from(stdin)))
            .stdout(Box::new(output.clone()))
            .preopened_dir(folder, "/")
            .unwrap();
        Self {
            context: builder.build(),
            output,
            memory: vec![0; memory_bytes],
            root,
        }
    }

    /// What the guest wrote.
    pub fn output(self) -> Vec<u8> {
        drop(self.context);
        self.output.try_into_inner().unwrap().into_inner()
    }

    /// Makes one call. None if it ended the run.
    pub fn call(&mut self, function: Function, args: &[u64]) -> Option<u16> {
        let memory = &mut GuestMemory::Unshared(&mut self.memory);
        let context = &mut self.context;
        macro_rules! calls {
            ($($variant:ident $name:ident ($($kind:ident)*))*) => {
                match function {
                    $(Function::$variant => {
                        let mut args = args.iter().copied();
                        let answer =
                            preview1::$name(context, memory, $(args.next().unwrap() as $kind),*);
                        at_once(answer).ok()
                    })*
                    _ => panic!("{function:?} is not compared"),
                }
            };
        }
        let errno = calls! {
            ArgsGet args_get (i32 i32)
            ArgsSizesGet args_sizes_get (i32 i32)
            EnvironGet environ_get (i32 i32)
            EnvironSizesGet environ_sizes_get (i32 i32)
            FdAdvise fd_advise (i32 i64 i64 i32)
            FdAllocate fd_allocate (i32 i64 i64)
            FdClose fd_close (i32)
            FdDatasync fd_datasync (i32)
            FdFdstatGet fd_fdstat_get (i32 i32)
            FdFdstatSetFlags fd_fdstat_set_flags (i32 i32)
            FdFdstatSetRights fd_fdstat_set_rights (i32 i64 i64)
            FdFilestatGet fd_filestat_get (i32 i32)
            FdFilestatSetSize fd_filestat_set_size (i32 i64)
            FdFilestatSetTimes fd_filestat_set_times (i32 i64 i64 i32)
            FdPread fd_pread (i32 i32 i32 i64 i32)
            FdPrestatGet fd_prestat_get (i32 i32)
            FdPrestatDirName fd_prestat_dir_name (i32 i32 i32)
            FdPwrite fd_pwrite (i32 i32 i32 i64 i32)
            FdRead fd_read (i32 i32 i32 i32)
            FdReaddir fd_readdir (i32 i32 i32 i64 i32)
            FdRenumber fd_renumber (i32 i32)
            FdSeek fd_seek (i32 i64 i32 i32)
            FdSync fd_sync (i32)
            FdTell fd_tell (i32 i32)
            FdWrite fd_write (i32 i32 i32 i32)
            PathCreateDirectory path_create_directory (i32 i32 i32)
            PathFilestatGet path_filestat_get (i32 i32 i32 i32 i32)
            PathFilestatSetTimes path_filestat_set_times (i32 i32 i32 i32 i64 i64 i32)
            PathOpen path_open (i32 i32 i32 i32 i32 i64 i64 i32 i32)
            PathReadlink path_readlink (i32 i32 i32 i32 i32 i32)
            PathRemoveDirectory path_remove_directory (i32 i32 i32)
            PathRename path_rename (i32 i32 i32 i32 i32 i32)
            PathUnlinkFile path_unlink_file (i32 i32 i32)
        };
        errno.map(|errno| errno as u16)
    }
}

/// The answer of a call that never waits.
fn at_once<T>(answer: impl Future<Output = T>) -> T {
    let mut answer = pin!(answer);
    match answer
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("a call over plain files waited"),
    }
}
