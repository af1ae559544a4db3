//! Host calls of a guest that means no good: any function, any arguments, any memory.
//!
//! The input is a program: it chooses memory, fuel and calls until it ends. It is run twice and
//! must do the same twice. Whatever happens, a call does work only for what it charges.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use haar_wasi::{
    CALL_PRICE, Ended, Environment, Errno, Fault, Function, GuestMemory, Limits, Wasi,
};

use super::Target;
use super::chance::{Chance, mix};

const LIMITS: Limits = Limits {
    input_bytes_max: 4 << 10,
    output_bytes_max: 4 << 10,
    log_bytes_max: 256,
    tree_bytes_max: 20 << 10,
};
/// What a call may read and write for the 200 that each costs: two paths and its structs.
const FREE_BYTES: u64 = 2 * 4096 + 256;
/// What it may read and write for each further unit: a list's entry is 8 bytes, read twice, for 4.
const BYTES_PER_FUEL: u64 = 8;

/// Every function of the table.
pub struct Calls;

impl Target for Calls {
    fn make(&self, chance: &mut Chance) -> Vec<u8> {
        let len = 30 + chance.below(350);
        chance.bytes(len)
    }

    fn check(&self, input: &[u8]) -> Result<bool, String> {
        let one = play(input)?;
        let other = play(input)?;
        if one == other {
            Ok(one.calls < 4 * one.answered)
        } else {
            Err("played again, it ended differently".to_owned())
        }
    }
}

/// Reads choices from the input until there are none left.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte().unwrap_or_default()) % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn word(&mut self) -> u64 {
        let mut bytes = [0; 8];
        bytes.fill_with(|| self.byte().unwrap_or_default());
        u64::from_le_bytes(bytes)
    }

    fn address(&mut self) -> u64 {
        match self.below(8) {
            0 => self.word(),
            1 => self.pick(&[
                u64::MAX,
                1 << 31,
                0xFFFF_FFF8,
                0xFFFF_FFFF,
                0x1_0000,
                1 << 20,
            ]),
            2 => self.below(256) as u64,
            _ => self.below(128) as u64 * 8,
        }
    }

    /// Anything, most of it bad.
    fn anything(&mut self) -> u64 {
        match self.below(4) {
            0 => self.word(),
            1 => self.address(),
            2 => self.below(10) as u64,
            _ => self.pick(&[
                1 << 14,
                20 << 10,
                1 << 16,
                1 << 29,
                1 << 31,
                1 << 40,
                1 << 63,
                u64::MAX,
                255,
                256,
                4096,
                4097,
            ]),
        }
    }
}

/// Memory that counts what is moved, and that can be larger than any test machine's: beyond what
/// is really there, it holds the same eight bytes over and over.
struct Memory {
    bytes: Vec<u8>,
    len: u64,
    beyond: [u8; 8],
    moved: Cell<u64>,
}

impl Memory {
    fn reach(&self, at: u32, len: usize) -> Result<(), Fault> {
        self.moved.set(self.moved.get() + len as u64);
        match u64::from(at) + len as u64 <= self.len {
            true => Ok(()),
            false => Err(Fault),
        }
    }
}

impl GuestMemory for Memory {
    fn read(&self, at: u32, to: &mut [u8]) -> Result<(), Fault> {
        self.reach(at, to.len())?;
        let rest = self.bytes.get(at as usize..).unwrap_or_default();
        let here = rest.len().min(to.len());
        let (head, tail) = to.split_at_mut(here);
        head.copy_from_slice(&rest[..here]);
        for (index, byte) in tail.iter_mut().enumerate() {
            *byte = self.beyond[(at as usize + here + index) % 8];
        }
        Ok(())
    }

    fn write(&mut self, at: u32, from: &[u8]) -> Result<(), Fault> {
        self.reach(at, from.len())?;
        let rest = self.bytes.get_mut(at as usize..).unwrap_or_default();
        let here = rest.len().min(from.len());
        rest[..here].copy_from_slice(&from[..here]);
        Ok(())
    }

    fn len(&self) -> u64 {
        self.len
    }
}

const NAMES: [&[u8]; 18] = [
    b"in",
    b"d",
    b"d/a",
    b"d/../in",
    b"new",
    b"new/",
    b".",
    b"d/e/f",
    b"..",
    b"/abs",
    b"d/e",
    b"n",
    b"d//e/./f",
    b"\xFF",
    b"a\0b",
    b"d/e/../../../x",
    b"n/m",
    b"d/n",
];

/// What each argument is for: `f` a descriptor, `D` one of a directory, `p` a pointer, `P` a path, `L` a list of buffers,
/// `B` a buffer, `S` subscriptions and events, `o` `r` `d` what `path_open` wants, `g` a small
/// number, `n` a large one.
fn roles(function: Function) -> &'static str {
    use Function::*;
    match function {
        ArgsGet | ArgsSizesGet | EnvironGet | EnvironSizesGet => "pp",
        ClockResGet => "gp",
        ClockTimeGet => "gnp",
        FdAdvise => "fnng",
        FdAllocate | FdFdstatSetRights => "fnn",
        FdClose | FdDatasync | FdSync => "f",
        FdFdstatGet | FdFilestatGet | FdPrestatGet | FdTell => "fp",
        FdFdstatSetFlags => "fd",
        FdFilestatSetSize => "fn",
        FdFilestatSetTimes => "fnng",
        FdPread | FdPwrite => "fLnp",
        FdPrestatDirName => "fB",
        FdRead | FdWrite => "fLp",
        FdReaddir => "fBgp",
        FdRenumber => "ff",
        FdSeek => "fngp",
        PathCreateDirectory | PathRemoveDirectory | PathUnlinkFile => "DP",
        PathFilestatGet => "DgPp",
        PathFilestatSetTimes => "DgPnng",
        PathLink => "DgPDP",
        PathOpen => "DgPorrdp",
        PathReadlink => "DPBp",
        PathRename => "DPDP",
        PathSymlink => "PDP",
        PollOneoff => "Sp",
        ProcExit | ProcRaise => "g",
        SchedYield => "",
        RandomGet | HaarLog => "B",
        SockAccept => "fdp",
        SockRecv => "fLgpp",
        SockSend => "fLgp",
        SockShutdown => "fg",
    }
}

/// What a play leaves.
#[derive(PartialEq, Eq)]
struct Left {
    calls: u64,
    answered: u64,
    answers: u64,
    memory: Vec<u8>,
    stdout: Vec<u8>,
    log: Vec<u8>,
    transcript: [u8; 32],
}

struct Play<'a> {
    choices: Choices<'a>,
    wasi: Wasi,
    memory: Memory,
    fuel: i64,
    calls: u64,
    answered: u64,
    /// A running hash of what every call answered.
    answers: u64,
}

fn play(input: &[u8]) -> Result<Left, String> {
    let mut choices = Choices(input);
    let wasi = Wasi::new(environment(&mut choices)).map_err(|fault| fault.to_string())?;
    let len = choices.pick(&[2048, 2048, 2048, 2048, 1 << 32, 1 << 32, 1 << 32, 1001, 0]);
    let memory = Memory {
        bytes: vec![0; len.min(2048) as usize],
        len,
        beyond: choices.word().to_le_bytes(),
        moved: Cell::new(0),
    };
    let mut play = Play {
        choices,
        wasi,
        memory,
        fuel: 0,
        calls: 0,
        answered: 0,
        answers: 0,
    };

    play.open_some();
    while let Some(choice) = play.choices.byte() {
        match choice {
            0..10 => play.furnish(),
            10..20 => play.call(Function::PathOpen)?,
            _ => play.call(Function::ALL[usize::from(choice - 20) % Function::ALL.len()])?,
        }
    }
    play.finish()
}

fn environment(choices: &mut Choices<'_>) -> Environment {
    let file = |len: usize| Arc::from(vec![b'x'; len]);
    Environment {
        args: vec!["guest".into(), "-x".into()],
        env: BTreeMap::from([("A".into(), "1".into())]),
        stdin: file(choices.below(100)),
        files: BTreeMap::from([
            ("in".into(), file(11)),
            ("d/a".into(), file(5000)),
            ("d/e/f".into(), file(0)),
        ]),
        seed: [7; 32],
        time_ns: choices.pick(&[0, 1_000_000_000, u64::MAX]),
        limits: LIMITS,
    }
}

impl Play<'_> {
    /// Opens two files and a directory as 4, 5 and 6, where memory has room for their names.
    fn open_some(&mut self) {
        for (name, rights, flags) in [("in", 66, 0), ("d/a", 66, 1), ("d", 2, 0)] {
            self.put(0, name.as_bytes());
            let len = name.len() as u64;
            let args = [3, 0, 0, len, 0, rights, 0, flags, 16];
            self.fuel = 1_000;
            if self.memory.len() > 64 {
                let _ = self
                    .wasi
                    .call(Function::PathOpen, &args, &mut self.memory, &mut self.fuel);
            }
        }
    }

    /// Puts something into memory that a call could be given.
    fn furnish(&mut self) {
        let at = self.choices.address() as u32;
        let bytes = match self.choices.below(4) {
            0 => self.choices.pick(&NAMES).to_vec(),
            1 => {
                let (start, len) = (self.choices.address(), self.choices.anything());
                [(start as u32).to_le_bytes(), (len as u32).to_le_bytes()].concat()
            }
            2 => self.subscription().to_vec(),
            _ => self.choices.word().to_le_bytes().to_vec(),
        };
        self.put(at, &bytes);
    }

    fn put(&mut self, at: u32, bytes: &[u8]) {
        let rest = self.memory.bytes.get_mut(at as usize..);
        let rest = rest.unwrap_or_default();
        let len = rest.len().min(bytes.len());
        rest[..len].copy_from_slice(&bytes[..len]);
    }

    fn subscription(&mut self) -> [u8; 48] {
        let mut bytes = [0; 48];
        bytes[8] = self.choices.pick(&[0, 0, 0, 1, 1, 2, 2, 3]);
        bytes[16] = self.choices.pick(&[0, 0, 1, 1, 1, 4, 5, 2]);
        let timeout = self
            .choices
            .pick(&[0, 1, 1_000, 5_000_000, 1 << 63, u64::MAX]);
        bytes[24..32].copy_from_slice(&timeout.to_le_bytes());
        bytes[40] = self.choices.pick(&[0, 0, 1, 1, 1, 2]);
        bytes
    }

    /// What a call is given: mostly something that fits, so that calls get far, with what it
    /// points to put in its place.
    fn arguments(&mut self, function: Function) -> Vec<u64> {
        let mut args = Vec::new();
        for role in roles(function).chars() {
            let slot = 1024 + 128 * args.len() as u32;
            let fitting = match role {
                'f' => vec![
                    self.choices
                        .pick(&[0, 1, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 7, 8, 300]),
                ],
                'D' => vec![self.choices.pick(&[3, 3, 3, 3, 6, 6, 7, 4])],
                'p' => vec![self.choices.below(120) as u64 * 8],
                'P' => {
                    let name = self.choices.pick(&NAMES);
                    self.put(slot, name);
                    vec![slot.into(), name.len() as u64]
                }
                'L' => {
                    let count = self.choices.below(4);
                    for index in 0..count as u32 {
                        let start = self.choices.below(256) as u32 * 4;
                        let len = self.choices.pick(&[0, 1, 5, 40, 700]);
                        self.put(slot + 8 * index, &start.to_le_bytes());
                        self.put(slot + 8 * index + 4, &u32::to_le_bytes(len));
                    }
                    vec![slot.into(), count as u64]
                }
                'B' => vec![
                    self.choices.below(256) as u64,
                    self.choices.pick(&[0, 1, 24, 30, 100, 700]),
                ],
                'S' => {
                    let count = 1 + self.choices.below(3) as u32;
                    for index in 0..count {
                        let bytes = self.subscription();
                        self.put(1024 + 48 * index, &bytes);
                    }
                    vec![1024, 1536, count.into()]
                }
                'o' => vec![self.choices.pick(&[0, 0, 1, 1, 2, 4, 5, 8, 9])],
                'r' => vec![self.choices.pick(&[2, 64, 66, 66, 0])],
                'd' => vec![self.choices.pick(&[0, 0, 0, 1, 4, 5])],
                'g' => vec![self.choices.pick(&[0, 0, 0, 1, 1, 2])],
                _ => vec![
                    self.choices
                        .pick(&[0, 1, 5, 4095, 4096, 9000, 19 << 10, u64::MAX]),
                ],
            };
            args.extend(fitting);
        }
        for arg in &mut args {
            if self.choices.below(24) == 0 {
                *arg = self.choices.anything();
            }
        }
        args
    }

    fn call(&mut self, function: Function) -> Result<(), String> {
        let args = self.arguments(function);
        self.fuel = match self.choices.below(16) {
            0 => -1,
            1 => 199 + self.choices.below(4) as i64,
            2 => 200 + self.choices.below(256) as i64 * 4,
            _ => 1 << 18,
        };

        // Most ends are reached at once. Going on from the moment before leads to states that
        // no play without luck would see.
        let before = self.wasi.clone();
        let (memory, fuel) = (self.memory.bytes.clone(), self.fuel);
        self.memory.moved.set(0);
        let outcome = self
            .wasi
            .call(function, &args, &mut self.memory, &mut self.fuel);
        self.judge(outcome, fuel, &memory).map_err(|broken| {
            format!("{function:?}{args:x?} with {fuel}: {outcome:?}, {broken}")
        })?;

        if let Err(ended) = outcome {
            let again = self
                .wasi
                .call(Function::SchedYield, &[], &mut self.memory, &mut self.fuel);
            if again != Err(ended) {
                return Err(format!("{ended:?}, but then {again:?}"));
            }
            self.wasi = before;
        }
        let code = match outcome {
            Ok(errno) => u64::from(errno.code()),
            Err(Ended::Exit(code)) => 1 << 32 | u64::from(code),
            Err(ended) => 1 << 33 | ended.to_string().len() as u64,
        };
        self.answers = mix(mix(self.answers, code), self.fuel.cast_unsigned());
        self.calls += 1;
        self.answered += u64::from(outcome == Ok(Errno::Success));
        Ok(())
    }

    /// What is true of every call.
    fn judge(&self, outcome: Result<Errno, Ended>, fuel: i64, memory: &[u8]) -> Result<(), String> {
        let charged = fuel.saturating_sub(self.fuel);
        if charged < 0 {
            return Err("it gave fuel back".to_owned());
        }
        let is_free = matches!(outcome, Err(Ended::Fault));
        if !is_free && charged < CALL_PRICE as i64 {
            return Err(format!("it charged {charged}"));
        }
        if (self.fuel < 0) != (outcome == Err(Ended::OutOfFuel)) && !is_free {
            return Err(format!("it left {}", self.fuel));
        }
        if outcome == Err(Ended::OutOfFuel) && self.memory.bytes != memory {
            return Err("it wrote what was not paid for".to_owned());
        }
        if outcome == Err(Ended::HostMemory) {
            return Err("the host's memory ran out".to_owned());
        }

        let covered = charged.min(fuel.max(0)).cast_unsigned();
        let moved = self.memory.moved.get();
        if FREE_BYTES + BYTES_PER_FUEL * covered < moved {
            return Err(format!("it moved {moved} bytes for {covered}"));
        }
        Ok(())
    }

    fn finish(self) -> Result<Left, String> {
        let finished = self.wasi.finish();
        let within = |bytes: &[u8], max: u64| bytes.len() as u64 <= max;
        if !within(&finished.stdout, LIMITS.output_bytes_max)
            || !within(&finished.log, LIMITS.log_bytes_max)
        {
            return Err("it kept more output than it may".to_owned());
        }
        Ok(Left {
            calls: self.calls,
            answered: self.answered,
            answers: self.answers,
            memory: self.memory.bytes,
            stdout: finished.stdout,
            log: finished.log,
            transcript: finished.transcript,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_function_is_given_as_much_as_it_takes() {
        let mut play = Play {
            choices: Choices(&[]),
            wasi: Wasi::new(Environment::default()).unwrap(),
            memory: Memory {
                bytes: vec![0; 2048],
                len: 2048,
                beyond: [0; 8],
                moved: Cell::new(0),
            },
            fuel: 0,
            calls: 0,
            answered: 0,
            answers: 0,
        };
        for function in Function::ALL {
            assert_eq!(
                play.arguments(*function).len(),
                function.params().len(),
                "{function:?}"
            );
        }
    }
}
