//! What stands behind a guest's imports: one pure state machine over the guest's own memory.

use haar_meter::{STATUS_ENDED_BY_HOST, STATUS_HOST_MEMORY, STATUS_OUT_OF_FUEL};
use haar_wasi::{Bytes, Ended, Function, Parameter, Wasi};
use wasmtime::{
    Caller, Engine, FuncType, Global, Linker, Memory, StoreLimits, Val, ValType, format_err,
};

/// The data of one instance.
pub(crate) struct Guest {
    /// None for a guest that imports nothing and so can never notice.
    pub(crate) wasi: Option<Wasi>,
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
    pub(crate) fn new(wasi: Option<Wasi>, limits: StoreLimits) -> Self {
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
        define(&mut linker, engine, function)?;
    }
    Ok(linker)
}

/// An argument as the host functions see it.
trait Word {
    fn word(self) -> u64;
}

impl Word for i32 {
    fn word(self) -> u64 {
        self.cast_unsigned().into()
    }
}

impl Word for i64 {
    fn word(self) -> u64 {
        self.cast_unsigned()
    }
}

/// Defines one function with its own type, so that the engine calls it without boxing values. The
/// common types are listed; the others work as well, only slower.
macro_rules! define_typed {
    ($linker:ident, $function:ident, $($returns:tt: $(($($arg:ident $parameter:ident $ty:ty),*))*;)*) => {
        match ($function.params(), $function.returns_errno()) {
            $($(
                ([$(Parameter::$parameter),*], $returns) => {
                    let call = move |mut caller: Caller<'_, Guest>, $($arg: $ty),*| {
                        define_typed!(@ $returns call(&mut caller, $function, &[$($arg.word()),*]))
                    };
                    $linker.func_wrap($function.module(), $function.name(), call)?;
                    return Ok(());
                }
            )*)*
            _ => {}
        }
    };
    (@ true $call:expr) => { $call };
    (@ false $call:expr) => { $call.map(|_: i32| ()) };
}

fn define(linker: &mut Linker<Guest>, engine: &Engine, function: Function) -> wasmtime::Result<()> {
    define_typed!(linker, function,
        true:
            ()
            (a I32 i32)
            (a I32 i32, b I32 i32)
            (a I32 i32, b I32 i32, c I32 i32)
            (a I32 i32, b I32 i32, c I32 i32, d I32 i32)
            (a I32 i32, b I32 i32, c I32 i32, d I32 i32, e I32 i32)
            (a I32 i32, b I64 i64)
            (a I32 i32, b I64 i64, c I32 i32)
            (a I32 i32, b I64 i64, c I32 i32, d I32 i32)
            (a I32 i32, b I32 i32, c I32 i32, d I64 i64, e I32 i32)
            (a I32 i32, b I32 i32, c I32 i32, d I32 i32, e I32 i32,
                f I64 i64, g I64 i64, h I32 i32, i I32 i32);
        false:
            (a I32 i32)
            (a I32 i32, b I32 i32);
    );

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
            let words: Vec<u64> = args
                .iter()
                .map(|arg| match arg {
                    Val::I32(value) => value.word(),
                    Val::I64(value) => value.word(),
                    // The pass admits no other type.
                    _ => 0,
                })
                .collect();
            let errno = call(&mut caller, function, &words)?;
            if let [result] = results {
                *result = Val::I32(errno);
            }
            Ok(())
        },
    )?;
    Ok(())
}

/// Makes one call for the guest, with the fuel that it has left.
fn call(
    caller: &mut Caller<'_, Guest>,
    function: Function,
    words: &[u64],
) -> wasmtime::Result<i32> {
    let reach = caller
        .data()
        .reach
        .ok_or_else(|| format_err!("a guest called before its instance was ready"))?;
    let mut fuel = reach
        .fuel
        .get(&mut *caller)
        .i64()
        .ok_or_else(|| format_err!("the fuel is not an i64"))?;

    let (bytes, guest) = reach.memory.data_and_store_mut(&mut *caller);
    let wasi = guest
        .wasi
        .as_mut()
        .ok_or_else(|| format_err!("a guest without imports called one"))?;
    let outcome = wasi.call(function, words, &mut Bytes(bytes), &mut fuel);
    if let Err(ended) = outcome {
        guest.ended.get_or_insert(ended);
    }

    reach.fuel.set(&mut *caller, Val::I64(fuel))?;
    match outcome {
        Ok(errno) => Ok(errno.code().into()),
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
