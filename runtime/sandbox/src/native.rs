//! The one place where bytes become native code.

#![allow(unsafe_code)]

use std::fs::File;

use wasmtime::{Engine, Module};

use crate::artifact::{Artifact, ArtifactError, Header, check_file};
use crate::seal::CodeKey;

/// Loads code that this process compiled or that a key of its own sealed.
pub(crate) fn load(engine: &Engine, artifact: &Artifact) -> Result<Module, ArtifactError> {
    // SAFETY: the bytes are what `precompile_module` gave: an `Artifact` is made by the compiler of
    // this crate, or from bytes whose keyed MAC was checked, and is never changed after that. Code
    // of another version or configuration of the engine is refused by the engine itself.
    let module = unsafe { Module::deserialize(engine, &artifact.code) };
    module.map_err(failed)
}

/// Maps a file of an artifact, if `key` sealed it. Its pages are read when they are needed.
pub(crate) fn load_file(
    engine: &Engine,
    file: File,
    key: &CodeKey,
) -> Result<(Header, Module), ArtifactError> {
    let header = check_file(&file, key)?;

    // SAFETY: as above, for the bytes that this very file had a moment ago; whoever has the key
    // wrote them. The file is never written again: its owner replaces entries by renaming, and only
    // the owner may write to it or to its folder. What could change it could as well change this
    // process.
    let module = unsafe { Module::deserialize_open_file(engine, file) };
    Ok((header, module.map_err(failed)?))
}

fn failed(error: wasmtime::Error) -> ArtifactError {
    ArtifactError::Engine {
        reason: format!("{error:#}"),
    }
}
