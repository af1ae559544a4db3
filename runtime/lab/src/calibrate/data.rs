//! What is measured for the fit: how often each class ran, and how long everything took.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::count;
use crate::bench::clock;
use crate::bench::host::Host;
use crate::bench::say;
use crate::bench::subjects::{self, Origin, Subject};
use crate::bench::v8::{Node, Tier};

/// One subject's counts and times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub name: String,
    pub is_program: bool,
    /// The least time in wasmtime, unmetered.
    pub wasmtime_ns: f64,
    /// The least time in V8's baseline compiler, unmetered.
    pub baseline_ns: f64,
    /// The least time in V8's optimising compiler, unmetered.
    pub optimising_ns: f64,
    /// How often each column was counted, by its name, and the fuel of the present schedule.
    pub counts: BTreeMap<String, u64>,
}

/// Reads what an earlier run kept.
pub fn read(file: &Path) -> Result<Vec<Sample>> {
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} holds no samples", file.display()))
}

/// Writes what was measured.
pub fn keep(file: &Path, samples: &[Sample]) -> Result<()> {
    let text = serde_json::to_vec_pretty(samples)?;
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// Counts and times every subject.
pub fn measure(programs: &Path, only: Option<&str>, runs: u32) -> Result<Vec<Sample>> {
    let engines = programs.with_file_name("engines");
    let Some(node) = Node::find(&engines) else {
        bail!("calibration counts and times in V8 too: `cargo xtask engines` brings it");
    };
    let subjects = subjects::all(programs, only)?;
    let mut samples = count_all(&subjects, &node)?;

    clock::pin();
    let plain: Vec<[&[u8]; 1]> = subjects
        .iter()
        .map(|subject| [subject.module.as_slice()])
        .collect();
    let list: Vec<(&str, &[&[u8]])> = subjects
        .iter()
        .zip(&plain)
        .map(|(subject, form)| (subject.name.as_str(), form.as_slice()))
        .collect();
    let host = Host::new(false)?;
    for (sample, subject) in samples.iter_mut().zip(&subjects) {
        sample.wasmtime_ns = nanoseconds(time(&host, subject, runs)?);
        say::progress(&format!(
            "{}: {:.1} ms",
            sample.name,
            sample.wasmtime_ns / 1e6
        ));
    }
    let baseline = node.time(&list, runs, Tier::Baseline)?;
    let optimising = node.time(&list, runs, Tier::Optimising)?;
    for sample in &mut samples {
        let first = |runs: &crate::bench::v8::Runs| {
            let forms = runs.get(&sample.name);
            forms.and_then(|forms| forms.run.first().copied().map(nanoseconds))
        };
        sample.baseline_ns = first(&baseline).context("V8 left out a subject")?;
        sample.optimising_ns = first(&optimising).context("V8 left out a subject")?;
    }
    Ok(samples)
}

fn count_all(subjects: &[Subject], node: &Node) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for subject in subjects {
        let forms = count::forms(&subject.name, &subject.module)?;
        let modules: Vec<&[u8]> = forms.iter().map(|(_, module)| module.as_slice()).collect();
        let runs = node.time(&[(&subject.name, &modules)], 1, Tier::Any)?;
        let fuel = runs.get(&subject.name).map(|forms| forms.fuel.clone());
        let fuel = fuel.context("V8 left out a subject")?;
        let counts: BTreeMap<String, u64> = forms.into_iter().map(|(of, _)| of).zip(fuel).collect();
        say::progress(&format!(
            "{}: counted {} columns",
            subject.name,
            counts.len()
        ));
        samples.push(Sample {
            name: subject.name.clone(),
            is_program: subject.origin == Origin::Program,
            wasmtime_ns: 0.0,
            baseline_ns: 0.0,
            optimising_ns: 0.0,
            counts,
        });
    }
    Ok(samples)
}

/// The least of many runs, each in a fresh instance; the time of instantiation is not in it.
fn time(host: &Host, subject: &Subject, runs: u32) -> Result<Duration> {
    let program = host.prepare(&subject.name, &subject.module)?;
    let mut least = Duration::MAX;
    for _ in 0..runs {
        least = least.min(host.run(&program)?.took);
    }
    Ok(least)
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_nanos() as f64
}
