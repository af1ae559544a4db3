//! Every call, through the one door, over memory that is a plain `Vec<u8>`.

#![allow(clippy::unwrap_used)]

mod clocks;
mod environments;
mod files;
mod guests;
mod hostile;
mod paths;
mod prices;
mod replay;
mod stats;
mod streams;

use std::collections::BTreeMap;
use std::sync::Arc;

use haar_wasi::{Ended, Environment, Errno, Finished, Function, Limits, Wasi};

pub(crate) const MEMORY_BYTES: usize = 65_536;
pub(crate) const PLENTY: i64 = 1 << 40;

/// Where the harness keeps its paths, lists and results in guest memory.
pub(crate) const PATH: u32 = 0x100;
pub(crate) const PATH_2: u32 = 0x200;
pub(crate) const LIST: u32 = 0x300;
pub(crate) const RESULT: u32 = 0x400;
pub(crate) const BUFFER: u32 = 0x1000;

pub(crate) const READ: u64 = 1 << 1;
pub(crate) const WRITE: u64 = 1 << 6;
pub(crate) const CREATE: u64 = 1;
pub(crate) const DIRECTORY: u64 = 2;
pub(crate) const EXCLUSIVE: u64 = 4;
pub(crate) const TRUNCATE: u64 = 8;
pub(crate) const APPEND: u64 = 1;
pub(crate) const ROOT: u32 = 3;

/// A guest that makes one call at a time and remembers its memory and its fuel.
pub(crate) struct Guest {
    pub(crate) wasi: Wasi,
    pub(crate) memory: Vec<u8>,
    pub(crate) fuel: i64,
}

/// The environment that most tests start from.
pub(crate) fn environment(files: &[(&str, &str)]) -> Environment {
    let bytes = |content: &&str| Arc::from(content.as_bytes());
    Environment {
        args: vec!["program".into(), "x".into()],
        env: BTreeMap::from([("A".into(), "1".into())]),
        stdin: Arc::from(*b"the input"),
        files: files
            .iter()
            .map(|(path, content)| ((*path).into(), bytes(content)))
            .collect(),
        seed: [7; 32],
        time_ns: 1_000_000_000,
        limits: Limits::default(),
    }
}

impl Guest {
    pub(crate) fn new(environment: Environment) -> Self {
        let wasi = Wasi::new(environment).unwrap();
        Self {
            wasi,
            memory: vec![0xAA; MEMORY_BYTES],
            fuel: PLENTY,
        }
    }

    pub(crate) fn with_files(files: &[(&str, &str)]) -> Self {
        Self::new(environment(files))
    }

    pub(crate) fn call(&mut self, function: Function, args: &[u64]) -> Result<Errno, Ended> {
        self.wasi
            .call(function, args, &mut self.memory, &mut self.fuel)
    }

    /// Makes a call that must not end the run.
    #[track_caller]
    pub(crate) fn errno(&mut self, function: Function, args: &[u64]) -> Errno {
        self.call(function, args).unwrap()
    }

    /// Makes a call that must succeed.
    #[track_caller]
    pub(crate) fn done(&mut self, function: Function, args: &[u64]) {
        assert_eq!(self.errno(function, args), Errno::Success, "{function:?}");
    }

    pub(crate) fn put(&mut self, at: u32, bytes: &[u8]) {
        self.memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn bytes(&self, at: u32, len: usize) -> Vec<u8> {
        self.memory[at as usize..][..len].to_vec()
    }

    pub(crate) fn u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.bytes(at, 4).try_into().unwrap())
    }

    pub(crate) fn u64(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8).try_into().unwrap())
    }

    /// Writes a list of buffers and returns its length.
    pub(crate) fn list(&mut self, buffers: &[(u32, u32)]) -> u64 {
        for (index, (start, len)) in buffers.iter().enumerate() {
            self.put(LIST + index as u32 * 8, &start.to_le_bytes());
            self.put(LIST + index as u32 * 8 + 4, &len.to_le_bytes());
        }
        buffers.len() as u64
    }

    /// Calls a function of the form `(fd, path, len)`.
    pub(crate) fn path(&mut self, function: Function, fd: u32, path: &str) -> Errno {
        self.put(PATH, path.as_bytes());
        self.call(function, &[fd.into(), PATH.into(), path.len() as u64])
            .unwrap()
    }

    pub(crate) fn open_at(
        &mut self,
        fd: u32,
        path: &str,
        oflags: u64,
        rights: u64,
        fdflags: u64,
    ) -> Result<u32, Errno> {
        self.put(PATH, path.as_bytes());
        let len = path.len() as u64;
        let args = [
            fd.into(),
            1,
            PATH.into(),
            len,
            oflags,
            rights,
            0,
            fdflags,
            RESULT.into(),
        ];
        match self.call(Function::PathOpen, &args).unwrap() {
            Errno::Success => Ok(self.u32(RESULT)),
            errno => Err(errno),
        }
    }

    #[track_caller]
    pub(crate) fn open(&mut self, path: &str, oflags: u64, rights: u64) -> u32 {
        self.open_at(ROOT, path, oflags, rights, 0).unwrap()
    }

    pub(crate) fn write(&mut self, fd: u32, bytes: &[u8]) -> Result<Errno, Ended> {
        self.put(BUFFER, bytes);
        self.list(&[(BUFFER, bytes.len() as u32)]);
        self.call(
            Function::FdWrite,
            &[fd.into(), LIST.into(), 1, RESULT.into()],
        )
    }

    pub(crate) fn read(&mut self, fd: u32, len: u32) -> Result<String, Errno> {
        self.list(&[(BUFFER, len)]);
        let args = [fd.into(), LIST.into(), 1, RESULT.into()];
        match self.call(Function::FdRead, &args).unwrap() {
            Errno::Success => {
                let bytes = self.bytes(BUFFER, self.u32(RESULT) as usize);
                Ok(String::from_utf8(bytes).unwrap())
            }
            errno => Err(errno),
        }
    }

    /// The whole content of a file, by a descriptor of its own.
    #[track_caller]
    pub(crate) fn content(&mut self, path: &str) -> String {
        let fd = self.open(path, 0, READ);
        let content = self.read(fd, 4096).unwrap();
        self.done(Function::FdClose, &[fd.into()]);
        content
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Errno {
        self.put(PATH, from.as_bytes());
        self.put(PATH_2, to.as_bytes());
        let (from, to) = (from.len() as u64, to.len() as u64);
        let args = [
            ROOT.into(),
            PATH.into(),
            from,
            ROOT.into(),
            PATH_2.into(),
            to,
        ];
        self.call(Function::PathRename, &args).unwrap()
    }

    /// `(inode, type, size, atim, mtim)` of a path.
    pub(crate) fn stat(&mut self, path: &str) -> Result<(u64, u8, u64, u64, u64), Errno> {
        self.put(PATH, path.as_bytes());
        let args = [
            ROOT.into(),
            1,
            PATH.into(),
            path.len() as u64,
            RESULT.into(),
        ];
        match self.call(Function::PathFilestatGet, &args).unwrap() {
            Errno::Success => Ok((
                self.u64(RESULT + 8),
                self.memory[RESULT as usize + 16],
                self.u64(RESULT + 32),
                self.u64(RESULT + 40),
                self.u64(RESULT + 48),
            )),
            errno => Err(errno),
        }
    }

    /// A directory's listing: `(next cookie, inode, type, name)` of each entry.
    #[track_caller]
    pub(crate) fn listing(&mut self, fd: u32) -> Vec<(u64, u64, u8, String)> {
        let args = [fd.into(), BUFFER.into(), 0x8000, 0, RESULT.into()];
        self.done(Function::FdReaddir, &args);
        let mut entries = Vec::new();
        let mut at = BUFFER;
        while at < BUFFER + self.u32(RESULT) {
            let len = self.u32(at + 16) as usize;
            assert_eq!(self.bytes(at + 21, 3), [0; 3], "the padding");
            let name = String::from_utf8(self.bytes(at + 24, len)).unwrap();
            entries.push((
                self.u64(at),
                self.u64(at + 8),
                self.memory[at as usize + 20],
                name,
            ));
            at += 24 + len as u32;
        }
        entries
    }

    pub(crate) fn finish(self) -> Finished {
        self.wasi.finish()
    }
}
