//! `lab calibrate`: fits the prices of the cost schedule to measured times.
//!
//! Counts of every class, over all programs and kernels, times in wasmtime and in V8's baseline
//! compiler, and the prices that explain the times best. It proposes; nothing changes by itself.

mod count;
mod data;
mod fit;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::bench::say;

const HELP: &str = "\
lab calibrate [--runs N] [--programs FOLDER] [--only PART] [--keep FILE | --from FILE]

  --runs N           rounds; the least time counts (default 7)
  --programs FOLDER  where `cargo xtask programs` put them (default target/programs)
  --only PART        only subjects whose name contains it
  --keep FILE        also write what was measured, as JSON
  --from FILE        fit what was kept instead of measuring";

struct Options {
    runs: u32,
    programs: PathBuf,
    only: Option<String>,
    keep: Option<PathBuf>,
    from: Option<PathBuf>,
}

impl Options {
    fn read(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            runs: 7,
            programs: "target/programs".into(),
            only: None,
            keep: None,
            from: None,
        };
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            let value = rest.next().cloned();
            let value = value.with_context(|| format!("`{flag}` needs a value\n\n{HELP}"))?;
            match flag.as_str() {
                "--runs" => options.runs = value.parse().context("--runs takes a number")?,
                "--programs" => options.programs = value.into(),
                "--only" => options.only = Some(value),
                "--keep" => options.keep = Some(value.into()),
                "--from" => options.from = Some(value.into()),
                _ => bail!("unknown argument `{flag}`\n\n{HELP}"),
            }
        }
        if options.runs == 0 {
            bail!("--runs is at least 1");
        }
        Ok(options)
    }
}

/// Runs the command.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    if arguments.iter().any(|argument| argument == "--help") {
        say::answer(HELP);
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::read(arguments)?;
    let samples = match &options.from {
        Some(file) => data::read(file)?,
        None => data::measure(&options.programs, options.only.as_deref(), options.runs)?,
    };
    if let Some(file) = &options.keep {
        data::keep(file, &samples)?;
    }
    say::answer(&report::write(&samples));
    Ok(ExitCode::SUCCESS)
}
