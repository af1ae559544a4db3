//! What has happened to the children, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) started: Count,
    pub(super) replaced: Count,
    pub(super) died: Count,
    pub(super) late: Count,
    pub(super) escapes: Count,
    pub(super) compiled: Count,
    pub(super) compilers_stopped: Count,
}

/// What has happened to the children of a supervisor since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Children {
    /// Runners that became ready.
    pub started: u64,
    /// Runners that were replaced in good order: another tenant, a hundred runs, a trap.
    pub replaced: u64,
    /// Runners that died or broke the protocol.
    pub died: u64,
    /// Runners that were killed because a run did not end in time.
    pub late: u64,
    /// Children that made a system call that they may not make.
    pub escapes: u64,
    /// Modules that were compiled.
    pub compiled: u64,
    /// Compilers that were stopped: too long, too large, or dead.
    pub compilers_stopped: u64,
}

impl Tally {
    pub(super) fn read(&self) -> Children {
        Children {
            started: self.started.get(),
            replaced: self.replaced.get(),
            died: self.died.get(),
            late: self.late.get(),
            escapes: self.escapes.get(),
            compiled: self.compiled.get(),
            compilers_stopped: self.compilers_stopped.get(),
        }
    }
}
