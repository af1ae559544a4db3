//! Fetches the WebAssembly engines that ours is compared with, into a folder of ours.
//!
//! V8 comes with Node from npm, JavaScriptCore and SpiderMonkey from Debian's packages, which are
//! unpacked and never installed. What cannot be had is skipped, and the reason is printed. The list of
//! what is there is `engines.json`; beside it stands `haar_web.wasm`, what the engines run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::apt::{self, Archive};
use crate::console::{self, Step};
use crate::{process, targets, workspace};

/// The release line of Node whose V8 is compared.
const NODE: &str = "26";
/// The packages with JavaScriptCore's shell, the first that a suite has.
const JSC: [&str; 3] = [
    "libjavascriptcoregtk-4.0-bin",
    "libjavascriptcoregtk-4.1-bin",
    "libjavascriptcoregtk-6.0-bin",
];
/// The packages with SpiderMonkey's shell.
const SPIDERMONKEY: [&str; 4] = [
    "libmozjs-102-dev",
    "libmozjs-115-dev",
    "libmozjs-128-dev",
    "libmozjs-140-dev",
];
const CORE: &str = "haar-web";

/// One engine with one choice of its compilers, as the lab reads it.
#[derive(Debug, Serialize)]
struct Configuration {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    /// Stands between the driver and its arguments.
    separator: Option<&'static str>,
    library_path: Option<PathBuf>,
    /// Words of a reason for which it may abstain.
    may_abstain: Option<&'static str>,
    is_default: bool,
}

/// A shell that was found.
struct Shell {
    program: PathBuf,
    library_path: Option<PathBuf>,
}

/// Fetches what is absent, and returns the folder with the list.
pub fn fetch() -> Result<PathBuf> {
    let workspace = workspace::get()?;
    let folder = workspace.target.join("engines");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    core(&folder)?;

    let step = Step::start("engines: V8, JavaScriptCore, SpiderMonkey");
    let mut list = Vec::new();
    if let Some(node) = or_skip("V8", node(&folder)) {
        offer(&mut list, v8(&node), &["-e", "0"]);
    }
    if let Some(shell) = or_skip("JavaScriptCore", debian(&folder, "jsc", &JSC)) {
        offer(&mut list, jsc(&shell), &["-e", "0"]);
    }
    if let Some(shell) = or_skip("SpiderMonkey", debian(&folder, "js", &SPIDERMONKEY)) {
        offer(&mut list, spidermonkey(&shell), &["-e", "0"]);
    }
    let json = serde_json::to_vec_pretty(&list).context("cannot write the list of engines")?;
    fs::write(folder.join("engines.json"), json).context("cannot write the list of engines")?;
    let names: Vec<&str> = list
        .iter()
        .map(|configuration| configuration.name)
        .collect();
    step.done(&names.join(", "));
    Ok(folder)
}

/// The pass and the host interface, compiled for engines.
fn core(folder: &Path) -> Result<()> {
    targets::ensure(true)?;
    let step = Step::start(format!("{CORE} for {}", targets::BROWSER));
    let arguments = [
        "build",
        "--profile=guest",
        "--target",
        targets::BROWSER,
        "--package",
        CORE,
    ];
    process::run(&mut workspace::cargo(&arguments)?)?;
    let built = workspace::get()?
        .target
        .join(targets::BROWSER)
        .join("guest/haar_web.wasm");
    let bytes = fs::copy(&built, folder.join("haar_web.wasm"))
        .with_context(|| format!("cannot copy {}", built.display()))?;
    step.done(&console::size(bytes));
    Ok(())
}

fn or_skip(name: &str, found: Result<Shell>) -> Option<Shell> {
    match found {
        Ok(shell) => Some(shell),
        Err(error) => {
            console::detail(&format!("{name} is skipped: {error:#}"));
            None
        }
    }
}

/// Adds the configurations whose flags this version knows.
fn offer(list: &mut Vec<Configuration>, all: Vec<Configuration>, probe: &[&str]) {
    for configuration in all {
        let mut command = Command::new(&configuration.program);
        // A module flag wants a file behind it; the probe has none.
        let flags = configuration.arguments.iter().filter(|flag| *flag != "-m");
        command.args(flags).args(probe);
        if let Some(path) = &configuration.library_path {
            command.env("LD_LIBRARY_PATH", path);
        }
        match process::run_quietly(&mut command) {
            Ok(()) => list.push(configuration),
            Err(error) => console::detail(&format!("{} is skipped: {error:#}", configuration.name)),
        }
    }
}

fn configuration(shell: &Shell, name: &'static str, flags: &[&str]) -> Configuration {
    Configuration {
        name,
        program: shell.program.clone(),
        arguments: flags.iter().map(|&flag| flag.to_owned()).collect(),
        separator: None,
        library_path: shell.library_path.clone(),
        may_abstain: None,
        is_default: !name.contains('-'),
    }
}

fn v8(node: &Shell) -> Vec<Configuration> {
    vec![
        configuration(node, "v8", &[]),
        configuration(node, "v8-liftoff", &["--liftoff-only"]),
        configuration(node, "v8-turbofan", &["--no-liftoff"]),
    ]
}

fn jsc(shell: &Shell) -> Vec<Configuration> {
    let mut all = vec![
        configuration(shell, "jsc", &[]),
        configuration(shell, "jsc-ipint", &["--useOMGJIT=0", "--useBBQJIT=0"]),
        configuration(shell, "jsc-bbq", &["--useOMGJIT=0"]),
    ];
    for configuration in &mut all {
        configuration.separator = Some("--");
    }
    // Its interpreter has no vector instructions and hands them to a compiler.
    all[1].may_abstain = Some("JIT is disabled");
    all
}

fn spidermonkey(shell: &Shell) -> Vec<Configuration> {
    let mut all = vec![
        configuration(shell, "sm", &["-m"]),
        configuration(shell, "sm-baseline", &["--wasm-compiler=baseline", "-m"]),
        configuration(
            shell,
            "sm-optimizing",
            &["--wasm-compiler=optimizing", "-m"],
        ),
    ];
    for configuration in &mut all {
        // Behind a module it runs a script, and only behind that come arguments.
        configuration.separator = Some("/dev/null");
        // Release 102 takes -0 for the larger of 0 and -0, in vectors only.
        configuration.may_abstain = Some("faulty max of vectors");
    }
    all
}

/// Node from npm; where that cannot be had, the system's.
fn node(folder: &Path) -> Result<Shell> {
    let shell = |program: PathBuf| Shell {
        program,
        library_path: None,
    };
    let program = folder.join("node/package/bin/node");
    if program.is_file() {
        return Ok(shell(program));
    }
    let fetched = fetch_node(&folder.join("node"));
    match (fetched, process::find("node")) {
        (Ok(()), _) => Ok(shell(program)),
        (Err(error), Some(system)) => {
            console::detail(&format!("V8 is the one of the system's node: {error:#}"));
            Ok(shell(system))
        }
        (Err(error), None) => Err(error),
    }
}

fn fetch_node(folder: &Path) -> Result<()> {
    let npm = process::find("npm").context("there is no npm")?;
    let system = match std::env::consts::OS {
        "linux" => "linux",
        "macos" => "darwin",
        other => bail!("npm has no node for {other}"),
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => bail!("npm has no node for {other}"),
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let package = format!("node-{system}-{processor}@{NODE}");
    let mut pack = Command::new(npm);
    pack.args([
        "pack",
        &package,
        "--silent",
        "--fetch-retries=1",
        "--fetch-timeout=60000",
    ])
    .current_dir(folder);
    let printed = process::read(&mut pack)?;
    let archive = printed.lines().last().context("npm named no archive")?;
    process::run_quietly(
        Command::new("tar")
            .arg("-xzf")
            .arg(archive)
            .current_dir(folder),
    )?;
    fs::remove_file(folder.join(archive)).context("cannot remove the archive")
}

/// A shell whose name begins so, from the first of the packages that Debian has.
fn debian(folder: &Path, name: &str, packages: &[&str]) -> Result<Shell> {
    let home = folder.join(name);
    let root = home.join("root");
    if let Some(shell) = unpacked(&root, name) {
        return Ok(shell);
    }
    if process::find("apt-get").is_none() || process::find("dpkg-deb").is_none() {
        bail!("this is not a Debian machine");
    }
    let keyring = apt::keyring().context("the package debian-archive-keyring is not installed")?;
    let suite = suite().context("/etc/os-release names no suite")?;
    for (index, mirror) in apt::mirrors().iter().enumerate() {
        let lists = folder.join(format!("lists-{index}"));
        let Some(archive) = Archive::open(mirror, &suite, keyring, lists)? else {
            continue;
        };
        for package in packages {
            if archive.versions(package)?.is_empty() {
                continue;
            }
            let into = home.join("packages");
            archive.download_missing(package, &into)?;
            for file in fs::read_dir(&into)
                .context("cannot read the packages")?
                .flatten()
            {
                if file
                    .path()
                    .extension()
                    .is_some_and(|extension| extension == "deb")
                {
                    let mut unpack = Command::new("dpkg-deb");
                    process::run(unpack.arg("-x").arg(file.path()).arg(&root))?;
                }
            }
            return unpacked(&root, name).with_context(|| format!("{package} holds no shell"));
        }
    }
    bail!("no mirror has {}", packages.join(" or "))
}

/// The suite that this machine was installed from.
fn suite() -> Option<String> {
    let release = fs::read_to_string("/etc/os-release").ok()?;
    let mut lines = release.lines();
    lines.find_map(|line| {
        Some(
            line.strip_prefix("VERSION_CODENAME=")?
                .trim_matches('"')
                .to_owned(),
        )
    })
}

/// The shell and the libraries in an unpacked tree.
fn unpacked(root: &Path, name: &str) -> Option<Shell> {
    let is_shell = |path: &Path| {
        let file = path
            .file_name()
            .and_then(|file| file.to_str())
            .unwrap_or_default();
        let version = file.strip_prefix(name);
        version.is_some_and(|version| version.chars().all(|letter| letter.is_ascii_digit()))
    };
    let shells = files(&root.join("usr/bin")).into_iter();
    let more = ["webkit2gtk-4.0", "webkit2gtk-4.1", "webkitgtk-6.0"];
    let libraries = folders(&root.join("usr/lib"));
    let inner = libraries
        .iter()
        .flat_map(|lib| more.map(|folder| lib.join(folder)));
    let inner = inner.flat_map(|folder| files(&folder));
    let program = shells.chain(inner).find(|path| is_shell(path))?;
    let holds = |folder: &&PathBuf| {
        files(folder)
            .iter()
            .any(|file| file.to_string_lossy().contains(".so"))
    };
    let library_path = libraries.iter().find(holds).cloned();
    Some(Shell {
        program,
        library_path,
    })
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = entries(folder).into_iter();
    paths.filter(|path| path.is_file()).collect()
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let paths = entries(folder).into_iter();
    paths.filter(|path| path.is_dir()).collect()
}
