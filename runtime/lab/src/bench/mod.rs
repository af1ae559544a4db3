//! `lab bench overhead`: what metering costs, side by side in one run.
//!
//! Every subject runs plain, with wasmtime's own fuel, and metered by us, under the same host
//! functions; then plain and metered in V8. Only ratios within one run are told.

mod anatomy;
pub mod clock;
pub mod host;
mod kernels;
mod native;
mod plot;
pub mod say;
pub mod subjects;
mod table;
pub mod v8;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use haar_meter::{Profile, meter};

use native::Hosts;
use subjects::{Origin, Subject};
use table::{Report, Row};
use v8::{Node, Tier};

pub const HELP: &str = "\
lab bench overhead [--runs N] [--only PART] [--programs FOLDER] [--no-v8] [--json]
             [--keep FOLDER] [--write ROOT]

  --runs N           rounds of each form; the least counts (default 7)
  --only PART        only subjects whose name contains it
  --programs FOLDER  where `cargo xtask programs` put them (default target/programs)
  --no-v8            wasmtime only
  --json             print records instead of the table
  --keep FOLDER      leave the metered modules there, to look into
  --write ROOT       write docs/metering-overhead.svg and the table of runtime/lab/README.md there";

/// What to measure and where to put it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub runs: u32,
    pub only: Option<String>,
    pub programs: PathBuf,
    pub v8: bool,
    pub json: bool,
    pub keep: Option<PathBuf>,
    pub write: Option<PathBuf>,
}

impl Options {
    /// Reads the arguments after the command's name.
    pub fn read(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            runs: 7,
            only: None,
            programs: "target/programs".into(),
            v8: true,
            json: false,
            keep: None,
            write: None,
        };
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            let mut value = || {
                let value = rest.next().cloned();
                value.with_context(|| format!("`{flag}` needs a value"))
            };
            match flag.as_str() {
                "--runs" => options.runs = value()?.parse().context("--runs takes a number")?,
                "--only" => options.only = Some(value()?),
                "--programs" => options.programs = value()?.into(),
                "--keep" => options.keep = Some(value()?.into()),
                "--write" => options.write = Some(value()?.into()),
                "--no-v8" => options.v8 = false,
                "--json" => options.json = true,
                _ => bail!("unknown argument `{flag}`\n\n{HELP}"),
            }
        }
        if options.runs == 0 {
            bail!("--runs is at least 1");
        }
        Ok(options)
    }

    /// The engines stand beside the programs.
    pub fn engines(&self) -> PathBuf {
        self.programs.with_file_name("engines")
    }
}

/// Runs the command.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    if arguments.iter().any(|argument| argument == "--help") {
        say::answer(HELP);
        return Ok(ExitCode::SUCCESS);
    }
    let options = match arguments.split_first() {
        Some((word, rest)) if word == "overhead" => Options::read(rest)?,
        _ => bail!("{HELP}"),
    };
    let report = measure(&options)?;
    if options.json {
        say::answer(&serde_json::to_string_pretty(&report)?);
    } else {
        say::answer(&report.table());
    }
    if let Some(root) = &options.write {
        report.write(root)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(options: &Options) -> Result<Report> {
    clock::pin();
    let hosts = Hosts::new()?;
    let subjects = subjects::all(&options.programs, options.only.as_deref())?;
    let mut metered = Vec::new();
    let mut rows = Vec::new();
    for subject in &subjects {
        let module = metered_module(subject)?;
        if let Some(folder) = &options.keep {
            let file = folder.join(format!("{}.wasm", subject.name));
            std::fs::write(&file, &module)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        let trio = hosts.prepare(&subject.name, &subject.module, &module)?;
        let times = hosts.time(&trio, options.runs)?;
        let row = Row {
            name: subject.name.clone(),
            is_program: subject.origin == Origin::Program,
            run_ns: times.run.map(table::nanoseconds),
            compile_ns: times.compile.map(table::nanoseconds),
            v8_ns: None,
            plain: anatomy::dissect(&subject.module)?,
            metered: anatomy::dissect(&module)?,
        };
        say::progress(&row.line());
        rows.push(row);
        metered.push(module);
    }

    let node = options.v8.then(|| Node::find(&options.engines())).flatten();
    if let Some(node) = &node {
        say::progress(&format!("V8 {}", node.version));
        let forms: Vec<[&[u8]; 2]> = subjects
            .iter()
            .zip(&metered)
            .map(|(subject, metered)| [subject.module.as_slice(), metered.as_slice()])
            .collect();
        let list: Vec<(&str, &[&[u8]])> = subjects
            .iter()
            .zip(&forms)
            .map(|(subject, forms)| (subject.name.as_str(), forms.as_slice()))
            .collect();
        let runs = node.time(&list, options.runs, Tier::Optimising)?;
        for row in &mut rows {
            row.v8_ns = runs
                .get(&row.name)
                .and_then(|forms| match forms.run.as_slice() {
                    [plain, ours] => Some([*plain, *ours].map(table::nanoseconds)),
                    _ => None,
                });
        }
    } else if options.v8 {
        say::progress("no Node here: V8 is left out");
    }
    Ok(Report {
        v8: node.map(|node| node.version),
        runs: options.runs,
        rows,
    })
}

fn metered_module(subject: &Subject) -> Result<Vec<u8>> {
    let metered = meter(&subject.module, &Profile::DESKTOP);
    let metered = metered.map_err(|error| anyhow!("{} is refused: {error}", subject.name))?;
    Ok(metered.bytes)
}
