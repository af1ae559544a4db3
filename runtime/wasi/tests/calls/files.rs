//! Bytes in files: reading, writing, positions, sizes, and how much fits.

use haar_wasi::{Errno, Function};

use crate::{APPEND, BUFFER, CREATE, Guest, LIST, READ, RESULT, ROOT, TRUNCATE, WRITE};

/// Moves the position and returns it, or why it did not move.
fn seek(guest: &mut Guest, fd: u32, delta: i64, whence: u64) -> Result<u64, Errno> {
    let args = [fd.into(), delta as u64, whence, RESULT.into()];
    match guest.errno(Function::FdSeek, &args) {
        Errno::Success => Ok(guest.u64(RESULT)),
        errno => Err(errno),
    }
}

fn set_size(guest: &mut Guest, fd: u32, size: u64) -> Errno {
    guest.errno(Function::FdFilestatSetSize, &[fd.into(), size])
}

#[test]
fn a_position_moves_from_the_start_itself_or_the_end() {
    let mut guest = Guest::with_files(&[("f", "0123456789")]);
    let fd = guest.open("f", 0, READ);
    for (delta, whence, expected) in [
        (4, 0, Ok(4)),
        (3, 1, Ok(7)),
        (-2, 1, Ok(5)),
        (-1, 2, Ok(9)),
        (-1, 0, Err(Errno::Invalid)),
        (-11, 2, Err(Errno::Invalid)),
        (0, 1, Ok(9)),
        (90, 2, Ok(100)),
        (i64::MAX, 0, Ok(i64::MAX as u64)),
        (1, 1, Err(Errno::Invalid)),
        (i64::MIN, 1, Err(Errno::Invalid)),
        (i64::MAX, 2, Err(Errno::Invalid)),
    ] {
        assert_eq!(
            seek(&mut guest, fd, delta, whence),
            expected,
            "{delta} from {whence}"
        );
    }
    guest.done(Function::FdTell, &[fd.into(), RESULT.into()]);
    assert_eq!(guest.u64(RESULT), i64::MAX as u64);
    assert_eq!(guest.read(fd, 8), Ok(String::new()));
}

#[test]
fn an_input_is_copied_when_it_changes() {
    let files = [("f", "0123456789")];
    let environment = crate::environment(&files);
    let shared = environment.files.clone();
    let mut guest = Guest::new(environment);
    let fd = guest.open("f", 0, READ | WRITE);
    seek(&mut guest, fd, 3, 0).unwrap();
    assert_eq!(guest.write(fd, b"abc"), Ok(Errno::Success));
    assert_eq!(guest.read(fd, 2), Ok("67".into()));
    assert_eq!(guest.content("f"), "012abc6789");
    assert_eq!(&*shared["f"], b"0123456789");
}

#[test]
fn a_gap_is_filled_with_zeros() {
    let mut guest = Guest::with_files(&[]);
    let fd = guest.open("f", CREATE, READ | WRITE);
    seek(&mut guest, fd, 3, 0).unwrap();
    // Nothing written is no gap.
    assert_eq!(guest.write(fd, b""), Ok(Errno::Success));
    assert_eq!(guest.content("f"), "");
    assert_eq!(guest.write(fd, b"x"), Ok(Errno::Success));
    assert_eq!(guest.content("f"), "\0\0\0x");
}

#[test]
fn appending_ignores_the_position_and_moves_it() {
    let mut guest = Guest::with_files(&[("f", "abc")]);
    let fd = guest.open_at(ROOT, "f", 0, READ | WRITE, APPEND).unwrap();
    assert_eq!(guest.write(fd, b"d"), Ok(Errno::Success));
    assert_eq!(seek(&mut guest, fd, 0, 1), Ok(4));
    seek(&mut guest, fd, 1, 0).unwrap();
    assert_eq!(guest.write(fd, b"e"), Ok(Errno::Success));
    assert_eq!(guest.content("f"), "abcde");

    guest.done(Function::FdFdstatSetFlags, &[fd.into(), 0]);
    seek(&mut guest, fd, 1, 0).unwrap();
    assert_eq!(guest.write(fd, b"B"), Ok(Errno::Success));
    assert_eq!(guest.content("f"), "aBcde");
}

#[test]
fn placed_reads_and_writes_leave_the_position_alone() {
    let mut guest = Guest::with_files(&[("f", "0123456789")]);
    let fd = guest.open("f", 0, READ | WRITE);
    let count = guest.list(&[(BUFFER, 3)]);
    guest.done(
        Function::FdPread,
        &[fd.into(), LIST.into(), count, 8, RESULT.into()],
    );
    assert_eq!(
        (guest.u32(RESULT), guest.bytes(BUFFER, 3)),
        (2, b"89\xAA".to_vec())
    );
    guest.put(BUFFER, b"abc");
    guest.done(
        Function::FdPwrite,
        &[fd.into(), LIST.into(), count, 9, RESULT.into()],
    );
    assert_eq!(guest.u32(RESULT), 3);
    assert_eq!(guest.read(fd, 100), Ok("012345678abc".into()));
    let far = [fd.into(), LIST.into(), count, u64::MAX, RESULT.into()];
    guest.done(Function::FdPread, &far);
    assert_eq!(guest.u32(RESULT), 0);
    assert_eq!(guest.errno(Function::FdPwrite, &far), Errno::NoSpace);
}

#[test]
fn a_file_is_opened_for_what_its_rights_say() {
    let mut guest = Guest::with_files(&[("f", "abc")]);
    let (reader, writer) = (guest.open("f", 0, READ), guest.open("f", 0, WRITE));
    assert_eq!(guest.write(reader, b"x"), Ok(Errno::BadDescriptor));
    assert_eq!(guest.read(writer, 1), Err(Errno::BadDescriptor));
    let (list, result) = (LIST.into(), RESULT.into());
    let pread = guest.errno(Function::FdPread, &[writer.into(), list, 0, 0, result]);
    let pwrite = guest.errno(Function::FdPwrite, &[reader.into(), list, 0, 0, result]);
    assert_eq!(
        (pread, pwrite),
        (Errno::BadDescriptor, Errno::BadDescriptor)
    );
    assert_eq!(set_size(&mut guest, reader, 0), Errno::BadDescriptor);
    assert_eq!(set_size(&mut guest, 1, 0), Errno::BadDescriptor);
    assert_eq!(set_size(&mut guest, ROOT, 0), Errno::BadDescriptor);
}

#[test]
fn a_size_cuts_or_fills() {
    let mut guest = Guest::with_files(&[("f", "abcdef")]);
    let fd = guest.open("f", 0, WRITE);
    assert_eq!(set_size(&mut guest, fd, 2), Errno::Success);
    assert_eq!(set_size(&mut guest, fd, 4), Errno::Success);
    assert_eq!(guest.content("f"), "ab\0\0");
    assert_eq!(set_size(&mut guest, fd, u64::MAX), Errno::NoSpace);
    assert_eq!(guest.content("f"), "ab\0\0");
}

#[test]
fn truncating_empties_a_file_for_everyone_who_has_it_open() {
    let mut guest = Guest::with_files(&[("f", "abcdef")]);
    let reader = guest.open("f", 0, READ);
    guest.read(reader, 2).unwrap();
    guest.open("f", TRUNCATE, WRITE);
    assert_eq!(guest.read(reader, 2), Ok(String::new()));
}

#[test]
fn the_tree_is_full_at_its_cap_and_empties_again() {
    let mut environment = crate::environment(&[("input", "12345")]);
    environment.limits.tree_bytes_max = 10;
    let mut guest = Guest::new(environment);
    let fd = guest.open("f", CREATE, READ | WRITE);
    assert_eq!(guest.write(fd, b"123456"), Ok(Errno::NoSpace));
    assert_eq!(guest.content("f"), "");
    assert_eq!(guest.write(fd, b"12345"), Ok(Errno::Success));
    assert_eq!(guest.write(fd, b"6"), Ok(Errno::NoSpace));
    assert_eq!(set_size(&mut guest, fd, 6), Errno::NoSpace);

    // A deleted file gives its bytes back when its last descriptor is closed.
    let input = guest.open("input", 0, READ);
    assert_eq!(
        guest.path(Function::PathUnlinkFile, ROOT, "input"),
        Errno::Success
    );
    assert_eq!(guest.write(fd, b"6"), Ok(Errno::NoSpace));
    assert_eq!(guest.read(input, 9), Ok("12345".into()));
    guest.done(Function::FdClose, &[input.into()]);
    assert_eq!(guest.write(fd, b"67890"), Ok(Errno::Success));
    assert_eq!(guest.write(fd, b"x"), Ok(Errno::NoSpace));
}

#[test]
fn a_thousand_nodes_fit_and_deleting_makes_room() {
    let mut guest = Guest::with_files(&[]);
    for number in 0..999 {
        let made = guest.path(Function::PathCreateDirectory, ROOT, &number.to_string());
        assert_eq!(made, Errno::Success);
    }
    assert_eq!(
        guest.path(Function::PathCreateDirectory, ROOT, "x"),
        Errno::NoSpace
    );
    assert_eq!(
        guest.open_at(ROOT, "x", CREATE, WRITE, 0),
        Err(Errno::NoSpace)
    );
    assert_eq!(
        guest.path(Function::PathRemoveDirectory, ROOT, "500"),
        Errno::Success
    );
    assert!(guest.open_at(ROOT, "x", CREATE, WRITE, 0).is_ok());
}

#[test]
fn only_files_can_be_synced_advised_or_allocated() {
    let mut guest = Guest::with_files(&[("f", "")]);
    let fd = u64::from(guest.open("f", 0, READ));
    for function in [Function::FdSync, Function::FdDatasync] {
        guest.done(function, &[fd]);
        for other in [0, 1, 3, 99] {
            assert_eq!(guest.errno(function, &[other]), Errno::BadDescriptor);
        }
    }
    for other in [0, 1, 3, 99] {
        assert_eq!(
            guest.errno(Function::FdAdvise, &[other, 0, 0, 0]),
            Errno::BadDescriptor
        );
        assert_eq!(
            guest.errno(Function::FdAllocate, &[other, 0, 0]),
            Errno::BadDescriptor
        );
    }
    assert_eq!(
        guest.errno(Function::FdAllocate, &[fd, 0, 1]),
        Errno::NotSupported
    );
}

/// A file's bytes as they should be, beside the guest that holds them.
struct Twin {
    guest: Guest,
    fd: u32,
    model: Vec<u8>,
}

impl Twin {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        self.guest.put(BUFFER, bytes);
        self.guest.list(&[(BUFFER, bytes.len() as u32)]);
        let args = [self.fd.into(), LIST.into(), 1, at as u64, RESULT.into()];
        self.guest.done(Function::FdPwrite, &args);
        let end = at + bytes.len();
        self.model.resize(self.model.len().max(end), 0);
        self.model[at..end].copy_from_slice(bytes);
    }

    fn set_size(&mut self, size: usize) {
        assert_eq!(
            set_size(&mut self.guest, self.fd, size as u64),
            Errno::Success
        );
        self.model.resize(size, 0);
    }

    /// Reads a range in three buffers and compares.
    #[track_caller]
    fn check(&mut self, at: usize, len: u32) {
        self.guest.list(&[
            (BUFFER, 1),
            (BUFFER + 1, len - 1),
            (BUFFER + len, 0),
            (BUFFER + len, 7),
        ]);
        let args = [self.fd.into(), LIST.into(), 4, at as u64, RESULT.into()];
        self.guest.done(Function::FdPread, &args);
        let moved = self.guest.u32(RESULT) as usize;
        let rest = self.model.get(at..).unwrap_or_default();
        let expected = &rest[..rest.len().min(len as usize + 7)];
        assert!(
            self.guest.bytes(BUFFER, moved) == expected,
            "{len} bytes at {at}"
        );
    }
}

#[test]
fn bytes_keep_their_place_however_a_file_grows_and_is_cut() {
    let input = "0123456789".repeat(1_000);
    let mut guest = Guest::with_files(&[("f", &input)]);
    let fd = guest.open("f", 0, READ | WRITE);
    let mut twin = Twin {
        guest,
        fd,
        model: input.into_bytes(),
    };
    twin.check(4_090, 10);
    for (step, at) in [0, 4_095, 4_096, 4_097, 8_191, 9_999, 10_000, 12_288, 20_000]
        .into_iter()
        .enumerate()
    {
        twin.write(at, &vec![b'a' + step as u8; 1 + step * 1_000]);
        for from in [0, 1, 4_090, 4_096, 8_192, at.saturating_sub(3), at, 40_000] {
            twin.check(from, 9_000);
            twin.check(from, 1);
        }
    }
    for size in [24_577, 4_097, 4_096, 8_192, 1, 0, 5_000] {
        twin.set_size(size);
        twin.set_size(size + 4_100);
        twin.check(0, 20_000);
    }
}

#[test]
fn writing_nothing_moves_nothing() {
    let mut guest = Guest::with_files(&[("f", "0123456789")]);
    let fd = guest.open_at(ROOT, "f", 0, READ | WRITE, APPEND).unwrap();
    assert_eq!(seek(&mut guest, fd, 3, 0), Ok(3));
    assert_eq!(guest.write(fd, b""), Ok(Errno::Success));
    assert_eq!(seek(&mut guest, fd, 0, 1), Ok(3));
    assert_eq!(guest.write(fd, b"x"), Ok(Errno::Success));
    assert_eq!(seek(&mut guest, fd, 0, 1), Ok(11));
}
