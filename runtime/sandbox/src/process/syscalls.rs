//! The system calls that a child may make once it is locked in, each with its reason.
//!
//! Everything else kills the process at once. An answer with an error would let an escaped guest go
//! on looking; a death is seen by the supervisor, which says so and does not run that job again.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::lock::LockError;

/// The socket is the child's standard input, and its only way out.
const SOCKET: u64 = 0;
/// Leads to nowhere; a process that gets no memory says so there before it aborts.
const ERRORS: u64 = 2;
/// `PIDFD_SELF`: this very process.
const THIS_PROCESS: u64 = -10_000_i32 as u32 as u64;

/// Calls that are allowed whatever their arguments: they reach nothing but the process itself and
/// the descriptors that it has. A test compares this table with the README's.
const ALLOWED: &[(&str, i64)] = &[
    ("close", libc::SYS_close),
    ("brk", libc::SYS_brk),
    ("munmap", libc::SYS_munmap),
    ("mremap", libc::SYS_mremap),
    ("mprotect", libc::SYS_mprotect),
    ("madvise", libc::SYS_madvise),
    ("futex", libc::SYS_futex),
    ("sched_yield", libc::SYS_sched_yield),
    ("membarrier", libc::SYS_membarrier),
    ("clock_gettime", libc::SYS_clock_gettime),
    ("getrandom", libc::SYS_getrandom),
    ("getpid", libc::SYS_getpid),
    ("gettid", libc::SYS_gettid),
    ("rt_sigaction", libc::SYS_rt_sigaction),
    ("rt_sigprocmask", libc::SYS_rt_sigprocmask),
    ("rt_sigreturn", libc::SYS_rt_sigreturn),
    ("sigaltstack", libc::SYS_sigaltstack),
    ("restart_syscall", libc::SYS_restart_syscall),
    ("exit", libc::SYS_exit),
    ("exit_group", libc::SYS_exit_group),
];

/// Calls that are allowed with one value in one argument only: which argument, which of its bits,
/// and what they must be. Two lines for one call are two ways.
fn conditional() -> [(&'static str, i64, u8, u64, u64); 6] {
    let all = u64::from(u32::MAX);
    [
        ("read", libc::SYS_read, 0, all, SOCKET),
        ("write", libc::SYS_write, 0, all, SOCKET),
        ("write", libc::SYS_write, 0, all, ERRORS),
        // Private memory, shared with nobody.
        (
            "mmap",
            libc::SYS_mmap,
            3,
            libc::MAP_TYPE as u64,
            libc::MAP_PRIVATE as u64,
        ),
        (
            "process_madvise",
            libc::SYS_process_madvise,
            0,
            all,
            THIS_PROCESS,
        ),
        (
            "tgkill",
            libc::SYS_tgkill,
            0,
            all,
            std::process::id().into(),
        ),
    ]
}

/// Calls that are answered as a kernel would that does not have them; whoever asks has another way.
/// Without `memfd_create` the engine copies a guest's first memory where it would have mapped it.
const UNKNOWN: &[(&str, i64)] = &[("memfd_create", libc::SYS_memfd_create)];

/// Puts the filters before every thread of this process. There is no way back.
pub(super) fn filter() -> Result<(), LockError> {
    let failed = |reason: String| LockError::Refused {
        step: "filter system calls",
        reason,
    };
    // Of two filters the stricter answer counts; the one that kills comes last, as it forbids
    // adding another.
    for program in [unknown(), allowed()] {
        let program = program.map_err(|error| failed(error.to_string()))?;
        seccompiler::apply_filter_all_threads(&program)
            .map_err(|error| failed(error.to_string()))?;
    }
    Ok(())
}

fn unknown() -> Result<BpfProgram, seccompiler::BackendError> {
    let filter = SeccompFilter::new(
        UNKNOWN
            .iter()
            .map(|(_, number)| (*number, vec![]))
            .collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS as u32),
        std::env::consts::ARCH.try_into()?,
    )?;
    filter.try_into()
}

fn allowed() -> Result<BpfProgram, seccompiler::BackendError> {
    let always = ALLOWED.iter().chain(UNKNOWN);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        always.map(|(_, number)| (*number, vec![])).collect();
    for (_, number, argument, bits, value) in conditional() {
        let is_it = SeccompCondition::new(
            argument,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::MaskedEq(bits),
            value,
        )?;
        let rule = SeccompRule::new(vec![is_it])?;
        rules.entry(number).or_default().push(rule);
    }
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?;
    filter.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_names_every_call_that_is_allowed() {
        let readme = include_str!("../../README.md");
        let names = ALLOWED.iter().chain(UNKNOWN).map(|(name, _)| *name);
        for name in names.chain(conditional().map(|(name, ..)| name)) {
            assert!(readme.contains(&format!("`{name}`")), "{name}");
        }
    }
}
