//! Standard input, output and error, and the log.

use haar_wasi::{Ended, Errno, Function};

use crate::{BUFFER, Guest, LIST, RESULT};

#[test]
fn the_input_is_read_once_and_then_ends() {
    let mut guest = Guest::with_files(&[]);
    let pieces: Vec<_> = (0..4).map(|_| guest.read(0, 4).unwrap()).collect();
    assert_eq!(pieces, ["the ", "inpu", "t", ""]);
}

#[test]
fn reading_fills_all_buffers_in_order() {
    let mut guest = Guest::with_files(&[]);
    let count = guest.list(&[
        (BUFFER + 10, 2),
        (BUFFER, 0),
        (BUFFER, 3),
        (BUFFER + 20, 100),
    ]);
    guest.done(Function::FdRead, &[0, LIST.into(), count, RESULT.into()]);
    assert_eq!(guest.u32(RESULT), 9);
    assert_eq!(guest.bytes(BUFFER + 10, 3), b"th\xAA");
    assert_eq!(guest.bytes(BUFFER, 4), b"e i\xAA");
    assert_eq!(guest.bytes(BUFFER + 20, 5), b"nput\xAA");
}

#[test]
fn writing_takes_all_buffers_in_order() {
    let mut guest = Guest::with_files(&[]);
    guest.put(BUFFER, b"hello world");
    let count = guest.list(&[(BUFFER + 6, 5), (BUFFER, 0), (BUFFER, 5), (BUFFER, 5)]);
    guest.done(Function::FdWrite, &[1, LIST.into(), count, RESULT.into()]);
    assert_eq!(guest.u32(RESULT), 15);
    assert_eq!(guest.finish().stdout, b"worldhellohello");
}

/// Writes pieces with caps of 8 output bytes and 8 log bytes; compares the end and what is left.
#[track_caller]
fn check(pieces: &[(u32, &str)], end: Result<Errno, Ended>, stdout: &str, log: &str) {
    let mut environment = crate::environment(&[]);
    environment.limits.output_bytes_max = 8;
    environment.limits.log_bytes_max = 8;
    let mut guest = Guest::new(environment);
    let mut last = Ok(Errno::Success);
    for (fd, piece) in pieces {
        last = guest.write(*fd, piece.as_bytes());
        if last.is_ok() {
            assert_eq!(guest.u32(RESULT), piece.len() as u32);
        }
    }
    let finished = guest.finish();
    assert_eq!(last, end);
    assert_eq!(
        (finished.stdout.as_slice(), finished.log.as_slice()),
        (stdout.as_bytes(), log.as_bytes())
    );
}

#[test]
fn output_up_to_the_cap_is_kept_and_one_byte_more_is_a_fault() {
    check(
        &[(1, "12345"), (1, "678")],
        Ok(Errno::Success),
        "12345678",
        "",
    );
    check(&[(1, "12345"), (1, "6789")], Err(Ended::Fault), "12345", "");
    check(
        &[(1, "12345678"), (1, "")],
        Ok(Errno::Success),
        "12345678",
        "",
    );
}

#[test]
fn the_log_is_cut_at_its_cap_and_nobody_hears_of_it() {
    check(
        &[(2, "12345"), (2, "6789"), (2, "x")],
        Ok(Errno::Success),
        "",
        "12345678",
    );
    check(
        &[(2, "log"), (1, "out"), (2, "log")],
        Ok(Errno::Success),
        "out",
        "loglog",
    );
}

#[test]
fn haar_log_and_standard_error_are_one_log() {
    let mut guest = Guest::with_files(&[]);
    guest.write(2, b"one ").unwrap();
    guest.put(BUFFER, b"two ");
    guest.done(Function::HaarLog, &[BUFFER.into(), 4]);
    guest.write(2, b"three").unwrap();
    assert_eq!(guest.finish().log, b"one two three");
}

#[test]
fn streams_have_one_direction_and_no_position() {
    let mut guest = Guest::with_files(&[]);
    assert_eq!(guest.write(0, b"x"), Ok(Errno::BadDescriptor));
    assert_eq!(guest.write(3, b"x"), Ok(Errno::BadDescriptor));
    assert_eq!(guest.write(9, b"x"), Ok(Errno::BadDescriptor));
    for fd in [1, 2, 3, 9] {
        assert_eq!(guest.read(fd, 1), Err(Errno::BadDescriptor));
    }
    for (fd, errno) in [
        (0, Errno::NotSeekable),
        (1, Errno::NotSeekable),
        (3, Errno::BadDescriptor),
        (9, Errno::BadDescriptor),
    ] {
        let (list, result) = (LIST.into(), RESULT.into());
        assert_eq!(guest.errno(Function::FdSeek, &[fd, 0, 0, result]), errno);
        assert_eq!(guest.errno(Function::FdTell, &[fd, result]), errno);
        assert_eq!(
            guest.errno(Function::FdPread, &[fd, list, 0, 0, result]),
            errno
        );
        assert_eq!(
            guest.errno(Function::FdPwrite, &[fd, list, 0, 0, result]),
            errno
        );
    }
}

#[test]
fn streams_can_be_closed_and_moved() {
    let mut guest = Guest::with_files(&[]);
    guest.done(Function::FdRenumber, &[1, 2]);
    assert_eq!(guest.write(1, b"x"), Ok(Errno::BadDescriptor));
    guest.write(2, b"to the output").unwrap();
    guest.done(Function::FdClose, &[0]);
    assert_eq!(guest.read(0, 1), Err(Errno::BadDescriptor));
    assert_eq!(guest.errno(Function::FdClose, &[0]), Errno::BadDescriptor);
    let finished = guest.finish();
    assert_eq!(
        (finished.stdout.as_slice(), finished.log.len()),
        (&b"to the output"[..], 0)
    );
}

#[test]
fn sockets_do_not_exist() {
    for (fd, errno) in [(0, Errno::NotSupported), (9, Errno::BadDescriptor)] {
        let mut guest = Guest::with_files(&[]);
        let result = u64::from(RESULT);
        for (function, args) in [
            (Function::SockAccept, vec![fd, 0, result]),
            (Function::SockRecv, vec![fd, 0, 0, 0, result, result]),
            (Function::SockSend, vec![fd, 0, 0, 0, result]),
            (Function::SockShutdown, vec![fd, 3]),
        ] {
            assert_eq!(guest.errno(function, &args), errno, "{function:?}");
        }
    }
}
