//! Turns the way a run ended into its outcome: the table of `metering.md`, and nothing else.
//!
//! The status is looked at first, then the class of the engine's error, never its text.

use haar_meter::{Ending, EngineEnding};
use haar_records::{BlobHash, Fuel, Outcome, Status, TrapKind};
use haar_wasi::{Ended, EnvironmentFault};
use wasmtime::Trap;

use crate::guest::Unwound;
use crate::stack::NoValue;

/// Why there is no outcome. It says something about this host or about the spec, and nothing about
/// the guest: a miner that abstains signs nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Abstain {
    /// The spec breaks its own limits; an honest hub does not offer it.
    #[error("the spec cannot be run: {reason}")]
    BadSpec {
        /// What is wrong.
        reason: String,
    },
    /// The module was prepared for another configuration.
    #[error("the module was prepared for another configuration")]
    OtherConfig,
    /// The engine refused memory that the job may have.
    #[error("this machine has too little memory")]
    HostMemory,
    /// The engine's own stack overflowed before the profile's limit was reached.
    #[error("the engine's stack overflowed")]
    HostStack,
    /// The engine failed in a way that means nothing about the guest.
    #[error("the engine failed: {reason}")]
    Engine {
        /// What it says.
        reason: String,
    },
    /// A bug of ours.
    #[error("the run panicked")]
    Panicked,
    /// The system has no thread left.
    #[error("no thread could be started")]
    NoThread,
    /// More runs wait for a seat than may wait. It may go better in a moment.
    #[error("too many runs wait already; try again later or elsewhere")]
    Busy,
}

impl From<EnvironmentFault> for Abstain {
    fn from(fault: EnvironmentFault) -> Self {
        Self::BadSpec {
            reason: fault.to_string(),
        }
    }
}

impl From<NoValue> for Abstain {
    fn from(no_value: NoValue) -> Self {
        match no_value {
            NoValue::NoThread => Self::NoThread,
            NoValue::Panicked => Self::Panicked,
            NoValue::Busy => Self::Busy,
        }
    }
}

/// Why the guest's calls stopped before their end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The engine says so.
    Engine(wasmtime::Error),
    /// The guest broke the ABI of reactors.
    Abi,
}

impl From<wasmtime::Error> for Stop {
    fn from(error: wasmtime::Error) -> Self {
        Self::Engine(error)
    }
}

/// What a guest returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Returned {
    /// A command has written its output, or the fuel went below zero on the last stretch.
    Nothing,
    /// A reactor's answer.
    Frame { exit_code: u32, payload: Vec<u8> },
}

/// What is left when a run is over.
pub(crate) struct Rest {
    pub(crate) status: i32,
    pub(crate) fuel_left: i64,
    pub(crate) ended: Option<Ended>,
    /// What the guest wrote to standard output, where that is its answer.
    pub(crate) stdout: Vec<u8>,
}

/// The outcome of a run and its output.
pub(crate) fn outcome(
    fuel_max: Fuel,
    result: Result<Returned, Stop>,
    rest: Rest,
) -> Result<(Outcome, Vec<u8>), Abstain> {
    let engine = match &result {
        Ok(_) | Err(Stop::Abi) => EngineEnding::Returned,
        Err(Stop::Engine(error)) => class(error),
    };
    let ending = Ending::of(rest.status, rest.fuel_left, engine);
    let Some(fuel) = ending.bill(fuel_max.0, rest.fuel_left).map(Fuel) else {
        return Err(abstain(rest.status, result));
    };

    let trap = match (ending, rest.ended, result) {
        (Ending::OutOfFuel, ..) => return Ok(failed(Status::OutOfFuel, fuel_max, None)),
        (Ending::Returned, _, Ok(Returned::Nothing)) => {
            return Ok(returned(0, rest.stdout, fuel));
        }
        (Ending::Returned, _, Ok(Returned::Frame { exit_code, payload })) => {
            return Ok(returned(exit_code, payload, fuel));
        }
        (Ending::EndedByHost, Some(Ended::Exit(code)), _) => {
            return Ok(returned(code, rest.stdout, fuel));
        }
        // Unlike an exit it bills the whole limit, as every trap does that the guest did not choose.
        (Ending::EndedByHost, Some(Ended::Fault), _) => {
            return Ok(failed(Status::Trapped, fuel_max, Some(TrapKind::HostCall)));
        }
        (Ending::Returned, _, Err(Stop::Abi)) => TrapKind::Abi,
        (Ending::StackLimit, ..) => TrapKind::StackLimit,
        (Ending::Abort, ..) => TrapKind::Abort,
        (Ending::Trap, _, Err(Stop::Engine(error))) => kind(&error),
        (_, _, result) => return Err(abstain(rest.status, result)),
    };
    Ok(failed(Status::Trapped, fuel, Some(trap)))
}

/// A run whose fuel does not even pay for its start.
pub(crate) fn unstarted(fuel_max: Fuel) -> Outcome {
    failed(Status::OutOfFuel, fuel_max, None).0
}

fn returned(exit_code: u32, output: Vec<u8>, fuel_used: Fuel) -> (Outcome, Vec<u8>) {
    let outcome = Outcome {
        status: Status::Returned,
        exit_code,
        output: BlobHash::of(&output),
        output_bytes: output.len() as u64,
        fuel_used,
        trap: None,
    };
    (outcome, output)
}

fn failed(status: Status, fuel_used: Fuel, trap: Option<TrapKind>) -> (Outcome, Vec<u8>) {
    let outcome = Outcome {
        status,
        exit_code: 0,
        output: BlobHash::of(b""),
        output_bytes: 0,
        fuel_used,
        trap,
    };
    (outcome, Vec::new())
}

/// What kind of end an engine's error is. Everything that is not known to be the guest's is ours.
fn class(error: &wasmtime::Error) -> EngineEnding {
    if error.is::<Unwound>() {
        return EngineEnding::Trapped;
    }
    match error.downcast_ref::<Trap>() {
        Some(
            Trap::MemoryOutOfBounds
            | Trap::HeapMisaligned
            | Trap::TableOutOfBounds
            | Trap::IndirectCallToNull
            | Trap::BadSignature
            | Trap::IntegerOverflow
            | Trap::IntegerDivisionByZero
            | Trap::BadConversionToInteger
            | Trap::UnreachableCodeReached,
        ) => EngineEnding::Trapped,
        _ => EngineEnding::HostFailure,
    }
}

/// A trap's name for people.
fn kind(error: &wasmtime::Error) -> TrapKind {
    match error.downcast_ref::<Trap>() {
        Some(
            Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger,
        ) => TrapKind::Arithmetic,
        Some(Trap::MemoryOutOfBounds | Trap::HeapMisaligned | Trap::TableOutOfBounds) => {
            TrapKind::Bounds
        }
        Some(Trap::IndirectCallToNull | Trap::BadSignature) => TrapKind::IndirectCall,
        _ => TrapKind::Other,
    }
}

fn abstain(status: i32, result: Result<Returned, Stop>) -> Abstain {
    if status == haar_meter::STATUS_HOST_MEMORY {
        return Abstain::HostMemory;
    }
    match result {
        Err(Stop::Engine(error)) if error.downcast_ref() == Some(&Trap::StackOverflow) => {
            Abstain::HostStack
        }
        Err(Stop::Engine(error)) => Abstain::Engine {
            reason: format!("{error:#}"),
        },
        Ok(_) | Err(Stop::Abi) => Abstain::Engine {
            reason: format!("the guest returned with status {status}"),
        },
    }
}
