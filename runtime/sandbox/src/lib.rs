//! Runs one metered module under wasmtime, in an instance of its own, and says what it produced.
//!
//! The only crate that knows an engine. It decides how a guest is entered, what it may reach and how
//! an ending becomes an outcome; it never decides what a job costs, whether it is worth running, or
//! who is right. Every run gets a fresh instance, so no output depends on history.
//!
//! What always holds:
//! - Equal module, input, configuration and fuel give an equal outcome and transcript, or none at
//!   all: what this host cannot do is an [`Abstain`] and never an outcome.
//! - The guest reaches nothing but its own memory and the pure functions of `haar-wasi`.
//! - Time is bounded by fuel, memory by the job's pages, output and log by the profile.
//! - A guest that traps, exhausts its fuel or its stack harms neither the process nor the next run.
//!
//! In [`Sandbox`] the guest shares the process with us, and the engine's own faults are a way to do
//! harm; `process::Confined` gives strangers' guests processes that can do nothing else. `README.md`
//! beside this crate has the rules of entry and of confinement.

mod artifact;
mod cache;
#[cfg(unix)]
mod code_cache;
mod compiler;
mod crew;
mod desk;
mod engine;
mod environment;
mod guest;
mod machine;
mod native;
mod outcome;
mod play;
mod preinit;
mod prepare;
#[cfg(target_os = "linux")]
pub mod process;
mod sandbox;
mod seal;
mod seats;
mod stack;
mod trusted;

pub use artifact::{
    ARTIFACT_BYTES_MAX, Artifact, ArtifactError, CODE_BYTES_MAX, CodeId, HEADER_BYTES_MAX,
};
#[cfg(unix)]
pub use code_cache::{CodeCache, CodeCacheError, CodeFault};
pub use compiler::Compiler;
pub use engine::EngineId;
pub use haar_meter::{GuestKind, Rejected};
pub use outcome::Abstain;
pub use play::Runner;
pub use preinit::{
    EXPORT_INIT, INIT_FUEL_MAX, PreinitError, Preinitialised, preinit, preinit_within,
};
pub use prepare::{PrepareError, Prepared};
pub use sandbox::{Run, RunSpec, Sandbox, SandboxConfig, SandboxError};
pub use seal::CodeKey;
pub use trusted::{
    Access, Directory, TrustedError, TrustedInput, TrustedOutput, TrustedSpec, Unverified,
    UnverifiedEnding, run_trusted,
};
