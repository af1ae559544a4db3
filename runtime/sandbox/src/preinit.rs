//! Runs a module's `haar_init` once, at its author's, and ships the state that it leaves.
//!
//! What a miner would compute at every call (tables, compiled patterns, parsed data) is then simply
//! there. The initialisation runs under the meter like any call, so the state is the one that every
//! engine would reach, and equal modules give equal bytes. It may not ask the host for anything: what
//! the host answers belongs to a job and must not be frozen into a module. Two calls are answered
//! all the same: a log, for the message of a panic, and random bytes, because no hash map of Rust
//! is made without them; those are fixed ones, drawn from the module. The result is an ordinary
//! module, admitted like any other, that exports neither `haar_init` nor `_initialize` any more.

use haar_meter::{
    EXPORT_FUEL, EXPORT_STATUS, Ending, Metered, Profile, Rejected, STATUS_ENDED_BY_HOST,
    STATUS_OUT_OF_FUEL, fuel_at_start, fuel_used, meter,
};
use haar_wasi::Function;
use wasmtime::{Caller, Val};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

use crate::desk::{self, Ended, Instance};
use crate::stack::with_stack;

/// The export that an author's initialisation is called by.
pub const EXPORT_INIT: &str = "haar_init";
/// The most fuel that an initialisation may use: as much as a usual call, five times over. It
/// bounds the wait at the author's desk and nothing else: nobody is ever charged for it.
pub const INIT_FUEL_MAX: u64 = 100_000_000_000;
/// Pages that it may use: those of a usual call, or the result could not be called.
const INIT_PAGES_MAX: u32 = 2_048;
/// Bytes of `haar.log` that are kept for the error.
const LOG_BYTES_MAX: usize = 4 << 10;
/// What a call of the host costs, as in a run.
const CALL_COST: u64 = 200;
/// Keeps these random bytes apart from all others that are drawn from a module.
const RANDOM_CONTEXT: &str = "haar 2026-11 random bytes of haar_init";
/// Stack for the compiler, the snapshot and what stands below the guest.
const THREAD_STACK_BYTES: usize = 16 << 20;

/// A module whose initialisation has been run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preinitialised {
    /// The new module.
    pub module: Vec<u8>,
    /// Fuel that the initialisation used: what no call pays any more.
    pub fuel_used: u64,
    /// What the new module pays before its first instruction; a larger state costs more.
    pub init_cost: u64,
    /// What the old one paid.
    pub init_cost_before: u64,
}

/// Why a module could not be pre-initialised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreinitError {
    /// The module itself is not admitted.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// There is nothing to run.
    #[error("the module exports no haar_init: () -> (); write one with #[haar::init]")]
    NoInit,
    /// It wanted something from the host.
    #[error(
        "haar_init called {module}.{name}: an initialisation runs once for all jobs, so it cannot use input, clock, environment or files; do that part in the function itself{}",
        said(.log)
    )]
    CalledHost {
        /// The import's module.
        module: &'static str,
        /// The import's name.
        name: &'static str,
        /// What it logged before.
        log: String,
    },
    /// It panicked or trapped.
    #[error("haar_init trapped: {reason}{}", said(.log))]
    Trapped {
        /// What the engine says.
        reason: String,
        /// What it logged before, a panic's message for instance.
        log: String,
    },
    /// It did not come to an end.
    #[error("haar_init used up {fuel_max} fuel and had not ended; initialise less")]
    OutOfFuel {
        /// How much it had.
        fuel_max: u64,
    },
    /// Part of the state cannot be written down.
    #[error(
        "the module's state cannot be kept: {reason}; publish it with --no-init to initialise at every call"
    )]
    Unsupported {
        /// What the snapshot says.
        reason: String,
    },
    /// The new module is too large, for instance.
    #[error("the initialised module would not be admitted: {reason}; initialise less")]
    Outgrown {
        /// What the pass says.
        reason: Rejected,
    },
    /// This machine could not.
    #[error("this machine cannot initialise the module: {reason}")]
    Engine {
        /// What went wrong.
        reason: String,
    },
}

fn said(log: &str) -> String {
    match log.trim_end() {
        "" => String::new(),
        log => format!("; it logged: {log}"),
    }
}

/// Runs `_initialize` and `haar_init`, and gives the module with the state that they leave.
///
/// Blocks for as long as compiling and running take.
pub fn preinit(module: &[u8]) -> Result<Preinitialised, PreinitError> {
    preinit_within(module, INIT_FUEL_MAX)
}

/// The same, with another bound on its fuel.
pub fn preinit_within(module: &[u8], fuel_max: u64) -> Result<Preinitialised, PreinitError> {
    // The compiler and the snapshot recurse, and a caller's thread may have little stack. What
    // panics in them must not end the caller either.
    let work = || snapshot(module, fuel_max);
    with_stack("haar-preinit", THREAD_STACK_BYTES, work).unwrap_or_else(|_| {
        Err(PreinitError::Engine {
            reason: "the snapshot could not be taken".to_owned(),
        })
    })
}

fn snapshot(module: &[u8], fuel_max: u64) -> Result<Preinitialised, PreinitError> {
    let profile = Profile {
        pages_max: INIT_PAGES_MAX,
        ..Profile::DESKTOP
    };
    let metered = meter(module, &profile)?;
    let mut wizer = Wizer::new();
    wizer.init_func(EXPORT_INIT);
    let unsupported = |error: wasmtime::Error| PreinitError::Unsupported {
        reason: format!("{error:#}"),
    };
    // Both modules get exports for their globals and memories, under names made of their indices.
    // The pass keeps indices, so the state of the metered one is read by the names of the other.
    let (context, _) = wizer.instrument(module).map_err(unsupported)?;
    let (_, runnable) = wizer.instrument(&metered.bytes).map_err(unsupported)?;

    let asked = Asked::new(module);
    let (mut state, fuel_used) = initialise(&metered, &runnable, asked, fuel_max)?;
    let snapshot = desk::ready(wizer.snapshot(&context, &mut state));
    let module = snapshot
        .ok_or_else(|| failed("the snapshot waits for something"))?
        .map_err(unsupported)?;
    let after = meter(&module, &profile).map_err(|reason| PreinitError::Outgrown { reason })?;
    Ok(Preinitialised {
        module,
        fuel_used,
        init_cost: after.init_cost,
        init_cost_before: metered.init_cost,
    })
}

/// Runs the initialisation in an instance of `runnable` and says what it used.
fn initialise(
    metered: &Metered,
    runnable: &[u8],
    asked: Asked,
    fuel_max: u64,
) -> Result<(State, u64), PreinitError> {
    let out_of_fuel = || PreinitError::OutOfFuel { fuel_max };
    let fuel = fuel_at_start(fuel_max, metered.init_cost).ok_or_else(out_of_fuel)?;
    let engine = desk::engine(Profile::DESKTOP.stack_limit).map_err(failed)?;
    let linker = desk::linker(&engine, answer).map_err(failed)?;
    let mut guest = Instance::new(&linker, runnable, asked, fuel).map_err(failed)?;
    if guest
        .instance
        .get_typed_func::<(), ()>(&mut guest.store, EXPORT_INIT)
        .is_err()
    {
        return Err(PreinitError::NoInit);
    }

    let result = play(&mut guest);
    let ending = guest.ending(&result);
    let left = guest.fuel_left();
    let asked = guest.store.data();
    let log = String::from_utf8_lossy(&asked.log).into_owned();
    if let Some(function) = asked.called {
        return Err(PreinitError::CalledHost {
            module: function.module(),
            name: function.name(),
            log,
        });
    }
    let reason = match (ending, result) {
        (Ending::Returned, _) => {
            let used = fuel_used(fuel_max, left).saturating_sub(metered.init_cost);
            return Ok((State(guest), used));
        }
        (Ending::OutOfFuel, _) => return Err(out_of_fuel()),
        (Ending::StackLimit, _) => "its calls went too deep".to_owned(),
        (Ending::Abort, _) => "it panicked, or reached an unreachable of its own".to_owned(),
        (Ending::Abstain, Err(error)) => return Err(failed(error)),
        (_, Err(error)) => format!("{error:#}"),
        (_, Ok(_)) => "it ended in a way that means nothing".to_owned(),
    };
    Err(PreinitError::Trapped { reason, log })
}

fn play(guest: &mut Instance<Asked>) -> wasmtime::Result<bool> {
    Ok(
        guest.start()?
            && guest.call_if_there("_initialize")?
            && guest.call_if_there(EXPORT_INIT)?,
    )
}

fn failed(error: impl std::fmt::Display) -> PreinitError {
    PreinitError::Engine {
        reason: format!("{error:#}"),
    }
}

/// What the initialisation said and asked for.
struct Asked {
    log: Vec<u8>,
    /// What it called that is not answered.
    called: Option<Function>,
    random: blake3::OutputReader,
}

impl Asked {
    fn new(module: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(RANDOM_CONTEXT);
        hasher.update(module);
        Self {
            log: Vec::new(),
            called: None,
            random: hasher.finalize_xof(),
        }
    }
}

/// Answers every import: a log leaves no trace in the guest and says why it panicked; random bytes
/// are fixed ones; whatever else it asks for ends it.
fn answer(
    caller: &mut Caller<'_, Asked>,
    function: Function,
    args: &[u64],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    if let [at, len] = args {
        let price = CALL_COST + len / 2;
        let fuel = desk::global_of(caller, EXPORT_FUEL)?;
        let left = fuel.get(&mut *caller).i64().unwrap_or(-1);
        let left = left - i64::try_from(price).unwrap_or(i64::MAX);
        fuel.set(&mut *caller, Val::I64(left))?;
        if left < 0 {
            return end(caller, STATUS_OUT_OF_FUEL);
        }
        let (bytes, asked) = desk::memory_of(caller)?.data_and_store_mut(&mut *caller);
        let (at, len) = (*at as usize, *len as usize);
        let place = at.checked_add(len).and_then(|end| bytes.get_mut(at..end));
        match (function, place, results) {
            (Function::HaarLog, Some(text), _) => {
                let room = LOG_BYTES_MAX.saturating_sub(asked.log.len());
                asked.log.extend(text.iter().chain(b"\n").take(room));
                return Ok(());
            }
            (Function::RandomGet, Some(place), [errno]) => {
                asked.random.fill(place);
                *errno = Val::I32(0);
                return Ok(());
            }
            _ => {}
        }
    }
    caller.data_mut().called = Some(function);
    end(caller, STATUS_ENDED_BY_HOST)
}

/// Leaves the status behind and unwinds.
fn end(caller: &mut Caller<'_, Asked>, status: i32) -> wasmtime::Result<()> {
    let global = desk::global_of(caller, EXPORT_STATUS)?;
    global.set(&mut *caller, Val::I32(status))?;
    Err(Ended.into())
}

/// The state of an instance, as the snapshot asks for it.
struct State(Instance<Asked>);

impl InstanceState for State {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let Instance {
            store, instance, ..
        } = &mut self.0;
        let global = instance.get_global(&mut *store, name);
        match global.map(|global| global.get(&mut *store)) {
            Some(Val::I32(value)) => SnapshotVal::I32(value),
            Some(Val::I64(value)) => SnapshotVal::I64(value),
            Some(Val::F32(bits)) => SnapshotVal::F32(bits),
            Some(Val::F64(bits)) => SnapshotVal::F64(bits),
            Some(Val::V128(bits)) => SnapshotVal::V128(bits.as_u128()),
            // The trait asks for this. Admission has refused references, and the instrumentation
            // has exported what is asked for; a panic here ends this thread only.
            _ => unreachable!("an instrumented global is exported and a number"),
        }
    }

    async fn memory_contents(&mut self, _: &str, contents: impl FnOnce(&[u8]) + Send) {
        // There is exactly one memory.
        contents(self.0.memory.data(&self.0.store));
    }
}
