//! What stands behind a guest's imports: one pure state machine over the guest's own memory.

use haar_meter::{STATUS_ENDED_BY_HOST, STATUS_HOST_MEMORY, STATUS_OUT_OF_FUEL};
use haar_wasi::{Ended, Fault, Function, GuestMemory, Parameter, Wasi};
use wasmtime::{
    Caller, Engine, FuncType, Global, Linker, Memory, StoreLimits, Val, ValType, format_err,
};

/// The data of one instance.
pub(crate) struct Guest {
    pub(crate) wasi: Wasi,
    pub(crate) limits: StoreLimits,
    /// How a host function ended the run, if one did.
    pub(crate) ended: Option<Ended>,
    /// Set once the instance is there, before it runs.
    pub(crate) reach: Option<Reach>,
}

/// The parts of the instance that a host function touches.
#[derive(Clone, Copy)]
pub(crate) struct Reach {
    pub(crate) memory: Memory,
    pub(crate) fuel: Global,
    pub(crate) status: Global,
}

/// Unwinds the guest after a host function has ended the run; the state says how.
#[derive(Debug, thiserror::Error)]
#[error("a host function ended the run")]
pub(crate) struct Unwound;

impl Guest {
    pub(crate) fn new(wasi: Wasi, limits: StoreLimits) -> Self {
        Self {
            wasi,
            limits,
            ended: None,
            reach: None,
        }
    }
}

/// A linker that knows every function that the pass admits, and nothing else.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
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

/// Makes one call for the guest, with the fuel that it has left.
fn call(
    caller: &mut Caller<'_, Guest>,
    function: Function,
    args: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let reach = caller
        .data()
        .reach
        .ok_or_else(|| format_err!("a guest called before its instance was ready"))?;
    let mut fuel = reach
        .fuel
        .get(&mut *caller)
        .i64()
        .ok_or_else(|| format_err!("the fuel is not an i64"))?;
    let mut words = [0; 16];
    for (word, arg) in words.iter_mut().zip(args) {
        *word = match arg {
            Val::I32(value) => u64::from(value.cast_unsigned()),
            Val::I64(value) => value.cast_unsigned(),
            _ => return Err(format_err!("an import takes integers only")),
        };
    }
    let words = words.get(..args.len()).unwrap_or_default();

    let (bytes, guest) = reach.memory.data_and_store_mut(&mut *caller);
    let outcome = guest
        .wasi
        .call(function, words, &mut Window(bytes), &mut fuel);
    if let Err(ended) = outcome {
        guest.ended.get_or_insert(ended);
    }

    reach.fuel.set(&mut *caller, Val::I64(fuel))?;
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

/// The guest's memory during one call.
struct Window<'a>(&'a mut [u8]);

impl GuestMemory for Window<'_> {
    fn read(&self, at: u32, to: &mut [u8]) -> Result<(), Fault> {
        let end = (at as usize).checked_add(to.len()).ok_or(Fault)?;
        to.copy_from_slice(self.0.get(at as usize..end).ok_or(Fault)?);
        Ok(())
    }

    fn write(&mut self, at: u32, from: &[u8]) -> Result<(), Fault> {
        let end = (at as usize).checked_add(from.len()).ok_or(Fault)?;
        self.0
            .get_mut(at as usize..end)
            .ok_or(Fault)?
            .copy_from_slice(from);
        Ok(())
    }

    fn len(&self) -> u64 {
        self.0.len() as u64
    }
}
