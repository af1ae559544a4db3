//! Runs a guest under wasmtime, metered or not, with the same deterministic WASI behind both.
//!
//! The sandbox runs metered modules only and checks everything; a measurement needs the plain module
//! too, under the very same host functions, so this is the shortest host that can run both.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use haar_meter::{EXPORT_FUEL, EXPORT_MEMORY, EXPORT_START};
use haar_wasi::{Bytes, Ended, Environment, Function, Parameter, Wasi};
use wasmtime::{
    Caller, Config, Engine, Extern, FuncType, InstancePre, Linker, Memory, Module, OptLevel, Store,
    Val, ValType,
};

use super::clock;

/// More than any program uses, less than what overflows.
pub const FUEL: i64 = 1 << 47;

/// An engine with the host functions.
pub struct Host {
    engine: Engine,
    linker: Linker<Guest>,
    counts: bool,
}

/// A compiled module.
pub struct Program {
    pre: InstancePre<Guest>,
    name: String,
    /// What compiling took.
    pub compiled_in: Duration,
}

/// What one run gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The time in the guest, without instantiation.
    pub took: Duration,
    /// Standard output.
    pub output: Vec<u8>,
    /// What the module counted itself, host calls left out, if it counts.
    pub fuel: Option<u64>,
}

struct Guest {
    wasi: Wasi,
    /// Set once the instance is there, before it runs.
    memory: Option<Memory>,
}

impl Host {
    /// An engine as the sandbox sets it, whose own fuel is on if `counts`.
    pub fn new(counts: bool) -> Result<Self> {
        let mut config = Config::new();
        config
            .cranelift_opt_level(OptLevel::Speed)
            .consume_fuel(counts)
            .relaxed_simd_deterministic(true)
            .max_wasm_stack(2 << 20)
            .memory_reservation(4 << 30)
            .memory_may_move(false)
            .concurrency_support(false)
            .native_unwind_info(false);
        let engine = Engine::new(&config).map_err(|error| anyhow!("{error:#}"))?;
        let linker = linker(&engine).map_err(|error| anyhow!("{error:#}"))?;
        Ok(Self {
            engine,
            linker,
            counts,
        })
    }

    /// Compiles a module.
    pub fn prepare(&self, name: &str, bytes: &[u8]) -> Result<Program> {
        let (module, compiled_in) = clock::time(|| Module::new(&self.engine, bytes));
        let pre = module.and_then(|module| self.linker.instantiate_pre(&module));
        let pre = pre.map_err(|error| anyhow!("{error:#}"));
        Ok(Program {
            pre: pre.with_context(|| format!("cannot compile {name}"))?,
            name: name.to_owned(),
            compiled_in,
        })
    }

    /// Runs a program from its start to its end, in a fresh instance.
    pub fn run(&self, program: &Program) -> Result<Run> {
        let environment = Environment {
            args: vec![program.name.clone()],
            ..Environment::default()
        };
        let guest = Guest {
            wasi: Wasi::new(environment)?,
            memory: None,
        };
        let mut store = Store::new(&self.engine, guest);
        self.run_in(program, &mut store)
            .map_err(|error| anyhow!("{error:#}"))
            .with_context(|| format!("cannot run {}", program.name))
    }

    fn run_in(&self, program: &Program, store: &mut Store<Guest>) -> Result<Run> {
        let fail = |error: wasmtime::Error| anyhow!("{error:#}");
        if self.counts {
            store.set_fuel(FUEL.unsigned_abs()).map_err(fail)?;
        }
        let instance = program.pre.instantiate(&mut *store).map_err(fail)?;
        store.data_mut().memory = instance.get_memory(&mut *store, EXPORT_MEMORY);
        let counter = instance.get_global(&mut *store, EXPORT_FUEL);
        if let Some(counter) = counter {
            counter.set(&mut *store, Val::I64(FUEL)).map_err(fail)?;
        }

        let entry = instance
            .get_typed_func::<(), ()>(&mut *store, "_start")
            .map_err(fail)?;
        let start = instance.get_func(&mut *store, EXPORT_START);
        let (ended, took) = clock::time(|| {
            if let Some(start) = start {
                start.call(&mut *store, &[], &mut [])?;
            }
            entry.call(&mut *store, ())
        });
        let finished = store.data().wasi.clone().finish();
        if let (Err(error), false) = (ended, finished.exit == Some(0)) {
            bail!("it ended badly: {error:#}");
        }
        let left = counter.and_then(|counter| counter.get(&mut *store).i64());
        Ok(Run {
            took,
            output: finished.stdout,
            fuel: left.map(|left| (FUEL - left).unsigned_abs()),
        })
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
            move |mut caller, args, results| call(&mut caller, function, args, results),
        )?;
    }
    Ok(linker)
}

/// Answers one call. Its price is not charged to the guest, so that a metered run's fuel is what the
/// instructions alone cost.
fn call(
    caller: &mut Caller<'_, Guest>,
    function: Function,
    args: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let memory = match caller.data().memory {
        Some(memory) => memory,
        // A start function of the plain module runs before the instance is there.
        None => match caller.get_export(EXPORT_MEMORY) {
            Some(Extern::Memory(memory)) => memory,
            _ => return Err(wasmtime::format_err!("the guest exports no memory")),
        },
    };
    let words: Vec<u64> = args
        .iter()
        .map(|arg| match arg {
            Val::I32(value) => u64::from(value.cast_unsigned()),
            Val::I64(value) => value.cast_unsigned(),
            _ => 0,
        })
        .collect();

    let (bytes, guest) = memory.data_and_store_mut(&mut *caller);
    let mut fuel = FUEL;
    match guest
        .wasi
        .call(function, &words, &mut Bytes(bytes), &mut fuel)
    {
        Ok(errno) => {
            if let [result] = results {
                *result = Val::I32(errno.code().into());
            }
            Ok(())
        }
        Err(Ended::Exit(code)) => Err(wasmtime::format_err!("exit with code {code}")),
        Err(ended) => Err(wasmtime::format_err!("{ended}")),
    }
}
