//! Times subjects in V8: one process of Node for all of them, plain and metered in turn.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::json;

const SCRIPT: &str = include_str!("v8.mjs");

/// Which of V8's compilers: one only, so that a time does not depend on when code became hot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// The compiler that starts fast.
    Baseline,
    /// The compiler that ends fast.
    Optimising,
    /// Whatever the engine thinks best: for counting, where time does not matter.
    Any,
}

impl Tier {
    fn flag(self) -> &'static str {
        match self {
            Self::Baseline => "--liftoff-only",
            Self::Optimising => "--no-liftoff",
            Self::Any => "--liftoff",
        }
    }
}

/// What the forms of a subject gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forms {
    /// The least run time of each.
    pub run: Vec<Duration>,
    /// What each counted; host calls charge nothing here.
    pub fuel: Vec<u64>,
}

/// By the subject's name.
pub type Runs = BTreeMap<String, Forms>;

/// A program that runs V8.
#[derive(Debug, Clone)]
pub struct Node {
    program: PathBuf,
    /// V8's version, as it says itself.
    pub version: String,
}

impl Node {
    /// The engine that `cargo xtask engines` put beside the programs, or the one on the path. None
    /// if there is none, or if it cannot read the thread's clock.
    pub fn find(engines: &Path) -> Option<Self> {
        let own = engines.join("node/package/bin/node");
        let program = if own.is_file() { own } else { "node".into() };
        let output = Command::new(&program)
            .args(["--print", "process.versions.v8"])
            .output()
            .ok()?;
        let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !version.is_empty()).then_some(Self { program, version })
    }

    /// Runs every form of every subject `runs` times.
    pub fn time(&self, subjects: &[(&str, &[&[u8]])], runs: u32, tier: Tier) -> Result<Runs> {
        let folder = tempfile::tempdir().context("cannot make a folder for the modules")?;
        let mut list = Vec::new();
        for (name, forms) in subjects {
            let mut paths = Vec::new();
            for (form, module) in forms.iter().enumerate() {
                let path = folder.path().join(format!("{name}.{form}.wasm"));
                fs::write(&path, module).context("cannot write a module for V8")?;
                paths.push(path);
            }
            list.push(json!({"name": name, "forms": paths}));
        }
        let script = folder.path().join("v8.mjs");
        fs::write(&script, SCRIPT).context("cannot write the script for V8")?;
        let names = folder.path().join("list.json");
        fs::write(&names, json!({"runs": runs, "subjects": list}).to_string())
            .context("cannot write the list for V8")?;

        let output = Command::new(&self.program)
            .arg(tier.flag())
            .arg(script)
            .arg(names)
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start Node")?;
        if !output.status.success() {
            bail!("Node ended with {}", output.status);
        }
        read(&String::from_utf8_lossy(&output.stdout))
    }
}

/// Reads one line of JSON for each subject; times are microseconds.
fn read(lines: &str) -> Result<Runs> {
    #[derive(Deserialize)]
    struct Line {
        name: String,
        run: Vec<f64>,
        fuel: Vec<String>,
    }

    let mut runs = Runs::new();
    for line in lines.lines() {
        let line: Line = serde_json::from_str(line).context("Node printed something else")?;
        let times = line
            .run
            .iter()
            .map(|us| Duration::from_secs_f64(us.max(0.0) / 1e6));
        let fuel: Result<Vec<u64>, _> = line.fuel.iter().map(|text| text.parse()).collect();
        let forms = Forms {
            run: times.collect(),
            fuel: fuel.context("Node counted no number")?,
        };
        runs.insert(line.name, forms);
    }
    Ok(runs)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_microseconds_is_read() {
        let runs = read(
            "{\"name\":\"fib\",\"compile\":[1,2],\"run\":[1500,2e3],\"fuel\":[\"0\",\"77\"]}\n",
        )
        .unwrap();
        let expected = Forms {
            run: [1_500, 2_000].map(Duration::from_micros).to_vec(),
            fuel: vec![0, 77],
        };
        assert_eq!(runs.get("fib"), Some(&expected));
    }

    #[test]
    fn anything_else_is_an_error() {
        assert!(read("Segmentation fault").is_err());
    }
}
