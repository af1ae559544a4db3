//! Builds and tests the contracts, and writes the artifacts that Rust embeds.
//!
//! The Rust build never needs Node: the artifacts are committed, and `--check` compares them with a
//! fresh build.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::console::{self, Step};
use crate::{process, workspace};

const ARTIFACTS: [&str; 4] = [
    "tools/artifacts",
    "tools/artifacts.mjs",
    "tools/artifacts.cjs",
    "tools/artifacts.js",
];

/// Builds everything; compares the artifacts instead of writing them if `only_check`.
pub fn build(only_check: bool) -> Result<()> {
    ensure_node()?;
    let folder = workspace::get()?.root.join("contracts");
    let path = path_with(&folder.join("node_modules/.bin"))?;
    let run = |program: &str, arguments: &[&str]| {
        let name = [&[program], arguments].concat().join(" ");
        let step = Step::start(format!("contracts: {name}"));
        let mut command = Command::new(process::find_in(&path, program).unwrap_or(program.into()));
        process::run(
            command
                .args(arguments)
                .current_dir(&folder)
                .env("PATH", &path),
        )?;
        step.done("");
        anyhow::Ok(())
    };

    run(
        "npm",
        &["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
    )?;
    run("forge", &["build"])?;
    run("forge", &["test"])?;
    let artifacts = ARTIFACTS
        .into_iter()
        .find(|path| folder.join(path).is_file());
    let artifacts = artifacts.context("contracts/tools has no program `artifacts`")?;
    let mut arguments = vec![artifacts];
    arguments.extend(only_check.then_some("--check"));
    run("node", &arguments).context(
        "if the contracts changed, run `cargo xtask contracts` and commit the artifacts with them",
    )
}

/// The tools that npm installs come first, so that no other forge of this machine is taken.
fn path_with(folder: &Path) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).context("a folder in PATH has a colon in its name")
}

/// Installs Node on a Debian machine that lacks it, if we may.
fn ensure_node() -> Result<()> {
    let missing: Vec<&str> = ["node", "npm"]
        .into_iter()
        .filter(|program| process::find(program).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }

    let missing = missing.join(" and ");
    if process::find("apt-get").is_none() || !is_root() {
        bail!(
            "the contracts are built with {missing}, not found here: install Node 20 or newer with \
             npm, for instance by `sudo apt-get install nodejs npm`"
        );
    }
    console::detail(&format!(
        "{missing} not found; installing Debian's nodejs and npm"
    ));
    let apt = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        process::run_quietly(apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update"])?;
    apt(&[
        "install",
        "--yes",
        "--no-install-recommends",
        "nodejs",
        "npm",
    ])
}

fn is_root() -> bool {
    process::read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
