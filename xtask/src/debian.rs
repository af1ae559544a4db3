//! Builds the wasm targets' standard library from Debian's sources of exactly this compiler.
//!
//! For machines that reach a Debian mirror but not rustup's server. Nothing of the system changes:
//! the packages are unpacked in a folder of ours, not installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt::{self, Archive};
use crate::console::Step;
use crate::targets::{BROWSER, Compiler, WASI};
use crate::{process, workspace};

/// Small lists first; a suite that a mirror does not have is skipped.
const SUITES: [&str; 6] = [
    "trixie-backports",
    "bookworm-backports",
    "sid",
    "forky",
    "trixie",
    "bookworm",
];

const SOURCES: &str = "rust-src";
const LIBC: &str = "wasi-libc";
/// Older ones lack symbols that the standard library links to.
const LIBC_VERSION_MIN: &str = "0.0~git2025";
const LIBC_OBJECTS: [&str; 3] = ["crt1-command.o", "crt1-reactor.o", "libc.a"];

/// Left beside what we install, because rustup refuses to install over files it does not know.
const NOTE: &str = "This target was built from Debian's rust-src by `cargo xtask targets`.\n\
    To have rustup's build instead, remove this folder and run `rustup target add`.\n";

/// Downloads, builds and installs the standard library for `targets`.
pub fn install(compiler: &Compiler, targets: &[&str]) -> Result<()> {
    let folder = workspace::get()?.target.join("xtask").join("debian");
    remove(&folder)?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;

    let packages = folder.join("packages");
    let step = Step::start(format!("Debian's sources of rustc {}", compiler.release));
    download(compiler, targets, &folder, &packages)?;
    let root = folder.join("root");
    for package in list(&packages)? {
        process::run(Command::new("dpkg-deb").arg("-x").arg(package).arg(&root))?;
    }
    step.done("downloaded, verified and unpacked");

    let step = Step::start(format!(
        "standard library for {} (minutes)",
        targets.join(" and ")
    ));
    let built = build(compiler, targets, &folder, &root)?;
    for target in targets {
        let staged = stage(
            compiler,
            target,
            &built.join(target).join("release/deps"),
            &root,
        )?;
        put(&staged, &compiler.library(target))?;
    }
    remove(&folder)?;
    step.done("built and installed");
    Ok(())
}

/// Takes each package from the first suite that has it.
fn download(compiler: &Compiler, targets: &[&str], folder: &Path, into: &Path) -> Result<()> {
    if process::find("apt-get").is_none() || process::find("dpkg-deb").is_none() {
        bail!(nothing_found(compiler, "this is not a Debian machine"));
    }
    let Some(keyring) = apt::keyring() else {
        bail!(nothing_found(
            compiler,
            "the package debian-archive-keyring is not installed"
        ));
    };
    fs::create_dir_all(into).with_context(|| format!("cannot create {}", into.display()))?;

    let mut wanted = vec![SOURCES];
    if targets.contains(&WASI) {
        wanted.push(LIBC);
    }
    for (index, mirror) in apt::mirrors().iter().enumerate() {
        for suite in SUITES {
            let folder = folder.join("suites").join(format!("{index}-{suite}"));
            let Some(archive) = Archive::open(mirror, suite, keyring, folder)? else {
                continue;
            };

            let mut missing = Vec::new();
            for package in wanted {
                match accept(package, &archive.versions(package)?, &compiler.release) {
                    Some(version) => archive.download(package, &version, into)?,
                    None => missing.push(package),
                }
            }
            wanted = missing;
            if wanted.is_empty() {
                return Ok(());
            }
        }
    }
    bail!(nothing_found(
        compiler,
        &format!("no Debian suite has a fitting {}", wanted.join(", "))
    ))
}

/// The last resort is a person's decision: it replaces the compiler for guests.
fn nothing_found(compiler: &Compiler, reason: &str) -> String {
    format!(
        "cannot get the standard library of rustc {} for wasm: rustup could not, and {reason}. \
         Run `rustup target add {WASI} {BROWSER}` where rustup's server can be reached. On Debian \
         12 the packages rustc-web and rust-web-src are a pair from which guests can be built \
         with RUSTC=/usr/bin/rustc",
        compiler.release
    )
}

/// Chooses among the versions of a package, newest first.
fn accept(package: &str, versions: &[String], release: &str) -> Option<String> {
    let fits = |version: &str| match package {
        // The compiler refuses a standard library of any other release.
        SOURCES => version
            .strip_prefix(release)
            .is_some_and(|rest| rest.starts_with(['+', '-'])),
        // These versions carry the date in a fixed place, so they compare as text.
        _ => LIBC_VERSION_MIN <= version,
    };
    versions.iter().find(|version| fits(version)).cloned()
}

/// Compiles the standard library and returns the folder with one folder a target.
fn build(compiler: &Compiler, targets: &[&str], folder: &Path, root: &Path) -> Result<PathBuf> {
    let library = root.join(format!("usr/src/rustc-{}/library", compiler.release));
    let built = folder.join("built");
    let own_cargo = compiler.sysroot.join("bin/cargo");

    let mut command = Command::new(if own_cargo.is_file() {
        own_cargo
    } else {
        "cargo".into()
    });
    command
        .args(["build", "--release", "--package", "sysroot"])
        .arg("--target-dir")
        .arg(&built)
        .current_dir(&library)
        .env("RUSTC", compiler.sysroot.join("bin/rustc"))
        // The standard library is written in the compiler's unstable dialect.
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "RUSTFLAGS",
            "-Zforce-unstable-if-unmarked -Cembed-bitcode=yes",
        )
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET");
    for target in targets {
        command.args(["--target", target]);
    }
    process::run(&mut command)?;
    Ok(built)
}

/// Lays out one target beside where it belongs, on the same file system.
fn stage(compiler: &Compiler, target: &str, built: &Path, root: &Path) -> Result<PathBuf> {
    let place = compiler.library(target);
    let staged = place.with_file_name(format!(".haar-{target}"));
    remove(&staged)?;

    let library = staged.join("lib");
    fs::create_dir_all(&library).with_context(|| format!("cannot create {}", library.display()))?;
    for file in list(built)? {
        if file
            .extension()
            .is_some_and(|extension| extension == "rlib")
        {
            copy(&file, &library)?;
        }
    }
    if target == WASI {
        let objects = library.join("self-contained");
        fs::create_dir_all(&objects)
            .with_context(|| format!("cannot create {}", objects.display()))?;
        for name in LIBC_OBJECTS {
            copy(&root.join("usr/lib/wasm32-wasi").join(name), &objects)?;
        }
    }
    fs::write(staged.join("HAAR.txt"), NOTE).context("cannot write the note")?;
    Ok(staged)
}

/// Renames the finished folder into place; what was there was incomplete.
fn put(staged: &Path, place: &Path) -> Result<()> {
    remove(place)?;
    fs::rename(staged, place).with_context(|| format!("cannot move {} into place", place.display()))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

fn copy(file: &Path, folder: &Path) -> Result<()> {
    let name = file.file_name().context("a path without a file name")?;
    fs::copy(file, folder.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(package: &str, versions: &[&str], release: &str, expected: Option<&str>) {
        let versions: Vec<String> = versions.iter().map(|&version| version.to_owned()).collect();
        assert_eq!(accept(package, &versions, release).as_deref(), expected);
    }

    #[test]
    fn sources_must_be_of_exactly_this_release() {
        let versions = ["1.96.1+dfsg1-2", "1.95.0+dfsg1-2~bpo13+1"];
        check(SOURCES, &versions, "1.95.0", Some("1.95.0+dfsg1-2~bpo13+1"));
        check(SOURCES, &versions, "1.96.0", None);
        check(SOURCES, &["1.95.01+dfsg1-1"], "1.95.0", None);
    }

    #[test]
    fn an_old_libc_is_refused() {
        check(LIBC, &["0.0~git20220510.9886d3d-2"], "1.95.0", None);
        let newest = "0.0~git20260423.161b319-2~bpo13+1";
        check(
            LIBC,
            &[newest, "0.0~git20250129.1-1"],
            "1.95.0",
            Some(newest),
        );
    }
}
