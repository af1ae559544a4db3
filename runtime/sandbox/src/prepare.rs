//! What is done once per module: meter, compile, link.

use haar_meter::{GuestKind, Metered, Rejected, meter};
use haar_records::{Profile, RunConfig};
use wasmtime::{Engine, InstancePre, Linker, Module, StoreLimits, StoreLimitsBuilder};

use crate::engine::PAGE_BYTES;
use crate::guest::Guest;
use crate::stack::NoValue;

/// A module that cannot be run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// No miner can run it: the pass refuses it, for this many pages at least.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// This host could not compile it. It says nothing about the module: the miner abstains.
    #[error("the module could not be compiled here: {reason}")]
    Compile {
        /// What the engine says.
        reason: String,
    },
    /// The spec asks for rules that this release does not have.
    #[error("the spec asks for another profile than this release has")]
    UnknownProfile,
    /// The spec's lists or numbers are outside of their limits.
    #[error("the spec's configuration is outside of its limits")]
    BadConfig,
}

impl PrepareError {
    /// Whether the host failed, in contrast to what it was asked for.
    pub(crate) fn is_hosts(&self) -> bool {
        matches!(self, Self::Compile { .. })
    }
}

impl From<NoValue> for PrepareError {
    fn from(no_value: NoValue) -> Self {
        let reason = match no_value {
            NoValue::NoThread => "no thread could be started",
            NoValue::Panicked => "the compiler panicked",
        };
        Self::Compile {
            reason: reason.to_owned(),
        }
    }
}

/// A module that is metered, compiled and linked: ready for any number of runs.
pub struct Prepared {
    pub(crate) pre: InstancePre<Guest>,
    pub(crate) init_cost: u64,
    /// What was asked for, and not what the module can reach.
    pub(crate) pages_limit: u32,
    kind: GuestKind,
    pages_max: u32,
    manifest: Option<Vec<u8>>,
    metered_bytes: usize,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("kind", &self.kind)
            .field("init_cost", &self.init_cost)
            .field("pages_limit", &self.pages_limit)
            .field("metered_bytes", &self.metered_bytes)
            .finish_non_exhaustive()
    }
}

impl Prepared {
    /// Meters, compiles and links. Needs a deep stack.
    pub(crate) fn new(
        engine: &Engine,
        linker: &Linker<Guest>,
        module: &[u8],
        profile: &haar_meter::Profile,
    ) -> Result<Self, PrepareError> {
        let Metered {
            bytes,
            init_cost,
            pages_max,
            kind,
            manifest,
            ..
        } = meter(module, profile)?;

        let failed = |error: wasmtime::Error| PrepareError::Compile {
            reason: format!("{error:#}"),
        };
        let module = Module::new(engine, &bytes).map_err(failed)?;
        let pre = linker.instantiate_pre(&module).map_err(failed)?;
        Ok(Self {
            pre,
            init_cost,
            pages_limit: profile.pages_max,
            kind,
            pages_max,
            manifest,
            metered_bytes: bytes.len(),
        })
    }

    /// How the guest is entered.
    #[must_use]
    pub fn kind(&self) -> GuestKind {
        self.kind
    }

    /// The author's `haar.manifest`, byte for byte.
    #[must_use]
    pub fn manifest(&self) -> Option<&[u8]> {
        self.manifest.as_deref()
    }

    /// Fuel that a run uses before its first instruction.
    #[must_use]
    pub fn init_cost(&self) -> u64 {
        self.init_cost
    }

    pub(crate) fn metered_bytes(&self) -> usize {
        self.metered_bytes
    }

    /// A second belt: the metered module keeps to its pages by itself, and a growth that is refused
    /// here would be an abstention.
    pub(crate) fn store_limits(&self) -> StoreLimits {
        StoreLimitsBuilder::new()
            .instances(1)
            .memories(1)
            .tables(1)
            .memory_size(self.pages_max as usize * PAGE_BYTES)
            .trap_on_grow_failure(false)
            .build()
    }
}

/// What the pass meters for: the job's pages are part of the metered bytes, so that a growth beyond
/// them fails alike on every engine.
pub(crate) fn meter_profile(config: &RunConfig) -> Result<haar_meter::Profile, PrepareError> {
    let profile = config.profile;
    if profile != Profile::V1 {
        return Err(PrepareError::UnknownProfile);
    }
    if !config.is_within_limits() {
        return Err(PrepareError::BadConfig);
    }
    Ok(haar_meter::Profile {
        stack_limit: profile.stack_limit,
        pages_max: pages_limit(config),
        simd: profile.simd,
    })
}

/// The pages that a job may use.
pub(crate) fn pages_limit(config: &RunConfig) -> u32 {
    config.memory_pages_max.min(config.profile.pages_max)
}

// The profile names the versions; a release that mixes them up must not compile.
const _: () = assert!(
    Profile::V1.meter == haar_meter::METER_VERSION
        && Profile::V1.cost == haar_meter::COST_VERSION
        && Profile::V1.wasm == haar_meter::WASM_VERSION
        && Profile::V1.wasi == haar_wasi::WASI_VERSION
);
