//! Where paths lead, and what happens to the tree there.

use haar_wasi::{Errno, Function};

use crate::{CREATE, DIRECTORY, EXCLUSIVE, Guest, PATH, READ, RESULT, ROOT, TRUNCATE, WRITE};

const FILES: &[(&str, &str)] = &[("f", "F"), ("d/f", "DF"), ("d/e/g", "G")];

/// Asks for a path's status in a fresh tree; compares the inode or the errno.
#[track_caller]
fn check_walk(path: &str, expected: Result<u64, Errno>) {
    let found = Guest::with_files(FILES).stat(path).map(|stat| stat.0);
    assert_eq!(found, expected, "{path:?}");
}

#[test]
fn paths_lead_where_they_say() {
    // By byte order: the root, d, d/e, d/e/g, d/f, f.
    for (path, inode) in [
        (".", 1),
        ("./", 1),
        ("d", 2),
        ("d/", 2),
        ("d//e/.", 3),
        ("d/e/g", 4),
        ("d/e/../f", 5),
        ("d/..", 1),
        ("d/../d/e/../../f", 6),
        ("./f", 6),
    ] {
        check_walk(path, Ok(inode));
    }
}

#[test]
fn paths_that_lead_nowhere_say_why() {
    let (long, longer) = ("x".repeat(255), "x".repeat(256));
    let deep = "./".repeat(2_048);
    let deeper = format!("{deep}f");
    for (path, errno) in [
        ("", Errno::NoEntry),
        ("x", Errno::NoEntry),
        ("x/", Errno::NoEntry),
        ("x/f", Errno::NoEntry),
        ("x/../f", Errno::NoEntry),
        ("f/", Errno::NotDirectory),
        ("f/x", Errno::NotDirectory),
        ("f/..", Errno::NotDirectory),
        ("/", Errno::NotPermitted),
        ("/f", Errno::NotPermitted),
        ("..", Errno::NotPermitted),
        ("d/../..", Errno::NotPermitted),
        ("d/../../d", Errno::NotPermitted),
        ("f\0", Errno::Invalid),
        (&long, Errno::NoEntry),
        (&longer, Errno::NameTooLong),
        (&deeper, Errno::NameTooLong),
    ] {
        check_walk(path, Err(errno));
    }
    check_walk(&deep, Ok(1));
}

#[test]
fn a_path_that_is_not_utf8_is_refused() {
    let mut guest = Guest::with_files(FILES);
    guest.put(PATH, b"f\xFF");
    let args = [ROOT.into(), 0, PATH.into(), 2, RESULT.into()];
    assert_eq!(
        guest.errno(Function::PathFilestatGet, &args),
        Errno::IllegalBytes
    );
}

#[test]
fn paths_start_at_their_descriptor_and_stay_below() {
    let mut guest = Guest::with_files(FILES);
    let (directory, file) = (guest.open("d", DIRECTORY, READ), guest.open("f", 0, READ));
    let mut open = |fd, path| guest.open_at(fd, path, 0, READ, 0).map(|_| ());
    assert_eq!(open(directory, "f"), Ok(()));
    assert_eq!(open(directory, "../f"), Err(Errno::NotPermitted));
    assert_eq!(open(directory, "e/../../f"), Err(Errno::NotPermitted));
    assert_eq!(open(file, "."), Err(Errno::NotDirectory));
    assert_eq!(open(0, "f"), Err(Errno::NotDirectory));
    assert_eq!(open(99, "f"), Err(Errno::BadDescriptor));
}

/// Opens a path in a fresh tree; compares whether it could be.
#[track_caller]
fn check_open(path: &str, oflags: u64, rights: u64, expected: Result<(), Errno>) {
    let opened = Guest::with_files(FILES)
        .open_at(ROOT, path, oflags, rights, 0)
        .map(|_| ());
    assert_eq!(opened, expected, "{path:?} {oflags} {rights}");
}

#[test]
fn files_and_directories_open_as_in_posix() {
    check_open("f", 0, READ, Ok(()));
    check_open("f", CREATE, WRITE, Ok(()));
    check_open("f", CREATE | EXCLUSIVE, WRITE, Err(Errno::Exists));
    check_open("f", EXCLUSIVE, READ, Ok(()));
    check_open("f", DIRECTORY, READ, Err(Errno::NotDirectory));
    check_open("new", 0, READ, Err(Errno::NoEntry));
    check_open("new", EXCLUSIVE | TRUNCATE, WRITE, Err(Errno::NoEntry));
    check_open("new", CREATE | EXCLUSIVE | TRUNCATE, WRITE, Ok(()));
    check_open("new/", CREATE, WRITE, Err(Errno::IsDirectory));
    check_open("new/x", CREATE, WRITE, Err(Errno::NoEntry));
    check_open("f/x", CREATE, WRITE, Err(Errno::NotDirectory));
    check_open("d", 0, READ, Ok(()));
    check_open("d", DIRECTORY, READ, Ok(()));
    check_open("d", 0, WRITE, Err(Errno::IsDirectory));
    check_open("d", TRUNCATE, READ, Err(Errno::IsDirectory));
    check_open("d", CREATE, READ, Err(Errno::IsDirectory));
    check_open("d", CREATE | EXCLUSIVE, READ, Err(Errno::Exists));
    check_open(".", DIRECTORY, READ, Ok(()));
    check_open("new", DIRECTORY, READ, Err(Errno::NoEntry));
}

#[test]
fn flags_that_promise_a_disk_are_not_supported() {
    for fdflags in [2, 8, 16] {
        let opened = Guest::with_files(FILES).open_at(ROOT, "f", 0, READ, fdflags);
        assert_eq!(opened, Err(Errno::NotSupported));
    }
}

/// Changes a path in a fresh tree; compares the errno and whether the path is there afterwards.
#[track_caller]
fn check_change(function: Function, path: &str, errno: Errno, is_there: bool) {
    let mut guest = Guest::with_files(&[("f", ""), ("d/f", ""), ("e/f", "")]);
    assert_eq!(
        guest.path(Function::PathUnlinkFile, ROOT, "e/f"),
        Errno::Success
    );
    assert_eq!(
        guest.path(function, ROOT, path),
        errno,
        "{function:?} {path:?}"
    );
    assert_eq!(guest.stat(path).is_ok(), is_there, "{function:?} {path:?}");
}

#[test]
fn directories_are_made_where_there_is_nothing() {
    let make = Function::PathCreateDirectory;
    check_change(make, "new", Errno::Success, true);
    check_change(make, "new/", Errno::Success, true);
    check_change(make, "d/new", Errno::Success, true);
    check_change(make, "d", Errno::Exists, true);
    check_change(make, "f", Errno::Exists, true);
    check_change(make, ".", Errno::Exists, true);
    check_change(make, "new/new", Errno::NoEntry, false);
    check_change(make, "f/new", Errno::NotDirectory, false);
}

#[test]
fn directories_are_removed_when_they_are_empty() {
    let remove = Function::PathRemoveDirectory;
    check_change(remove, "e", Errno::Success, false);
    check_change(remove, "e/", Errno::Success, false);
    check_change(remove, "d", Errno::NotEmpty, true);
    check_change(remove, "f", Errno::NotDirectory, true);
    check_change(remove, "x", Errno::NoEntry, false);
    check_change(remove, ".", Errno::Invalid, true);
    check_change(remove, "e/.", Errno::Invalid, true);
    check_change(remove, "e/..", Errno::Invalid, true);
}

#[test]
fn files_are_unlinked_and_directories_are_not() {
    let unlink = Function::PathUnlinkFile;
    check_change(unlink, "f", Errno::Success, false);
    check_change(unlink, "d/f", Errno::Success, false);
    check_change(unlink, "e", Errno::IsDirectory, true);
    check_change(unlink, ".", Errno::IsDirectory, true);
    check_change(unlink, "f/", Errno::NotDirectory, false);
    check_change(unlink, "x", Errno::NoEntry, false);
}

/// Renames in a tree of `f`, `g`, `d/f`, `e/` (empty) and `h/` (empty); compares errno and names.
#[track_caller]
fn check_rename(from: &str, to: &str, errno: Errno, names: &[&str]) {
    let mut guest = Guest::with_files(&[("f", "F"), ("g", "G"), ("d/f", "DF")]);
    for name in ["e", "h"] {
        assert_eq!(
            guest.path(Function::PathCreateDirectory, ROOT, name),
            Errno::Success
        );
    }
    let inode = guest.stat(from);
    assert_eq!(guest.rename(from, to), errno, "{from:?} to {to:?}");
    if errno == Errno::Success {
        assert_eq!(guest.stat(to), inode, "{from:?} to {to:?}");
    }
    let listed: Vec<_> = guest
        .listing(ROOT)
        .into_iter()
        .skip(2)
        .map(|entry| entry.3)
        .collect();
    assert_eq!(listed, names, "{from:?} to {to:?}");
}

#[test]
fn renaming_replaces_as_in_posix() {
    let all = &["d", "e", "f", "g", "h"];
    check_rename("f", "x", Errno::Success, &["d", "e", "g", "h", "x"]);
    check_rename("f", "g", Errno::Success, &["d", "e", "g", "h"]);
    check_rename("f", "d/f", Errno::Success, &["d", "e", "g", "h"]);
    check_rename("d/f", "f", Errno::Success, all);
    check_rename("d", "e", Errno::Success, &["e", "f", "g", "h"]);
    check_rename("d", "e/x", Errno::Success, &["e", "f", "g", "h"]);
    check_rename("e", "h/", Errno::Success, &["d", "f", "g", "h"]);
    check_rename("e/", "x/", Errno::Success, &["d", "f", "g", "h", "x"]);
    check_rename("f", "f", Errno::Success, all);
    check_rename("d", "d/../d", Errno::Success, all);
}

#[test]
fn renaming_that_makes_no_sense_changes_nothing() {
    let all = &["d", "e", "f", "g", "h"];
    check_rename("x", "y", Errno::NoEntry, all);
    check_rename("f", "x/y", Errno::NoEntry, all);
    check_rename("f", "g/y", Errno::NotDirectory, all);
    check_rename("f", "e", Errno::IsDirectory, all);
    check_rename("f", "x/", Errno::NotDirectory, all);
    check_rename("f/", "x", Errno::NotDirectory, all);
    check_rename("e", "f", Errno::NotDirectory, all);
    check_rename("e", "d", Errno::NotEmpty, all);
    check_rename("d", "d/x", Errno::Invalid, all);
    check_rename("d", "d/f/", Errno::NotDirectory, all);
    check_rename(".", "x", Errno::Invalid, all);
    check_rename("d", "e/..", Errno::Invalid, all);
    check_rename("d", "/x", Errno::NotPermitted, all);
}

#[test]
fn a_moved_directory_knows_its_new_place() {
    let mut guest = Guest::with_files(&[("a/b/f", "F")]);
    assert_eq!(
        guest.path(Function::PathCreateDirectory, ROOT, "c"),
        Errno::Success
    );
    let inner = guest.open("a/b", DIRECTORY, READ);
    assert_eq!(guest.rename("a/b", "c/b"), Errno::Success);
    assert_eq!(guest.rename("c", "c/b/c"), Errno::Invalid);
    assert_eq!(guest.rename("a", "c/b/a"), Errno::Success);
    assert_eq!(
        guest.open_at(inner, "a", DIRECTORY, READ, 0).map(|_| ()),
        Ok(())
    );
    assert_eq!(guest.content("c/b/f"), "F");
}

#[test]
fn a_removed_directory_takes_no_new_names() {
    let mut guest = Guest::with_files(&[("f", "F")]);
    assert_eq!(
        guest.path(Function::PathCreateDirectory, ROOT, "d"),
        Errno::Success
    );
    let directory = guest.open("d", DIRECTORY, READ);
    assert_eq!(
        guest.path(Function::PathRemoveDirectory, ROOT, "d"),
        Errno::Success
    );

    assert_eq!(
        guest.open_at(directory, "x", CREATE, WRITE, 0),
        Err(Errno::NoEntry)
    );
    assert_eq!(
        guest.path(Function::PathCreateDirectory, directory, "x"),
        Errno::NoEntry
    );
    guest.put(PATH, b"f");
    let args = [
        ROOT.into(),
        PATH.into(),
        1,
        directory.into(),
        PATH.into(),
        1,
    ];
    assert_eq!(guest.errno(Function::PathRename, &args), Errno::NoEntry);
    assert_eq!(guest.listing(directory).len(), 2);
    guest.done(Function::FdClose, &[directory.into()]);
    assert_eq!(guest.content("f"), "F");
}

#[test]
fn links_are_not_supported_and_nothing_is_one() {
    let mut guest = Guest::with_files(FILES);
    let readlink = |guest: &mut Guest, path: &str| {
        guest.put(PATH, path.as_bytes());
        let args = [
            ROOT.into(),
            PATH.into(),
            path.len() as u64,
            0x1000,
            9,
            RESULT.into(),
        ];
        guest.errno(Function::PathReadlink, &args)
    };
    assert_eq!(readlink(&mut guest, "f"), Errno::Invalid);
    assert_eq!(readlink(&mut guest, "d"), Errno::Invalid);
    assert_eq!(readlink(&mut guest, "x"), Errno::NoEntry);

    let link = guest.errno(
        Function::PathLink,
        &[3, 0, PATH.into(), 1, 3, PATH.into(), 1],
    );
    let symlink = guest.errno(Function::PathSymlink, &[PATH.into(), 1, 3, PATH.into(), 1]);
    assert_eq!((link, symlink), (Errno::NotSupported, Errno::NotSupported));
}

#[test]
fn the_tree_hash_is_the_published_one() {
    let guest = Guest::with_files(&[("f", "F"), ("d/f", "DF")]);
    let mut node = vec![1, 2, 0, 0, 0];
    node.extend(b"\x01\0d\x01\x01\0\0\0");
    node.extend(b"\x01\0f\0\x02\0\0\0\0\0\0\0DF");
    node.extend(b"\x01\0f\0\x01\0\0\0\0\0\0\0F");
    assert_eq!(guest.wasi.tree_hash(), *blake3::hash(&node).as_bytes());
}

#[test]
fn equal_trees_have_one_hash_whatever_led_to_them() {
    let inputs = Guest::with_files(&[("a", "1"), ("d/b", "22")])
        .wasi
        .tree_hash();
    let mut guest = Guest::with_files(&[("x", "1")]);
    assert_eq!(
        guest.path(Function::PathCreateDirectory, ROOT, "d"),
        Errno::Success
    );
    let fd = guest.open("d/b", CREATE, READ | WRITE);
    guest.write(fd, b"22").unwrap();
    assert_ne!(guest.wasi.tree_hash(), inputs);
    assert_eq!(guest.rename("x", "a"), Errno::Success);
    assert_eq!(guest.wasi.tree_hash(), inputs);

    guest.write(fd, b"3").unwrap();
    assert_ne!(guest.wasi.tree_hash(), inputs);
    guest.done(Function::FdFilestatSetSize, &[fd.into(), 2]);
    assert_eq!(guest.wasi.tree_hash(), inputs);
}

#[test]
fn a_tree_as_deep_as_it_can_be_has_a_hash_too() {
    let mut guest = Guest::with_files(&[]);
    let mut fd = ROOT;
    for _ in 0..999 {
        assert_eq!(
            guest.path(Function::PathCreateDirectory, fd, "d"),
            Errno::Success
        );
        let below = guest.open_at(fd, "d", DIRECTORY, READ, 0).unwrap();
        if fd != ROOT {
            guest.done(Function::FdClose, &[fd.into()]);
        }
        fd = below;
    }
    assert_ne!(guest.wasi.tree_hash(), [0; 32]);
}
