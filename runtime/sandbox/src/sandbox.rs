//! The door of this crate: prepare a module, run a spec.

use std::fs::File;
use std::num::NonZero;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use haar_meter::fuel_at_start;
use haar_records::{Fuel, Outcome, Profile, RunConfig, money};
use haar_wasi::Wasi;
use wasmtime::{Engine, Linker, Store};

use crate::artifact::{Artifact, ArtifactError, CodeId};
use crate::cache::Cache;
#[cfg(unix)]
use crate::code_cache::CodeCache;
use crate::compiler::Compiler;
use crate::engine::{engine, thread_stack_bytes};
use crate::environment::environment;
use crate::guest::{Guest, linker};
use crate::machine::Machine;
use crate::native;
use crate::outcome::{Abstain, outcome, unstarted};
use crate::prepare::{PrepareError, Prepared, meter_profile, pages_limit};
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
    engine: Engine,
    compiler: Compiler,
    linker: Linker<Guest>,
    cache: Cache<Arc<Prepared>>,
    #[cfg(unix)]
    code: Option<CodeCache>,
    seats: Seats,
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
            engine,
            linker,
            cache: Cache::new(config.prepared_max),
            #[cfg(unix)]
            code: None,
            seats: Seats::new(concurrency),
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
                return Ok(self.load_file(file, &code.entry_key(id))?);
            }
            Ok(self.load(&compile()?)?)
        })
    }

    /// Takes in what a compiler made, in this process or another.
    pub fn load(&self, artifact: &Artifact) -> Result<Arc<Prepared>, ArtifactError> {
        let module = native::load(&self.engine, artifact)?;
        Prepared::new(&self.linker, artifact.header.clone(), &module).map(Arc::new)
    }

    /// Maps a file of an artifact that `key` sealed.
    ///
    /// It must stay as it is for as long as anything prepared from it is used.
    pub fn load_file(&self, file: File, key: &CodeKey) -> Result<Arc<Prepared>, ArtifactError> {
        let (header, module) = native::load_file(&self.engine, file, key)?;
        Prepared::new(&self.linker, header, &module).map(Arc::new)
    }

    /// Runs a prepared module once, from its start to its end.
    ///
    /// Blocks until a seat is free and the run is over; fuel bounds how long that can take.
    pub fn run(&self, prepared: &Prepared, spec: &RunSpec<'_>) -> Result<Run, Abstain> {
        let (wasi, fuel) = match Self::begin(prepared, spec)? {
            Begun::Over(run) => return Ok(run),
            Begun::Ready(wasi, fuel) => (wasi, fuel),
        };
        let _seat = self.seats.take();
        with_stack("haar-run", Self::STACK_BYTES, || {
            self.play(prepared, spec, *wasi, fuel)
        })?
    }

    /// The same on the caller's thread, for a process that may start none.
    #[cfg(target_os = "linux")]
    pub(crate) fn run_here(&self, prepared: &Prepared, spec: &RunSpec<'_>) -> Result<Run, Abstain> {
        match Self::begin(prepared, spec)? {
            Begun::Over(run) => Ok(run),
            Begun::Ready(wasi, fuel) => {
                let _seat = self.seats.take();
                self.play(prepared, spec, *wasi, fuel)
            }
        }
    }

    /// Stack that [`Sandbox::run_here`] wants.
    pub(crate) const STACK_BYTES: usize = thread_stack_bytes(&Profile::V1);

    /// Checks a spec, and pays for the guest's start.
    fn begin(prepared: &Prepared, spec: &RunSpec<'_>) -> Result<Begun, Abstain> {
        if prepared.id().pages_max != pages_limit(spec.config) || spec.config.profile != Profile::V1
        {
            return Err(Abstain::OtherConfig);
        }
        if spec.fuel_max > money::FUEL_MAX {
            return Err(Abstain::BadSpec {
                reason: "no run may use that much fuel".to_owned(),
            });
        }
        let wasi = Wasi::new(environment(spec.config, prepared.kind(), spec.input)?)?;
        Ok(match fuel_at_start(spec.fuel_max.0, prepared.init_cost()) {
            Some(fuel) => Begun::Ready(Box::new(wasi), fuel),
            None => Begun::Over(Run {
                outcome: unstarted(spec.fuel_max),
                output: Vec::new(),
                log: Vec::new(),
                transcript: wasi.transcript(),
            }),
        })
    }

    fn play(
        &self,
        prepared: &Prepared,
        spec: &RunSpec<'_>,
        wasi: Wasi,
        fuel: i64,
    ) -> Result<Run, Abstain> {
        let store = Store::new(&self.engine, Guest::new(wasi, prepared.store_limits()));
        let mut machine = Machine::new(prepared, store, fuel)?;
        let output_bytes_max = spec.config.profile.output_bytes_max;
        let result = machine.play(prepared.kind(), spec.input, output_bytes_max);
        let (rest, log, transcript) = machine.finish(prepared.kind());
        let (outcome, output) = outcome(spec.fuel_max, result, rest)?;
        Ok(Run {
            outcome,
            output,
            log,
            transcript,
        })
    }
}

/// A run before its first instruction.
enum Begun {
    /// Its fuel does not pay for its start.
    Over(Run),
    /// The world that the guest will see, and its fuel.
    Ready(Box<Wasi>, i64),
}

/// As many places as the engine's pool has for instances.
struct Seats {
    free: Mutex<u32>,
    freed: Condvar,
}

/// One place, until it is dropped.
struct Seat<'a>(&'a Seats);

impl Seats {
    fn new(count: u32) -> Self {
        Self {
            free: Mutex::new(count),
            freed: Condvar::new(),
        }
    }

    /// Waits for a place.
    fn take(&self) -> Seat<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .freed
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Seat(self)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let seats = self.0;
        *seats.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        seats.freed.notify_one();
    }
}
