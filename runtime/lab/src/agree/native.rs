//! One run under wasmtime, by the rules of `runtime/sandbox/README.md`, with a look at what it left.
//!
//! The sandbox answers jobs and shows no memory; this runner is for comparing, and is written from
//! the rules once more. It also runs the slow counting form of a module.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use haar_meter::{
    Ending, EngineEnding, GuestKind, STATUS_ENDED_BY_HOST, STATUS_HOST_MEMORY, STATUS_OUT_OF_FUEL,
    fuel_at_start,
};
use haar_wasi::{Bytes, Ended, Environment, Function, Limits, Parameter, Wasi};
use wasmtime::{
    Caller, Config, Engine, FuncType, Global, Instance, Linker, Memory, Module, Store, Trap, Val,
    ValType,
};

use super::observation::{Fingerprint, Kind, Observation};

/// The cap on output, on every engine of the laboratory.
pub(crate) const OUTPUT_BYTES_MAX: u32 = 10 << 20;
/// More than the deterministic limit of every profile that is used here.
const STACK_BYTES: usize = 2 << 20;
const THREAD_STACK_BYTES: usize = 16 << 20;
const RESERVED: &str = "__haar_";

/// wasmtime with everything off that could change an answer.
pub(crate) struct Native {
    pub(crate) engine: Engine,
    linker: Linker<Guest>,
}

/// What to run a module on.
#[derive(Debug, Clone)]
pub(crate) struct Job<'a> {
    pub(crate) kind: GuestKind,
    pub(crate) init_cost: u64,
    pub(crate) args: &'a [String],
    pub(crate) input: &'a [u8],
    pub(crate) fuel_max: u64,
}

/// How a counting run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Nothing if it ended by a trap.
    pub(crate) exit: Option<u32>,
    /// The instructions, and the host calls.
    pub(crate) fuel: u64,
    /// It would have gone on.
    pub(crate) is_stopped: bool,
    /// The engine itself could not go on.
    pub(crate) is_host_failure: bool,
    pub(crate) output: blake3::Hash,
    pub(crate) pages: u64,
    pub(crate) memory: blake3::Hash,
    pub(crate) globals: Vec<i64>,
}

struct Guest {
    wasi: Wasi,
    ended: Option<Ended>,
    reach: Option<Reach>,
    /// What is left in a counting run, whose instructions do not share the counter.
    own_fuel: Option<i64>,
}

#[derive(Clone, Copy)]
struct Reach {
    memory: Memory,
    fuel: Global,
    status: Global,
}

/// Why a call did not return.
enum Stop {
    Engine(wasmtime::Error),
    Abi,
}

impl From<wasmtime::Error> for Stop {
    fn from(error: wasmtime::Error) -> Self {
        Self::Engine(error)
    }
}

#[derive(Default)]
struct Frame {
    exit_code: u32,
    payload: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Unwound;

impl std::fmt::Display for Unwound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a host function ended the run")
    }
}

impl std::error::Error for Unwound {}

impl Native {
    pub(crate) fn new() -> Result<Self> {
        let mut config = Config::new();
        config
            .consume_fuel(false)
            .epoch_interruption(false)
            .cranelift_nan_canonicalization(false)
            .relaxed_simd_deterministic(true)
            .max_wasm_stack(STACK_BYTES)
            .wasm_backtrace_max_frames(None);
        let engine = Engine::new(&config).map_err(|error| anyhow!("{error:#}"))?;
        let linker = linker(&engine).map_err(|error| anyhow!("{error:#}"))?;
        Ok(Self { engine, linker })
    }

    /// Compiles a metered or counting module.
    pub(crate) fn compile(&self, module: &[u8]) -> Result<Module> {
        on_deep_stack(|| Module::new(&self.engine, module))?
            .map_err(|error| anyhow!("wasmtime cannot compile it: {error:#}"))
    }

    /// Runs a metered module; an abstention is an error.
    pub(crate) fn run(&self, module: &Module, job: &Job<'_>) -> Result<Observation> {
        let wasi = world(job)?;
        let Some(fuel) = fuel_at_start(job.fuel_max, job.init_cost) else {
            return Ok(Observation {
                kind: Kind::OutOfFuel,
                exit_code: 0,
                fuel_used: job.fuel_max,
                output: blake3::hash(b""),
                log: blake3::hash(b""),
                transcript: wasi.transcript(),
                fingerprint: None,
            });
        };
        on_deep_stack(|| {
            let mut machine = Machine::new(self, module, wasi, Some(fuel))?;
            let result = machine.play(job);
            machine.observe(job, result)
        })?
    }

    /// Runs a counting module.
    pub(crate) fn count(&self, module: &Module, job: &Job<'_>) -> Result<Counted> {
        let wasi = world(job)?;
        on_deep_stack(|| {
            let mut machine = Machine::new(self, module, wasi, None)?;
            let result = machine.play(job);
            machine.counted(job, result)
        })?
    }
}

fn world(job: &Job<'_>) -> Result<Wasi> {
    let stdin: Arc<[u8]> = match job.kind {
        GuestKind::Command => Arc::from(job.input),
        GuestKind::Reactor => Arc::from([]),
    };
    Ok(Wasi::new(Environment {
        args: job.args.to_vec(),
        stdin,
        limits: Limits {
            output_bytes_max: OUTPUT_BYTES_MAX.into(),
            ..Limits::default()
        },
        ..Environment::default()
    })?)
}

struct Machine {
    store: Store<Guest>,
    instance: Instance,
    reach: Reach,
}

impl Machine {
    /// `fuel` for the module's own counter, or nothing for a counting module.
    fn new(native: &Native, module: &Module, wasi: Wasi, fuel: Option<i64>) -> Result<Self> {
        let guest = Guest {
            wasi,
            ended: None,
            reach: None,
            own_fuel: fuel.is_none().then_some(i64::MAX),
        };
        let mut store = Store::new(&native.engine, guest);
        let failed = |error: wasmtime::Error| anyhow!("abstained: {error:#}");
        let instance = native
            .linker
            .instantiate(&mut store, module)
            .map_err(failed)?;
        let global = |store: &mut Store<Guest>, name: &str| {
            instance
                .get_global(store, name)
                .with_context(|| format!("no export {name}"))
        };
        let reach = Reach {
            memory: instance
                .get_memory(&mut store, "memory")
                .context("no memory")?,
            fuel: global(&mut store, "__haar_fuel")?,
            status: global(&mut store, "__haar_status")?,
        };
        store.data_mut().reach = Some(reach);
        if let Some(fuel) = fuel {
            reach.fuel.set(&mut store, Val::I64(fuel)).map_err(failed)?;
        }
        Ok(Self {
            store,
            instance,
            reach,
        })
    }

    fn play(&mut self, job: &Job<'_>) -> Result<Frame, Stop> {
        if !self.call_if_there("__haar_start")? {
            return Ok(Frame::default());
        }
        match job.kind {
            GuestKind::Command => {
                let start = self
                    .instance
                    .get_typed_func::<(), ()>(&mut self.store, "_start")?;
                start.call(&mut self.store, ())?;
                Ok(Frame::default())
            }
            GuestKind::Reactor => self.play_reactor(job.input),
        }
    }

    fn play_reactor(&mut self, input: &[u8]) -> Result<Frame, Stop> {
        if !self.call_if_there("_initialize")? {
            return Ok(Frame::default());
        }
        let len = i32::try_from(input.len()).map_err(|_| Stop::Abi)?;
        let mut at = 0;
        if len != 0 {
            let alloc = self
                .instance
                .get_typed_func::<i32, i32>(&mut self.store, "haar_alloc")?;
            at = alloc.call(&mut self.store, len)?;
            if self.is_in_debt() {
                return Ok(Frame::default());
            }
            let start = usize::try_from(at)
                .ok()
                .filter(|at| *at != 0)
                .ok_or(Stop::Abi)?;
            let memory = self.reach.memory.data_mut(&mut self.store);
            let room = memory
                .get_mut(start..)
                .and_then(|rest| rest.get_mut(..input.len()));
            room.ok_or(Stop::Abi)?.copy_from_slice(input);
        }
        let run = self
            .instance
            .get_typed_func::<(i32, i32), i64>(&mut self.store, "haar_run")?;
        let packed = run.call(&mut self.store, (at, len))?;
        if self.is_in_debt() {
            return Ok(Frame::default());
        }
        let start = usize::try_from(packed >> 32)
            .ok()
            .filter(|at| *at != 0)
            .ok_or(Stop::Abi)?;
        let len = (packed & 0xffff_ffff) as usize;
        let memory = self.reach.memory.data(&self.store);
        let frame = memory
            .get(start..)
            .and_then(|rest| rest.get(..len))
            .ok_or(Stop::Abi)?;
        let (kind, payload) = frame.split_first().ok_or(Stop::Abi)?;
        if 2 < *kind || (OUTPUT_BYTES_MAX as usize) < payload.len() {
            return Err(Stop::Abi);
        }
        Ok(Frame {
            exit_code: u32::from(*kind == 1),
            payload: Some(payload.to_vec()),
        })
    }

    /// False when the fuel did not suffice.
    fn call_if_there(&mut self, name: &str) -> Result<bool, Stop> {
        if let Some(function) = self.instance.get_func(&mut self.store, name)
            && let Ok(function) = function.typed::<(), ()>(&self.store)
        {
            function.call(&mut self.store, ())?;
        }
        Ok(!self.is_in_debt())
    }

    fn is_in_debt(&mut self) -> bool {
        self.store.data().own_fuel.is_none() && self.fuel() < 0
    }

    fn fuel(&mut self) -> i64 {
        self.reach.fuel.get(&mut self.store).i64().unwrap_or(-1)
    }

    fn look(&mut self) -> Fingerprint {
        let status = self.reach.status.get(&mut self.store).i32().unwrap_or(-1);
        let fuel_left = self.fuel();
        let exported: Vec<(String, Global)> = self
            .instance
            .exports(&mut self.store)
            .filter_map(|export| {
                let name = export.name().to_owned();
                Some((name, export.into_global()?))
            })
            .collect();
        let mut globals = Vec::new();
        for (name, global) in exported {
            let value = global.get(&mut self.store);
            match value {
                _ if name.starts_with(RESERVED) => {}
                Val::I32(value) => globals.push(value.into()),
                Val::I64(value) => globals.push(value),
                _ => {}
            }
        }
        Fingerprint {
            status,
            fuel_left,
            pages: self.reach.memory.size(&self.store),
            memory: blake3::hash(self.reach.memory.data(&self.store)),
            globals,
        }
    }

    fn observe(mut self, job: &Job<'_>, result: Result<Frame, Stop>) -> Result<Observation> {
        let print = self.look();
        let guest = self.store.into_data();
        let finished = guest.wasi.finish();
        let ending = Ending::of(print.status, print.fuel_left, class(&result));
        let Some(mut fuel_used) = ending.bill(job.fuel_max, print.fuel_left) else {
            let why = match result {
                Err(Stop::Engine(error)) => format!("{error:#}"),
                _ => "the status makes no sense".to_owned(),
            };
            return Err(anyhow!("abstained: status {}, {why}", print.status));
        };

        let is_command = job.kind == GuestKind::Command;
        let stdout = if is_command {
            finished.stdout
        } else {
            Vec::new()
        };
        let (kind, exit_code, output) = match (ending, guest.ended, result) {
            (Ending::OutOfFuel, ..) => (Kind::OutOfFuel, 0, Vec::new()),
            (Ending::Returned, _, Ok(frame)) => (
                Kind::Returned,
                frame.exit_code,
                frame.payload.unwrap_or(stdout),
            ),
            (Ending::EndedByHost, Some(Ended::Exit(code)), _) => (Kind::Returned, code, stdout),
            (Ending::EndedByHost, ..) => {
                fuel_used = job.fuel_max;
                (Kind::Trapped, 0, Vec::new())
            }
            _ => (Kind::Trapped, 0, Vec::new()),
        };
        Ok(Observation {
            kind,
            exit_code,
            fuel_used,
            output: blake3::hash(&output),
            log: blake3::hash(&finished.log),
            transcript: finished.transcript,
            fingerprint: Some(print),
        })
    }

    fn counted(mut self, job: &Job<'_>, result: Result<Frame, Stop>) -> Result<Counted> {
        let print = self.look();
        let guest = self.store.into_data();
        let finished = guest.wasi.finish();
        let host = i64::MAX - guest.own_fuel.unwrap_or(i64::MAX);
        let class = class(&result);
        let (exit, payload) = match (result, guest.ended) {
            (Ok(frame), _) => (Some(frame.exit_code), frame.payload),
            (Err(_), Some(Ended::Exit(code))) => (Some(code), None),
            (Err(_), _) => (None, None),
        };
        let stdout = match job.kind {
            GuestKind::Command => finished.stdout,
            GuestKind::Reactor => Vec::new(),
        };
        Ok(Counted {
            exit,
            fuel: print.fuel_left.unsigned_abs() + host.unsigned_abs(),
            is_stopped: print.status == 1,
            is_host_failure: class == EngineEnding::HostFailure,
            output: blake3::hash(&payload.unwrap_or(stdout)),
            pages: print.pages,
            memory: print.memory,
            globals: print.globals,
        })
    }
}

fn class(result: &Result<Frame, Stop>) -> EngineEnding {
    match result {
        Ok(_) | Err(Stop::Abi) => EngineEnding::Returned,
        Err(Stop::Engine(error)) if error.is::<Unwound>() => EngineEnding::Trapped,
        Err(Stop::Engine(error)) => match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow | Trap::Interrupt | Trap::OutOfFuel) | None => {
                EngineEnding::HostFailure
            }
            Some(_) => EngineEnding::Trapped,
        },
    }
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    for &function in Function::ALL {
        let params = function.params().iter().map(|parameter| match parameter {
            Parameter::I32 => ValType::I32,
            Parameter::I64 => ValType::I64,
        });
        let results = function.returns_errno().then_some(ValType::I32);
        let ty = FuncType::new(engine, params, results);
        linker.func_new(
            function.module(),
            function.name(),
            ty,
            move |mut caller, args, results| host_call(&mut caller, function, args, results),
        )?;
    }
    Ok(linker)
}

fn host_call(
    caller: &mut Caller<'_, Guest>,
    function: Function,
    args: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let not_ready = || wasmtime::format_err!("a guest called before it was ready");
    let reach = caller.data().reach.ok_or_else(not_ready)?;
    let counter = reach.fuel.get(&mut *caller).i64().ok_or_else(not_ready)?;
    let words: Vec<u64> = args
        .iter()
        .map(|arg| match arg {
            Val::I32(value) => u64::from(value.cast_unsigned()),
            Val::I64(value) => value.cast_unsigned(),
            _ => 0,
        })
        .collect();
    let (bytes, guest) = reach.memory.data_and_store_mut(&mut *caller);
    let mut fuel = guest.own_fuel.unwrap_or(counter);
    let outcome = guest
        .wasi
        .call(function, &words, &mut Bytes(bytes), &mut fuel);
    let is_counting = guest.own_fuel.is_some();
    if is_counting {
        guest.own_fuel = Some(fuel);
    }
    if let Err(ended) = outcome {
        guest.ended = Some(ended);
    }
    if !is_counting {
        reach.fuel.set(&mut *caller, Val::I64(fuel))?;
    }
    match outcome {
        Ok(errno) => {
            if let [result] = results {
                *result = Val::I32(errno.code().into());
            }
            Ok(())
        }
        Err(ended) => {
            let status = match ended {
                Ended::OutOfFuel => STATUS_OUT_OF_FUEL,
                Ended::HostMemory => STATUS_HOST_MEMORY,
                Ended::Exit(_) | Ended::Fault => STATUS_ENDED_BY_HOST,
            };
            reach.status.set(&mut *caller, Val::I32(status))?;
            Err(Unwound.into())
        }
    }
}

/// Compilers recurse and guests go deep; the caller's thread may have little stack.
pub(crate) fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(THREAD_STACK_BYTES)
            .spawn_scoped(scope, work)?
            .join()
            .map_err(|_| anyhow!("a run panicked"))
    })
}
