//! What is done once per module: load and link what was metered and compiled.

use std::sync::Arc;

use haar_meter::{EXPORT_FUEL, EXPORT_MEMORY, EXPORT_START, EXPORT_STATUS, GuestKind, Rejected};
use haar_records::{Profile, RunConfig};
use wasmtime::{InstancePre, Linker, Module, ModuleExport, StoreLimits, StoreLimitsBuilder};

use crate::artifact::{ArtifactError, CodeId, Header};
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
    /// The same, found by a compiler in a process of its own.
    #[error("{message}")]
    Refused {
        /// [`Rejected::code`].
        code: String,
        /// [`Rejected::offset`].
        offset: Option<u64>,
        /// The sentence for the author.
        message: String,
    },
    /// The compiler gave up on it: too much for its limits. The miner abstains.
    #[error("the module could not be compiled here: {reason}")]
    Compile {
        /// What the compiler says.
        reason: String,
    },
    /// This host could not, for now. It says nothing about the module: the miner abstains.
    #[error("this machine could not prepare the module: {reason}")]
    Host {
        /// What went wrong.
        reason: String,
    },
    /// The spec asks for rules that this release does not have.
    #[error("the spec asks for another profile than this release has")]
    UnknownProfile,
    /// The spec's lists or numbers are outside of their limits.
    #[error("the spec's configuration is outside of its limits")]
    BadConfig,
}

impl From<NoValue> for PrepareError {
    fn from(no_value: NoValue) -> Self {
        match no_value {
            NoValue::NoThread | NoValue::Busy => Self::Host {
                reason: "no thread could be started".to_owned(),
            },
            NoValue::Panicked => Self::Compile {
                reason: "the compiler panicked".to_owned(),
            },
        }
    }
}

impl From<ArtifactError> for PrepareError {
    fn from(error: ArtifactError) -> Self {
        Self::Host {
            reason: error.to_string(),
        }
    }
}

/// A module that is metered, compiled and linked: ready for any number of runs.
#[derive(Clone)]
pub struct Prepared(pub(crate) Arc<Linked>);

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("header", &self.0.header)
            .finish_non_exhaustive()
    }
}

/// What a run needs of a module, looked up once.
pub(crate) struct Linked {
    pub(crate) pre: InstancePre<Guest>,
    pub(crate) exports: Exports,
    pub(crate) has_imports: bool,
    header: Header,
}

/// Where the exports are that the host uses.
pub(crate) struct Exports {
    pub(crate) memory: ModuleExport,
    pub(crate) fuel: ModuleExport,
    pub(crate) status: ModuleExport,
    /// What the module's start function became.
    pub(crate) start: Option<ModuleExport>,
    pub(crate) entry: Entry,
}

/// How the guest is entered.
pub(crate) enum Entry {
    Command {
        main: ModuleExport,
    },
    Reactor {
        initialize: Option<ModuleExport>,
        alloc: ModuleExport,
        run: ModuleExport,
    },
}

impl Exports {
    fn of(module: &Module, kind: GuestKind) -> Result<Self, ArtifactError> {
        let optional = |name: &str| module.get_export_index(name);
        // The pass exports some of them and has checked that the others are there.
        let required = |name: &str| {
            optional(name).ok_or_else(|| ArtifactError::Engine {
                reason: format!("a metered module lacks its export {name}"),
            })
        };
        Ok(Self {
            memory: required(EXPORT_MEMORY)?,
            fuel: required(EXPORT_FUEL)?,
            status: required(EXPORT_STATUS)?,
            start: optional(EXPORT_START),
            entry: match kind {
                GuestKind::Command => Entry::Command {
                    main: required("_start")?,
                },
                GuestKind::Reactor => Entry::Reactor {
                    initialize: optional("_initialize"),
                    alloc: required("haar_alloc")?,
                    run: required("haar_run")?,
                },
            },
        })
    }
}

impl Prepared {
    /// Links code that is loaded.
    pub(crate) fn new(
        linker: &Linker<Guest>,
        header: Header,
        module: &Module,
    ) -> Result<Self, ArtifactError> {
        if header.id.profile != Profile::V1.hash() {
            return Err(ArtifactError::OtherProfile);
        }
        let failed = |error: wasmtime::Error| ArtifactError::Engine {
            reason: format!("{error:#}"),
        };
        // Otherwise the first run would pay for it.
        module.initialize_copy_on_write_image().map_err(failed)?;
        let pre = linker.instantiate_pre(module).map_err(failed)?;
        Ok(Self(Arc::new(Linked {
            pre,
            exports: Exports::of(module, header.kind())?,
            has_imports: module.imports().len() > 0,
            header,
        })))
    }

    /// What was prepared.
    #[must_use]
    pub fn id(&self) -> CodeId {
        self.0.header.id
    }

    /// How the guest is entered.
    #[must_use]
    pub fn kind(&self) -> GuestKind {
        self.0.header.kind()
    }

    /// The author's `haar.manifest`, byte for byte.
    #[must_use]
    pub fn manifest(&self) -> Option<&[u8]> {
        self.0.header.manifest.as_deref()
    }

    /// Fuel that a run uses before its first instruction.
    #[must_use]
    pub fn init_cost(&self) -> u64 {
        self.0.header.init_cost
    }

    pub(crate) fn metered_bytes(&self) -> u64 {
        self.0.header.metered_bytes
    }
}

impl Linked {
    /// A second belt: the metered module keeps to its pages by itself, and a growth that is refused
    /// here would be an abstention.
    pub(crate) fn store_limits(&self) -> StoreLimits {
        StoreLimitsBuilder::new()
            .instances(1)
            .memories(1)
            .tables(1)
            .memory_size(self.header.pages_max as usize * PAGE_BYTES)
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
