//! Starts other programs: runs them to their end, reads what they print, or stops them when they
//! hang.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How a program ended that was watched while it ran.
#[derive(Debug)]
pub enum Watched {
    /// It ended by itself.
    Ended(ExitStatus),
    /// It made no progress for too long and was killed.
    Stalled,
}

/// Runs a program to its end; anything but success is an error that names the whole command.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", say(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", say(command));
    }
    Ok(())
}

/// Runs a program and returns what it printed; its standard error stays visible.
pub fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", say(command)))?;
    if !output.status.success() {
        bail!("{} ended with {}", say(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} did not print text", say(command)))
}

/// Runs a program silently; its output is shown only if it fails.
pub fn run_quietly(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", say(command)))?;
    if output.status.success() {
        return Ok(());
    }
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    bail!(
        "{} ended with {}\n{}",
        say(command),
        output.status,
        printed.trim_end()
    )
}

/// Runs a program and kills it once `progress` has not changed for `patience`.
pub fn watch<P: PartialEq>(
    command: &mut Command,
    patience: Duration,
    progress: impl Fn() -> P,
) -> Result<Watched> {
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {}", say(command)))?;
    let mut last = (Instant::now(), progress());

    loop {
        if let Some(status) = child.try_wait().context("cannot wait for a program")? {
            return Ok(Watched::Ended(status));
        }
        let current = progress();
        if current != last.1 {
            last = (Instant::now(), current);
        }
        if patience < last.0.elapsed() {
            // It may have ended in between; either way it is gone after this.
            let _ = child.kill();
            child.wait().context("cannot wait for a program")?;
            return Ok(Watched::Stalled);
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Becomes another program, so that signals and the exit code are its own.
#[cfg(unix)]
pub fn become_program(command: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;

    let error = command.exec();
    Err(error).with_context(|| format!("cannot start {}", say(command)))
}

/// Runs another program and returns its exit code as our own.
#[cfg(not(unix))]
pub fn become_program(command: &mut Command) -> Result<ExitCode> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", say(command)))?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Finds a program on `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    find_in(&std::env::var_os("PATH")?, program)
}

/// Finds a program in the folders of `path`.
pub fn find_in(path: &OsStr, program: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// The command as a person would type it, for messages.
fn say(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(program).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    format!("`{}`", words.join(" "))
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_names_the_command_and_its_code() {
        let error = run(&mut shell("exit 3")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c exit 3` ended with exit status: 3"
        );
    }

    #[test]
    fn a_command_is_said_without_the_folder_of_its_program() {
        assert_eq!(
            say(Command::new("/opt/rust/bin/cargo").arg("test")),
            "`cargo test`"
        );
    }

    #[test]
    fn a_quiet_failure_shows_what_was_printed() {
        let error = run_quietly(&mut shell("echo out; echo err >&2; exit 1")).unwrap_err();
        assert!(error.to_string().ends_with("\nout\nerr"), "{error}");
    }

    #[test]
    fn a_program_without_progress_is_stopped() {
        let watched = watch(&mut shell("exec sleep 600"), Duration::ZERO, || ()).unwrap();
        assert!(matches!(watched, Watched::Stalled));
    }

    #[test]
    fn a_program_that_ends_is_not_stopped() {
        let watched = watch(&mut shell("exit 0"), Duration::from_secs(600), || ()).unwrap();
        assert!(matches!(watched, Watched::Ended(status) if status.success()));
    }
}
