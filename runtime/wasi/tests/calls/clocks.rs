//! Time that only the guest's own looks and sleeps move.

use haar_wasi::{Errno, Function};

use crate::{Guest, READ, RESULT};

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;
const WAITS: u32 = 0x2000;
const EVENTS: u32 = 0x3000;

/// One subscription of a guest.
#[derive(Clone, Copy)]
enum Wait {
    Clock {
        id: u32,
        timeout_ns: u64,
        flags: u16,
    },
    Read(u32),
    Write(u32),
    Unknown,
}

fn after(timeout_ns: u64) -> Wait {
    Wait::Clock {
        id: MONOTONIC,
        timeout_ns,
        flags: 0,
    }
}

fn at(id: u32, timeout_ns: u64) -> Wait {
    Wait::Clock {
        id,
        timeout_ns,
        flags: 1,
    }
}

fn time(guest: &mut Guest, id: u32) -> u64 {
    guest.done(Function::ClockTimeGet, &[id.into(), 0, RESULT.into()]);
    guest.u64(RESULT)
}

/// `(index, error, type, bytes, flags)`.
type Event = (u64, u16, u8, u64, u16);

/// Waits, and returns what became ready.
fn poll(guest: &mut Guest, waits: &[Wait]) -> Result<Vec<Event>, Errno> {
    for (index, wait) in waits.iter().enumerate() {
        let mut bytes = [0; 48];
        bytes[..8].copy_from_slice(&(index as u64).to_le_bytes());
        match *wait {
            Wait::Clock {
                id,
                timeout_ns,
                flags,
            } => {
                bytes[16..20].copy_from_slice(&id.to_le_bytes());
                bytes[24..32].copy_from_slice(&timeout_ns.to_le_bytes());
                bytes[40..42].copy_from_slice(&flags.to_le_bytes());
            }
            Wait::Read(fd) => {
                bytes[8] = 1;
                bytes[16..20].copy_from_slice(&fd.to_le_bytes());
            }
            Wait::Write(fd) => {
                bytes[8] = 2;
                bytes[16..20].copy_from_slice(&fd.to_le_bytes());
            }
            Wait::Unknown => bytes[8] = 3,
        }
        guest.put(WAITS + index as u32 * 48, &bytes);
    }

    let args = [
        WAITS.into(),
        EVENTS.into(),
        waits.len() as u64,
        RESULT.into(),
    ];
    match guest.errno(Function::PollOneoff, &args) {
        Errno::Success => {}
        errno => return Err(errno),
    }
    let event = |index| {
        let at = EVENTS + index * 32;
        let short = |at| u16::from_le_bytes(guest.bytes(at, 2).try_into().unwrap());
        assert_eq!(guest.bytes(at + 11, 5), [0; 5], "the padding");
        assert_eq!(guest.bytes(at + 26, 6), [0; 6], "the padding");
        let kind = guest.memory[at as usize + 10];
        (
            guest.u64(at),
            short(at + 8),
            kind,
            guest.u64(at + 16),
            short(at + 24),
        )
    };
    Ok((0..guest.u32(RESULT)).map(event).collect())
}

/// Waits in a fresh run; compares which subscriptions were ready and the monotonic time after.
#[track_caller]
fn check(waits: &[Wait], ready: &[u64], time_ns: u64) {
    let mut guest = Guest::with_files(&[]);
    let events = poll(&mut guest, waits).unwrap();
    assert_eq!(
        events.iter().map(|event| event.0).collect::<Vec<_>>(),
        ready
    );
    assert_eq!(time(&mut guest, MONOTONIC), time_ns);
}

#[test]
fn every_look_moves_the_clock_by_a_microsecond() {
    let mut guest = Guest::with_files(&[]);
    assert_eq!(time(&mut guest, MONOTONIC), 0);
    assert_eq!(time(&mut guest, REALTIME), 1_000_001_000);
    assert_eq!(time(&mut guest, MONOTONIC), 2_000);
    for id in [REALTIME, MONOTONIC] {
        guest.done(Function::ClockResGet, &[id.into(), RESULT.into()]);
        assert_eq!(guest.u64(RESULT), 1_000);
    }
    assert_eq!(time(&mut guest, MONOTONIC), 3_000);
}

#[test]
fn the_time_of_the_processor_is_nobodys_business() {
    let mut guest = Guest::with_files(&[]);
    for id in [2, 3] {
        let errno = guest.errno(Function::ClockTimeGet, &[id, 0, RESULT.into()]);
        assert_eq!(errno, Errno::BadDescriptor);
        assert_eq!(
            guest.errno(Function::ClockResGet, &[id, RESULT.into()]),
            Errno::BadDescriptor
        );
    }
    assert_eq!(time(&mut guest, MONOTONIC), 0);
}

#[test]
fn sleeping_moves_the_clock_to_the_earliest_deadline() {
    check(&[after(5_000_000)], &[0], 5_000_000);
    check(&[after(9), after(4), after(7)], &[1], 4);
    check(&[after(0), after(4)], &[0], 0);
}

#[test]
fn equal_deadlines_come_in_the_order_of_their_indices() {
    check(&[after(4), after(9), after(4)], &[0, 2], 4);
    check(
        &[at(MONOTONIC, 0), after(0), at(MONOTONIC, 0)],
        &[0, 1, 2],
        0,
    );
}

#[test]
fn absolute_deadlines_are_on_the_clock_they_name() {
    check(&[at(MONOTONIC, 70)], &[0], 70);
    check(&[at(REALTIME, 1_000_000_070)], &[0], 70);
    check(&[at(REALTIME, 1_000_000_071), at(MONOTONIC, 70)], &[1], 70);
    // Long past: the clock does not run back.
    check(&[at(REALTIME, 5)], &[0], 0);
}

#[test]
fn what_is_due_longest_comes_first() {
    let mut guest = Guest::with_files(&[]);
    poll(&mut guest, &[after(100)]).unwrap();
    let events = poll(
        &mut guest,
        &[at(MONOTONIC, 50), at(MONOTONIC, 20), after(1)],
    )
    .unwrap();
    assert_eq!(
        events.iter().map(|event| event.0).collect::<Vec<_>>(),
        [1, 0]
    );
    assert_eq!(time(&mut guest, MONOTONIC), 100);
}

#[test]
fn the_clock_stops_at_the_end_of_time() {
    check(&[after(u64::MAX)], &[0], u64::MAX);
    let mut guest = Guest::with_files(&[]);
    poll(&mut guest, &[after(u64::MAX)]).unwrap();
    poll(&mut guest, &[after(u64::MAX)]).unwrap();
    assert_eq!(time(&mut guest, REALTIME), u64::MAX);
    assert_eq!(time(&mut guest, MONOTONIC), u64::MAX);
}

#[test]
fn a_descriptor_is_always_ready_and_nobody_sleeps() {
    let mut guest = Guest::with_files(&[("f", "four")]);
    let file = guest.open("f", 0, READ);
    let waits = [
        after(9),
        Wait::Read(0),
        Wait::Write(1),
        after(0),
        Wait::Read(file),
        Wait::Write(file),
        Wait::Read(77),
        Wait::Read(3),
    ];
    let bad = Errno::BadDescriptor.code();
    let expected = [
        (1, 0, 1, 9, 0),
        (2, 0, 2, 0, 0),
        (3, 0, 0, 0, 0),
        (4, 0, 1, 4, 0),
        (5, bad, 2, 0, 0),
        (6, bad, 1, 0, 0),
        (7, bad, 1, 0, 0),
    ];
    assert_eq!(poll(&mut guest, &waits), Ok(expected.to_vec()));
    assert_eq!(time(&mut guest, MONOTONIC), 0);

    guest.read(0, 100).unwrap();
    assert_eq!(
        poll(&mut guest, &[Wait::Read(0)]),
        Ok(vec![(0, 0, 1, 0, 1)])
    );
}

#[test]
fn a_subscription_without_meaning_is_invalid() {
    let unknown_clock = Wait::Clock {
        id: 4,
        timeout_ns: 0,
        flags: 0,
    };
    let processor_clock = Wait::Clock {
        id: 2,
        timeout_ns: 0,
        flags: 0,
    };
    let unknown_flag = Wait::Clock {
        id: 0,
        timeout_ns: 0,
        flags: 2,
    };
    for wait in [unknown_clock, processor_clock, unknown_flag, Wait::Unknown] {
        let mut guest = Guest::with_files(&[]);
        assert_eq!(poll(&mut guest, &[after(7), wait]), Err(Errno::Invalid));
        assert_eq!(time(&mut guest, MONOTONIC), 0);
    }
}
