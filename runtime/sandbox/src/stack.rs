//! A thread with a stack of known size: what overflows elsewhere would abort the process.

use std::thread::{Builder, scope};

/// Why a closure gave no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoValue {
    /// The system has no thread left.
    NoThread,
    /// It panicked.
    Panicked,
    /// Too many wait already.
    Busy,
}

/// Runs `work` to its end on a thread with a stack of `bytes`.
pub(crate) fn with_stack<T: Send>(
    name: &str,
    bytes: usize,
    work: impl FnOnce() -> T + Send,
) -> Result<T, NoValue> {
    scope(|scope| {
        Builder::new()
            .name(name.to_owned())
            .stack_size(bytes)
            .spawn_scoped(scope, work)
            .map_err(|_| NoValue::NoThread)?
            .join()
            .map_err(|_| NoValue::Panicked)
    })
}
