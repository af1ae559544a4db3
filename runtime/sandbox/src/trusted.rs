//! Runs a module with real directories, clock and randomness: for one's own machines only.
//!
//! Here a guest sees the world as it is, so nobody else can get the same answer and there is nothing
//! to verify. What a run gives is an [`Unverified`]: a type of its own that nothing turns into an
//! outcome or a receipt. The module is admitted and metered as ever: its fuel bounds what it
//! computes, its stack and its memory are those of the profile. How long it sleeps or waits for
//! input nothing bounds. `wasi-common` answers the imports; sockets are not among them.

mod directories;
mod imports;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use haar_meter::{Ending, GuestKind, Metered, Profile, Rejected, fuel_at_start, fuel_used, meter};
use haar_records::{Fuel, money};
use wasi_common::WasiCtx;
use wasi_common::pipe::{ReadPipe, WritePipe};
use wasi_common::sync::{WasiCtxBuilder, stdio};

use crate::desk::{self, Instance};
use crate::stack::with_stack;

/// Stack for the guest, its compiler and the host functions that it calls.
const THREAD_STACK_BYTES: usize = 16 << 20;
/// Bytes of a reactor's output, and of either stream that is kept.
const OUTPUT_BYTES_MAX: usize = 64 << 20;
/// The first byte of a response frame: the function's own error.
const FRAME_APPLICATION_ERROR: u8 = 1;
/// The highest kind of frame: an HTTP response.
const FRAME_KIND_MAX: u8 = 2;

/// What a trusted run is given.
#[derive(Debug, Clone)]
pub struct TrustedSpec {
    /// Arguments, the first of which is the program's name.
    pub args: Vec<String>,
    /// Variables: names and values.
    pub env: Vec<(String, String)>,
    /// The most fuel.
    pub fuel_max: Fuel,
    /// The most pages of 64 KiB.
    pub pages_max: u32,
    /// Where standard input comes from. A reactor's input is its bytes, or nothing.
    pub input: TrustedInput,
    /// Where standard output and error go.
    pub output: TrustedOutput,
    /// Directories that the guest sees.
    pub directories: Vec<Directory>,
}

impl Default for TrustedSpec {
    /// No directories, no input, the streams kept, and the fuel and memory of a usual call.
    fn default() -> Self {
        Self {
            args: vec!["guest".to_owned()],
            env: Vec::new(),
            fuel_max: Fuel(20_000_000_000),
            pages_max: 2_048,
            input: TrustedInput::Bytes(Vec::new()),
            output: TrustedOutput::Keep,
            directories: Vec::new(),
        }
    }
}

/// Where standard input comes from.
#[derive(Debug, Clone)]
pub enum TrustedInput {
    /// From this process's own.
    Inherit,
    /// From these bytes.
    Bytes(Vec<u8>),
}

/// Where standard output and error go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustedOutput {
    /// To this process's own.
    Inherit,
    /// Into [`Unverified`].
    Keep,
}

/// A directory of this machine under a name of the guest's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Where it is here. Nothing above it can be reached, not by links either.
    pub host: PathBuf,
    /// What the guest calls it.
    pub guest: String,
    /// Whether the guest may change anything.
    pub access: Access,
}

/// What a guest may do with a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    Read,
    /// Read, write, create and remove.
    Write,
}

/// What a trusted run gave. It is no outcome, and there is no way to make one of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unverified {
    /// How it ended.
    pub ending: UnverifiedEnding,
    /// Fuel that it used; all of it after a trap.
    pub fuel_used: Fuel,
    /// Standard output if it was kept, or a reactor's payload.
    pub output: Vec<u8>,
    /// Standard error if it was kept.
    pub log: Vec<u8>,
}

/// How a trusted run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnverifiedEnding {
    /// It returned or exited with this code.
    Returned {
        /// The program's exit code; 1 for a function's own error.
        exit_code: u32,
    },
    /// Its fuel did not suffice.
    OutOfFuel,
    /// Its calls went too deep.
    StackLimit,
    /// It trapped.
    Trapped {
        /// What the engine says.
        reason: String,
    },
}

/// Why a trusted run could not start or go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustedError {
    /// The module is not admitted, here as anywhere.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// A directory cannot be opened.
    #[error("cannot open the directory {}: {reason}", .host.display())]
    Directory {
        /// Which one.
        host: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// An argument or variable cannot be passed on, or a number is out of its range.
    #[error("cannot pass this on to the guest: {reason}")]
    BadSpec {
        /// What is wrong.
        reason: String,
    },
    /// This machine could not.
    #[error("this machine cannot run the module: {reason}")]
    Engine {
        /// What went wrong.
        reason: String,
    },
}

/// Runs `module` once with the world as it is.
///
/// Blocks until the run is over.
pub fn run_trusted(module: &[u8], spec: TrustedSpec) -> Result<Unverified, TrustedError> {
    let work = || play(module, spec);
    with_stack("haar-trusted", THREAD_STACK_BYTES, work)
        .unwrap_or_else(|_| Err(failed("the run panicked or got no thread")))
}

/// What an instance's imports need.
struct World {
    wasi: WasiCtx,
    log: Kept,
    exit_code: Option<u32>,
}

fn play(module: &[u8], spec: TrustedSpec) -> Result<Unverified, TrustedError> {
    if spec.fuel_max > money::FUEL_MAX {
        return Err(TrustedError::BadSpec {
            reason: format!("no run may use more than {} fuel", money::FUEL_MAX),
        });
    }
    let profile = Profile {
        pages_max: spec.pages_max,
        ..Profile::DESKTOP
    };
    let metered = meter(module, &profile)?;
    let (out, log) = (Kept::new(spec.output), Kept::new(spec.output));
    let world = world(&spec, metered.kind, &out, &log)?;
    let Some(fuel) = fuel_at_start(spec.fuel_max.0, metered.init_cost) else {
        return Ok(Unverified {
            ending: UnverifiedEnding::OutOfFuel,
            fuel_used: spec.fuel_max,
            output: Vec::new(),
            log: Vec::new(),
        });
    };
    let engine = desk::engine(profile.stack_limit).map_err(failed)?;
    let linker = desk::linker(&engine, imports::answer).map_err(failed)?;
    let guest = Instance::new(&linker, &metered.bytes, world, fuel).map_err(failed)?;
    let input = match spec.input {
        TrustedInput::Bytes(bytes) => bytes,
        TrustedInput::Inherit => Vec::new(),
    };
    let mut unverified = enter(guest, &metered, &input, spec.fuel_max)?;
    if metered.kind == GuestKind::Command {
        unverified.output = out.take();
    }
    unverified.log = log.take();
    Ok(unverified)
}

fn failed(error: impl std::fmt::Display) -> TrustedError {
    TrustedError::Engine {
        reason: format!("{error:#}"),
    }
}

/// The guest's surroundings: arguments, variables, streams, directories.
fn world(
    spec: &TrustedSpec,
    kind: GuestKind,
    out: &Kept,
    log: &Kept,
) -> Result<World, TrustedError> {
    let bad = |error: wasi_common::StringArrayError| TrustedError::BadSpec {
        reason: error.to_string(),
    };
    let variables = spec.env.iter().flat_map(|(name, value)| [name, value]);
    if spec
        .args
        .iter()
        .chain(variables)
        .any(|text| text.contains('\0'))
    {
        return Err(TrustedError::BadSpec {
            reason: "an argument or a variable has a zero byte in it".to_owned(),
        });
    }
    let mut builder = WasiCtxBuilder::new();
    builder.args(&spec.args).map_err(bad)?;
    builder.envs(&spec.env).map_err(bad)?;
    match (&spec.input, kind) {
        (TrustedInput::Inherit, _) => builder.inherit_stdin(),
        (TrustedInput::Bytes(bytes), GuestKind::Command) => {
            builder.stdin(Box::new(ReadPipe::from(bytes.clone())))
        }
        // It gets them in its own memory.
        (TrustedInput::Bytes(_), GuestKind::Reactor) => &mut builder,
    };
    match spec.output {
        TrustedOutput::Inherit => {
            builder.stdout(Box::new(stdio::stdout()));
            builder.stderr(Box::new(stdio::stderr()));
        }
        TrustedOutput::Keep => {
            builder.stdout(Box::new(WritePipe::new(out.clone())));
            builder.stderr(Box::new(WritePipe::new(log.clone())));
        }
    }
    let wasi = builder.build();
    for directory in &spec.directories {
        directories::open(&wasi, directory)?;
    }
    Ok(World {
        wasi,
        log: log.clone(),
        exit_code: None,
    })
}

/// Calls the guest from its start to its end.
fn enter(
    mut guest: Instance<World>,
    metered: &Metered,
    input: &[u8],
    fuel_max: Fuel,
) -> Result<Unverified, TrustedError> {
    let mut exit_code = 0;
    let mut output = Vec::new();
    let result = match metered.kind {
        GuestKind::Command => command(&mut guest),
        GuestKind::Reactor => reactor(&mut guest, input).map(|frame| {
            if let Some((kind, payload)) = frame {
                exit_code = u32::from(kind == FRAME_APPLICATION_ERROR);
                output = payload;
            }
        }),
    };
    let ending = guest.ending(&result);
    let left = guest.fuel_left();
    let charged = Fuel(fuel_used(fuel_max.0, left).min(fuel_max.0));
    let (ending, fuel_used) = match (ending, guest.store.data().exit_code, result) {
        (Ending::EndedByHost, Some(exit_code), _) => {
            output.clear();
            (UnverifiedEnding::Returned { exit_code }, charged)
        }
        (Ending::Returned, _, _) => (UnverifiedEnding::Returned { exit_code }, charged),
        (Ending::OutOfFuel, _, _) => (UnverifiedEnding::OutOfFuel, fuel_max),
        (Ending::StackLimit, _, _) => (UnverifiedEnding::StackLimit, charged),
        (Ending::Abort, _, _) => {
            let reason = "the guest reached an unreachable, as after a panic".to_owned();
            (UnverifiedEnding::Trapped { reason }, charged)
        }
        (Ending::Trap | Ending::EndedByHost, _, Err(error)) => {
            let reason = format!("{error:#}");
            (UnverifiedEnding::Trapped { reason }, fuel_max)
        }
        // The guest broke the ABI: the engine is fine, and so is the module's own status.
        (Ending::Abstain, _, Err(error)) if error.is::<BrokenAbi>() => {
            let reason = error.to_string();
            (UnverifiedEnding::Trapped { reason }, charged)
        }
        (_, _, Err(error)) => return Err(failed(error)),
        (_, _, Ok(())) => return Err(failed("the guest ended in a way that means nothing")),
    };
    Ok(Unverified {
        ending,
        fuel_used,
        output,
        log: Vec::new(),
    })
}

fn command(guest: &mut Instance<World>) -> wasmtime::Result<()> {
    if guest.start()? {
        guest.call::<(), ()>("_start", ())?;
    }
    Ok(())
}

/// The guest did not keep to the ABI of reactors.
#[derive(Debug, thiserror::Error)]
#[error("the guest broke the ABI: {0}")]
struct BrokenAbi(&'static str);

/// The kind and the payload of a reactor's response frame, if its fuel sufficed.
fn reactor(guest: &mut Instance<World>, input: &[u8]) -> wasmtime::Result<Option<(u8, Vec<u8>)>> {
    if !guest.start()? || !guest.call_if_there("_initialize")? {
        return Ok(None);
    }
    let len = i32::try_from(input.len()).map_err(|_| BrokenAbi("the input is too long"))?;
    let mut at = 0;
    if !input.is_empty() {
        at = guest.call::<i32, i32>("haar_alloc", len)?;
        let room = slice(at.into(), input.len());
        let memory = guest.memory.data_mut(&mut guest.store);
        room.and_then(|room| memory.get_mut(room))
            .ok_or(BrokenAbi("haar_alloc gave no room for the input"))?
            .copy_from_slice(input);
    }
    let packed = guest.call::<(i32, i32), i64>("haar_run", (at, len))?;
    if guest.fuel_left() < 0 {
        return Ok(None);
    }
    let len = (packed & i64::from(u32::MAX)) as usize;
    let memory = guest.memory.data(&guest.store);
    let frame = slice(packed >> 32, len).and_then(|frame| memory.get(frame));
    match frame.and_then(<[u8]>::split_first) {
        Some((&kind, payload)) if kind <= FRAME_KIND_MAX && payload.len() <= OUTPUT_BYTES_MAX => {
            Ok(Some((kind, payload.to_vec())))
        }
        _ => Err(BrokenAbi("haar_run gave no response frame").into()),
    }
}

/// Addresses in a guest's memory; 0 and what has the sign bit are none.
fn slice(at: i64, len: usize) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(at).ok().filter(|start| *start != 0)?;
    Some(start..start.checked_add(len)?)
}

/// A stream that is kept up to its cap, or handed on.
#[derive(Debug, Clone)]
struct Kept {
    to: TrustedOutput,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Kept {
    fn new(to: TrustedOutput) -> Self {
        Self {
            to,
            bytes: Arc::default(),
        }
    }

    fn take(&self) -> Vec<u8> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut bytes)
    }
}

impl std::io::Write for Kept {
    fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        if self.to == TrustedOutput::Inherit {
            return std::io::stderr().write(from);
        }
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let room = OUTPUT_BYTES_MAX.saturating_sub(bytes.len());
        if room == 0 && !from.is_empty() {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        let from = from.get(..room).unwrap_or(from);
        bytes.extend_from_slice(from);
        Ok(from.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
