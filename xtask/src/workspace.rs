//! What cargo knows about this workspace, read once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process;

/// The part of `cargo metadata` that the tasks use.
#[derive(Debug, Deserialize)]
pub struct Workspace {
    /// The folder that holds the workspace's `Cargo.toml`.
    #[serde(rename = "workspace_root")]
    pub root: PathBuf,
    /// Where cargo puts what it builds; follows `CARGO_TARGET_DIR`.
    #[serde(rename = "target_directory")]
    pub target: PathBuf,
    /// Our own packages; none of the dependencies.
    pub packages: Vec<Package>,
}

/// One of our packages.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// The name in its `Cargo.toml`.
    pub name: String,
    /// The path of its `Cargo.toml`.
    pub manifest_path: PathBuf,
    /// What it names as dependencies, of every kind.
    pub dependencies: Vec<Dependency>,
    /// What cargo builds from it.
    pub targets: Vec<Target>,
}

/// A dependency as a package names it.
#[derive(Debug, Deserialize)]
pub struct Dependency {
    /// The name of the package depended on, whatever it is renamed to.
    pub name: String,
    /// `None`, `dev` or `build`.
    pub kind: Option<String>,
}

/// One library, binary, example or test of a package.
#[derive(Debug, Deserialize)]
pub struct Target {
    /// The name of the file that comes out, with hyphens as written.
    pub name: String,
    /// The kinds, such as `bin`, `cdylib` or `example`.
    pub kind: Vec<String>,
    /// The file the compiler starts from.
    pub src_path: PathBuf,
}

impl Package {
    /// The folder of the package below the workspace's root, such as `host/hub`.
    pub fn folder<'a>(&'a self, root: &Path) -> &'a Path {
        let folder = self.manifest_path.parent().unwrap_or(&self.manifest_path);
        folder.strip_prefix(root).unwrap_or(folder)
    }
}

/// The workspace that this program belongs to.
pub fn get() -> Result<&'static Workspace> {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    if let Some(workspace) = WORKSPACE.get() {
        return Ok(workspace);
    }

    // Cargo names the checkout it runs us from. A path from compile time could be another one's,
    // when two checkouts share a target folder.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| ".".into());
    let mut metadata = Command::new(cargo_program());
    metadata
        .args(["metadata", "--format-version=1", "--no-deps"])
        .current_dir(here);
    let json = process::read(&mut metadata)?;
    let workspace = serde_json::from_str(&json).context("cannot read `cargo metadata`")?;
    Ok(WORKSPACE.get_or_init(|| workspace))
}

/// Cargo in the workspace's root; the same cargo that started us.
pub fn cargo(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(cargo_program());
    command.args(arguments).current_dir(&get()?.root);
    Ok(command)
}

fn cargo_program() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
