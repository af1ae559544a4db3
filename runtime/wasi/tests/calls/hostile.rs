//! Addresses, lengths and numbers that no honest guest would send.

use haar_wasi::{Ended, Errno, Function, GuestMemory, Parameter};

use crate::prices::{CASES, prepared};
use crate::{Guest, LIST, MEMORY_BYTES, RESULT};

#[test]
fn a_pointer_outside_memory_ends_the_run_before_any_effect() {
    for case in CASES {
        for (index, align, bytes) in case.pointers {
            let last = (MEMORY_BYTES as u64 - bytes) / align * align;
            for bad in [last + align, MEMORY_BYTES as u64, 0xFFFF_FFF8] {
                let mut guest = prepared();
                let memory = guest.memory.clone();
                let mut args = case.args.to_vec();
                args[*index] = bad;
                let outcome = guest.call(case.function, &args);
                assert_eq!(
                    outcome,
                    Err(Ended::Fault),
                    "{:?}, argument {index}",
                    case.function
                );
                assert!(guest.memory == memory, "{:?} wrote", case.function);
                assert_eq!(guest.finish().stdout, b"");
            }
        }
    }
}

#[test]
fn a_pointer_to_the_last_bytes_is_good() {
    for case in CASES {
        for (index, align, bytes) in case.pointers {
            let mut guest = prepared();
            let at = (MEMORY_BYTES as u64 - bytes) / align * align;
            let old = guest.bytes(case.args[*index] as u32, *bytes as usize);
            guest.put(at as u32, &old);
            let mut args = case.args.to_vec();
            args[*index] = at;
            let outcome = guest.call(case.function, &args);
            assert_eq!(
                outcome, case.outcome,
                "{:?}, argument {index}",
                case.function
            );
        }
    }
}

#[test]
fn a_misaligned_pointer_ends_the_run() {
    for case in CASES {
        for (index, align, _) in case.pointers.iter().filter(|(_, align, _)| 1 < *align) {
            let mut guest = prepared();
            let mut args = case.args.to_vec();
            args[*index] += align / 2;
            let outcome = guest.call(case.function, &args);
            assert_eq!(
                outcome,
                Err(Ended::Fault),
                "{:?}, argument {index}",
                case.function
            );
        }
    }
}

#[test]
fn pointers_are_checked_even_when_the_descriptor_is_bad() {
    for (function, args) in [
        (Function::FdTell, vec![99, 0xFFFF_FFF8]),
        (
            Function::FdRead,
            vec![99, LIST.into(), 1 << 31, RESULT.into()],
        ),
        (
            Function::PathOpen,
            vec![99, 77, 0xFFFF_FFF8, 8, 77, 0, 0, 77, RESULT.into()],
        ),
    ] {
        let mut guest = prepared();
        assert_eq!(
            guest.call(function, &args),
            Err(Ended::Fault),
            "{function:?}"
        );
    }
}

/// Writes one list of buffers and hands it to every call that takes one.
#[track_caller]
fn check_list(buffers: &[(u32, u32)], expected: Result<Errno, Ended>) {
    for (function, fd) in [(Function::FdWrite, 1), (Function::FdRead, 0)] {
        let mut guest = prepared();
        let count = guest.list(buffers);
        let outcome = guest.call(function, &[fd, LIST.into(), count, RESULT.into()]);
        assert_eq!(outcome, expected, "{function:?}");
    }
}

#[test]
fn every_buffer_of_a_list_is_checked() {
    let end = MEMORY_BYTES as u32;
    check_list(&[], Ok(Errno::Success));
    check_list(&[(0, 0), (end, 0)], Ok(Errno::Success));
    check_list(&[(end + 1, 0)], Err(Ended::Fault));
    check_list(&[(0, 4), (end - 3, 4)], Err(Ended::Fault));
    check_list(&[(0, 4), (u32::MAX, u32::MAX)], Err(Ended::Fault));
}

#[test]
fn buffers_that_hold_more_than_a_count_can_say_are_refused() {
    let mut guest = prepared();
    // 65,538 buffers of 65,535 bytes: 2^32 + 65,534 bytes together, all within memory.
    guest.memory = vec![0; 1 << 20];
    for index in 0..65_538 {
        guest.put(index * 8 + 4, &65_535u32.to_le_bytes());
    }
    for fd in [1, 2] {
        let before = guest.fuel;
        let errno = guest.errno(Function::FdWrite, &[fd, 0, 65_538, 0xF_0000]);
        assert_eq!(errno, Errno::Invalid);
        assert_eq!(before - guest.fuel, 200 + 65_538 * 4);
    }
    assert_eq!(guest.finish().log, b"");
}

#[test]
fn a_buffer_over_its_own_list_never_leaves_memory() {
    // The first buffer overwrites the second entry with an address that memory does not have.
    let mut environment = crate::environment(&[]);
    environment.stdin = std::sync::Arc::from([0xFF; 16]);
    let mut guest = Guest::new(environment);
    let count = guest.list(&[(LIST + 8, 8), (0x1000, 8)]);
    let outcome = guest.call(Function::FdRead, &[0, LIST.into(), count, RESULT.into()]);
    assert_eq!(outcome, Err(Ended::Fault));
}

#[test]
fn unknown_numbers_and_flags_are_invalid() {
    use Function::*;
    let out = u64::from(RESULT);
    let path = 0x200;
    for (function, args) in [
        (ClockTimeGet, vec![4, 0, out]),
        (ClockResGet, vec![9, out]),
        (FdAdvise, vec![4, 0, 0, 6]),
        (FdSeek, vec![4, 0, 3, out]),
        (FdFdstatSetFlags, vec![4, 32]),
        (FdFdstatSetFlags, vec![4, 0x1_0001]),
        (FdFdstatSetRights, vec![4, 1 << 30, 0]),
        (FdFilestatSetTimes, vec![4, 0, 0, 16]),
        (FdFilestatSetTimes, vec![4, 0, 0, 3]),
        (FdFilestatSetTimes, vec![4, 0, 0, 12]),
        (PathOpen, vec![3, 2, path, 6, 0, 2, 0, 0, out]),
        (PathOpen, vec![3, 0, path, 6, 16, 2, 0, 0, out]),
        (PathOpen, vec![3, 0, path, 6, 0, 1 << 63, 0, 0, out]),
        (PathOpen, vec![3, 0, path, 6, 0, 2, 1 << 30, 0, out]),
        (PathOpen, vec![3, 0, path, 6, 0, 2, 0, 32, out]),
        (PathOpen, vec![3, 0, path, 6, 2 | 1, 2, 0, 0, out]),
        (PathOpen, vec![3, 0, path, 6, 2 | 4, 2, 0, 0, out]),
        (PathOpen, vec![3, 0, path, 6, 2 | 8, 2, 0, 0, out]),
        (PathFilestatGet, vec![3, 2, path, 6, out]),
        (PathLink, vec![3, 2, path, 6, 3, path, 6]),
        (PollOneoff, vec![0x300, 0x1000, 0, out]),
        (SockShutdown, vec![0, 4]),
        (SockRecv, vec![0, 0, 0, 4, out, out]),
        (SockAccept, vec![0, 32, out]),
    ] {
        let mut guest = prepared();
        assert_eq!(
            guest.errno(function, &args),
            Errno::Invalid,
            "{function:?} {args:?}"
        );
    }
}

#[test]
fn more_subscriptions_than_one_call_may_have_are_invalid() {
    for (count, errno) in [(4_096, Errno::Success), (4_097, Errno::Invalid)] {
        let mut guest = prepared();
        guest.memory = vec![0; 1 << 20];
        let args = [0, 0x8_0000, count, 0xF_0000];
        assert_eq!(guest.errno(Function::PollOneoff, &args), errno);
    }
}

#[test]
fn an_i32_means_the_same_however_the_host_widened_it() {
    let run = |high: u64| {
        let mut guest = prepared();
        guest.done(Function::RandomGet, &[0x2000 | high, 8 | high]);
        guest.finish()
    };
    assert_eq!(run(0), run(0xFFFF_FFFF_0000_0000));
}

#[test]
fn the_wrong_number_of_arguments_is_a_fault_and_no_panic() {
    for function in Function::ALL {
        for count in 0..12 {
            if count != function.params().len() {
                let outcome = prepared().call(*function, &vec![0; count]);
                assert_eq!(outcome, Err(Ended::Fault), "{function:?}");
            }
        }
    }
}

#[test]
fn imports_are_found_by_module_and_name() {
    for function in Function::ALL {
        let found = Function::from_import(function.module(), function.name());
        assert_eq!(found, Some(*function));
    }
    for (module, name) in [
        ("haar", "fd_write"),
        ("wasi_snapshot_preview1", "log"),
        ("wasi_unstable", "fd_write"),
    ] {
        assert_eq!(Function::from_import(module, name), None);
    }
    assert_eq!(Function::ALL.len(), 47);
    assert!(!Function::ProcExit.returns_errno() && !Function::HaarLog.returns_errno());
    assert_eq!(Function::FdSeek.params()[1], Parameter::I64);
}

#[test]
fn memory_that_is_empty_has_no_address() {
    let mut guest = prepared();
    guest.memory = Vec::new();
    assert!(guest.memory.as_slice().is_empty() && GuestMemory::is_empty(&guest.memory));
    assert_eq!(guest.call(Function::RandomGet, &[0, 0]), Ok(Errno::Success));
    assert_eq!(guest.call(Function::RandomGet, &[0, 1]), Err(Ended::Fault));
}
