//! Makes sure that the compiler can compile for the wasm targets.
//!
//! A machine whose compiler came without them asks rustup; where rustup's server cannot be reached,
//! the standard library is built from Debian's sources of exactly this compiler. The result is
//! renamed into place, so a run that is interrupted leaves nothing half installed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::console::{self, Step};
use crate::process::{self, Watched};
use crate::{debian, workspace};

/// What guests are compiled for.
pub const WASI: &str = "wasm32-wasip1";
/// What the pure crates and the browser's miner are compiled for.
pub const BROWSER: &str = "wasm32-unknown-unknown";

/// A server that cannot be reached shows itself by silence. A slow download does not count as such.
const RUSTUP_PATIENCE: Duration = Duration::from_secs(20);

/// The compiler that builds this workspace.
#[derive(Debug, PartialEq, Eq)]
pub struct Compiler {
    /// Its folder, with `bin` and `lib`.
    pub sysroot: PathBuf,
    /// Its version without the channel, such as `1.95.0`.
    pub release: String,
}

impl Compiler {
    /// Asks rustc.
    fn ask() -> Result<Self> {
        let root = &workspace::get()?.root;
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let ask = |arguments: &[&str]| {
            process::read(Command::new(&rustc).args(arguments).current_dir(root))
        };
        Self::parse(
            &ask(&["--print", "sysroot"])?,
            &ask(&["--version", "--verbose"])?,
        )
    }

    fn parse(sysroot: &str, version: &str) -> Result<Self> {
        let release = version
            .lines()
            .find_map(|line| line.strip_prefix("release: "))
            .context("`rustc --version --verbose` names no release")?;
        Ok(Self {
            sysroot: sysroot.trim().into(),
            release: release.trim().to_owned(),
        })
    }

    /// Where the standard library of `target` is, or belongs.
    pub fn library(&self, target: &str) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(target)
    }

    fn has(&self, target: &str) -> bool {
        let Ok(files) = fs::read_dir(self.library(target).join("lib")) else {
            return false;
        };
        files.flatten().any(|file| {
            let name = file.file_name();
            let name = name.to_string_lossy();
            // Ours has no hash in its name; rustup's has.
            name == "libstd.rlib" || (name.starts_with("libstd-") && name.ends_with(".rlib"))
        })
    }

    fn missing(&self) -> Vec<&'static str> {
        [WASI, BROWSER]
            .into_iter()
            .filter(|target| !self.has(target))
            .collect()
    }
}

/// Makes sure of both targets; tries rustup first if `with_rustup`.
pub fn ensure(with_rustup: bool) -> Result<()> {
    let compiler = Compiler::ask()?;
    if compiler.missing().is_empty() {
        console::detail(&format!(
            "{WASI} and {BROWSER} are there (rustc {})",
            compiler.release
        ));
        return Ok(());
    }

    // Two tasks may find the targets missing at the same moment.
    let lock = lock(&compiler)?;
    let missing = compiler.missing();
    let added = missing.is_empty() || (with_rustup && add_with_rustup(&compiler, &missing)?);
    if !added {
        debian::install(&compiler, &compiler.missing())?;
    }
    drop(lock);

    let missing = compiler.missing();
    if !missing.is_empty() {
        bail!(
            "{} is still missing although its installation succeeded",
            missing.join(" and ")
        );
    }
    Ok(())
}

/// Waits until no other task installs targets for this compiler.
fn lock(compiler: &Compiler) -> Result<File> {
    let path = compiler.sysroot.join("lib/rustlib/.haar-targets.lock");
    let file = File::create(&path).with_context(|| {
        format!(
            "cannot write to {}: the compiler belongs to someone else. Install {WASI} and \
             {BROWSER} with the system's package manager, or use a compiler from rustup",
            compiler.sysroot.display()
        )
    })?;
    if file.try_lock().is_err() {
        console::detail("another task is installing the targets; waiting for it");
        file.lock()
            .with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(file)
}

/// Returns whether rustup could install everything that is missing.
fn add_with_rustup(compiler: &Compiler, missing: &[&str]) -> Result<bool> {
    let Some(rustup) = process::find("rustup") else {
        console::detail("there is no rustup on this machine");
        return Ok(false);
    };

    let step = Step::start(format!("rustup target add {}", missing.join(" ")));
    let downloads = downloads_folder();
    let watched = process::watch(
        Command::new(rustup)
            .args(["target", "add"])
            .args(missing)
            .current_dir(&workspace::get()?.root)
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
        RUSTUP_PATIENCE,
        || folder_bytes(&downloads),
    )?;

    match watched {
        Watched::Ended(status) if status.success() && compiler.missing().is_empty() => {
            step.done("");
            return Ok(true);
        }
        Watched::Ended(_) => console::detail("rustup could not install them"),
        Watched::Stalled => console::detail("rustup's server does not answer"),
    }
    Ok(false)
}

/// Where rustup keeps what it is downloading; its growth is the download's progress.
fn downloads_folder() -> PathBuf {
    let home = std::env::var_os("RUSTUP_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".rustup")));
    home.unwrap_or_default().join("downloads")
}

fn folder_bytes(folder: &Path) -> u64 {
    let Ok(files) = fs::read_dir(folder) else {
        return 0;
    };
    files
        .flatten()
        .filter_map(|file| file.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_says_where_it_is_and_which_it_is() {
        let version = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\nrelease: 1.95.0\n";
        let compiler = Compiler::parse("/opt/rust\n", version).unwrap();
        assert_eq!(
            compiler,
            Compiler {
                sysroot: "/opt/rust".into(),
                release: "1.95.0".into()
            }
        );
        assert_eq!(
            compiler.library(WASI),
            Path::new("/opt/rust/lib/rustlib/wasm32-wasip1")
        );
    }

    #[test]
    fn a_version_without_a_release_is_refused() {
        assert!(Compiler::parse("/opt/rust", "rustc 1.95.0").is_err());
    }

    #[test]
    fn a_target_is_there_only_with_its_standard_library() {
        let folder = std::env::temp_dir().join(format!("haar-targets-{}", std::process::id()));
        let compiler = Compiler {
            sysroot: folder.clone(),
            release: "1.95.0".into(),
        };
        let library = compiler.library(WASI).join("lib");
        fs::create_dir_all(&library).unwrap();

        fs::write(library.join("libcore-1.rlib"), "").unwrap();
        assert_eq!(compiler.missing(), [WASI, BROWSER]);

        fs::write(library.join("libstd-1.rlib"), "").unwrap();
        assert_eq!(compiler.missing(), [BROWSER]);
        fs::remove_dir_all(folder).unwrap();
    }
}
