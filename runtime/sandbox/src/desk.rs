//! A metered instance on its author's or owner's own desk: for pre-initialisation and for trusted
//! runs, neither of which ever becomes an outcome.
//!
//! It knows how such an instance is made, called and bounded, and nothing of what its imports do.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use haar_meter::{EXPORT_FUEL, EXPORT_MEMORY, EXPORT_START, EXPORT_STATUS, Ending, EngineEnding};
use haar_wasi::{Function, Parameter};
use wasmtime::{
    Caller, Config, Engine, FuncType, Global, Linker, Memory, Module, OptLevel, Store, Trap, Val,
    ValType, WasmParams, WasmResults, format_err,
};

/// Unwinds the guest after a host function has ended the run; the data says how.
#[derive(Debug, thiserror::Error)]
#[error("a host function ended the run")]
pub(crate) struct Ended;

/// An engine for one run at a time, without a pool: nobody waits for this machine's microseconds.
pub(crate) fn engine(stack_bytes: u32) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(stack_bytes as usize)
        .concurrency_support(false)
        .wasm_backtrace_max_frames(None);
    Engine::new(&config)
}

/// Answers a call of the guest: which function, its arguments, where the result goes.
pub(crate) type Answer<T> =
    fn(&mut Caller<'_, T>, Function, &[u64], &mut [Val]) -> wasmtime::Result<()>;

/// A linker that gives every function that the pass admits to `answer`.
pub(crate) fn linker<T: 'static>(
    engine: &Engine,
    answer: Answer<T>,
) -> wasmtime::Result<Linker<T>> {
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
            move |mut caller, args, results| {
                let words: Vec<u64> = args.iter().map(word).collect();
                answer(&mut caller, function, &words, results)
            },
        )?;
    }
    Ok(linker)
}

fn word(arg: &Val) -> u64 {
    match arg {
        Val::I32(value) => u64::from(value.cast_unsigned()),
        Val::I64(value) => value.cast_unsigned(),
        // No admitted import takes anything else.
        _ => 0,
    }
}

/// The guest's memory, inside of a host function.
pub(crate) fn memory_of<T>(caller: &mut Caller<'_, T>) -> wasmtime::Result<Memory> {
    let memory = caller.get_export(EXPORT_MEMORY);
    memory
        .and_then(wasmtime::Extern::into_memory)
        .ok_or_else(|| format_err!("a metered module lacks its memory"))
}

/// One of the two globals of the pass, inside of a host function.
pub(crate) fn global_of<T>(caller: &mut Caller<'_, T>, name: &str) -> wasmtime::Result<Global> {
    let global = caller.get_export(name);
    global
        .and_then(wasmtime::Extern::into_global)
        .ok_or_else(|| format_err!("a metered module lacks {name}"))
}

/// One instance.
pub(crate) struct Instance<T: 'static> {
    pub(crate) store: Store<T>,
    pub(crate) instance: wasmtime::Instance,
    pub(crate) memory: Memory,
    fuel: Global,
    status: Global,
}

impl<T: 'static> Instance<T> {
    /// A fresh instance of metered bytes with this much fuel. Nothing of the guest runs yet.
    pub(crate) fn new(
        linker: &Linker<T>,
        metered: &[u8],
        data: T,
        fuel: i64,
    ) -> wasmtime::Result<Self> {
        let module = Module::new(linker.engine(), metered)?;
        let mut store = Store::new(linker.engine(), data);
        let instance = linker.instantiate(&mut store, &module)?;

        let missing = || format_err!("a metered module lacks its exports");
        let memory = instance.get_memory(&mut store, EXPORT_MEMORY);
        let counter = instance.get_global(&mut store, EXPORT_FUEL);
        let status = instance.get_global(&mut store, EXPORT_STATUS);
        let counter = counter.ok_or_else(missing)?;
        counter.set(&mut store, Val::I64(fuel))?;
        Ok(Self {
            instance,
            memory: memory.ok_or_else(missing)?,
            fuel: counter,
            status: status.ok_or_else(missing)?,
            store,
        })
    }

    /// Runs the original's start function.
    pub(crate) fn start(&mut self) -> wasmtime::Result<bool> {
        self.call_if_there(EXPORT_START)
    }

    /// Calls an export of type `() -> ()`, if there is one; false when its fuel did not suffice.
    pub(crate) fn call_if_there(&mut self, name: &str) -> wasmtime::Result<bool> {
        let Some(function) = self.instance.get_func(&mut self.store, name) else {
            return Ok(true);
        };
        if let Ok(function) = function.typed::<(), ()>(&self.store) {
            function.call(&mut self.store, ())?;
        }
        Ok(self.fuel_left() >= 0)
    }

    /// Calls an export that must be there.
    pub(crate) fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &str,
        params: P,
    ) -> wasmtime::Result<R> {
        let function = self
            .instance
            .get_typed_func::<P, R>(&mut self.store, name)?;
        function.call(&mut self.store, params)
    }

    /// What is left of the fuel; less than nothing if more was charged.
    pub(crate) fn fuel_left(&mut self) -> i64 {
        self.fuel.get(&mut self.store).i64().unwrap_or(-1)
    }

    /// How it ended, by the module's own status first.
    pub(crate) fn ending<R>(&mut self, result: &wasmtime::Result<R>) -> Ending {
        let status = self.status.get(&mut self.store).i32().unwrap_or(-1);
        let engine = match result {
            Ok(_) => EngineEnding::Returned,
            Err(error) => class(error),
        };
        Ending::of(status, self.fuel_left(), engine)
    }
}

/// What kind of end an engine's error is.
fn class(error: &wasmtime::Error) -> EngineEnding {
    if error.is::<Ended>() {
        return EngineEnding::Trapped;
    }
    match error.downcast_ref::<Trap>() {
        None | Some(Trap::StackOverflow | Trap::Interrupt | Trap::OutOfFuel) => {
            EngineEnding::HostFailure
        }
        Some(_) => EngineEnding::Trapped,
    }
}

/// The value of a future that never waits. What it comes from is written with `async` although
/// nothing in it ever yields; a future that does has broken its word and gives nothing.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
