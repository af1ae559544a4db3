//! What descriptors say about themselves, and listings.

use haar_wasi::{Errno, Function};

use crate::{APPEND, BUFFER, CREATE, DIRECTORY, Guest, READ, RESULT, ROOT, WRITE};

const RIGHTS_DIRECTORY: u64 = 0x07B7_FE00;
const RIGHTS_INHERITING: u64 = 0x0FF7_FFFF;

#[test]
fn no_descriptor_is_a_terminal() {
    let mut guest = Guest::with_files(&[("f", "abc")]);
    let reader = guest.open("f", 0, READ);
    let writer = guest.open_at(ROOT, "f", 0, READ | WRITE, APPEND).unwrap();
    for (fd, filetype, flags, base, inheriting) in [
        (0, 0, 0, READ, 0),
        (1, 0, 1, WRITE, 0),
        (2, 0, 1, WRITE, 0),
        (ROOT, 3, 0, RIGHTS_DIRECTORY, RIGHTS_INHERITING),
        (reader, 4, 0, READ, 0),
        (writer, 4, 1, READ | WRITE, 0),
    ] {
        guest.memory.fill(0xAA);
        guest.done(Function::FdFdstatGet, &[fd.into(), RESULT.into()]);
        let head = guest.bytes(RESULT, 8);
        assert_eq!(head, [filetype, 0, flags, 0, 0, 0, 0, 0], "descriptor {fd}");
        assert_eq!(
            (guest.u64(RESULT + 8), guest.u64(RESULT + 16)),
            (base, inheriting)
        );
    }
    let args = [99, RESULT.into()];
    assert_eq!(
        guest.errno(Function::FdFdstatGet, &args),
        Errno::BadDescriptor
    );
}

#[test]
fn flags_are_remembered_unless_they_promise_a_disk() {
    let mut guest = Guest::with_files(&[("f", "abc")]);
    let file = guest.open("f", 0, READ);
    for fd in [0, 1, 2, file] {
        for (asked, errno, kept) in [
            (4, Errno::Success, 4),
            (5, Errno::Success, 5),
            (2, Errno::NotSupported, 5),
            (8, Errno::NotSupported, 5),
            (17, Errno::NotSupported, 5),
            (0, Errno::Success, 0),
        ] {
            assert_eq!(
                guest.errno(Function::FdFdstatSetFlags, &[fd.into(), asked]),
                errno
            );
            guest.done(Function::FdFdstatGet, &[fd.into(), RESULT.into()]);
            assert_eq!(guest.memory[RESULT as usize + 2], kept, "descriptor {fd}");
        }
    }
    for fd in [ROOT, 99] {
        let errno = guest.errno(Function::FdFdstatSetFlags, &[fd.into(), 0]);
        assert_eq!(errno, Errno::BadDescriptor);
    }
    assert_eq!(
        guest.errno(Function::FdFdstatSetRights, &[99, 0, 0]),
        Errno::BadDescriptor
    );
    guest.done(Function::FdFdstatSetRights, &[1, 0, 0]);
}

#[test]
fn filestat_writes_every_byte() {
    let mut guest = Guest::with_files(&[("f", "abc")]);
    let file = guest.open("f", 0, READ);
    let mut expected = [0; 64];
    guest.done(Function::FdFilestatGet, &[1, BUFFER.into()]);
    assert_eq!(guest.bytes(BUFFER, 64), expected);

    expected[0] = 1; // The device.
    expected[8] = 2; // The first input after the root.
    expected[16] = 4;
    expected[24] = 1; // One link.
    expected[32] = 3;
    guest.memory.fill(0xAA);
    guest.done(Function::FdFilestatGet, &[file.into(), BUFFER.into()]);
    assert_eq!(guest.bytes(BUFFER, 64), expected);
    let args = [99, BUFFER.into()];
    assert_eq!(
        guest.errno(Function::FdFilestatGet, &args),
        Errno::BadDescriptor
    );
}

#[test]
fn times_are_zero_until_they_are_set() {
    let mut guest = Guest::with_files(&[("f", "abc")]);
    let fd = u64::from(guest.open("f", 0, WRITE));
    guest.write(fd as u32, b"x").unwrap();
    assert_eq!(guest.stat("f"), Ok((2, 4, 3, 0, 0)));

    guest.done(Function::FdFilestatSetTimes, &[fd, 11, 22, 1 | 4]);
    assert_eq!(guest.stat("f"), Ok((2, 4, 3, 11, 22)));
    guest.done(Function::FdFilestatSetTimes, &[fd, 33, 44, 0]);
    assert_eq!(guest.stat("f"), Ok((2, 4, 3, 11, 22)));

    guest.done(Function::ClockTimeGet, &[1, 0, RESULT.into()]);
    guest.put(crate::PATH, b"f");
    let args = [ROOT.into(), 1, crate::PATH.into(), 1, 55, 66, 1 | 8];
    guest.done(Function::PathFilestatSetTimes, &args);
    assert_eq!(guest.stat("f"), Ok((2, 4, 3, 55, 1_000_001_000)));
    for (fd, errno) in [
        (0, Errno::BadDescriptor),
        (99, Errno::BadDescriptor),
        (3, Errno::Success),
    ] {
        assert_eq!(
            guest.errno(Function::FdFilestatSetTimes, &[fd, 1, 1, 5]),
            errno
        );
    }
}

#[test]
fn the_root_is_the_only_preopened_directory() {
    let mut guest = Guest::with_files(&[("d/f", "")]);
    let directory = guest.open("d", DIRECTORY, READ);
    guest.memory.fill(0xAA);
    guest.done(Function::FdPrestatGet, &[ROOT.into(), RESULT.into()]);
    assert_eq!(guest.bytes(RESULT, 8), [0, 0, 0, 0, 1, 0, 0, 0]);
    guest.done(Function::FdPrestatDirName, &[ROOT.into(), BUFFER.into(), 5]);
    assert_eq!(guest.bytes(BUFFER, 2), b"/\xAA");

    let mut get = |fd: u32| guest.errno(Function::FdPrestatGet, &[fd.into(), RESULT.into()]);
    assert_eq!(
        [get(directory), get(0), get(99)].map(Errno::code),
        [58, 8, 8]
    );
    let mut name = |fd: u32, len| {
        guest
            .errno(Function::FdPrestatDirName, &[fd.into(), BUFFER.into(), len])
            .code()
    };
    assert_eq!(
        [name(directory, 1), name(0, 1), name(99, 1), name(ROOT, 0)],
        [58, 54, 54, 37]
    );
}

#[test]
fn listings_are_sorted_and_numbered() {
    let mut guest = Guest::with_files(&[("b", ""), ("a-b", ""), ("a/x", ""), ("B", "")]);
    guest.open("new", CREATE, WRITE);
    let expected = [
        (1, 1, 3, "."),
        (2, 1, 3, ".."),
        (3, 2, 4, "B"),
        (4, 3, 3, "a"),
        (5, 4, 4, "a-b"),
        (6, 6, 4, "b"),
        (7, 7, 4, "new"),
    ];
    let expected = expected.map(|(next, inode, kind, name)| (next, inode, kind, name.to_owned()));
    assert_eq!(guest.listing(ROOT), expected);

    let directory = guest.open("a", DIRECTORY, READ);
    let names: Vec<_> = guest
        .listing(directory)
        .into_iter()
        .map(|entry| (entry.1, entry.3))
        .collect();
    assert_eq!(names, [(3, ".".into()), (3, "..".into()), (5, "x".into())]);
}

/// Lists a directory of one file into `len` bytes from `cookie` on; compares the bytes used.
#[track_caller]
fn check_cut(len: u64, cookie: u64, used: u32) {
    let mut guest = Guest::with_files(&[("file", "")]);
    let args = [ROOT.into(), BUFFER.into(), len, cookie, RESULT.into()];
    guest.done(Function::FdReaddir, &args);
    assert_eq!(guest.u32(RESULT), used);
    assert_eq!(guest.bytes(BUFFER + used, 1), [0xAA]);
}

#[test]
fn a_listing_is_cut_at_the_end_of_the_buffer() {
    check_cut(1_000, 0, 25 + 26 + 28);
    check_cut(79, 0, 79);
    check_cut(78, 0, 78);
    check_cut(26, 0, 26);
    check_cut(24, 0, 24);
    check_cut(0, 0, 0);
    check_cut(1_000, 2, 28);
    check_cut(1_000, 3, 0);
    check_cut(1_000, u64::MAX, 0);
}

#[test]
fn only_directories_can_be_listed() {
    let mut guest = Guest::with_files(&[("f", "")]);
    let file = guest.open("f", 0, READ);
    for fd in [0, file, 99] {
        let args = [fd.into(), BUFFER.into(), 100, 0, RESULT.into()];
        assert_eq!(
            guest.errno(Function::FdReaddir, &args),
            Errno::BadDescriptor
        );
    }
}

#[test]
fn the_smallest_free_number_is_opened_next() {
    let mut guest = Guest::with_files(&[("f", "")]);
    assert_eq!([0; 3].map(|_| guest.open("f", 0, READ)), [4, 5, 6]);
    guest.done(Function::FdClose, &[5]);
    guest.done(Function::FdClose, &[1]);
    assert_eq!([0; 3].map(|_| guest.open("f", 0, READ)), [1, 5, 7]);
    for number in 8..256 {
        assert_eq!(guest.open("f", 0, READ), number);
    }
    assert_eq!(
        guest.open_at(ROOT, "f", 0, READ, 0),
        Err(Errno::TooManyFiles)
    );
    assert_eq!(
        guest.open_at(ROOT, "new", CREATE, WRITE, 0),
        Err(Errno::TooManyFiles)
    );
    assert_eq!(guest.stat("new"), Err(Errno::NoEntry));
}

#[test]
fn renumbering_closes_what_it_replaces() {
    let mut guest = Guest::with_files(&[("f", "abc"), ("g", "xyz")]);
    let (first, second) = (guest.open("f", 0, READ), guest.open("g", 0, READ));
    guest.done(Function::FdRenumber, &[first.into(), first.into()]);
    guest.done(Function::FdRenumber, &[first.into(), second.into()]);
    assert_eq!(guest.read(second, 9), Ok("abc".into()));
    assert_eq!(guest.read(first, 9), Err(Errno::BadDescriptor));
    for (from, to) in [(first, second), (second, first), (second, u32::MAX)] {
        let errno = guest.errno(Function::FdRenumber, &[from.into(), to.into()]);
        assert_eq!(errno, Errno::BadDescriptor);
    }
}

#[test]
fn a_listing_goes_on_from_every_cookie() {
    let names: Vec<String> = (0..900).map(|number| format!("{number:03}")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let mut guest = Guest::with_files(&files);
    for (cookie, next, name) in [
        (0, 1, "."),
        (1, 2, ".."),
        (2, 3, "000"),
        (450, 451, "448"),
        (901, 902, "899"),
    ] {
        let args = [ROOT.into(), BUFFER.into(), 24 + 3, cookie, RESULT.into()];
        guest.done(Function::FdReaddir, &args);
        let len = guest.u32(BUFFER + 16) as usize;
        let found = (guest.u64(BUFFER), guest.bytes(BUFFER + 24, len));
        assert_eq!(found, (next, name.as_bytes().to_vec()));
    }
    for cookie in [902, 903, u64::MAX] {
        let args = [ROOT.into(), BUFFER.into(), 64, cookie, RESULT.into()];
        guest.done(Function::FdReaddir, &args);
        assert_eq!(guest.u32(RESULT), 0);
    }
}
