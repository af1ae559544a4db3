//! Rewrites a WebAssembly module so that it counts its own fuel, on any engine, and always alike.
//!
//! One pure function, [`meter()`]: module bytes and a profile go in, metered bytes or one typed
//! refusal come out. No clock, no chance, no hash-ordered map: equal input gives equal bytes, so
//! every miner meters for itself and trusts nobody. The metered bytes are the semantics: what they
//! charge is what a run costs. `SPEC.md` beside this crate says exactly what is written and why.

mod admission;
mod assemble;
mod bodies;
mod body;
mod callees;
mod callgraph;
mod class;
mod constants;
mod emit;
mod emit_calls;
mod emit_nan;
mod emit_trips;
mod floats;
mod flow;
mod fuel;
mod imports;
mod inspect;
mod ir;
pub mod limits;
mod loops;
mod nan;
mod placement;
mod plan;
mod rejected;
pub mod schedule;
mod stack;
mod trips;
mod types;
mod wrappers;

pub use fuel::{
    EXPORT_FUEL, EXPORT_MEMORY, EXPORT_START, EXPORT_STATUS, Ending, EngineEnding, FUEL_MAX,
    RESERVED_PREFIX, SECTION_MANIFEST, SECTION_METER, STATUS_ABORT, STATUS_ENDED_BY_HOST,
    STATUS_HOST_MEMORY, STATUS_NONE, STATUS_OUT_OF_FUEL, STATUS_STACK, fuel_at_start, fuel_used,
};
pub use inspect::{
    Admitted, ExportReport, FunctionReport, ImportReport, MemoryReport, Refusal, Report, Totals,
    inspect,
};
pub use rejected::{Feature, Rejected};

use schedule::Schedule;
use wasmparser::{Validator, WasmFeatures};

/// The version of the bytes that the pass writes. Any change of a byte is a new version.
pub const METER_VERSION: u32 = 1;
/// The version of the cost schedule.
pub const COST_VERSION: u32 = 1;
/// The version of what is admitted.
pub const WASM_VERSION: u32 = 1;

/// What a module is metered for. With the four versions it is part of a spec's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Bytes of stack by the formula of `SPEC.md`, at most [`limits::STACK_LIMIT_MAX`].
    pub stack_limit: u32,
    /// Pages of 64 KiB that memory may reach, at most [`limits::PAGES_MAX`].
    pub pages_max: u32,
    /// Whether 128-bit vectors are admitted.
    pub simd: bool,
}

impl Profile {
    /// Fits the worker of a phone's browser.
    pub const PHONE: Self = Self {
        stack_limit: 384 << 10,
        pages_max: 1_024,
        simd: true,
    };
    /// The default.
    pub const DESKTOP: Self = Self {
        stack_limit: 2 << 20,
        pages_max: 16_384,
        simd: true,
    };
}

/// A module that counts its own fuel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metered {
    /// The metered module.
    pub bytes: Vec<u8>,
    /// Fuel that the host takes before it instantiates.
    pub init_cost: u64,
    /// Pages of memory at the start.
    pub pages_min: u32,
    /// Pages that memory can reach: the smaller of the guest's and the profile's.
    pub pages_max: u32,
    /// Which entry the host calls.
    pub kind: GuestKind,
    /// The author's `haar.manifest`, byte for byte.
    pub manifest: Option<Vec<u8>>,
}

/// How a guest is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestKind {
    /// A WASI program: `_start`, bytes on stdin and stdout.
    Command,
    /// A function: `haar_abi_v1`, `haar_alloc`, `haar_run`.
    Reactor,
}

/// Meters `module` for `profile`, or says why it is not admitted.
pub fn meter(module: &[u8], profile: &Profile) -> Result<Metered, Rejected> {
    meter_with(module, profile, &Schedule::V1)
}

/// As [`meter()`], with other prices: for calibration, which counts a class by pricing nothing
/// else. No run that is billed comes from here.
pub fn meter_with(
    module: &[u8],
    profile: &Profile,
    schedule: &Schedule,
) -> Result<Metered, Rejected> {
    let stack_limit_max = u64::from(limits::STACK_LIMIT_MAX);
    admission::cap(
        "bytes of stack limit",
        profile.stack_limit.into(),
        stack_limit_max,
        None,
    )?;
    admission::cap(
        "pages",
        profile.pages_max.into(),
        limits::PAGES_MAX.into(),
        None,
    )?;

    let admitted = admission::Module::read(module, profile)?;
    let metered = assemble::write(module, &admitted, profile, schedule)?;

    // A bug of the pass must be an error here and not a run somewhere.
    Validator::new_with_features(features(profile))
        .validate_all(&metered.bytes)
        .map_err(|error| Rejected::Internal {
            message: error.to_string(),
        })?;
    Ok(metered)
}

/// What the validator lets through: the encodings of reference types and bulk memory are needed,
/// their instructions on tables are refused by admission.
fn features(profile: &Profile) -> WasmFeatures {
    let mut features = WasmFeatures::WASM2;
    features.set(WasmFeatures::SIMD, profile.simd);
    features
}
