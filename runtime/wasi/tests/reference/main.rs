//! The same scripts against this crate and against wasi-common over a real folder.
//!
//! Where both mean the same, errno, counts, bytes, positions, sizes and listings must be equal,
//! and the trees that are left as well. Where they differ on purpose, `differences.rs` says so.

#![cfg(unix)]
// The number of scripts is the caller's choice, and what they met is worth a look.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used)]

mod call;
mod differences;
mod script;
mod theirs;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use haar_wasi::{Ended, Environment, Errno, Function, Limits, Wasi};

use call::call;
use differences::Answers;
use script::{Step, Xorshift, step};
use theirs::Theirs;

const MEMORY_BYTES: usize = 65_536;
const RESULT: u32 = 0x40;
const PATH: u32 = 0x100;
const PATH_2: u32 = 0x200;
const LIST: u32 = 0x300;
const BUFFER: u32 = 0x1000;
const BUFFER_2: u32 = 0x8000;

/// How many steps a script has.
const STEPS: usize = 40;
/// A number that neither side ever opens.
const CLOSED: (u32, u32) = (999, 999);
const STDIN: &str = "the input";

fn files() -> Vec<(&'static str, String)> {
    vec![
        ("a", "hello world".into()),
        ("b", "0123456789".repeat(900)),
        ("d/x", "x".into()),
        ("d/e/y", String::new()),
    ]
}

/// One argument of a call: a number, or a descriptor of which each side has its own.
#[derive(Clone, Copy)]
enum Arg {
    Is(u64),
    Fd(usize),
}

use Arg::{Fd, Is};

/// Both guests side by side.
struct Pair {
    wasi: Wasi,
    memory: Vec<u8>,
    theirs: Theirs,
    /// The descriptors that were opened, ours and theirs. The first is the root.
    slots: Vec<(u32, u32)>,
    /// Which of them append.
    appends: Vec<bool>,
    /// How often each difference of the table was met.
    met: BTreeMap<&'static str, usize>,
}

impl Pair {
    fn new() -> Self {
        let wasi = Wasi::new(Environment {
            args: vec!["program".into(), "x".into()],
            env: BTreeMap::from([("A".into(), "1".into())]),
            stdin: Arc::from(STDIN.as_bytes()),
            files: files()
                .into_iter()
                .map(|(path, content)| (path.into(), Arc::from(content.as_bytes())))
                .collect(),
            limits: Limits::default(),
            ..Environment::default()
        });
        Self {
            wasi: wasi.unwrap(),
            memory: vec![0; MEMORY_BYTES],
            theirs: Theirs::new(MEMORY_BYTES, STDIN, &files()),
            slots: vec![(3, 3)],
            appends: vec![false],
            met: BTreeMap::new(),
        }
    }

    fn put(&mut self, at: u32, bytes: &[u8]) {
        for memory in [&mut self.memory, &mut self.theirs.memory] {
            memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
        }
    }

    /// Puts a path in its place and returns where it is.
    fn path(&mut self, at: u32, path: &str) -> [Arg; 2] {
        self.put(at, path.as_bytes());
        [Is(at.into()), Is(path.len() as u64)]
    }

    fn list(&mut self, lens: &[(u32, u32)]) -> [Arg; 2] {
        for (index, (start, len)) in lens.iter().enumerate() {
            self.put(LIST + 8 * index as u32, &start.to_le_bytes());
            self.put(LIST + 8 * index as u32 + 4, &len.to_le_bytes());
        }
        [Is(LIST.into()), Is(lens.len() as u64)]
    }

    fn slot(&self, slot: usize) -> (u32, u32) {
        self.slots.get(slot).copied().unwrap_or(CLOSED)
    }

    fn call(&mut self, function: Function, args: &[Arg]) -> Answers {
        let args = |side: fn((u32, u32)) -> u32| -> Vec<u64> {
            let number = |arg: &Arg| match *arg {
                Is(number) => number,
                Fd(slot) => side(self.slot(slot)).into(),
            };
            args.iter().map(number).collect()
        };
        let (our_args, their_args) = (args(|slot| slot.0), args(|slot| slot.1));
        let mut fuel = i64::MAX / 2;
        let ours = self
            .wasi
            .call(function, &our_args, &mut self.memory, &mut fuel);
        let ours = match ours {
            Ok(errno) => Some(errno.code()),
            Err(Ended::Fault) => None,
            Err(ended) => panic!("{function:?} ended: {ended}"),
        };
        Answers {
            ours,
            theirs: self.theirs.call(function, &their_args),
        }
    }

    /// Both memories at one place.
    fn both(&self, at: u32, len: usize) -> [&[u8]; 2] {
        [&self.memory, &self.theirs.memory].map(|memory| &memory[at as usize..][..len])
    }

    fn result(&self) -> [u32; 2] {
        self.both(RESULT, 4)
            .map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()))
    }
}

/// Makes one step on both sides. False if they now differ on purpose, and the script is over.
fn play(pair: &mut Pair, step: Step) -> bool {
    for memory in [&mut pair.memory, &mut pair.theirs.memory] {
        memory.fill(0);
    }
    let (function, args) = call(pair, step);
    let answers = pair.call(function, &args);
    if answers.ours != answers.theirs {
        let Some(known) = differences::find(step, answers) else {
            panic!("{step:?}: {answers:?} is not in the table");
        };
        *pair.met.entry(known.what).or_default() += 1;
        return !answers.part_ways();
    }
    if answers.ours == Some(Errno::Success.code()) {
        compare_results(pair, step);
        // What works at such a position is the host's file system's matter.
        return !matches!(
            step,
            Step::Seek {
                delta: i64::MAX,
                ..
            }
        );
    }
    true
}

/// Compares what a call that worked on both sides left.
#[track_caller]
fn compare_results(pair: &mut Pair, step: Step) {
    let [ours, theirs] = pair.result();
    match step {
        Step::Open { fdflags, .. } => {
            pair.slots.push((ours, theirs));
            pair.appends.push(fdflags & 1 != 0);
        }
        Step::SetFlags { slot, flags } => pair.appends[slot] = flags & 1 != 0,
        Step::Close { slot } => pair.slots[slot] = CLOSED,
        Step::Renumber { from, to } if from != to => {
            pair.slots[from] = CLOSED;
            pair.appends[to] = pair.appends[from];
        }
        Step::Read { .. } => {
            assert_eq!(ours, theirs, "{step:?}");
            let [one, other] = pair.both(BUFFER, ours as usize);
            assert!(one == other, "{step:?} read other bytes");
        }
        Step::Write { .. } => assert_eq!(ours, theirs, "{step:?}"),
        Step::Stat { .. } | Step::StatPath { .. } => {
            let [one, other] = pair.both(RESULT, 64);
            assert_eq!(one[16], other[16], "{step:?}: the type");
            // A folder's size is the host's matter.
            if one[16] == 4 {
                assert_eq!(one[32..40], other[32..40], "{step:?}: the size");
            }
        }
        Step::List { .. } => {
            let [one, other] = pair.both(BUFFER, 4096);
            let one = listing(&one[..ours as usize]);
            assert_eq!(one, listing(&other[..theirs as usize]), "{step:?}");
        }
        _ => {
            let [one, other] = pair.both(0, MEMORY_BYTES);
            assert!(one == other, "{step:?} left other bytes");
        }
    }
}

/// The names in a listing and their types, sorted.
fn listing(mut bytes: &[u8]) -> Vec<(String, u8)> {
    let mut names = Vec::new();
    while !bytes.is_empty() {
        let len = u32::from_le_bytes(bytes[16..20].try_into().unwrap()) as usize;
        let name = String::from_utf8(bytes[24..24 + len].to_vec()).unwrap();
        names.push((name, bytes[20]));
        bytes = &bytes[24 + len..];
    }
    names.sort();
    names
}

/// Every file that is left on either side, by its path; directories have no content.
fn compare_trees(pair: &mut Pair) {
    pair.slots = vec![(3, 3)];
    let mut left = BTreeMap::new();
    walk(pair.theirs.root.path(), Path::new(""), &mut left);
    for (path, content) in &left {
        for memory in [&mut pair.memory, &mut pair.theirs.memory] {
            memory.fill(0);
        }
        let [at, len] = pair.path(PATH, path);
        let stat = [Fd(0), Is(1), at, len, Is(RESULT.into())];
        assert_eq!(
            pair.call(Function::PathFilestatGet, &stat).ours,
            Some(0),
            "{path}"
        );
        let [ours, _] = pair.both(RESULT, 64);
        match content {
            None => assert_eq!(ours[16], 3, "{path}"),
            Some(content) => {
                let size = u64::from_le_bytes(ours[32..40].try_into().unwrap());
                assert_eq!(size, content.len() as u64, "{path}");
                assert!(read_all(pair, path) == *content, "{path} differs");
            }
        }
    }
    // Nothing of ours is missing there: the root and every name count.
    let mut ours = 0;
    count(pair, "", &mut ours);
    assert_eq!(ours, left.len());
}

fn walk(root: &Path, below: &Path, left: &mut BTreeMap<String, Option<Vec<u8>>>) {
    for entry in std::fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        let name = path.to_str().unwrap().to_owned();
        if entry.file_type().unwrap().is_dir() {
            left.insert(name, None);
            walk(root, &path, left);
        } else {
            left.insert(name, Some(std::fs::read(entry.path()).unwrap()));
        }
    }
}

/// Opens a path on our side only.
fn open(pair: &mut Pair, path: &str) -> u64 {
    let mut fuel = i64::MAX / 2;
    pair.memory[PATH as usize..][..path.len()].copy_from_slice(path.as_bytes());
    let args = [
        3,
        0,
        PATH.into(),
        path.len() as u64,
        0,
        2,
        0,
        0,
        RESULT.into(),
    ];
    let opened = pair
        .wasi
        .call(Function::PathOpen, &args, &mut pair.memory, &mut fuel);
    assert_eq!(opened, Ok(Errno::Success), "{path}");
    pair.result()[0].into()
}

fn read_all(pair: &mut Pair, path: &str) -> Vec<u8> {
    let fd = open(pair, path);
    let [list, count] = pair.list(&[(BUFFER, 40_000)]);
    let (Is(list), Is(count)) = (list, count) else {
        unreachable!()
    };
    let mut fuel = i64::MAX / 2;
    let args = [fd, list, count, RESULT.into()];
    let read = pair
        .wasi
        .call(Function::FdRead, &args, &mut pair.memory, &mut fuel);
    assert_eq!(read, Ok(Errno::Success));
    let len = pair.result()[0] as usize;
    let bytes = pair.both(BUFFER, len)[0].to_vec();
    let closed = pair
        .wasi
        .call(Function::FdClose, &[fd], &mut pair.memory, &mut fuel);
    assert_eq!(closed, Ok(Errno::Success));
    bytes
}

fn count(pair: &mut Pair, folder: &str, total: &mut usize) {
    let fd = open(pair, if folder.is_empty() { "." } else { folder });
    let mut fuel = i64::MAX / 2;
    let args = [fd, BUFFER.into(), 4096, 0, RESULT.into()];
    let listed = pair
        .wasi
        .call(Function::FdReaddir, &args, &mut pair.memory, &mut fuel);
    assert_eq!(listed, Ok(Errno::Success));
    let names = listing(pair.both(BUFFER, pair.result()[0] as usize)[0]);
    let closed = pair
        .wasi
        .call(Function::FdClose, &[fd], &mut pair.memory, &mut fuel);
    assert_eq!(closed, Ok(Errno::Success));
    for (name, kind) in names.iter().filter(|(name, _)| name != "." && name != "..") {
        *total += 1;
        if *kind == 3 {
            let below = if folder.is_empty() {
                name.clone()
            } else {
                format!("{folder}/{name}")
            };
            count(pair, &below, total);
        }
    }
}

/// Plays one script to its end, or until the worlds part ways on purpose.
fn run(seed: u64, pair: &mut Pair, history: &mut Vec<Step>) {
    let mut random = Xorshift(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    for _ in 0..STEPS {
        let next = step(&mut random, pair.slots.len());
        // The root is needed at the end, to look at what is left.
        let moves_root = match next {
            Step::Close { slot } => slot == 0,
            Step::Renumber { from, to } => from == 0 || to == 0,
            _ => false,
        };
        let appends = |slot| pair.appends.get(slot).copied().unwrap_or_default();
        // Linux appends even where a place is named.
        let is_quirk = matches!(next, Step::Write { slot, at: Some(_), .. } if appends(slot));
        if moves_root || is_quirk {
            continue;
        }

        history.push(next);
        if !play(pair, next) {
            return;
        }
    }
    compare_trees(pair);
}

/// `HAAR_SCRIPTS` asks for more.
#[test]
fn scripts_mean_the_same_here_and_there() {
    let scripts = std::env::var("HAAR_SCRIPTS").map_or(2_000, |count| count.parse().unwrap());
    let (mut steps, mut met) = (0, BTreeMap::<&str, usize>::new());
    for seed in 0..scripts {
        let (mut pair, mut history) = (Pair::new(), Vec::new());
        let played = catch_unwind(AssertUnwindSafe(|| {
            run(seed, &mut pair, &mut history);
        }));
        assert!(played.is_ok(), "script {seed}: {history:?}");
        steps += history.len();
        for (what, times) in pair.met {
            *met.entry(what).or_default() += times;
        }
    }

    println!("{scripts} scripts, {steps} steps compared");
    for row in differences::TABLE {
        let times = met.get(row.what).copied().unwrap_or_default();
        println!("{times:6} {}", row.what);
    }
    // Scripts that part ways early would show little.
    assert!(
        steps as u64 > scripts * STEPS as u64 / 2,
        "only {steps} steps"
    );
}

#[test]
fn streams_mean_the_same_here_and_there() {
    let mut pair = Pair::new();
    pair.slots = vec![(0, 0), (1, 1)];
    for len in [4, 0, 3, 9, 5] {
        let step = Step::Read {
            slot: 0,
            len,
            at: None,
        };
        assert!(play(&mut pair, step));
    }
    for lens in [(5, 0), (0, 0), (7, 3)] {
        let step = Step::Write {
            slot: 1,
            lens,
            at: None,
        };
        assert!(play(&mut pair, step));
    }
    assert!(play(
        &mut pair,
        Step::Write {
            slot: 0,
            lens: (1, 0),
            at: None
        }
    ));
    assert!(play(
        &mut pair,
        Step::Read {
            slot: 1,
            len: 1,
            at: None
        }
    ));
    let output = pair.theirs.output();
    assert_eq!(pair.wasi.finish().stdout, output);
    assert_eq!(output, b"wwwwwwwwwwwwvvv");
}
