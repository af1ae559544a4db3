//! Builds and starts the product: the demo, the simulator, the tests and the wasm check.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::console::Step;
use crate::{engines, guests, process, targets, workspace};

/// The crates that browsers and phones run too.
pub const PURE: [&str; 4] = ["haar-records", "haar-meter", "haar-wasi", "haar-protocol"];

const BINARY: &str = "haar";
const SIMULATOR: &str = "sim";
const LAB: &str = "haar-lab";

/// Runs the command with arguments of its own and returns what it returned.
pub fn dispatch(command: &str, arguments: &[String]) -> Result<ExitCode> {
    match command {
        "demo" => demo(arguments),
        "sim" => process::become_program(&mut simulator(arguments)?),
        "test" => process::become_program(&mut test_run(arguments)?),
        "fuzz" => process::become_program(&mut lab(command, arguments)?),
        "agree" => process::become_program(&mut agreement(arguments)?),
        _ => bail!("`{command}` is not a program of the product"),
    }
}

fn demo(arguments: &[String]) -> Result<ExitCode> {
    let modules = guests::build()?;
    let haar = executable(&["--bin", BINARY], BINARY)?;
    let mut demo = Command::new(haar);
    demo.arg("demo")
        .arg("--guests")
        .arg(modules)
        .args(arguments);
    process::become_program(&mut demo)
}

/// The simulator, built and ready to start.
pub fn simulator(arguments: &[String]) -> Result<Command> {
    let mut command = Command::new(executable(&["--example", SIMULATOR], SIMULATOR)?);
    command.args(arguments);
    Ok(command)
}

/// One of the lab's measurements, built and ready to start, with the guests if they are there.
pub fn lab(measurement: &str, arguments: &[String]) -> Result<Command> {
    let mut command = Command::new(executable(&["--bin", LAB], LAB)?);
    command
        .arg(measurement)
        .args(arguments)
        .env("HAAR_GUESTS", workspace::get()?.target.join("guests"));
    Ok(command)
}

/// The comparison of engines, with the guests and the engines that can be had, ready to start.
pub fn agreement(arguments: &[String]) -> Result<Command> {
    guests::build()?;
    engines::fetch()?;
    let mut command = lab("agree", &[])?;
    command
        .arg("--target")
        .arg(&workspace::get()?.target)
        .args(arguments);
    Ok(command)
}

/// All tests, with the guests and the binary that they start, ready to run.
pub fn test_run(arguments: &[String]) -> Result<Command> {
    let modules = guests::build()?;
    let haar = executable(&["--bin", BINARY], BINARY)?;

    let mut command = workspace::cargo(&["test"])?;
    if !names_packages(arguments) {
        command.arg("--workspace");
    }
    command
        .args(arguments)
        .env("HAAR_GUESTS", modules)
        .env("HAAR_BIN", haar);
    Ok(command)
}

/// Whether the arguments for cargo, before `--`, choose packages themselves.
fn names_packages(arguments: &[String]) -> bool {
    let mut for_cargo = arguments.iter().take_while(|argument| *argument != "--");
    for_cargo.any(|argument| {
        let long = argument == "--package" || argument.starts_with("--package=");
        long || (argument.starts_with("-p") && !argument.starts_with("--"))
    })
}

/// Checks that the pure crates build where there is no operating system.
pub fn pure() -> Result<()> {
    targets::ensure(true)?;
    let step = Step::start(format!("pure crates for {}", targets::BROWSER));
    let mut cargo = workspace::cargo(&["check", "--target", targets::BROWSER])?;
    for package in PURE {
        cargo.args(["--package", package]);
    }
    process::run(&mut cargo)?;
    step.done("");
    Ok(())
}

/// Builds one program of the workspace and returns its path.
fn executable(which: &[&str], name: &str) -> Result<PathBuf> {
    let step = Step::start(format!("build {name}"));
    // Cargo joins the features of all packages it is asked for, and those of their tests only if a
    // test or an example is among them. Asking as `cargo test --workspace` does, for the simulator
    // too, keeps every dependency from being built a second time for the tests.
    let mut cargo = workspace::cargo(&["build", "--workspace", "--example", SIMULATOR])?;
    if which != ["--example", SIMULATOR] {
        cargo.args(which);
    }
    cargo
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null());
    let messages = process::read(&mut cargo)?;

    let executable = find_executable(&messages, name)
        .with_context(|| format!("cargo built no program named {name}"))?;
    step.done("");
    Ok(executable)
}

fn find_executable(messages: &str, name: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }

    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let mut executables = messages.filter_map(|message| message.executable);
    executables.find(|path| path.file_stem() == Path::new(name).file_stem())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","executable":null}
{"reason":"compiler-artifact","executable":"/target/debug/examples/sim"}
not a message
{"reason":"compiler-artifact","executable":"/target/debug/haar"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(
            find_executable(messages, "haar"),
            Some("/target/debug/haar".into())
        );
        assert_eq!(
            find_executable(messages, "sim"),
            Some("/target/debug/examples/sim".into())
        );
        assert_eq!(find_executable(messages, "hub"), None);
    }

    #[test]
    fn packages_are_chosen_only_before_the_dashes() {
        let check = |arguments: &[&str]| {
            names_packages(
                &arguments
                    .iter()
                    .map(|&word| word.to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert!(check(&["-p", "haar-hub"]));
        assert!(check(&["-phaar-hub"]));
        assert!(check(&["--package=haar-hub", "name"]));
        assert!(!check(&["--test", "all"]));
        assert!(!check(&["--", "-p"]));
    }
}
