//! The pass and the host interface compiled to wasm, driven from here as `host.js` drives them.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use haar_meter::{Metered, Profile, Rejected};
use haar_wasi::Environment;
use wasmtime::{Caller, Engine, Instance, Linker, Memory, Module, Store, WasmParams, WasmResults};

use super::case::kind_name;

/// `haar_web.wasm` under wasmtime.
pub(crate) struct Core {
    store: Store<Vec<u8>>,
    instance: Instance,
    memory: Memory,
}

/// One buffer of the core.
type Handle = u32;

impl Core {
    /// Compiles the core with the laboratory's engine.
    pub(crate) fn load(engine: &Engine, path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| {
            format!("cannot read {}; run `cargo xtask engines`", path.display())
        })?;
        let failed = |error: wasmtime::Error| anyhow!("{error:#}");
        let module = Module::new(engine, bytes).map_err(failed)?;
        let mut linker: Linker<Vec<u8>> = Linker::new(engine);
        let read =
            |mut caller: Caller<'_, Vec<u8>>, at: u32, to: u32, len: u32| -> wasmtime::Result<()> {
                let memory = own(&mut caller)?;
                let (bytes, guest) = memory.data_and_store_mut(&mut caller);
                copy(guest, at, bytes, to, len)
            };
        let write = |mut caller: Caller<'_, Vec<u8>>,
                     at: u32,
                     from: u32,
                     len: u32|
         -> wasmtime::Result<()> {
            let memory = own(&mut caller)?;
            let (bytes, guest) = memory.data_and_store_mut(&mut caller);
            copy(bytes, from, guest, at, len)
        };
        linker.func_wrap("guest", "read", read).map_err(failed)?;
        linker.func_wrap("guest", "write", write).map_err(failed)?;
        let mut store = Store::new(engine, Vec::new());
        let instance = linker.instantiate(&mut store, &module).map_err(failed)?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .context("the core has no memory")?;
        Ok(Self {
            store,
            instance,
            memory,
        })
    }

    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, params: P) -> Result<R> {
        let function = self.instance.get_typed_func::<P, R>(&mut self.store, name);
        let result = function.and_then(|function| function.call(&mut self.store, params));
        result.map_err(|error| anyhow!("the core failed in {name}: {error:#}"))
    }

    fn give(&mut self, bytes: &[u8]) -> Result<Handle> {
        let buffer = self.call("buffer_new", u32::try_from(bytes.len())?)?;
        let at: u32 = self.call("buffer_at", buffer)?;
        self.memory.write(&mut self.store, at as usize, bytes)?;
        Ok(buffer)
    }

    fn take(&mut self, buffer: Handle) -> Result<Vec<u8>> {
        let (at, len): (u32, u32) = (
            self.call("buffer_at", buffer)?,
            self.call("buffer_length", buffer)?,
        );
        let mut bytes = vec![0; len as usize];
        self.memory.read(&self.store, at as usize, &mut bytes)?;
        self.call::<_, ()>("free", buffer)?;
        Ok(bytes)
    }

    /// What the compiled pass says of a module, in the driver's words, and whether the host calls an
    /// `_initialize`.
    pub(crate) fn meter(&mut self, module: &[u8], profile: &Profile) -> Result<(String, bool)> {
        let given = self.give(module)?;
        let params = (
            given,
            profile.stack_limit,
            profile.pages_max,
            u32::from(profile.simd),
        );
        let answer = self.call("meter", params)?;
        self.call::<_, ()>("free", given)?;
        let answer = self.take(answer)?;
        let mut rest = Rest(&answer);
        if rest.take::<1>()? == [1] {
            let offset = u64::from_le_bytes(rest.take()?);
            let (code, message) = (rest.text()?, rest.text()?);
            let offset = if offset == u64::MAX {
                "nowhere".to_owned()
            } else {
                offset.to_string()
            };
            return Ok((format!("refused {code} {offset} {message}"), false));
        }
        let init_cost = u64::from_le_bytes(rest.take()?);
        let pages_min = u32::from_le_bytes(rest.take()?);
        let pages_max = u32::from_le_bytes(rest.take()?);
        let kind = if rest.take::<1>()? == [0] {
            "command"
        } else {
            "reactor"
        };
        let has_initialize = rest.take::<1>()? == [1];
        rest.bytes()?;
        let hash = blake3::hash(rest.bytes()?);
        Ok((
            format!("metered {init_cost} {pages_min} {pages_max} {kind} {hash}"),
            has_initialize,
        ))
    }

    /// A run in an environment.
    pub(crate) fn open(&mut self, environment: &Environment) -> Result<u32> {
        let given = self.give(&encode(environment))?;
        let run: i32 = self.call("wasi_new", given)?;
        self.call::<_, ()>("free", given)?;
        if run <= 0 {
            let why = self.take(run.unsigned_abs())?;
            bail!(
                "the core refuses the environment: {}",
                String::from_utf8_lossy(&why)
            );
        }
        Ok(run.unsigned_abs())
    }

    /// One host call over the guest's memory, with the fuel that is left: how it ended, and the rest.
    pub(crate) fn wasi_call(
        &mut self,
        run: u32,
        function: u32,
        args: &[u64],
        fuel: i64,
    ) -> Result<(i32, i64)> {
        let words: u32 = self.call("wasi_words", run)?;
        let mut bytes = fuel.to_le_bytes().to_vec();
        args.iter().for_each(|arg| bytes.extend(arg.to_le_bytes()));
        self.memory.write(&mut self.store, words as usize, &bytes)?;
        let pages = (self.store.data().len() >> 16) as u32;
        let end = self.call("wasi_call", (run, function, pages))?;
        let mut left = [0; 8];
        self.memory.read(&self.store, words as usize, &mut left)?;
        Ok((end, i64::from_le_bytes(left)))
    }

    /// The guest's memory.
    pub(crate) fn guest(&mut self) -> &mut Vec<u8> {
        self.store.data_mut()
    }

    /// Ends a run: exit, transcript, output, log.
    pub(crate) fn end(&mut self, run: u32) -> Result<haar_wasi::Finished> {
        let buffer = self.call("wasi_end", run)?;
        let bytes = self.take(buffer)?;
        let mut rest = Rest(&bytes);
        let has_exit = rest.take::<1>()? == [1];
        let code = u32::from_le_bytes(rest.take()?);
        Ok(haar_wasi::Finished {
            exit: has_exit.then_some(code),
            transcript: rest.take()?,
            stdout: rest.bytes()?.to_vec(),
            log: rest.bytes()?.to_vec(),
        })
    }
}

/// What the native pass says of a module, in the same words.
pub(crate) fn native_line(result: &Result<Metered, Rejected>) -> String {
    match result {
        Ok(metered) => format!(
            "metered {} {} {} {} {}",
            metered.init_cost,
            metered.pages_min,
            metered.pages_max,
            kind_name(metered.kind),
            blake3::hash(&metered.bytes),
        ),
        Err(rejected) => {
            let offset = rejected
                .offset()
                .map_or("nowhere".to_owned(), |offset| offset.to_string());
            format!("refused {} {offset} {rejected}", rejected.code())
        }
    }
}

fn own(caller: &mut Caller<'_, Vec<u8>>) -> wasmtime::Result<Memory> {
    let export = caller
        .get_export("memory")
        .and_then(wasmtime::Extern::into_memory);
    export.ok_or_else(|| wasmtime::format_err!("the core has no memory"))
}

fn copy(from: &[u8], at: u32, to: &mut [u8], place: u32, len: u32) -> wasmtime::Result<()> {
    let (at, place, len) = (at as usize, place as usize, len as usize);
    let from = from.get(at..at + len);
    let to = to.get_mut(place..place + len);
    match (from, to) {
        (Some(from), Some(to)) => {
            to.copy_from_slice(from);
            Ok(())
        }
        _ => Err(wasmtime::format_err!(
            "the core reached outside of a memory"
        )),
    }
}

/// The environment as the core reads it.
fn encode(environment: &Environment) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = |bytes: &mut Vec<u8>, count: usize| bytes.extend((count as u32).to_le_bytes());
    let blob = |bytes: &mut Vec<u8>, blob: &[u8]| {
        bytes.extend((blob.len() as u32).to_le_bytes());
        bytes.extend(blob);
    };
    count(&mut bytes, environment.args.len());
    for arg in &environment.args {
        blob(&mut bytes, arg.as_bytes());
    }
    count(&mut bytes, environment.env.len());
    for (name, value) in &environment.env {
        blob(&mut bytes, name.as_bytes());
        blob(&mut bytes, value.as_bytes());
    }
    count(&mut bytes, environment.files.len());
    for (path, content) in &environment.files {
        blob(&mut bytes, path.as_bytes());
        blob(&mut bytes, content);
    }
    blob(&mut bytes, &environment.stdin);
    bytes.extend(environment.seed);
    bytes.extend(environment.time_ns.to_le_bytes());
    let limits = environment.limits;
    for cap in [
        limits.input_bytes_max,
        limits.output_bytes_max,
        limits.log_bytes_max,
        limits.tree_bytes_max,
    ] {
        bytes.extend(cap.to_le_bytes());
    }
    bytes
}

/// What is still to be read of an answer.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, tail) = self
            .0
            .split_first_chunk::<N>()
            .context("the core's answer is short")?;
        self.0 = tail;
        Ok(*head)
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = u32::from_le_bytes(self.take()?) as usize;
        let (head, tail) = self
            .0
            .split_at_checked(len)
            .context("the core's answer is short")?;
        self.0 = tail;
        Ok(head)
    }

    fn text(&mut self) -> Result<String> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }
}
