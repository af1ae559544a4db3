//! What a job may give its guest, and how the guest sees it.

use std::sync::Arc;

use haar_wasi::{Environment, EnvironmentFault, Function, Wasi};

use crate::Guest;

/// Changes the plain environment and compares why it is refused.
#[track_caller]
fn check(change: impl FnOnce(&mut Environment), expected: Option<EnvironmentFault>) {
    let mut environment = crate::environment(&[]);
    change(&mut environment);
    assert_eq!(Wasi::new(environment).err(), expected);
}

fn with_file(path: &str) -> impl FnOnce(&mut Environment) {
    move |environment| {
        environment.files.insert("a/b".into(), Arc::from(*b"b"));
        environment.files.insert(path.into(), Arc::from(*b"x"));
    }
}

#[test]
fn input_files_need_a_plain_path() {
    check(with_file("a/c"), None);
    check(with_file(&"x".repeat(255)), None);
    let long = "x".repeat(256);
    let longer = "x/".repeat(2_048) + "x";
    for path in [
        "", "/", "/a", "b/", "a//c", "./c", "a/../c", "a\0", &long, &longer,
    ] {
        check(
            with_file(path),
            Some(EnvironmentFault::FilePath { path: path.into() }),
        );
    }
}

#[test]
fn a_file_leads_to_nothing() {
    check(
        with_file("a"),
        Some(EnvironmentFault::FilePath { path: "a/b".into() }),
    );
    check(
        with_file("a/b/c"),
        Some(EnvironmentFault::FilePath {
            path: "a/b/c".into(),
        }),
    );
}

#[test]
fn caps_are_kept_to_the_byte() {
    check(
        |environment| environment.args = vec!["x".repeat(4_095)],
        None,
    );
    check(
        |environment| environment.args = vec!["x".repeat(4_095), String::new()],
        Some(EnvironmentFault::Args { bytes: 4_097 }),
    );
    let variables = |count: u32| (0..count).map(|n| (n.to_string(), String::new())).collect();
    check(|environment| environment.env = variables(64), None);
    let bytes = 10 * 3 + 55 * 4;
    check(
        |environment| environment.env = variables(65),
        Some(EnvironmentFault::Env { count: 65, bytes }),
    );
    check(
        |environment| environment.limits.input_bytes_max = 8,
        Some(EnvironmentFault::Input { bytes: 9, max: 8 }),
    );

    let full = Some(EnvironmentFault::Files { bytes_max: 2 });
    let two_bytes = |environment: &mut Environment| environment.limits.tree_bytes_max = 2;
    check(
        |environment| {
            two_bytes(environment);
            with_file("c")(environment);
        },
        None,
    );
    check(
        |environment| {
            two_bytes(environment);
            environment.files.insert("d".into(), Arc::from(*b"1"));
            with_file("c")(environment);
        },
        full,
    );
}

#[test]
fn a_thousand_nodes_and_no_more() {
    let files = |count: u32| {
        move |environment: &mut Environment| {
            environment.files = (0..count).map(|n| (n.to_string(), Arc::from([]))).collect();
        }
    };
    let bytes_max = 64 << 20;
    check(files(999), None);
    check(files(1_000), Some(EnvironmentFault::Files { bytes_max }));
    let deep = "d/".repeat(2_000) + "f";
    check(
        |environment| drop(environment.files.insert(deep, Arc::from([]))),
        Some(EnvironmentFault::Files { bytes_max }),
    );
}

#[test]
fn strings_that_preview_1_cannot_carry_are_refused() {
    check(
        |environment| environment.args.push("a\0b".into()),
        Some(EnvironmentFault::Nul),
    );
    for (name, value) in [("A\0", "1"), ("A", "1\0")] {
        let variable = (name.to_owned(), value.to_owned());
        check(
            |environment| environment.env = [variable].into(),
            Some(EnvironmentFault::Nul),
        );
    }
    for name in ["", "A=B"] {
        let variable = (name.to_owned(), String::new());
        check(
            |environment| environment.env = [variable].into(),
            Some(EnvironmentFault::VariableName { name: name.into() }),
        );
    }
}

#[test]
fn arguments_come_byte_for_byte() {
    let mut guest = Guest::with_files(&[]);
    guest.done(Function::ArgsSizesGet, &[0x2000, 0x2004]);
    assert_eq!((guest.u32(0x2000), guest.u32(0x2004)), (2, 10));

    guest.done(Function::ArgsGet, &[0x2000, 0x3001]);
    assert_eq!((guest.u32(0x2000), guest.u32(0x2004)), (0x3001, 0x3009));
    assert_eq!(guest.bytes(0x3001, 11), b"program\0x\0\xAA");
}

#[test]
fn variables_are_sorted_as_they_are_written() {
    let mut environment = crate::environment(&[]);
    let pairs = [("A", "1"), ("A-B", "2"), ("Z", "=x")];
    environment.env = pairs
        .map(|(name, value)| (name.into(), value.into()))
        .into();
    let mut guest = Guest::new(environment);
    guest.done(Function::EnvironSizesGet, &[0x2000, 0x2004]);
    assert_eq!((guest.u32(0x2000), guest.u32(0x2004)), (3, 15));

    guest.done(Function::EnvironGet, &[0x2000, 0x3000]);
    assert_eq!(guest.bytes(0x3000, 15), b"A-B=2\0A=1\0Z==x\0");
    assert_eq!(
        [0, 4, 8].map(|at| guest.u32(0x2000 + at)),
        [0x3000, 0x3006, 0x300A]
    );
}

#[test]
fn no_strings_write_nothing() {
    let mut guest = Guest::new(Environment::default());
    guest.done(Function::ArgsSizesGet, &[0x2000, 0x2004]);
    assert_eq!((guest.u32(0x2000), guest.u32(0x2004)), (0, 0));
    guest.done(Function::ArgsGet, &[0x2000, 0x3000]);
    assert_eq!(guest.bytes(0x3000, 4), [0xAA; 4]);
}
