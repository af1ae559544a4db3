//! The engine's settings: what could change an answer is off, what bounds a guest is on.

use std::hash::{Hash as _, Hasher};

use haar_records::Profile;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    Strategy, WasmFeatures,
};

use crate::sandbox::SandboxError;

/// The version of how this crate lays out and enters compiled code. Code of another one is refused.
const CODE_VERSION: u32 = 1;

/// Bytes of stack for the host functions that a guest calls, and for what stands below the guest.
const HOST_STACK_BYTES: usize = 4 << 20;
/// Virtual bytes for one memory: with these and the guard behind them no address needs a check.
const MEMORY_RESERVATION_BYTES: u64 = 4 << 30;
/// A page of 64 KiB.
pub(crate) const PAGE_BYTES: usize = 64 << 10;
/// Bytes of an instance's own data: as many functions and globals as the pass admits.
const INSTANCE_BYTES_MAX: usize = 16 << 20;

/// Bytes at the start of a memory that are set back by copying instead of being given back to the
/// system. A page that is given back costs the next run a fault, some 2 µs or more; copying 64 KiB
/// costs as much as one. A guest whose stack is small (`-zstack-size=32768`) has all that it touches
/// there and becomes twice as fast; one with Rust's usual megabyte of stack has nothing there and
/// loses a tenth. More would cost everybody more than it gives to a few: `benches/call --matrix`.
const MEMORY_RESIDENT_BYTES: usize = 64 << 10;
/// The same for tables, of which a run sets no more back than the guest has.
const TABLE_RESIDENT_BYTES: usize = 512 << 10;

/// What the profile leaves out. The pass refuses these already; a second belt, by name, because the
/// engine's defaults grow from one version to the next.
const FEATURES_OFF: [WasmFeatures; 16] = [
    WasmFeatures::THREADS,
    WasmFeatures::SHARED_EVERYTHING_THREADS,
    WasmFeatures::RELAXED_SIMD,
    WasmFeatures::MEMORY64,
    WasmFeatures::MULTI_MEMORY,
    WasmFeatures::TAIL_CALL,
    WasmFeatures::GC,
    WasmFeatures::FUNCTION_REFERENCES,
    WasmFeatures::EXCEPTIONS,
    WasmFeatures::LEGACY_EXCEPTIONS,
    WasmFeatures::STACK_SWITCHING,
    WasmFeatures::WIDE_ARITHMETIC,
    WasmFeatures::CUSTOM_PAGE_SIZES,
    WasmFeatures::COMPONENT_MODEL,
    WasmFeatures::EXTENDED_CONST,
    WasmFeatures::MEMORY_CONTROL,
];

/// What compiled code depends on beside its module: equal ids run each other's code.
///
/// It covers the engine's version and settings, the processor with its features, and the versions
/// and prices of the pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EngineId([u8; 32]);

impl EngineId {
    pub(crate) fn of(engine: &Engine) -> Self {
        let mut hasher = Blake3(blake3::Hasher::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        for version in [
            CODE_VERSION,
            haar_meter::METER_VERSION,
            haar_meter::COST_VERSION,
            haar_meter::WASM_VERSION,
        ] {
            hasher.0.update(&version.to_le_bytes());
        }
        hasher.0.update(&haar_meter::schedule::Schedule::V1.hash());
        Self(*hasher.0.finalize().as_bytes())
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Display for EngineId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The engine speaks of its settings in hashes of the standard library.
struct Blake3(blake3::Hasher);

impl Hasher for Blake3 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let hash = self.0.finalize();
        u64::from_le_bytes(*hash.as_bytes().first_chunk().unwrap_or(&[0; 8]))
    }
}

/// An engine that only compiles: it reserves nothing.
pub(crate) fn compiling_engine(profile: &Profile) -> Result<Engine, SandboxError> {
    let mut config = config(profile);
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config).map_err(|error| SandboxError::Engine {
        reason: format!("{error:#}"),
    })
}

/// An engine for up to `concurrency` runs at once.
pub(crate) fn engine(profile: &Profile, concurrency: u32) -> Result<Engine, SandboxError> {
    let mut config = config(profile);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(
        profile,
        concurrency,
    )));
    if let Ok(engine) = Engine::new(&config) {
        return Ok(engine);
    }

    // Small boards and strict limits of the address space have no room for the pool.
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config).map_err(|error| SandboxError::Engine {
        reason: format!("{error:#}"),
    })
}

fn config(profile: &Profile) -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        // The module counts its own fuel and makes its own NaNs canonical.
        .consume_fuel(false)
        .epoch_interruption(false)
        .cranelift_nan_canonicalization(false)
        .relaxed_simd_deterministic(true)
        .max_wasm_stack(wasm_stack_bytes(profile))
        .memory_reservation(MEMORY_RESERVATION_BYTES)
        .memory_may_move(false)
        .signals_based_traps(true)
        .concurrency_support(false)
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(None);
    for feature in FEATURES_OFF {
        config.wasm_features(feature, false);
    }
    config.wasm_features(WasmFeatures::SIMD, profile.simd);
    config
}

fn pool(profile: &Profile, concurrency: u32) -> PoolingAllocationConfig {
    // Two more than are ever used at once: a slot comes back a moment after its run.
    let slots = concurrency.saturating_add(2);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(slots)
        .total_memories(slots)
        .total_tables(slots)
        .max_core_instance_size(INSTANCE_BYTES_MAX)
        .max_memory_size(profile.pages_max as usize * PAGE_BYTES)
        .table_elements(haar_meter::limits::TABLE_ENTRIES_MAX as usize)
        .linear_memory_keep_resident(MEMORY_RESIDENT_BYTES)
        .table_keep_resident(TABLE_RESIDENT_BYTES)
        // It has let an instance read what the one before it left behind; so have memory protection
        // keys, which are not even compiled in.
        .pagemap_scan(Enabled::No);
    pool
}

/// The engine's own limit, in native bytes. The deterministic one is met first: its formula counts
/// more than twice what the engine's frames have, a leaf's frame included. The engine takes no more
/// than 2 MiB unless it is built with fibers, which nothing here needs.
const fn wasm_stack_bytes(profile: &Profile) -> usize {
    profile.stack_limit as usize
}

/// What a run's thread needs: the guest's frames and, above them, ours.
pub(crate) const fn thread_stack_bytes(profile: &Profile) -> usize {
    wasm_stack_bytes(profile) + HOST_STACK_BYTES
}
