//! What is measured: the programs that `cargo xtask programs` built, and kernels in text form.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::kernels;

/// One module to measure.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The program's or the kernel's name.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The module as its author built it.
    pub module: Vec<u8>,
}

/// Where a subject comes from. Means are of programs only: a kernel is a single loop and stands for
/// nothing but itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Compiled from Rust.
    Program,
    /// Written by hand.
    Kernel,
}

/// All programs of the folder by name, then all kernels; `only` picks those whose name contains it.
pub fn all(folder: &Path, only: Option<&str>) -> Result<Vec<Subject>> {
    let mut subjects = programs(folder)?;
    subjects.extend(kernels::all()?);
    if let Some(part) = only {
        subjects.retain(|subject| subject.name.contains(part));
    }
    Ok(subjects)
}

fn programs(folder: &Path) -> Result<Vec<Subject>> {
    let advice = || {
        let folder = folder.display();
        format!("cannot read the programs in {folder}; build them with `cargo xtask programs`")
    };
    let mut programs = Vec::new();
    for entry in fs::read_dir(folder).with_context(advice)? {
        let path = entry.with_context(advice)?.path();
        let is_module = path
            .extension()
            .is_some_and(|extension| extension == "wasm");
        if let (true, Some(name)) = (is_module, path.file_stem().and_then(|stem| stem.to_str())) {
            programs.push(Subject {
                name: name.to_owned(),
                origin: Origin::Program,
                module: fs::read(&path).with_context(advice)?,
            });
        }
    }
    if programs.is_empty() {
        bail!("no programs in {}", folder.display());
    }
    programs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(programs)
}
