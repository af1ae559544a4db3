//! What the system says about a runner that waits.

use std::fs;

use haar_sandbox::process::Landlock;

use crate::harness::Test;
use crate::stage::Stage;

pub const TESTS: &[Test] = &[
    ("the_kernel_says_that_a_runner_is_locked_in", status),
    ("a_runner_has_one_socket_and_no_secret", nothing_else),
    ("a_runners_limits_are_set", limits),
    ("a_runner_cannot_be_dumped_and_belongs_to_nobody", nobody),
];

/// A secret that the supervisor has in every place from which a child could take it.
const SECRET: &str = "0xc0ffee5ec2e7";

/// A runner that has run something.
fn with_runner(look: impl Fn(u32, &Stage)) {
    let stage = Stage::new();
    stage.assert_well();
    for runner in stage.idle_runners() {
        look(runner, &stage);
    }
}

fn field(runner: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{runner}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line[name.len()..].trim_start_matches(':').trim().to_owned()
}

fn status() {
    with_runner(|runner, stage| {
        assert_eq!(field(runner, "Seccomp"), "2");
        assert_eq!(field(runner, "NoNewPrivs"), "1");
        for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
            assert_eq!(field(runner, set).trim_matches('0'), "", "{set}");
        }
        assert_eq!(field(runner, "Threads"), "2");
        for thread in fs::read_dir(format!("/proc/{runner}/task")).unwrap() {
            let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
            assert!(status.contains("Seccomp:\t2"), "{status}");
            assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        }
        let landlock = stage.confined.locked().landlock;
        if landlock != Landlock::Full {
            println!("  skipped in part: this kernel's Landlock is {landlock:?}");
        }
    });
}

fn nothing_else() {
    // A file that the supervisor has open and, by a mistake of somebody's, hands down.
    let kept = fs::File::open("/etc/passwd").unwrap();
    rustix::io::fcntl_setfd(&kept, rustix::io::FdFlags::empty()).unwrap();
    with_runner(|runner, _| {
        let proc = format!("/proc/{runner}");
        let command = fs::read(format!("{proc}/cmdline")).unwrap();
        assert!(!String::from_utf8_lossy(&command).contains(SECRET));
        let Ok(descriptors) = fs::read_dir(format!("{proc}/fd")) else {
            println!("  skipped in part: only root can look into a runner");
            return;
        };
        assert_eq!(fs::read(format!("{proc}/environ")).unwrap(), b"");
        let mut found: Vec<_> = descriptors
            .map(|entry| {
                let path = entry.unwrap().path();
                let number = path.file_name().unwrap().to_str().unwrap().to_owned();
                let target = fs::read_link(&path).unwrap();
                let target = target.to_string_lossy().into_owned();
                (number, target.split(':').next().unwrap().to_owned())
            })
            .collect();
        found.sort();
        let expected = [("0", "socket"), ("1", "/dev/null"), ("2", "/dev/null")];
        let expected = expected.map(|(number, target)| (number.to_owned(), target.to_owned()));
        assert_eq!(found, expected);
    });
}

fn limits() {
    with_runner(|runner, _| {
        let limits = fs::read_to_string(format!("/proc/{runner}/limits")).unwrap();
        let is = |name: &str, value: &str| {
            let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
            let words: Vec<&str> = line[name.len()..].split_whitespace().collect();
            assert_eq!(words[..2], [value, value], "{line}");
        };
        is("Max core file size", "0");
        is("Max file size", "0");
        is("Max processes", "0");
        is("Max open files", "4");
        is("Max locked memory", "0");
        is("Max data size", &((1_u64 << 30) + (512 << 20)).to_string());
    });
}

fn nobody() {
    with_runner(|runner, stage| {
        // Its own process group: a signal to the miner's does not reach it by itself.
        let stat = fs::read_to_string(format!("/proc/{runner}/stat")).unwrap();
        let group = stat.rsplit(')').next().unwrap().split_whitespace().nth(2);
        assert_eq!(group, Some(runner.to_string().as_str()));
        if rustix::process::geteuid().is_root() {
            assert!(stage.confined.locked().is_nobody);
            assert_eq!(field(runner, "Uid"), "65534\t65534\t65534\t65534");
            assert_eq!(field(runner, "Groups"), "");
        } else {
            println!("  skipped in part: only root can become nobody");
        }
    });
}
