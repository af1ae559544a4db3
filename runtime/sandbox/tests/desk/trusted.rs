//! Runs with the world as it is, and what they cannot do all the same.

use std::path::Path;

use haar_records::Fuel;
use haar_sandbox::{
    Access, Directory, TrustedError, TrustedInput, TrustedSpec, Unverified, UnverifiedEnding,
    run_trusted,
};

/// A command whose `_start` has this body. `$path` puts the bytes of the data at 1,000 to use:
/// the name `name` is there. 3 is the first directory.
fn command(name: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_rename" (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_filestat_set_times"
                (func $touch (param i32 i64 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "haar" "log" (func $log (param i32 i32)))
            (memory (export "memory") 2)
            (data (i32.const 1000) "{name}")
            (func $say (param $at i32) (param $len i32)
                (i32.store (i32.const 0) (local.get $at))
                (i32.store (i32.const 4) (local.get $len))
                (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable)))
            (func $open_it (param $oflags i32) (param $rights i64) (result i32)
                (call $open (i32.const 3) (i32.const 1) (i32.const 1000) (i32.const {len})
                    (local.get $oflags) (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 16)))
            (func $report (param $errno i32) (call $exit (local.get $errno)))
            (func $show (param $fd i32)
                (i32.store (i32.const 0) (i32.const 2000)) (i32.store (i32.const 4) (i32.const 1000))
                (if (call $read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
                (call $say (i32.const 2000) (i32.load (i32.const 8))))
            (func (export "_start") {body}))"#,
        len = name.len()
    );
    wat::parse_str(text).unwrap()
}

/// Reading, and writing as well.
const READ: &str = "(i64.const 0x02)";
const WRITE: &str = "(i64.const 0x42)";

fn spec(host: &Path, access: Access) -> TrustedSpec {
    TrustedSpec {
        directories: vec![Directory {
            host: host.to_owned(),
            guest: "/data".to_owned(),
            access,
        }],
        fuel_max: Fuel(1_000_000_000),
        ..TrustedSpec::default()
    }
}

fn run(module: &[u8], spec: TrustedSpec) -> Unverified {
    run_trusted(module, spec).unwrap()
}

/// Runs a body over a folder with the file `here`, and compares the code with which it exits.
#[track_caller]
fn check(access: Access, name: &str, body: &str, exit_code: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("here"), "old").unwrap();
    let ran = run(&command(name, body), spec(folder.path(), access));
    assert_eq!(ran.ending, UnverifiedEnding::Returned { exit_code });
    folder
}

/// Errno of preview 1.
const ROFS: u32 = 69;
const PERM: u32 = 63;

#[test]
fn a_file_of_this_machine_is_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("here"), "from outside").unwrap();
    let body = format!(
        "(if (call $open_it (i32.const 0) {READ}) (then unreachable)) (call $show (i32.load (i32.const 16)))"
    );
    for access in [Access::Read, Access::Write] {
        let ran = run(&command("here", &body), spec(folder.path(), access));
        assert_eq!(ran.ending, UnverifiedEnding::Returned { exit_code: 0 });
        assert_eq!(ran.output, b"from outside");
    }
}

#[test]
fn a_writable_directory_takes_files() {
    let body = format!("(call $report (call $open_it (i32.const 1) {WRITE}))");
    let folder = check(Access::Write, "new", &body, 0);
    assert!(folder.path().join("new").exists());
}

#[test]
fn a_read_only_directory_changes_by_no_call() {
    let path = "(i32.const 3) (i32.const 1000) (i32.const 4)";
    let open = |oflags: u32, rights: &str| {
        format!("(call $report (call $open_it (i32.const {oflags}) {rights}))")
    };
    let touch = format!(
        "(drop (call $open_it (i32.const 0) {READ}))
         (call $report (call $touch (i32.load (i32.const 16)) (i64.const 1) (i64.const 1) (i32.const 5)))"
    );
    let cases = [
        open(0, WRITE),
        open(1, READ),
        open(8, READ),
        format!("(call $report (call $unlink {path}))"),
        format!("(call $report (call $mkdir {path}))"),
        format!("(call $report (call $rename {path} {path}))"),
        touch,
    ];
    for body in cases {
        let folder = check(Access::Read, "here", &body, ROFS);
        let file = folder.path().join("here");
        assert_eq!(std::fs::read(&file).unwrap(), b"old", "{body}");
        let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
        assert!(modified > std::time::UNIX_EPOCH + std::time::Duration::from_secs(1));
    }
}

#[test]
fn nothing_above_a_directory_can_be_reached() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    let inside = outside.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    std::os::unix::fs::symlink("../secret", inside.join("link")).unwrap();
    std::os::unix::fs::symlink(outside.path(), inside.join("away")).unwrap();
    let body = format!("(call $report (call $open_it (i32.const 0) {READ}))");
    for name in ["../secret", "link", "away/secret", "/etc/passwd"] {
        let ran = run(&command(name, &body), spec(&inside, Access::Write));
        assert_eq!(
            ran.ending,
            UnverifiedEnding::Returned { exit_code: PERM },
            "{name}"
        );
    }
}

#[test]
fn time_and_randomness_are_real() {
    let body = "(drop (call $clock (i32.const 0) (i64.const 1) (i32.const 3000)))
        (drop (call $random (i32.const 3008) (i32.const 16)))
        (call $say (i32.const 3000) (i32.const 24))";
    let module = command("", body);
    let (first, second) = (
        run(&module, TrustedSpec::default()),
        run(&module, TrustedSpec::default()),
    );
    assert_ne!(first.output[8..], second.output[8..]);
    let ns = u64::from_le_bytes(first.output[..8].try_into().unwrap());
    assert!(ns > 1_700_000_000_000_000_000, "{ns}");
}

#[test]
fn input_output_log_and_exit_code_arrive() {
    let body = "(call $show (i32.const 0)) (call $log (i32.const 1000) (i32.const 4)) (call $exit (i32.const 200))";
    let spec = TrustedSpec {
        input: TrustedInput::Bytes(b"in and out".to_vec()),
        ..TrustedSpec::default()
    };
    let ran = run(&command("said", body), spec);
    assert_eq!(ran.ending, UnverifiedEnding::Returned { exit_code: 200 });
    assert_eq!(ran.output, b"in and out");
    assert_eq!(ran.log, b"said\n");
    assert!(ran.fuel_used > Fuel(0));
}

#[test]
fn fuel_bounds_what_is_computed_and_what_is_called() {
    for body in [
        "(loop $again (br $again))",
        "(loop $again (drop (call $yield)) (br $again))",
        "(loop $again (drop (call $random (i32.const 2000) (i32.const 100000))) (br $again))",
    ] {
        let spec = TrustedSpec {
            fuel_max: Fuel(2_000_000),
            ..TrustedSpec::default()
        };
        let ran = run(&command("", body), spec);
        assert_eq!(ran.ending, UnverifiedEnding::OutOfFuel, "{body}");
        assert_eq!(ran.fuel_used, Fuel(2_000_000));
    }
}

#[test]
fn a_trap_and_a_bad_pointer_are_endings() {
    let cases = [
        ("unreachable", "unreachable"),
        (
            "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
            "divide by zero",
        ),
        (
            "(drop (call $random (i32.const -1) (i32.const 100)))",
            "random_get",
        ),
    ];
    for (body, text) in cases {
        let ran = run(&command("", body), TrustedSpec::default());
        let UnverifiedEnding::Trapped { reason } = &ran.ending else {
            panic!("{ran:?}");
        };
        assert!(reason.contains(text), "{reason}");
    }
}

#[test]
fn a_function_gets_its_input_and_gives_its_payload() {
    let reactor = wat::parse_str(
        r#"(module (memory (export "memory") 1)
            (func (export "haar_abi_v1") (result i32) (i32.const 0))
            (func (export "haar_alloc") (param i32) (result i32) (i32.const 1024))
            (func (export "haar_run") (param i32 i32) (result i64)
                (i32.store8 (i32.const 1023) (i32.const 1))
                (i64.or (i64.shl (i64.extend_i32_u (i32.sub (local.get 0) (i32.const 1))) (i64.const 32))
                        (i64.extend_i32_u (i32.add (local.get 1) (i32.const 1))))))"#,
    );
    let spec = TrustedSpec {
        input: TrustedInput::Bytes(b"no".to_vec()),
        ..TrustedSpec::default()
    };
    let ran = run(&reactor.unwrap(), spec);
    assert_eq!(ran.ending, UnverifiedEnding::Returned { exit_code: 1 });
    assert_eq!(ran.output, b"no");
}

#[test]
fn a_function_that_breaks_the_abi_traps() {
    let reactor = wat::parse_str(
        r#"(module (memory (export "memory") 1)
            (func (export "haar_abi_v1") (result i32) (i32.const 0))
            (func (export "haar_alloc") (param i32) (result i32) (i32.const 0))
            (func (export "haar_run") (param i32 i32) (result i64) (i64.const -1)))"#,
    )
    .unwrap();
    for input in [&b""[..], b"some"] {
        let spec = TrustedSpec {
            input: TrustedInput::Bytes(input.to_vec()),
            ..TrustedSpec::default()
        };
        let ran = run(&reactor, spec);
        assert!(
            matches!(ran.ending, UnverifiedEnding::Trapped { .. }),
            "{ran:?}"
        );
    }
}

#[test]
fn what_cannot_be_given_to_the_guest_is_said() {
    let module = command("", "nop");
    let missing = spec(Path::new("/no/such/place"), Access::Read);
    assert!(matches!(
        run_trusted(&module, missing),
        Err(TrustedError::Directory { .. })
    ));
    let zero = TrustedSpec {
        args: vec!["a\0b".to_owned()],
        ..TrustedSpec::default()
    };
    assert!(run_trusted(&module, zero).is_err());
    let greedy = TrustedSpec {
        fuel_max: Fuel(u64::MAX),
        ..TrustedSpec::default()
    };
    assert!(matches!(
        run_trusted(&module, greedy),
        Err(TrustedError::BadSpec { .. })
    ));
    assert!(matches!(
        run_trusted(b"no module", TrustedSpec::default()),
        Err(TrustedError::Rejected(_))
    ));
}
