//! Builds the programs that the lab measures with, and starts the measurements.
//!
//! They are a workspace of their own below `runtime/lab/programs`: what they depend on is nothing
//! that the product or its lock file should know.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::console::{self, Step};
use crate::workspace;
use crate::{process, run, targets};

const FOLDER: &str = "runtime/lab/programs";

/// Builds every program and returns the folder with the modules.
pub fn build() -> Result<PathBuf> {
    targets::ensure(true)?;
    let workspace = workspace::get()?;
    let step = Step::start(format!("programs to measure with, for {}", targets::WASI));
    let built = workspace.target.join("programs-build");
    let mut cargo = workspace::cargo(&["build", "--release", "--locked", "--quiet"])?;
    cargo
        .args(["--target", targets::WASI, "--target-dir"])
        .arg(&built)
        .current_dir(workspace.root.join(FOLDER));
    process::run(&mut cargo)?;

    let folder = workspace.target.join("programs");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let sources = workspace.root.join(FOLDER).join("src/bin");
    let mut programs = 0;
    let mut bytes = 0;
    for entry in
        fs::read_dir(&sources).with_context(|| format!("cannot read {}", sources.display()))?
    {
        let source = entry.context("cannot read the programs' folder")?.path();
        let Some(name) = source.file_stem().and_then(|stem| stem.to_str()) else {
            bail!("{} is no program's name", source.display());
        };
        let module = format!("{name}.wasm");
        let from = built.join(targets::WASI).join("release").join(&module);
        bytes += fs::copy(&from, folder.join(&module))
            .with_context(|| format!("cannot copy {}", from.display()))?;
        programs += 1;
    }
    step.done(&format!(
        "{programs} modules, {} in {}",
        console::size(bytes),
        folder.display()
    ));
    Ok(folder)
}

/// A measurement that needs the programs, `bench` or `calibrate`, ready to start in the root.
pub fn measurement(name: &str, arguments: &[String]) -> Result<Command> {
    let programs = build()?;
    let mut command = run::lab(name, arguments)?;
    command
        .arg("--programs")
        .arg(programs)
        .current_dir(&workspace::get()?.root);
    Ok(command)
}
