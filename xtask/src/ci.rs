//! The merge check: every check in order, the time of each, and which one failed.

use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{console, contracts, guests, process, run, targets, tidy, workspace};

/// Enough to meet every kind of miner many times; seconds of work.
const SEEDS: &str = "1000";

type Check = (&'static str, fn() -> Result<()>);

const CHECKS: [Check; 13] = [
    ("format", || cargo(&["fmt", "--all", "--", "--check"])),
    ("targets", || targets::ensure(true)),
    ("guests", || guests::build().map(drop)),
    ("clippy", || {
        cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])
    }),
    // The README's two commands, word by word.
    ("test", || cargo(&["xtask", "test"])),
    ("demo", || cargo(&["xtask", "demo", "--json"])),
    ("tidy", tidy::check),
    ("pure", run::pure),
    ("contracts", || contracts::build(true)),
    ("sim", || {
        process::run(&mut run::simulator(&[
            "--seeds".to_owned(),
            SEEDS.to_owned(),
        ])?)
    }),
    ("agree", || process::run(&mut run::agreement(&[])?)),
    ("fuzz", || process::run(&mut run::lab("fuzz", &[])?)),
    ("clean", clean),
];

/// Runs every check and stops at the first that fails.
pub fn run() -> Result<()> {
    let started = Instant::now();
    let mut times = Vec::with_capacity(CHECKS.len());
    for (index, (name, check)) in CHECKS.into_iter().enumerate() {
        console::line(&format!("\n── {} of {}: {name}", index + 1, CHECKS.len()));
        let started = Instant::now();
        let outcome = check();
        times.push((name, started.elapsed()));
        if let Err(error) = outcome {
            summary(&times);
            return Err(error.context(format!("the check `{name}` failed")));
        }
    }
    summary(&times);
    console::line(&format!(
        "all green in {}",
        console::duration(started.elapsed())
    ));
    Ok(())
}

fn summary(times: &[(&str, std::time::Duration)]) {
    console::line("");
    for (name, time) in times {
        console::detail(&format!("{name:<10} {:>12}", console::duration(*time)));
    }
}

fn cargo(arguments: &[&str]) -> Result<()> {
    process::run(&mut workspace::cargo(arguments)?)
}

/// A check that changes tracked files hides what the commit really contains.
fn clean() -> Result<()> {
    let mut git = std::process::Command::new("git");
    git.args(["status", "--porcelain"])
        .current_dir(&workspace::get()?.root);
    let changes = process::read(&mut git).context("cannot ask git for changes")?;
    if !changes.is_empty() {
        bail!(
            "the checkout is not clean: commit these or ignore them\n{}",
            changes.trim_end()
        );
    }
    Ok(())
}
