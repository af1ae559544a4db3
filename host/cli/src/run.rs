//! `haar run`.

mod http;

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use console::style;
use haar_meter::{Profile, inspect};
use haar_records::{BlobHash, Fuel, RunConfig, Status, TrapKind};
use haar_sandbox::{
    Access, Directory, GuestKind, Run, RunSpec, Sandbox, SandboxConfig, TrustedInput,
    TrustedOutput, TrustedSpec, UnverifiedEnding, preinit, run_trusted,
};
use serde_json::{Value, json};

use self::http::{Header, RequestLine, head, is_http, response};
use crate::inspect::{exports_init, grouped, read_module};
use crate::{Done, out};

/// Run a module here, exactly as a miner would: output to stdout, facts to stderr.
///
/// Exit code 0: it returned with exit code 0 (and with --check, twice alike); 1: it did not.
#[derive(Args)]
pub struct RunVerb {
    /// The module.
    pub module: PathBuf,
    /// The input's file; - is stdin.
    #[arg(long, default_value = "-")]
    pub input: PathBuf,
    /// The most fuel.
    #[arg(long, default_value_t = 20_000_000_000)]
    pub fuel: u64,
    /// A variable for the guest, NAME=VALUE; may be repeated.
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub variables: Vec<Variable>,
    /// Run it twice, compiled anew and in a fresh instance each time, and compare everything.
    #[arg(long, conflicts_with = "trusted")]
    pub check: bool,
    /// Run the file as it is, without its initialisation (#[haar::init]) done first.
    #[arg(long)]
    pub no_init: bool,
    /// For your own machines only: real clock, real randomness, real directories. The result is
    /// UNVERIFIED: nobody can repeat it, and it never becomes a receipt.
    #[arg(long)]
    pub trusted: bool,
    /// With --trusted: a directory that the guest sees as GUEST; :ro lets it only read.
    #[arg(long = "dir", value_name = "HOST::GUEST[:ro]", requires = "trusted")]
    pub directories: Vec<DirectoryFlag>,
    /// For an HTTP function: the request whose body the input is. Without it GET /, or POST / if
    /// there is a body.
    #[arg(long, value_name = "METHOD /PATH?QUERY")]
    pub request: Option<RequestLine>,
    /// For an HTTP function: a header of the request; may be repeated.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<Header>,
    /// Arguments for the guest, after its name.
    #[arg(trailing_var_arg = true)]
    pub args: Vec<String>,
}

/// `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable(String, String);

impl FromStr for Variable {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self(name.to_owned(), value.to_owned())),
            _ => Err("write it like LANG=C"),
        }
    }
}

/// `HOST::GUEST[:ro]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryFlag(Directory);

impl FromStr for DirectoryFlag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (rest, access) = match text.strip_suffix(":ro") {
            Some(rest) => (rest, Access::Read),
            None => (text, Access::Write),
        };
        match rest.split_once("::") {
            Some((host, guest)) if !host.is_empty() && !guest.is_empty() => Ok(Self(Directory {
                host: host.into(),
                guest: guest.to_owned(),
                access,
            })),
            _ => Err("write it like ./data::/data, or ./data::/data:ro to let the guest only read"),
        }
    }
}

impl RunVerb {
    /// Runs the module and says how it went.
    pub async fn run(self, json: bool) -> Result<Done> {
        let ran = tokio::task::spawn_blocking(move || self.play(json)).await;
        ran.context("the run broke off")?
    }

    fn play(self, json: bool) -> Result<Done> {
        let guest = self.read_guest(json)?;
        if self.trusted {
            return self.play_trusted(&guest, json);
        }
        let module = &guest.module;
        let input = self.read_input(&guest)?;
        let mut config = RunConfig::for_call(BlobHash::of(module), BlobHash::of(&input));
        config.args.extend(self.args.iter().cloned());
        config.env = self
            .variables
            .iter()
            .map(|Variable(name, value)| format!("{name}={value}"))
            .collect();
        config.env.sort();

        let run = run_fresh(module, &input, &config, Fuel(self.fuel))?;
        let difference = match self.check {
            true => {
                let again = run_fresh(module, &input, &config, Fuel(self.fuel))?;
                Some(difference(&run, &again))
            }
            false => None,
        };
        if json {
            out::record(&record(&run, &guest, difference));
        } else {
            show(&run, &guest, difference)?;
        }
        let is_same = !matches!(difference, Some(Some(_)));
        let outcome = &run.outcome;
        let is_done = outcome.status == Status::Returned && outcome.exit_code == 0;
        Ok(if is_done && is_same {
            Done::Yes
        } else {
            Done::No
        })
    }

    /// The module as it would be published.
    fn read_guest(&self, json: bool) -> Result<Guest> {
        let module = read_module(&self.module)?;
        let report = inspect(&module, &Profile::DESKTOP);
        if let Err(refusal) = &report.admission {
            bail!("{}", crate::publish::cannot_run(&self.module, refusal));
        }
        let is_http = is_http(&report);
        if !is_http && (self.request.is_some() || !self.headers.is_empty()) {
            bail!("the module is no HTTP function, so --request and --header mean nothing to it");
        }
        let mut guest = Guest {
            module,
            init_fuel: None,
            is_command: report.kind == Some(GuestKind::Command),
            is_http,
        };
        if self.no_init || !exports_init(&report) {
            return Ok(guest);
        }
        let initialised = preinit(&guest.module).context("cannot initialise the module")?;
        if !json {
            say(format_args!(
                "initialised  {} fuel, once, as haar publish does; --no-init leaves it out",
                grouped(initialised.fuel_used)
            ));
        }
        guest.module = initialised.module;
        guest.init_fuel = Some(initialised.fuel_used);
        Ok(guest)
    }

    /// The input as a hub would form it.
    fn read_input(&self, guest: &Guest) -> Result<Vec<u8>> {
        let input = read_input(&self.input)?;
        if !guest.is_http {
            return Ok(input);
        }
        let request = self.request.clone();
        let request = request.unwrap_or_else(|| RequestLine::usual(&input));
        request.frame(&self.headers, input)
    }

    fn play_trusted(self, guest: &Guest, json: bool) -> Result<Done> {
        let module = &guest.module;
        let input = match self.input.as_os_str() == "-" && guest.is_command {
            true => TrustedInput::Inherit,
            false => TrustedInput::Bytes(self.read_input(guest)?),
        };
        let mut args = vec!["guest".to_owned()];
        args.extend(self.args);
        let variables = self.variables.into_iter();
        let spec = TrustedSpec {
            args,
            env: variables
                .map(|Variable(name, value)| (name, value))
                .collect(),
            fuel_max: Fuel(self.fuel),
            input,
            output: match json {
                true => TrustedOutput::Keep,
                false => TrustedOutput::Inherit,
            },
            directories: self.directories.into_iter().map(|flag| flag.0).collect(),
            ..TrustedSpec::default()
        };
        if !json {
            say(style(
                "UNVERIFIED  real clock, randomness and directories: nobody can repeat this run",
            )
            .yellow());
        }
        let ran = run_trusted(module, spec)?;
        let (ending, exit_code) = match &ran.ending {
            UnverifiedEnding::Returned { exit_code } => ("returned".to_owned(), *exit_code),
            UnverifiedEnding::OutOfFuel => ("out of fuel".to_owned(), 0),
            UnverifiedEnding::StackLimit => ("trapped: too deep".to_owned(), 0),
            UnverifiedEnding::Trapped { reason } => (format!("trapped: {reason}"), 0),
            other => (format!("{other:?}"), 0),
        };
        if json {
            out::record(&json!({
                "event": "ran", "verified": false, "module": BlobHash::of(module).to_string(),
                "ending": ending, "exit_code": exit_code, "fuel_used": ran.fuel_used.0,
                "output": String::from_utf8_lossy(&ran.output),
                "log": String::from_utf8_lossy(&ran.log),
            }));
        } else {
            write_output(&ran.output, guest, exit_code)?;
            say(format_args!(
                "UNVERIFIED  {ending}, exit code {exit_code}, {} fuel",
                ran.fuel_used
            ));
        }
        let is_done = ran.ending == UnverifiedEnding::Returned { exit_code: 0 };
        Ok(if is_done { Done::Yes } else { Done::No })
    }
}

/// A module that is ready to run.
struct Guest {
    module: Vec<u8>,
    /// Fuel of its initialisation, if that was run.
    init_fuel: Option<u64>,
    is_command: bool,
    is_http: bool,
}

/// One run, with an engine, code and an instance of its own.
fn run_fresh(module: &[u8], input: &[u8], config: &RunConfig, fuel_max: Fuel) -> Result<Run> {
    let one = SandboxConfig {
        concurrency: 1,
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::new(one).context("cannot start the sandbox")?;
    let prepared = sandbox
        .prepare(module, config)
        .context("the module cannot run here")?;
    let spec = RunSpec {
        input,
        config,
        fuel_max,
    };
    sandbox.run(&prepared, &spec).map_err(|abstained| {
        anyhow!(abstained).context("this machine cannot run it, so a miner would abstain")
    })
}

/// The first thing in which two runs differ.
fn difference(one: &Run, other: &Run) -> Option<&'static str> {
    if one.output != other.output {
        return Some("output");
    }
    if one.outcome != other.outcome {
        return Some("outcome");
    }
    if one.transcript != other.transcript {
        return Some("transcript");
    }
    (one.log != other.log).then_some("log")
}

/// A run in JSON; `difference` is there if it was checked, and names what differed.
fn record(run: &Run, guest: &Guest, difference: Option<Option<&str>>) -> Value {
    let outcome = &run.outcome;
    let status = match outcome.status {
        Status::Returned => "returned",
        Status::OutOfFuel => "out-of-fuel",
        _ => "trapped",
    };
    json!({
        "event": "ran", "module": BlobHash::of(&guest.module).to_string(),
        "init_fuel": guest.init_fuel, "status": status,
        "exit_code": outcome.exit_code, "trap": outcome.trap.map(TrapKind::code),
        "fuel_used": outcome.fuel_used.0, "output_hash": outcome.output.to_string(),
        "output_bytes": outcome.output_bytes, "transcript": transcript(run),
        "output": String::from_utf8_lossy(&run.output),
        "log": String::from_utf8_lossy(&run.log),
        "checked": difference.is_some(), "difference": difference.flatten(),
    })
}

/// Prints a run: its output to stdout, everything about it to stderr.
fn show(run: &Run, guest: &Guest, difference: Option<Option<&str>>) -> Result<()> {
    let outcome = &run.outcome;
    write_output(&run.output, guest, outcome.exit_code)?;
    let _ = std::io::stderr().write_all(&run.log);
    let how = match (outcome.status, outcome.trap) {
        (Status::Returned, _) => format!("returned, exit code {}", outcome.exit_code),
        (Status::OutOfFuel, _) => "out of fuel; --fuel gives more".to_owned(),
        (_, trap) => format!("trapped: {}", trap.unwrap_or(TrapKind::Other).message()),
    };
    say(format_args!("outcome      {how}"));
    let size = out::bytes(run.output.len() as u64);
    say(format_args!("output       {}  {size}", outcome.output));
    say(format_args!("fuel         {}", outcome.fuel_used));
    say(format_args!("transcript   {}", transcript(run)));
    match difference {
        None => {}
        Some(None) => say(format_args!(
            "checked      {}",
            style("twice the same").green()
        )),
        Some(Some(what)) => say(format_args!(
            "checked      {}: the runs differ in their {what}; no module should be able to, please report it",
            style("NOT the same").red()
        )),
    }
    Ok(())
}

/// Writes an output: of an HTTP function its response's body, and the rest beside it.
fn write_output(output: &[u8], guest: &Guest, exit_code: u32) -> Result<()> {
    let mut body = output;
    // A function's own error is a text, and a run that did not return has no output.
    let is_response = guest.is_http && exit_code == 0 && !output.is_empty();
    let response = is_response.then(|| response(output)).transpose()?;
    if let Some(response) = &response {
        body = &response.body;
        say(head(response));
    }
    out::write(body);
    // A prompt must not hang on the last line of an output without an end of line.
    if std::io::stdout().is_terminal() && !body.is_empty() && !body.ends_with(b"\n") {
        out::line("");
    }
    Ok(())
}

fn transcript(run: &Run) -> String {
    run.transcript
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A line about the run, beside its output.
fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn read_input(path: &Path) -> Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut input = Vec::new();
        std::io::stdin()
            .read_to_end(&mut input)
            .context("cannot read the input from stdin")?;
        return Ok(input);
    }
    std::fs::read(path).with_context(|| format!("cannot read the input {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str, Access)>) {
        let parsed = text.parse::<DirectoryFlag>().ok();
        let expected = expected.map(|(host, guest, access)| {
            DirectoryFlag(Directory {
                host: host.into(),
                guest: guest.to_owned(),
                access,
            })
        });
        assert_eq!(parsed, expected);
    }

    #[test]
    fn a_directory_is_host_guest_and_what_may_be_done() {
        check("./data::/data", Some(("./data", "/data", Access::Write)));
        check("/a b::/x:ro", Some(("/a b", "/x", Access::Read)));
        check("./data", None);
        check("::/data", None);
        check("./data::", None);
        check("./data:/data", None);
    }

    #[test]
    fn a_variable_has_a_name() {
        assert_eq!(
            "A=b=c".parse(),
            Ok(Variable("A".to_owned(), "b=c".to_owned()))
        );
        assert!("=b".parse::<Variable>().is_err());
        assert!("b".parse::<Variable>().is_err());
    }
}
