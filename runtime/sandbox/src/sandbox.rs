//! The door of this crate: prepare a module, run a spec.

use std::fs::File;
use std::num::NonZero;
use std::sync::Arc;

use haar_meter::GuestKind;
use haar_records::{Fuel, Outcome, Profile, RunConfig};
use wasmtime::{Engine, Linker};

use crate::artifact::{Artifact, ArtifactError, CodeId};
use crate::cache::Cache;
#[cfg(unix)]
use crate::code_cache::CodeCache;
use crate::compiler::Compiler;
use crate::crew::Crew;
use crate::engine::engine;
use crate::guest::{Guest, linker};
use crate::native;
use crate::outcome::Abstain;
use crate::play::{Runner, Shared};
use crate::prepare::{PrepareError, Prepared, meter_profile};
use crate::seal::CodeKey;
use crate::stack::with_stack;

/// The most runs at once that a sandbox can be made for: each reserves 4 GiB of address space.
const CONCURRENCY_MAX: u32 = 1_024;

/// How large a sandbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SandboxConfig {
    /// Runs at once; more of them wait for each other.
    pub concurrency: u32,
    /// Modules that stay prepared.
    pub prepared_max: usize,
}

impl Default for SandboxConfig {
    /// As many runs as the machine has cores.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            concurrency: u32::try_from(cores).unwrap_or(CONCURRENCY_MAX),
            prepared_max: 64,
        }
    }
}

/// A sandbox that cannot be made on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The engine does not start.
    #[error("the WebAssembly engine cannot start here: {reason}")]
    Engine {
        /// What it says.
        reason: String,
    },
}

/// What to run a prepared module on.
#[derive(Debug, Clone, Copy)]
pub struct RunSpec<'a> {
    /// The input's bytes.
    pub input: &'a [u8],
    /// The configuration that the module was prepared for.
    pub config: &'a RunConfig,
    /// The most fuel that the run may use.
    pub fuel_max: Fuel,
}

/// What one run gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What is compared, signed and paid.
    pub outcome: Outcome,
    /// The bytes that the outcome's hash names; empty unless returned.
    pub output: Vec<u8>,
    /// Standard error and `haar.log`, for the author's eyes; cut at the profile's cap.
    pub log: Vec<u8>,
    /// The chained hash of every host call. Two honest runs of one spec have the same.
    pub transcript: [u8; 32],
}

/// Runs guests, each in a fresh instance.
pub struct Sandbox {
    shared: Arc<Shared>,
    crew: Crew,
    compiler: Compiler,
    linker: Linker<Guest>,
    cache: Cache<Arc<Prepared>>,
    #[cfg(unix)]
    code: Option<CodeCache>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Starts the engine.
    pub fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        let concurrency = config.concurrency.clamp(1, CONCURRENCY_MAX);
        let engine = engine(&Profile::V1, concurrency)?;
        let linker = linker(&engine).map_err(|error| SandboxError::Engine {
            reason: format!("{error:#}"),
        })?;
        Ok(Self {
            compiler: Compiler::over(engine.clone()),
            crew: Crew::new(concurrency, Compiler::STACK_BYTES),
            shared: Arc::new(Shared::new(engine, concurrency)?),
            linker,
            cache: Cache::new(config.prepared_max),
            #[cfg(unix)]
            code: None,
        })
    }

    /// Keeps compiled code in a cache on disk, and takes it from there.
    #[cfg(unix)]
    #[must_use]
    pub fn with_code_cache(self, code: CodeCache) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    /// Makes what this sandbox loads.
    #[must_use]
    pub fn compiler(&self) -> &Compiler {
        &self.compiler
    }

    /// Meters and compiles a module for a configuration, or finds it prepared.
    ///
    /// Blocks for as long as compiling takes.
    pub fn prepare(
        &self,
        module: &[u8],
        config: &RunConfig,
    ) -> Result<Arc<Prepared>, PrepareError> {
        meter_profile(config)?;
        let id = CodeId::of(module, config);
        self.cache.get(id, || {
            let compile = || self.compiler.compile(module, config);
            #[cfg(unix)]
            if let Some(code) = &self.code {
                let file = code.find_or_compile(id, compile)?;
                // What cannot be mapped is compiled for this process alone.
                if let Ok(prepared) = self.load_file(file, &code.entry_key(id)) {
                    return Ok(prepared);
                }
            }
            Ok(self.load(&compile()?)?)
        })
    }

    /// Takes in what a compiler made, in this process or another.
    pub fn load(&self, artifact: &Artifact) -> Result<Arc<Prepared>, ArtifactError> {
        let module = native::load(&self.shared.engine, artifact)?;
        Prepared::new(&self.linker, artifact.header.clone(), &module).map(Arc::new)
    }

    /// Maps a file of an artifact that `key` sealed.
    ///
    /// It must stay as it is for as long as anything prepared from it is used.
    pub fn load_file(&self, file: File, key: &CodeKey) -> Result<Arc<Prepared>, ArtifactError> {
        let (header, module) = native::load_file(&self.shared.engine, file, key)?;
        Prepared::new(&self.linker, header, &module).map(Arc::new)
    }

    /// Runs a prepared module once, from its start to its end.
    ///
    /// Blocks until a thread is free and the run is over; fuel bounds how long that can take. More
    /// than a few that wait are sent away: [`Abstain::Busy`].
    pub fn run(&self, prepared: &Prepared, spec: &RunSpec<'_>) -> Result<Run, Abstain> {
        let order = self.shared.order(prepared, spec)?;
        let shared = Arc::clone(&self.shared);
        let linked = Arc::clone(&prepared.0);
        // The thread outlives this call, so it gets an input of its own.
        let input: Box<[u8]> = match prepared.kind() {
            GuestKind::Command => Box::default(),
            GuestKind::Reactor => spec.input.into(),
        };
        self.crew.run(move || {
            let _seat = shared.seats.take();
            shared.play(&linked, order, &input)
        })?
    }

    /// Gives `work` a thread that is made for runs, for as long as it wants: for those who run many
    /// and would rather not change threads for each.
    ///
    /// It holds one seat all the time. A run that panics is an abstention and leaves the thread to
    /// its owner, who does well to end it.
    pub fn with_runner<T: Send>(
        &self,
        work: impl FnOnce(&Runner<'_>) -> T + Send,
    ) -> Result<T, Abstain> {
        let seat = self.shared.seats.take();
        let value = with_stack("haar-runner", Compiler::STACK_BYTES, || {
            Engine::tls_eager_initialize();
            work(&Runner::new(&self.shared))
        })?;
        drop(seat);
        Ok(value)
    }
}
