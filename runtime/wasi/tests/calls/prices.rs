//! What each call costs, to the unit, and that a call which cannot pay has done nothing.

use haar_wasi::{CALL_PRICE, Ended, Errno, Function};

use crate::{Guest, PLENTY};

/// One call that works, its price, its answer, and its pointers.
pub(crate) struct Case {
    pub(crate) function: Function,
    pub(crate) args: &'static [u64],
    pub(crate) price: u64,
    pub(crate) outcome: Result<Errno, Ended>,
    /// Index, alignment and bytes of each pointer argument.
    pub(crate) pointers: &'static [(usize, u64, u64)],
}

const fn case(
    function: Function,
    args: &'static [u64],
    extra: u64,
    outcome: Result<Errno, Ended>,
    pointers: &'static [(usize, u64, u64)],
) -> Case {
    Case {
        function,
        args,
        price: CALL_PRICE + extra,
        outcome,
        pointers,
    }
}

const LIST: u64 = 0x100;
const FILE: u64 = 0x200;
const NEW: u64 = 0x220;
const EMPTY: u64 = 0x240;
const WAITS: u64 = 0x300;
const OUT: u64 = 0x2000;
const OUT_2: u64 = 0x3000;

const DONE: Result<Errno, Ended> = Ok(Errno::Success);
const REFUSED: Result<Errno, Ended> = Ok(Errno::NotSupported);

/// Every function once, over the memory and the descriptors of `prepared`.
pub(crate) const CASES: &[Case] = &[
    case(
        Function::ArgsGet,
        &[OUT, OUT_2],
        (8 + 10) / 2,
        DONE,
        &[(0, 4, 8), (1, 1, 10)],
    ),
    case(
        Function::ArgsSizesGet,
        &[OUT, OUT_2],
        0,
        DONE,
        &[(0, 4, 4), (1, 4, 4)],
    ),
    case(
        Function::EnvironGet,
        &[OUT, OUT_2],
        (4 + 4) / 2,
        DONE,
        &[(0, 4, 4), (1, 1, 4)],
    ),
    case(
        Function::EnvironSizesGet,
        &[OUT, OUT_2],
        0,
        DONE,
        &[(0, 4, 4), (1, 4, 4)],
    ),
    case(Function::ClockResGet, &[0, OUT], 0, DONE, &[(1, 8, 8)]),
    case(Function::ClockTimeGet, &[1, 1, OUT], 0, DONE, &[(2, 8, 8)]),
    case(Function::FdAdvise, &[4, 0, 0, 5], 0, DONE, &[]),
    case(Function::FdAllocate, &[4, 0, 1], 0, REFUSED, &[]),
    case(Function::FdClose, &[4], 0, DONE, &[]),
    case(Function::FdDatasync, &[4], 0, DONE, &[]),
    case(Function::FdFdstatGet, &[4, OUT], 0, DONE, &[(1, 8, 24)]),
    case(Function::FdFdstatSetFlags, &[4, 1], 0, DONE, &[]),
    case(Function::FdFdstatSetRights, &[4, 0, 0], 0, DONE, &[]),
    case(Function::FdFilestatGet, &[4, OUT], 0, DONE, &[(1, 8, 64)]),
    // Ten new bytes, and the copy of an input of eleven.
    case(
        Function::FdFilestatSetSize,
        &[4, 21],
        (10 + 11) / 2,
        DONE,
        &[],
    ),
    case(Function::FdFilestatSetTimes, &[4, 1, 2, 5], 100, DONE, &[]),
    case(
        Function::FdPread,
        &[4, LIST, 1, 6, OUT],
        (8 + 5) / 2,
        DONE,
        &[(1, 4, 8), (4, 4, 4)],
    ),
    case(Function::FdPrestatGet, &[3, OUT], 0, DONE, &[(1, 4, 8)]),
    case(
        Function::FdPrestatDirName,
        &[3, OUT, 1],
        0,
        DONE,
        &[(1, 1, 1)],
    ),
    // Five bytes written, and the copy of an input of eleven.
    case(
        Function::FdPwrite,
        &[4, LIST, 1, 0, OUT],
        24 / 2,
        DONE,
        &[(1, 4, 8), (4, 4, 4)],
    ),
    case(
        Function::FdRead,
        &[0, LIST, 1, OUT],
        (8 + 5) / 2,
        DONE,
        &[(1, 4, 8), (3, 4, 4)],
    ),
    // Five entries: `.`, `..`, `dir`, `empty`, `in.txt`.
    case(
        Function::FdReaddir,
        &[3, OUT, 512, 0, OUT_2],
        (5 * 24 + 1 + 2 + 3 + 5 + 6) / 2 + 5 * 50,
        DONE,
        &[(1, 1, 512), (4, 4, 4)],
    ),
    case(Function::FdRenumber, &[4, 5], 0, DONE, &[]),
    case(Function::FdSeek, &[4, 2, 0, OUT], 0, DONE, &[(3, 8, 8)]),
    case(Function::FdSync, &[4], 0, DONE, &[]),
    case(Function::FdTell, &[4, OUT], 0, DONE, &[(1, 8, 8)]),
    case(
        Function::FdWrite,
        &[1, LIST, 1, OUT],
        (8 + 5) / 2,
        DONE,
        &[(1, 4, 8), (3, 4, 4)],
    ),
    case(
        Function::PathCreateDirectory,
        &[3, NEW, 3],
        250 + 3 / 2,
        DONE,
        &[(1, 1, 3)],
    ),
    case(
        Function::PathFilestatGet,
        &[3, 0, FILE, 6, OUT],
        150 + 3,
        DONE,
        &[(2, 1, 6), (4, 8, 64)],
    ),
    case(
        Function::PathFilestatSetTimes,
        &[3, 0, FILE, 6, 1, 2, 5],
        153,
        DONE,
        &[(2, 1, 6)],
    ),
    case(
        Function::PathLink,
        &[3, 0, FILE, 6, 3, NEW, 3],
        0,
        REFUSED,
        &[(2, 1, 6), (5, 1, 3)],
    ),
    case(
        Function::PathOpen,
        &[3, 0, FILE, 6, 0, crate::READ, 0, 0, OUT],
        250 + 3,
        DONE,
        &[(2, 1, 6), (8, 4, 4)],
    ),
    case(
        Function::PathReadlink,
        &[3, FILE, 6, OUT, 16, OUT_2],
        50 + 3,
        Ok(Errno::Invalid),
        &[(1, 1, 6), (3, 1, 16), (5, 4, 4)],
    ),
    case(
        Function::PathRemoveDirectory,
        &[3, EMPTY, 5],
        250 + 5 / 2,
        DONE,
        &[(1, 1, 5)],
    ),
    case(
        Function::PathRename,
        &[3, FILE, 6, 3, NEW, 3],
        400 + (6 + 3) / 2,
        DONE,
        &[(1, 1, 6), (4, 1, 3)],
    ),
    case(
        Function::PathSymlink,
        &[FILE, 6, 3, NEW, 3],
        0,
        REFUSED,
        &[(0, 1, 6), (3, 1, 3)],
    ),
    case(
        Function::PathUnlinkFile,
        &[3, FILE, 6],
        250 + 3,
        DONE,
        &[(1, 1, 6)],
    ),
    case(
        Function::PollOneoff,
        &[WAITS, OUT, 2, OUT_2],
        200,
        DONE,
        &[(0, 8, 96), (1, 8, 64), (3, 4, 4)],
    ),
    case(Function::ProcExit, &[7], 0, Err(Ended::Exit(7)), &[]),
    case(Function::ProcRaise, &[6], 0, Err(Ended::Fault), &[]),
    case(Function::SchedYield, &[], 0, DONE, &[]),
    case(Function::RandomGet, &[OUT, 9], 9 / 2, DONE, &[(0, 1, 9)]),
    case(Function::SockAccept, &[0, 0, OUT], 0, REFUSED, &[(2, 4, 4)]),
    case(
        Function::SockRecv,
        &[0, LIST, 1, 0, OUT, OUT_2],
        4,
        REFUSED,
        &[(1, 4, 8), (4, 4, 4), (5, 2, 2)],
    ),
    case(
        Function::SockSend,
        &[0, LIST, 1, 0, OUT],
        4,
        REFUSED,
        &[(1, 4, 8), (4, 4, 4)],
    ),
    case(Function::SockShutdown, &[0, 1], 0, REFUSED, &[]),
    case(Function::HaarLog, &[FILE, 6], 6 / 2, DONE, &[(0, 1, 6)]),
];

/// A guest with descriptor 4 on a file, 5 on a directory, and memory that the cases name.
pub(crate) fn prepared() -> Guest {
    let mut guest = Guest::with_files(&[("in.txt", "hello world"), ("dir/a", "a")]);
    assert_eq!(guest.open("in.txt", 0, crate::READ | crate::WRITE), 4);
    assert_eq!(guest.open("dir", crate::DIRECTORY, crate::READ), 5);
    assert_eq!(
        guest.path(Function::PathCreateDirectory, 3, "empty"),
        Errno::Success
    );

    guest.memory.fill(0);
    guest.put(LIST as u32, &0x1000u32.to_le_bytes());
    guest.put(LIST as u32 + 4, &5u32.to_le_bytes());
    guest.put(FILE as u32, b"in.txt");
    guest.put(NEW as u32, b"new");
    guest.put(EMPTY as u32, b"empty");
    guest.put(0x1000, b"bytes");
    guest.fuel = PLENTY;
    guest
}

#[test]
fn every_function_has_a_case() {
    let tested: Vec<Function> = CASES.iter().map(|case| case.function).collect();
    assert_eq!(tested, Function::ALL);
}

#[test]
fn every_call_costs_exactly_its_price() {
    for case in CASES {
        let mut guest = prepared();
        guest.fuel = case.price as i64;
        let outcome = guest.call(case.function, case.args);
        assert_eq!(
            (outcome, guest.fuel),
            (case.outcome, 0),
            "{:?}",
            case.function
        );
    }
}

#[test]
fn a_call_that_lacks_one_unit_has_done_nothing() {
    for case in CASES {
        let mut guest = prepared();
        let memory = guest.memory.clone();
        let state = format!("{:?}", guest.wasi);
        guest.fuel = case.price as i64 - 1;

        let outcome = guest.call(case.function, case.args);
        assert_eq!(outcome, Err(Ended::OutOfFuel), "{:?}", case.function);
        assert_eq!(guest.fuel, -1, "{:?}", case.function);
        assert!(
            guest.memory == memory,
            "{:?} wrote before it paid",
            case.function
        );
        let after = format!("{:?}", guest.wasi).replace("Some(OutOfFuel)", "None");
        assert_eq!(after, state, "{:?} acted before it paid", case.function);
    }
}

#[test]
fn a_run_that_has_ended_stays_ended() {
    for end in [Ended::Exit(3), Ended::OutOfFuel, Ended::Fault] {
        let mut guest = prepared();
        match end {
            Ended::Exit(code) => {
                assert_eq!(guest.call(Function::ProcExit, &[code.into()]), Err(end));
            }
            Ended::HostMemory => unreachable!("no guest can bring it about"),
            Ended::Fault => assert_eq!(guest.call(Function::ProcRaise, &[0]), Err(end)),
            Ended::OutOfFuel => {
                guest.fuel = 0;
                assert_eq!(guest.call(Function::SchedYield, &[]), Err(end));
            }
        }
        guest.fuel = PLENTY;
        let transcript = guest.wasi.transcript();
        assert_eq!(guest.call(Function::SchedYield, &[]), Err(end));
        assert_eq!((guest.fuel, guest.wasi.transcript()), (PLENTY, transcript));
    }
}

#[test]
fn a_gap_and_the_first_change_of_an_input_are_paid_for() {
    let mut guest = prepared();
    // Eleven bytes are copied, nine zeros fill the gap, five bytes and the list are read.
    guest.done(Function::FdPwrite, &[4, LIST, 1, 20, OUT]);
    assert_eq!(guest.fuel, PLENTY - 200 - (8 + 5 + 9 + 11) / 2);

    let before = guest.fuel;
    guest.done(Function::FdPwrite, &[4, LIST, 1, 0, OUT]);
    assert_eq!(before - guest.fuel, 200 + (8 + 5) / 2);
}

#[test]
fn a_directory_pays_for_the_way_above_its_new_name() {
    for (from, to, extra) in [
        ("in.txt", "dir/x", 3 * 100),
        ("empty", "x", 2 * 100),
        ("empty", "dir/x", 3 * 100 + 50),
        ("empty", "dir/deep/x", 4 * 100 + 2 * 50),
    ] {
        let mut guest = prepared();
        let errno = guest.path(Function::PathCreateDirectory, 3, "dir/deep");
        assert_eq!(errno, Errno::Success);
        let before = guest.fuel;
        assert_eq!(guest.rename(from, to), Errno::Success);
        let bytes = (from.len() + to.len()) as i64;
        let price = 200 + 200 + extra + bytes / 2;
        assert_eq!(before - guest.fuel, price, "{from} to {to}");
    }
}

#[test]
fn a_list_is_paid_for_before_its_entries_are_read() {
    // Every entry lies outside memory, but nobody can know that for less than the price.
    for (fuel, end) in [(203, Ended::OutOfFuel), (204, Ended::Fault)] {
        let mut guest = prepared();
        guest.memory.fill(0xFF);
        guest.fuel = fuel;
        assert_eq!(guest.call(Function::FdWrite, &[1, 0, 1, OUT]), Err(end));
    }
}

#[test]
fn a_refused_call_still_costs() {
    let mut guest = prepared();
    assert_eq!(guest.errno(Function::FdClose, &[99]), Errno::BadDescriptor);
    assert_eq!(
        guest.errno(Function::PollOneoff, &[0, 0, 0, 0]),
        Errno::Invalid
    );
    assert_eq!(guest.fuel, PLENTY - 400);
}
