//! The two things here that no safe call does, both at the very start of a child.
#![allow(unsafe_code)]

use std::os::fd::RawFd;

/// The first descriptor behind input, output and errors.
const FIRST: RawFd = 3;
/// How far to look where the system does not list them.
const BLIND_MAX: RawFd = 4_096;

/// Closes whatever was handed down by mistake: whoever started the supervisor may have left files
/// open that it never knew of. Only at the start of a process, when nothing of ours is open.
pub(super) fn close_descriptors() {
    let listed = std::fs::read_dir("/proc/self/fd").map(|entries| {
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect::<Vec<RawFd>>()
    });
    let descriptors = listed.unwrap_or_else(|_| (FIRST..BLIND_MAX).collect());
    for descriptor in descriptors.into_iter().filter(|number| *number >= FIRST) {
        // SAFETY: the process has just begun; no value in it owns a descriptor above the first
        // three, and closing the listing's own a second time changes nothing.
        unsafe { libc::close(descriptor) };
    }
}

/// Makes all threads share one heap. The C library shrinks the heaps of other threads, and reads a
/// file first: to a filter of system calls that looks like a guest on its way out.
pub(super) fn share_one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number inside the allocator, before there is another thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
