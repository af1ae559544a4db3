//! Locks a child in, before the first byte of a guest arrives.
//!
//! In this order, because each step takes away what an earlier one needs: descriptors, user,
//! limits; then, when the engine is up and every thread is there, files and network, and at last
//! system calls. What cannot be had on this kernel is either reported ([`Locked`]) or an error: a
//! child without a filter of its system calls never becomes ready.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus,
    Scope,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use rustix::thread::{Gid, Uid};

use super::message::{Landlock, Locked};
use super::syscalls;
use super::unsafety::{close_descriptors, share_one_heap};

/// The user and group that a child becomes when root started it: on every Linux the one that owns
/// nothing.
const NOBODY: u32 = 65_534;
/// Descriptors: the socket, two to nowhere, and one that Landlock needs for a moment.
const DESCRIPTORS_MAX: u64 = 4;
/// The rights that exist today. An older kernel enforces those that it knows.
const LANDLOCK_ABI: ABI = ABI::V6;

/// What a child may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes of memory that can be written. Addresses that are only reserved do not count.
    pub(super) memory_bytes: u64,
    /// Bytes of address space, where that is a limit at all.
    pub(super) address_bytes: Option<u64>,
    /// Seconds of processor time, all together.
    pub(super) cpu_seconds: Option<u64>,
}

/// A child that cannot be locked in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The environment may hold secrets; the supervisor clears it, and somebody else did not.
    #[error("the environment is not empty: this process is started by the miner only")]
    Environment,
    /// The kernel refuses a step that must not be left out.
    #[error("cannot {step}: {reason}")]
    Refused {
        /// Which.
        step: &'static str,
        /// What the kernel says.
        reason: String,
    },
}

fn refused(step: &'static str) -> impl Fn(&dyn std::fmt::Display) -> LockError {
    move |reason| LockError::Refused {
        step,
        reason: reason.to_string(),
    }
}

/// Locks this very process in as a runner does, without an engine: so that what is shut can be tried
/// from inside. The process must be at its very start.
pub fn lock_in() -> Result<Locked, LockError> {
    let is_nobody = shut_behind(&super::runner::LIMITS)?;
    let landlock = shut_files();
    shut_out()?;
    Ok(Locked {
        landlock,
        is_nobody,
    })
}

/// The first half: everything that can go before the engine is there. Only while the process has
/// one thread. Says whether the process gave up its user.
pub(super) fn shut_behind(limits: &Limits) -> Result<bool, LockError> {
    if std::env::vars_os().next().is_some() {
        return Err(LockError::Environment);
    }
    close_descriptors();
    share_one_heap();
    let is_nobody = become_nobody();

    // A change of user resets both, so they come after it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| refused("ask for the supervisor's end")(&error))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| refused("forbid dumps")(&error))?;

    limit(Resource::Core, 0)?;
    limit(Resource::Memlock, 0)?;
    limit(Resource::Msgqueue, 0)?;
    limit(Resource::Nofile, DESCRIPTORS_MAX)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Data, limits.memory_bytes)?;
    if let Some(bytes) = limits.address_bytes {
        limit(Resource::As, bytes)?;
    }
    if let Some(seconds) = limits.cpu_seconds {
        // The first limit is answered by a signal of its own, which tells the supervisor why.
        let cpu = Rlimit {
            current: Some(seconds),
            maximum: Some(seconds.saturating_add(1)),
        };
        rustix::process::setrlimit(Resource::Cpu, cpu)
            .map_err(|error| refused("set a limit")(&error))?;
    }
    Ok(is_nobody)
}

/// The last step: nothing can be reached or started any more. Every thread that there will ever be
/// must be there.
pub(super) fn shut_out() -> Result<(), LockError> {
    limit(Resource::Nproc, 0)?;
    rustix::thread::set_no_new_privs(true)
        .map_err(|error| refused("give up new privileges")(&error))?;
    syscalls::filter()
}

/// Holds back every file, every TCP port and every process outside, for this thread and those that
/// it starts.
pub(super) fn shut_files() -> Landlock {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LANDLOCK_ABI))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(LANDLOCK_ABI)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(LANDLOCK_ABI)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    match ruleset.map(|status| status.ruleset) {
        Ok(RulesetStatus::FullyEnforced) => Landlock::Full,
        Ok(RulesetStatus::PartiallyEnforced) => Landlock::Partial,
        Ok(RulesetStatus::NotEnforced) | Err(_) => Landlock::Absent,
    }
}

/// Gives up root, with all its groups and rights. Where the process is not root there is nothing to
/// give up, and where it cannot, as in some containers, the report says so.
fn become_nobody() -> bool {
    if !rustix::process::geteuid().is_root() {
        return false;
    }
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    rustix::thread::set_thread_groups(&[]).is_ok()
        && rustix::thread::set_thread_res_gid(group, group, group).is_ok()
        && rustix::thread::set_thread_res_uid(user, user, user).is_ok()
}

fn limit(resource: Resource, max: u64) -> Result<(), LockError> {
    // What is lower already stays lower.
    let max = rustix::process::getrlimit(resource)
        .maximum
        .map_or(max, |now| now.min(max));
    let both = Rlimit {
        current: Some(max),
        maximum: Some(max),
    };
    rustix::process::setrlimit(resource, both).map_err(|error| refused("set a limit")(&error))
}
