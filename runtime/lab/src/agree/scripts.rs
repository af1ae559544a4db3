//! Scripts of host calls that nobody wrote: the same calls to `haar-wasi` natively and to the one
//! compiled to wasm must give the same errnos, bytes, fuel and transcript.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use haar_wasi::{Ended, Environment, Finished, Function, Parameter, Wasi};

use super::core::Core;
use super::corpus::{Corpus, ScriptItem};
use super::random::Random;

const PAGES: u32 = 1;
const CALLS_MAX: u64 = 24;
const NAMES: [&str; 10] = [
    "a",
    "b",
    "dir",
    "dir/c",
    "dir/./c",
    "../a",
    "/a",
    "dir/deep/x",
    "a/",
    "\u{e4}",
];

/// A script: a world, a memory, and calls.
pub(crate) struct Script {
    environment: Environment,
    memory: Vec<u8>,
    calls: Vec<(u32, Vec<u64>)>,
    fuel: i64,
}

impl Script {
    /// The script at `index` of the seed's sequence.
    pub(crate) fn new(seed: u64, index: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5c21_9745, index);
        let mut files: BTreeMap<String, Arc<[u8]>> = BTreeMap::new();
        for name in ["a", "dir/c", "dir/d"] {
            if !random.once_in(3) {
                let len = random.below(64) as usize;
                files.insert(name.to_owned(), random.bytes(len).into());
            }
        }
        let mut seed_bytes = [0; 32];
        seed_bytes.copy_from_slice(&random.bytes(32));
        let environment = Environment {
            args: vec!["program".to_owned(), "\u{e4}rger".to_owned()],
            env: BTreeMap::from([("A".to_owned(), "1".to_owned())]),
            stdin: random.bytes(40).into(),
            files,
            seed: seed_bytes,
            time_ns: random.next() >> 8,
            ..Environment::default()
        };
        let memory = memory(&mut random);
        let calls = (0..1 + random.below(CALLS_MAX))
            .map(|_| call(&mut random))
            .collect();
        let fuel = if random.once_in(6) { 3_000 } else { 1 << 40 };
        Self {
            environment,
            memory,
            calls,
            fuel: fuel + random.below(5_000).cast_signed(),
        }
    }

    /// What the native state machine answers.
    pub(crate) fn play_natively(&self) -> Result<String> {
        let mut wasi = Wasi::new(self.environment.clone())?;
        let mut memory = self.memory.clone();
        let mut fuel = self.fuel;
        let mut ends = Vec::new();
        for (number, args) in &self.calls {
            let Some(&function) = Function::ALL.get(*number as usize) else {
                continue;
            };
            let end = match wasi.call(function, args, &mut memory, &mut fuel) {
                Ok(errno) => i32::from(errno.code()),
                Err(Ended::Exit(_)) => -1,
                Err(Ended::OutOfFuel) => -2,
                Err(Ended::Fault) => -3,
                Err(Ended::HostMemory) => -4,
            };
            ends.push(format!("{end}:{fuel}"));
        }
        Ok(line(&ends, &wasi.finish(), &memory))
    }

    /// What the one compiled to wasm answers.
    pub(crate) fn play_in(&self, core: &mut Core) -> Result<String> {
        let run = core.open(&self.environment)?;
        core.guest().clone_from(&self.memory);
        let mut fuel = self.fuel;
        let mut ends = Vec::new();
        for (number, args) in &self.calls {
            let (end, left) = core.wasi_call(run, *number, args, fuel)?;
            fuel = left;
            ends.push(format!("{end}:{fuel}"));
        }
        let finished = core.end(run)?;
        Ok(line(&ends, &finished, core.guest()))
    }

    /// The script in the driver's form.
    pub(crate) fn item(&self, corpus: &mut Corpus) -> ScriptItem {
        let world = &self.environment;
        let files = world
            .files
            .iter()
            .map(|(path, bytes)| (path.clone(), corpus.put(bytes)));
        let files = files.collect();
        let mut calls = Vec::new();
        for (number, args) in &self.calls {
            let mut words = vec![number.to_string()];
            words.extend(args.iter().map(u64::to_string));
            calls.push(words);
        }
        ScriptItem {
            pages: PAGES,
            writes: vec![(0, corpus.put(&self.memory))],
            args: world.args.clone(),
            env: world.env.clone().into_iter().collect(),
            files,
            stdin: corpus.put(&world.stdin),
            seed: corpus.put(&world.seed),
            time_ns: world.time_ns.to_string(),
            fuel: self.fuel.to_string(),
            calls,
        }
    }
}

/// Zeros with what calls point at: names, lists of buffers, subscriptions.
fn memory(random: &mut Random) -> Vec<u8> {
    let mut memory = vec![0; PAGES as usize * 65_536];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = memory.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    for (index, name) in NAMES.iter().enumerate() {
        put(1024 + 64 * index, name.as_bytes());
    }
    for index in 0..8 {
        let (at, len) = (
            4096 + random.below(256) as u32 * 8,
            random.below(100) as u32,
        );
        put(2048 + 8 * index, &at.to_le_bytes());
        put(2052 + 8 * index, &len.to_le_bytes());
    }
    for index in 0..4 {
        let at = 3072 + 48 * index;
        put(at, &random.next().to_le_bytes());
        put(at + 8, &[random.below(3) as u8]);
        put(at + 16, &random.below(4).to_le_bytes());
        put(at + 24, &random.below(1 << 40).to_le_bytes());
        put(at + 40, &random.below(2).to_le_bytes());
    }
    let noise = random.bytes(1024);
    put(4096, &noise);
    memory
}

/// Any function with arguments that are likely, now and then with one that is wild.
fn call(random: &mut Random) -> (u32, Vec<u64>) {
    let mut number = random.below(Function::ALL.len() as u64) as u32;
    // An exit or a signal ends the script, so they come seldom.
    let ends = |number: u32| {
        let function = Function::ALL.get(number as usize);
        matches!(function, Some(Function::ProcExit | Function::ProcRaise))
    };
    while ends(number) && !random.once_in(10) {
        number = random.below(Function::ALL.len() as u64) as u32;
    }
    let params = Function::ALL
        .get(number as usize)
        .map_or(&[][..], |function| function.params());
    let args = params.iter().map(|parameter| match parameter {
        _ if random.once_in(40) => {
            random.next()
                & if *parameter == Parameter::I32 {
                    0xffff_ffff
                } else {
                    u64::MAX
                }
        }
        Parameter::I64 => random
            .choose(&[0, 1, 2, 64, 66, 1 << 20, 1 << 29])
            .unwrap_or(0),
        Parameter::I32 => match random.below(8) {
            0 | 1 => random.below(8),
            2 => random
                .choose(&[1024, 1088, 1152, 1216, 1280, 1344, 1408])
                .unwrap_or(0),
            3 => 2048 + 8 * random.below(8),
            4 => 3072 + 48 * random.below(4),
            5 => 8 * random.below(2048),
            6 => random.choose(&[1, 3, 5, 7, 11]).unwrap_or(0),
            _ => 3,
        },
    });
    (number, args.collect())
}

fn line(ends: &[String], finished: &Finished, memory: &[u8]) -> String {
    let exit = finished
        .exit
        .map_or("none".to_owned(), |code| code.to_string());
    format!(
        "{} exit={exit} transcript={} memory={} output={} log={}",
        ends.join(" "),
        blake3::Hash::from_bytes(finished.transcript),
        blake3::hash(memory),
        blake3::hash(&finished.stdout),
        blake3::hash(&finished.log),
    )
}
