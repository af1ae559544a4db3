//! What an escaped guest would try, from inside a process that is locked in as a runner is.

#![allow(unsafe_code)]

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use haar_sandbox::process::lock_in;

use crate::harness::Test;

pub const TESTS: &[Test] = &[
    ("every_way_out_of_a_runner_ends_it", every_way_out),
    (
        "a_locked_process_can_still_compute_and_answer",
        nothing_is_tried,
    ),
];

pub const ATTACK: &str = "act-attack";

/// Locked in, and about to try.
const LOCKED: u8 = b'L';
/// The call came back: whatever it answered, it was let through.
const RETURNED: u8 = b'R';

/// Attempts, each a system call with up to six arguments.
type Attempt = (&'static str, i64, [i64; 6]);

const PATH: &[u8] = b"/etc/passwd\0";

fn attempt(name: &'static str, call: i64, arguments: &[i64]) -> Attempt {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    (name, call, all)
}

fn attempts() -> Vec<Attempt> {
    [files(), network(), processes(), itself()].concat()
}

/// To read, write or find something.
fn files() -> Vec<Attempt> {
    let path = PATH.as_ptr() as i64;
    let parent = i64::from(std::os::unix::process::parent_id());
    let here = i64::from(libc::AT_FDCWD);
    vec![
        attempt("open", libc::SYS_openat, &[here, path]),
        attempt("openat2", libc::SYS_openat2, &[here, path, 0, 24]),
        attempt("stat", libc::SYS_newfstatat, &[here, path]),
        attempt("statx", libc::SYS_statx, &[here, path]),
        attempt("readlink", libc::SYS_readlinkat, &[here, path]),
        attempt("unlink", libc::SYS_unlinkat, &[here, path]),
        attempt("rename", libc::SYS_renameat2, &[here, path, here, path]),
        attempt("mkdir", libc::SYS_mkdirat, &[here, path]),
        attempt("chdir", libc::SYS_chdir, &[path]),
        attempt("mount", libc::SYS_mount, &[path, path]),
        attempt("chroot", libc::SYS_chroot, &[path]),
        attempt("shared memory", libc::SYS_mmap, &[0, 4096, 3, 0x21, -1]),
        attempt("shmget", libc::SYS_shmget, &[0, 4096, 0o1600]),
        attempt("write elsewhere", libc::SYS_write, &[1, path, 11]),
        attempt("read elsewhere", libc::SYS_read, &[1, path]),
        attempt("dup", libc::SYS_dup, &[]),
        attempt("ioctl", libc::SYS_ioctl, &[0, 0x5412, path]),
        attempt("fcntl", libc::SYS_fcntl, &[0, 8, parent]),
    ]
}

/// To talk to somebody.
fn network() -> Vec<Attempt> {
    let path = PATH.as_ptr() as i64;
    vec![
        attempt("socket", libc::SYS_socket, &[2, 1]),
        attempt("socketpair", libc::SYS_socketpair, &[1, 1]),
        attempt("connect", libc::SYS_connect, &[0, path, 16]),
        attempt("bind", libc::SYS_bind, &[0, path, 16]),
        attempt("sendmsg", libc::SYS_sendmsg, &[]),
        attempt("recvmsg", libc::SYS_recvmsg, &[]),
    ]
}

/// To become or to reach another process.
fn processes() -> Vec<Attempt> {
    let path = PATH.as_ptr() as i64;
    let parent = i64::from(std::os::unix::process::parent_id());
    let here = i64::from(libc::AT_FDCWD);
    vec![
        attempt("clone", libc::SYS_clone, &[17]),
        attempt("clone3", libc::SYS_clone3, &[0, 88]),
        attempt("execve", libc::SYS_execve, &[path]),
        attempt("execveat", libc::SYS_execveat, &[here, path]),
        attempt("ptrace", libc::SYS_ptrace, &[16, parent]),
        attempt("kill the parent", libc::SYS_kill, &[parent, 9]),
        attempt("tkill the parent", libc::SYS_tkill, &[parent, 9]),
        attempt("tgkill the parent", libc::SYS_tgkill, &[parent, parent, 9]),
        attempt("pidfd_open", libc::SYS_pidfd_open, &[parent]),
        attempt("read its memory", libc::SYS_process_vm_readv, &[parent]),
        attempt("write its memory", libc::SYS_process_vm_writev, &[parent]),
        attempt(
            "advise its memory",
            libc::SYS_process_madvise,
            &[9, 0, 0, 4],
        ),
        attempt("unshare", libc::SYS_unshare, &[0x1000_0000]),
        attempt("setns", libc::SYS_setns, &[]),
    ]
}

/// To shake something off, or to find a hole in the kernel.
fn itself() -> Vec<Attempt> {
    vec![
        attempt("prctl", libc::SYS_prctl, &[4, 1]),
        attempt("io_uring_setup", libc::SYS_io_uring_setup, &[8]),
        attempt("bpf", libc::SYS_bpf, &[]),
        attempt("userfaultfd", libc::SYS_userfaultfd, &[]),
        attempt("perf_event_open", libc::SYS_perf_event_open, &[]),
        attempt("keyctl", libc::SYS_keyctl, &[]),
        attempt("setuid", libc::SYS_setuid, &[]),
        attempt("setrlimit", libc::SYS_prlimit64, &[]),
        attempt("seccomp", libc::SYS_seccomp, &[]),
        attempt("sleep", libc::SYS_nanosleep, &[]),
        attempt("a timer", libc::SYS_timer_create, &[]),
        attempt("another personality", libc::SYS_personality, &[]),
        attempt("a call of the x32 ABI", libc::SYS_getpid | 0x4000_0000, &[]),
        attempt("a call that does not exist", 9_999, &[]),
    ]
}

/// The attacker's life: locked in, it tries one thing, and says so if it still can.
pub fn attack(number: &str) {
    // Before, so that nothing but the attempt itself can be what is stopped.
    let number: Option<usize> = number.parse().ok();
    let attempt = number.and_then(|at| attempts().get(at).copied());
    lock_in().unwrap();
    tell(LOCKED);
    if let Some((_, call, [a, b, c, d, e, f])) = attempt {
        // SAFETY: most arguments are nonsense on purpose; the kernel checks them, and the process
        // has nothing to lose.
        unsafe { libc::syscall(call, a, b, c, d, e, f) };
    }
    tell(RETURNED);
}

fn tell(what: u8) {
    let _ = rustix::io::write(std::io::stdin(), &[what]);
}

/// What the attacker said, and the signal that ended it.
fn play(number: usize) -> (Vec<u8>, Option<i32>) {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut child = Command::new("/proc/self/exe")
        .args([ATTACK, &number.to_string()])
        .env_clear()
        .process_group(0)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    let _ = ours.read_to_end(&mut said);
    (said, child.wait().unwrap().signal())
}

fn every_way_out() {
    for (number, (name, ..)) in attempts().iter().enumerate() {
        let (said, signal) = play(number);
        assert_eq!(said, [LOCKED], "{name} was let through");
        assert_eq!(signal, Some(libc::SIGSYS), "{name}");
    }
    println!("  {} ways out, all shut", attempts().len());
}

fn nothing_is_tried() {
    let (said, signal) = play(usize::MAX);
    assert_eq!((said, signal), (vec![LOCKED, RETURNED], None));
}
