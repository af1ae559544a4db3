//! One run of a module under wasmtime, metered or plain.

use haar_meter::{
    EXPORT_FUEL, EXPORT_START, EXPORT_STATUS, Ending, EngineEnding, Metered, Profile,
    STATUS_ENDED_BY_HOST, fuel_at_start, meter_with,
};
use wasmtime::{Caller, Engine, Extern, Global, Instance, Linker, Module, Store, Trap, Val};

/// More than any test program uses.
pub const PLENTY: u64 = 1 << 40;
/// What our host functions charge.
pub const HOST_CALL: i64 = 200;

pub const PROFILE: Profile = Profile {
    stack_limit: 384 << 10,
    pages_max: 64,
    simd: true,
};

/// What a run left behind.
#[derive(Debug)]
pub struct Run {
    pub ending: Ending,
    pub results: Vec<Val>,
    /// Fuel used beyond the initial cost; meaningless unless it was charged.
    pub used: u64,
    pub left: i64,
    pub status: i32,
    pub memory: Vec<u8>,
}

pub fn metered(wat: &str) -> Metered {
    let bytes = wat::parse_str(wat).unwrap();
    meter_with(&bytes, &PROFILE, &crate::prices::ROUND).unwrap()
}

/// Meters `wat`, calls its start function and then `entry`.
pub fn run(wat: &str, entry: &str, args: &[Val], fuel_max: u64) -> Run {
    run_metered(&metered(wat), entry, args, fuel_max)
}

pub fn run_metered(metered: &Metered, entry: &str, args: &[Val], fuel_max: u64) -> Run {
    let (mut store, instance) = instantiate(&metered.bytes);
    let fuel = global(&mut store, &instance, EXPORT_FUEL);
    let status = global(&mut store, &instance, EXPORT_STATUS);
    let start = fuel_at_start(fuel_max, metered.init_cost).unwrap();
    fuel.set(&mut store, Val::I64(start)).unwrap();

    let mut outcome = Ok(Vec::new());
    if instance.get_func(&mut store, EXPORT_START).is_some() {
        outcome = call(&mut store, &instance, EXPORT_START, &[]);
    }
    if outcome.is_ok() {
        outcome = call(&mut store, &instance, entry, args);
    }

    let left = fuel.get(&mut store).unwrap_i64();
    let status = status.get(&mut store).unwrap_i32();
    let engine = match &outcome {
        Ok(_) => EngineEnding::Returned,
        Err(error) => match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow | Trap::Interrupt) => EngineEnding::HostFailure,
            _ => EngineEnding::Trapped,
        },
    };
    let memory = instance
        .get_memory(&mut store, "memory")
        .unwrap()
        .data(&store)
        .to_vec();
    let used = start.abs_diff(left);
    let ending = Ending::of(status, left, engine);
    Run {
        ending,
        results: outcome.unwrap_or_default(),
        used,
        left,
        status,
        memory,
    }
}

/// Runs the original, without metering; nothing if it trapped.
pub fn run_plain(wat: &str, entry: &str, args: &[Val]) -> Option<(Vec<Val>, Vec<u8>)> {
    let (mut store, instance) = instantiate(&wat::parse_str(wat).unwrap());
    let results = call(&mut store, &instance, entry, args).ok()?;
    let memory = instance
        .get_memory(&mut store, "memory")
        .unwrap()
        .data(&store)
        .to_vec();
    Some((results, memory))
}

/// Runs a module that counts for itself and returns its exported counter.
pub fn count_plain(module: &[u8], entry: &str, args: &[Val], counter: &str) -> i64 {
    let (mut store, instance) = instantiate(module);
    call(&mut store, &instance, entry, args).unwrap();
    global(&mut store, &instance, counter)
        .get(&mut store)
        .unwrap_i64()
}

fn call(
    store: &mut Store<()>,
    instance: &Instance,
    entry: &str,
    args: &[Val],
) -> wasmtime::Result<Vec<Val>> {
    let function = instance.get_func(&mut *store, entry).unwrap();
    let mut results = vec![Val::I32(0); function.ty(&mut *store).results().len()];
    function.call(store, args, &mut results)?;
    Ok(results)
}

fn global(store: &mut Store<()>, instance: &Instance, name: &str) -> Global {
    instance.get_global(store, name).unwrap()
}

fn instantiate(bytes: &[u8]) -> (Store<()>, Instance) {
    // The default stack of 512 KiB is what the smallest profile must fit into.
    let engine = Engine::default();
    let module = Module::new(&engine, bytes).unwrap();
    let mut linker = Linker::new(&engine);
    let wasi = "wasi_snapshot_preview1";
    linker
        .func_wrap(wasi, "sched_yield", |mut caller: Caller<'_, ()>| {
            charge(&mut caller);
            0i32
        })
        .unwrap();
    linker
        .func_wrap(
            wasi,
            "proc_exit",
            |mut caller: Caller<'_, ()>, _code: i32| {
                charge(&mut caller);
                if let Some(Extern::Global(status)) = caller.get_export(EXPORT_STATUS) {
                    status
                        .set(&mut caller, Val::I32(STATUS_ENDED_BY_HOST))
                        .unwrap();
                }
                Err::<(), _>(wasmtime::Error::msg("exit"))
            },
        )
        .unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    (store, instance)
}

fn charge(caller: &mut Caller<'_, ()>) {
    if let Some(Extern::Global(fuel)) = caller.get_export(EXPORT_FUEL) {
        let left = fuel.get(&mut *caller).unwrap_i64();
        fuel.set(&mut *caller, Val::I64(left - HOST_CALL)).unwrap();
    }
}
