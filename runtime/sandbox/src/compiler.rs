//! Meters and compiles: the part of the work that needs no instance and can be done elsewhere.

use haar_meter::meter;
use haar_records::{Profile, RunConfig};
use wasmtime::Engine;

use crate::artifact::{Artifact, CODE_BYTES_MAX, CodeId, Header};
use crate::engine::{EngineId, compiling_engine, thread_stack_bytes};
use crate::prepare::{PrepareError, meter_profile};
use crate::sandbox::SandboxError;
use crate::stack::with_stack;

/// Makes artifacts. It reserves no memory for guests, opens nothing and never runs what it makes.
#[derive(Clone)]
pub struct Compiler {
    engine: Engine,
    id: EngineId,
}

impl std::fmt::Debug for Compiler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiler").field("id", &self.id).finish()
    }
}

impl Compiler {
    /// Stack that [`Compiler::compile_here`] wants.
    pub const STACK_BYTES: usize = thread_stack_bytes(&Profile::V1);

    /// A compiler for this machine.
    pub fn new() -> Result<Self, SandboxError> {
        Ok(Self::over(compiling_engine(&Profile::V1)?))
    }

    pub(crate) fn over(engine: Engine) -> Self {
        let id = EngineId::of(&engine);
        Self { engine, id }
    }

    /// What code of this compiler runs on.
    #[must_use]
    pub fn engine_id(&self) -> EngineId {
        self.id
    }

    /// Meters and compiles `module` for a configuration, on a thread of its own.
    ///
    /// Time and memory are bounded by the ceilings of the pass only, so a stranger's module is
    /// compiled in a process that can be killed.
    pub fn compile(&self, module: &[u8], config: &RunConfig) -> Result<Artifact, PrepareError> {
        // Compilers recurse, and a caller's thread may have little stack.
        with_stack("haar-compile", Self::STACK_BYTES, || {
            self.compile_here(module, config)
        })?
    }

    /// The same on the caller's thread, for a process that may start none.
    pub fn compile_here(
        &self,
        module: &[u8],
        config: &RunConfig,
    ) -> Result<Artifact, PrepareError> {
        let profile = meter_profile(config)?;
        let id = CodeId::of(module, config);
        let metered = meter(module, &profile)?;
        let code = self
            .engine
            .precompile_module(&metered.bytes)
            .map_err(|error| PrepareError::Compile {
                reason: format!("{error:#}"),
            })?;
        if code.len() > CODE_BYTES_MAX {
            return Err(PrepareError::Compile {
                reason: format!("{} bytes of native code are too many", code.len()),
            });
        }
        Ok(Artifact {
            header: Header::new(id, &metered),
            code,
        })
    }
}
