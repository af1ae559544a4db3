//! One instance from its birth to its end: who is called, in which order, with what.

use wasmtime::{
    Extern, Func, Instance, ModuleExport, Store, Val, WasmParams, WasmResults, format_err,
};

use crate::guest::{Guest, Reach};
use crate::outcome::{Abstain, Rest, Returned, Stop};
use crate::prepare::{Entry, Exports, Linked};

/// The first byte of a response frame: the payload is the function's value.
const FRAME_OK: u8 = 0;
/// The payload is the message of an error that the function itself gave.
const FRAME_APPLICATION_ERROR: u8 = 1;
/// The payload is an HTTP response.
const FRAME_HTTP: u8 = 2;

/// A guest that is ready to run, or has run.
pub(crate) struct Machine<'a> {
    store: Store<Guest>,
    instance: Instance,
    exports: &'a Exports,
    reach: Reach,
}

impl<'a> Machine<'a> {
    /// A fresh instance with this much fuel. Nothing of the guest runs yet.
    pub(crate) fn new(
        linked: &'a Linked,
        mut store: Store<Guest>,
        fuel: i64,
    ) -> Result<Self, Abstain> {
        let failed = |error: wasmtime::Error| Abstain::Engine {
            reason: format!("{error:#}"),
        };
        store.limiter(|guest| &mut guest.limits);
        let instance = linked.pre.instantiate(&mut store).map_err(failed)?;

        // The pass exports all three.
        let missing = || Abstain::Engine {
            reason: "a metered module's exports are of another kind".to_owned(),
        };
        let exports = &linked.exports;
        let mut export = |index| instance.get_module_export(&mut store, index);
        let reach = Reach {
            memory: export(&exports.memory)
                .and_then(Extern::into_memory)
                .ok_or_else(missing)?,
            fuel: export(&exports.fuel)
                .and_then(Extern::into_global)
                .ok_or_else(missing)?,
            status: export(&exports.status)
                .and_then(Extern::into_global)
                .ok_or_else(missing)?,
        };
        store.data_mut().reach = Some(reach);
        reach.fuel.set(&mut store, Val::I64(fuel)).map_err(failed)?;
        Ok(Self {
            store,
            instance,
            exports,
            reach,
        })
    }

    /// Calls the guest from its start to its end. The fuel set at the beginning is all there is.
    pub(crate) fn play(&mut self, input: &[u8], output_bytes_max: u32) -> Result<Returned, Stop> {
        if !self.call_if_there(self.exports.start.as_ref())? {
            return Ok(Returned::Nothing);
        }
        match &self.exports.entry {
            Entry::Command { main } => {
                self.call::<(), ()>(main, ())?;
                Ok(Returned::Nothing)
            }
            Entry::Reactor {
                initialize,
                alloc,
                run,
            } => {
                if !self.call_if_there(initialize.as_ref())? {
                    return Ok(Returned::Nothing);
                }
                self.play_reactor(alloc, run, input, output_bytes_max)
            }
        }
    }

    /// Every return is followed by a look at the fuel, so that a guest in debt never gets further.
    fn play_reactor(
        &mut self,
        alloc: &ModuleExport,
        run: &ModuleExport,
        input: &[u8],
        output_bytes_max: u32,
    ) -> Result<Returned, Stop> {
        let len = i32::try_from(input.len()).map_err(|_| Stop::Abi)?;
        let mut at = 0;
        // An empty input needs no room.
        if !input.is_empty() {
            at = self.call::<i32, i32>(alloc, len)?;
            if self.is_in_debt() {
                return Ok(Returned::Nothing);
            }
            self.place(at, input)?;
        }
        let packed = self.call::<(i32, i32), i64>(run, (at, len))?;
        if self.is_in_debt() {
            return Ok(Returned::Nothing);
        }
        self.take_frame(packed, output_bytes_max)
    }

    /// Writes the input where the guest made room for it.
    fn place(&mut self, at: i32, input: &[u8]) -> Result<(), Stop> {
        let start = address(at.into()).ok_or(Stop::Abi)?;
        let end = start.checked_add(input.len()).ok_or(Stop::Abi)?;
        self.reach
            .memory
            .data_mut(&mut self.store)
            .get_mut(start..end)
            .ok_or(Stop::Abi)?
            .copy_from_slice(input);
        Ok(())
    }

    /// Reads the response frame that `address << 32 | length` names.
    fn take_frame(&mut self, packed: i64, output_bytes_max: u32) -> Result<Returned, Stop> {
        let start = address(packed >> 32).ok_or(Stop::Abi)?;
        let len = (packed & i64::from(u32::MAX)) as usize;
        let frame = start
            .checked_add(len)
            .and_then(|end| self.reach.memory.data(&self.store).get(start..end));
        let Some((&kind, payload)) = frame.and_then(<[u8]>::split_first) else {
            return Err(Stop::Abi);
        };
        if payload.len() > output_bytes_max as usize {
            return Err(Stop::Abi);
        }
        let exit_code = match kind {
            FRAME_OK | FRAME_HTTP => 0,
            FRAME_APPLICATION_ERROR => 1,
            _ => return Err(Stop::Abi),
        };
        Ok(Returned::Frame {
            exit_code,
            payload: payload.to_vec(),
        })
    }

    /// Calls an export of type `() -> ()`, if there is one; false when its fuel did not suffice.
    fn call_if_there(&mut self, export: Option<&ModuleExport>) -> Result<bool, Stop> {
        let Some(function) = export.and_then(|export| self.function(export)) else {
            return Ok(true);
        };
        // The pass does not look at optional entries; another type is another thing.
        if let Ok(function) = function.typed::<(), ()>(&self.store) {
            function.call(&mut self.store, ())?;
        }
        Ok(!self.is_in_debt())
    }

    fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        export: &ModuleExport,
        params: P,
    ) -> Result<R, Stop> {
        let function = self
            .function(export)
            .ok_or_else(|| format_err!("an entry is no function"))?;
        let function = function.typed::<P, R>(&self.store)?;
        Ok(function.call(&mut self.store, params)?)
    }

    fn function(&mut self, export: &ModuleExport) -> Option<Func> {
        self.instance
            .get_module_export(&mut self.store, export)
            .and_then(Extern::into_func)
    }

    /// Whether more fuel was charged than there was.
    fn is_in_debt(&mut self) -> bool {
        self.fuel_left() < 0
    }

    fn fuel_left(&mut self) -> i64 {
        // Never anything but an i64; less than nothing is the answer that cannot be abused.
        self.reach.fuel.get(&mut self.store).i64().unwrap_or(-1)
    }

    /// Ends the instance and hands over what it left: the rest, the log and the transcript.
    pub(crate) fn finish(mut self, untouched: [u8; 32]) -> (Rest, Vec<u8>, [u8; 32]) {
        let fuel_left = self.fuel_left();
        // Another type than i32 gives a status that means nothing, and so no outcome.
        let status = self.reach.status.get(&mut self.store).i32().unwrap_or(-1);
        let guest = self.store.into_data();
        let mut rest = Rest {
            status,
            fuel_left,
            ended: guest.ended,
            stdout: Vec::new(),
        };
        let Some(wasi) = guest.wasi else {
            return (rest, Vec::new(), untouched);
        };
        let finished = wasi.finish();
        // A reactor answers with a frame.
        if let Entry::Command { .. } = self.exports.entry {
            rest.stdout = finished.stdout;
        }
        (rest, finished.log, finished.transcript)
    }
}

/// A guest's address: positive, as memory is capped far below the sign bit.
fn address(value: i64) -> Option<usize> {
    usize::try_from(value).ok().filter(|address| *address != 0)
}
