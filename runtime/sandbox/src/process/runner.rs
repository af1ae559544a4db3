//! A runner: a process that can do nothing but run guests, one after the other.
//!
//! It gets compiled code and inputs on its socket and answers with outcomes. It knows no hub, no
//! buyer, no key and no file, and what it says is believed no further than an outcome can be.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use haar_records::{Fuel, RunConfig};

use super::frame::{self, FrameFault};
use super::lock::{self, Limits};
use super::message::{FromRunner, Landlock, Locked, SLOTS, ToRunner, Why, clean};
use super::socket::Socket;
use crate::artifact::{ARTIFACT_BYTES_MAX, Artifact};
use crate::play::Runner;
use crate::prepare::Prepared;
use crate::sandbox::{Run, RunSpec, Sandbox, SandboxConfig};
use crate::seal::CodeKey;

/// Memory that a runner may write to: a guest's at the most, an input, an output, and the engine.
const MEMORY_BYTES_MAX: u64 = (1 << 30) + (512 << 20);

/// What a runner may use.
pub(super) const LIMITS: Limits = Limits {
    memory_bytes: MEMORY_BYTES_MAX,
    // Reserved addresses are not memory, and the engine reserves many.
    address_bytes: None,
    // The supervisor's clock ends a run, and fuel long before.
    cpu_seconds: None,
};

/// The life of a runner. The process ends with it.
///
/// The calling program must be at its very start: no thread, no file, no environment.
pub fn runner_main() -> ExitCode {
    be_child(|| {
        let is_nobody = lock::shut_behind(&LIMITS).map_err(|error| error.to_string())?;
        let sandbox = Sandbox::new(SandboxConfig {
            concurrency: 1,
            prepared_max: 1,
        });
        let sandbox = sandbox.map_err(|error| error.to_string())?;
        let landlock = lock::shut_files();
        // The last thread that this process ever starts: none may be needed later.
        let ended = sandbox.with_runner(|runner| serve(&sandbox, runner, landlock, is_nobody));
        ended.map_err(|error| error.to_string())?
    })
}

/// Lives a child's life, and tells the supervisor why it could not begin.
pub(super) fn be_child(life: impl FnOnce() -> Result<(), String>) -> ExitCode {
    // Standard error leads nowhere, and a backtrace would open files.
    std::panic::set_hook(Box::new(|_| ()));
    let ended = catch_unwind(AssertUnwindSafe(life));
    let Err(reason) = ended.unwrap_or_else(|_| Err("it panicked".to_owned())) else {
        return ExitCode::SUCCESS;
    };
    let unfit = FromRunner::Unfit {
        reason: clean(&reason),
    };
    // Nobody listens, if this fails.
    let _ = frame::write(&mut Socket::new(), &unfit, &[]);
    ExitCode::FAILURE
}

fn serve(
    sandbox: &Sandbox,
    runner: &Runner<'_>,
    landlock: Landlock,
    is_nobody: bool,
) -> Result<(), String> {
    lock::shut_out().map_err(|error| error.to_string())?;
    let mut socket = Socket::new();
    let ready = FromRunner::Ready(Locked {
        landlock,
        is_nobody,
    });
    let _ = frame::write(&mut socket, &ready, &[]);

    let mut slots = [const { None }; SLOTS as usize];
    loop {
        match serve_one(sandbox, runner, &mut slots, &mut socket) {
            Ok(()) => {}
            Err(FrameFault::Ended) => return Ok(()),
            // The supervisor is the same program; what cannot be read is a bug or an attack.
            Err(_) => std::process::exit(2),
        }
    }
}

/// What was loaded, or why it could not be.
type Slot = Option<Result<Arc<Prepared>, String>>;

fn serve_one(
    sandbox: &Sandbox,
    runner: &Runner<'_>,
    slots: &mut [Slot; SLOTS as usize],
    socket: &mut Socket,
) -> Result<(), FrameFault> {
    let (message, bytes) = frame::read::<ToRunner>(socket, ARTIFACT_BYTES_MAX as u64)?;
    let payload = frame::read_payload(socket, bytes)?;
    match message {
        ToRunner::Load { slot, key } => {
            let place = slots
                .get_mut(usize::from(slot))
                .ok_or_else(|| FrameFault::Malformed("no such slot".to_owned()))?;
            // Before the new one comes: two would need twice the memory.
            *place = None;
            let loaded = Artifact::from_bytes(payload, &CodeKey::from_bytes(key))
                .and_then(|artifact| sandbox.load(&artifact))
                .map_err(|error| error.to_string());
            *place = Some(loaded);
            Ok(())
        }
        ToRunner::Run {
            number,
            slot,
            fuel_max,
            config,
        } => {
            let prepared = slots.get(usize::from(slot)).and_then(Option::as_ref);
            match run(runner, prepared, &payload, fuel_max, &config) {
                Ok(run) => answer(socket, number, &run),
                Err(why) => frame::write(socket, &FromRunner::Abstained { number, why }, &[]),
            }
        }
    }
}

fn run(
    runner: &Runner<'_>,
    prepared: Option<&Result<Arc<Prepared>, String>>,
    input: &[u8],
    fuel_max: Fuel,
    config: &RunConfig,
) -> Result<Run, Why> {
    let prepared = match prepared {
        Some(Ok(prepared)) => prepared,
        Some(Err(reason)) => return Err(Why::Engine(clean(reason))),
        None => return Err(Why::Engine("nothing was loaded".to_owned())),
    };
    let spec = RunSpec {
        input,
        config,
        fuel_max,
    };
    runner.run(prepared, &spec).map_err(Why::from)
}

fn answer(socket: &mut impl Write, number: u64, run: &Run) -> Result<(), FrameFault> {
    let ran = FromRunner::Ran {
        number,
        outcome: run.outcome,
        // The profile caps the log far below.
        log_bytes: u32::try_from(run.log.len()).unwrap_or(u32::MAX),
        transcript: run.transcript,
    };
    frame::write(socket, &ran, &[&run.output, &run.log])
}
