//! One child as the supervisor sees it: started, spoken to, ended.
//!
//! A child's end is never a surprise: whatever it does, [`Child::end`] kills it and waits for it, and
//! so does dropping it, so that there is neither an orphan nor a zombie.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a child may leave what is sent to it unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that are read at once.
const BUFFER_BYTES: usize = 16 << 10;

/// How to start this crate's children: a program that calls `runner_main` and `compiler_main`
/// when it gets the words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file to start.
    pub file: PathBuf,
    /// Its arguments for a runner.
    pub runner: Vec<OsString>,
    /// Its arguments for a compiler; two numbers are added behind them.
    pub compiler: Vec<OsString>,
}

impl Program {
    /// The program that runs now, with one word for each kind of child.
    #[must_use]
    pub fn this(runner: &str, compiler: &str) -> Self {
        Self {
            // Also when the file was replaced or removed since: the children must be of the same
            // release.
            file: PathBuf::from("/proc/self/exe"),
            runner: vec![runner.into()],
            compiler: vec![compiler.into()],
        }
    }
}

/// A running child. Reading from it never waits beyond its deadline.
#[derive(Debug)]
pub(super) struct Child {
    process: std::process::Child,
    socket: UnixStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    deadline: Instant,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended(ExitStatus);

impl Ended {
    /// Whether the kernel ended it for a system call that it may not make.
    #[must_use]
    pub fn is_escape(&self) -> bool {
        self.0.signal() == Some(libc::SIGSYS)
    }

    pub(super) fn signal(&self) -> Option<i32> {
        self.0.signal()
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0.signal(), self.0.code()) {
            (Some(libc::SIGSYS), _) => f.write_str("made a system call that it may not make"),
            (Some(libc::SIGSEGV), _) => f.write_str("crashed with a segmentation fault"),
            (Some(libc::SIGABRT), _) => f.write_str("aborted"),
            (Some(libc::SIGXCPU), _) => f.write_str("used up its processor time"),
            (Some(libc::SIGKILL), _) => f.write_str("was killed"),
            (Some(signal), _) => write!(f, "was ended by signal {signal}"),
            (None, Some(code)) => write!(f, "ended with code {code}"),
            (None, None) => f.write_str("ended"),
        }
    }
}

impl Child {
    /// Starts a child with nothing but a socket. Only from a thread that lives as long as the child
    /// should: the kernel ends it with its parent thread.
    pub(super) fn start(file: &PathBuf, arguments: &[OsString]) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_write_timeout(Some(WRITE_TIMEOUT))?;
        let process = Command::new(file)
            .arg0("haar-guest")
            .args(arguments)
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            process,
            socket: ours,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            deadline: Instant::now(),
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Until when reading waits.
    pub(super) fn expect_by(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Sends as many bytes of a file, from its start, without reading them here.
    pub(super) fn write_file(&mut self, file: &File, bytes: usize) -> io::Result<()> {
        let mut at = 0;
        while (at as usize) < bytes {
            let left = bytes - at as usize;
            // The position is ours: others may read the same file.
            let sent = rustix::fs::sendfile(&self.socket, file, Some(&mut at), left)?;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Whether it has said something that nobody asked for, or is gone.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let peeked = rustix::net::recv(
            &self.socket,
            &mut byte[..],
            rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT,
        );
        self.start == self.end && matches!(peeked, Err(rustix::io::Errno::AGAIN))
    }

    /// Ends it now, and says how it ended: by itself, if it was faster.
    pub(super) fn end(mut self) -> Ended {
        Ended(self.kill_and_wait())
    }

    fn kill_and_wait(&mut self) -> ExitStatus {
        // Killing one that has ended is no error and changes nothing about its end.
        let _ = self.process.kill();
        // Fails only if somebody else waited for it, and then it is gone as well.
        self.process.wait().unwrap_or_default()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill_and_wait();
    }
}

impl Read for Child {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.start < self.end {
            let there = &self.buffer[self.start..self.end];
            let bytes = there.len().min(into.len());
            into[..bytes].copy_from_slice(&there[..bytes]);
            self.start += bytes;
            return Ok(bytes);
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.socket.set_read_timeout(Some(left))?;
        if into.len() >= self.buffer.len() {
            return self.socket.read(into);
        }
        self.start = 0;
        self.end = 0;
        self.end = self.socket.read(&mut self.buffer)?;
        let bytes = self.end.min(into.len());
        into[..bytes].copy_from_slice(&self.buffer[..bytes]);
        self.start = bytes;
        Ok(bytes)
    }
}

impl Write for Child {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
