//! Builds the example functions to WASI modules and lays them side by side.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::console::{self, Step};
use crate::workspace::{self, Package, Workspace};
use crate::{process, targets};

const FUNCTIONS: &str = "examples/functions";

/// A package that compiles to one module.
#[derive(Debug, PartialEq, Eq)]
struct Guest<'a> {
    package: &'a str,
    /// The file that cargo makes.
    built: String,
    /// The file as tests and the demo find it, named like the function's folder.
    module: String,
}

impl<'a> Guest<'a> {
    /// A command is a binary, a function of the SDK a library; other packages are no guests.
    fn of(package: &'a Package, root: &Path) -> Option<Self> {
        let folder = package.folder(root);
        let name = folder.strip_prefix(FUNCTIONS).ok()?.to_str()?;
        let built = package.targets.iter().find_map(|target| {
            let is = |kind: &str| target.kind.iter().any(|known| known == kind);
            // Cargo keeps the hyphens of a binary and replaces those of a library.
            match (is("bin"), is("cdylib")) {
                (true, _) => Some(target.name.clone()),
                (_, true) => Some(target.name.replace('-', "_")),
                _ => None,
            }
        })?;
        let (built, module) = (format!("{built}.wasm"), format!("{name}.wasm"));
        Some(Self {
            package: &package.name,
            built,
            module,
        })
    }
}

/// Builds every guest and returns the folder with the modules.
pub fn build() -> Result<PathBuf> {
    targets::ensure(true)?;
    let workspace = workspace::get()?;
    let guests = guests(workspace);

    let step = Step::start(format!(
        "guests: {} modules for {}",
        guests.len(),
        targets::WASI
    ));
    let mut cargo = workspace::cargo(&["build", "--profile=guest", "--target", targets::WASI])?;
    for guest in &guests {
        cargo.args(["--package", guest.package]);
    }
    process::run(&mut cargo)?;

    let folder = workspace.target.join("guests");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let built = workspace.target.join(targets::WASI).join("guest");
    for guest in &guests {
        let bytes = install(&built.join(&guest.built), &folder.join(&guest.module))?;
        console::detail(&format!("{:<24} {:>8}", guest.module, console::size(bytes)));
    }
    step.done(&format!("in {}", folder.display()));
    Ok(folder)
}

fn guests(workspace: &Workspace) -> Vec<Guest<'_>> {
    let packages = workspace.packages.iter();
    packages
        .filter_map(|package| Guest::of(package, &workspace.root))
        .collect()
}

/// Copies a module so that nobody ever reads half of it, and returns its size.
fn install(built: &Path, module: &Path) -> Result<u64> {
    let partial = module.with_extension(format!("partial-{}", std::process::id()));
    let bytes = fs::copy(built, &partial)
        .with_context(|| format!("cannot copy the module {}", built.display()))?;
    fs::rename(&partial, module)
        .with_context(|| format!("cannot put the module {} in place", module.display()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Target;

    fn package(folder: &str, target: &str, kinds: &[&str]) -> Package {
        Package {
            name: "example".to_owned(),
            manifest_path: Path::new("/haar").join(folder).join("Cargo.toml"),
            dependencies: Vec::new(),
            targets: vec![Target {
                name: target.to_owned(),
                kind: kinds.iter().map(|&kind| kind.to_owned()).collect(),
                src_path: PathBuf::new(),
            }],
        }
    }

    #[track_caller]
    fn check(folder: &str, target: &str, kinds: &[&str], expected: Option<(&str, &str)>) {
        let package = package(folder, target, kinds);
        let guest = Guest::of(&package, Path::new("/haar"));
        let files = guest
            .as_ref()
            .map(|guest| (guest.built.as_str(), guest.module.as_str()));
        assert_eq!(files, expected);
    }

    #[test]
    fn a_command_is_named_like_its_folder() {
        let folder = "examples/functions/wordcount";
        check(
            folder,
            "word-count",
            &["bin"],
            Some(("word-count.wasm", "wordcount.wasm")),
        );
    }

    #[test]
    fn a_library_loses_its_hyphens() {
        let folder = "examples/functions/markdown";
        let kinds = ["cdylib", "rlib"];
        check(
            folder,
            "example-markdown",
            &kinds,
            Some(("example_markdown.wasm", "markdown.wasm")),
        );
    }

    #[test]
    fn other_packages_are_no_guests() {
        check("host/cli", "haar", &["bin"], None);
        check("examples/functions/shared", "shared", &["lib"], None);
    }
}
