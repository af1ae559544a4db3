//! One comparison from its corpus to its verdict.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use haar_meter::meter;

use super::case::{Bench, Case, Examined, PROFILE, Plan, Work};
use super::core::{Core, native_line};
use super::corpus::{Compared, Configuration, Corpus, Difference};
use super::observation::Kind;
use super::options::Options;
use super::scripts::Script;
use super::spec::{self, Report};
use super::{hostile, loops, say, smith};

/// Enough for a small program to get somewhere, little enough for an interpreter.
const SMALL: Plan = Plan {
    fuel: 300_000,
    stops: 10,
};
/// Every hostile program is stopped at ten random places, and has to meet its limits.
const HOSTILE: Plan = Plan {
    fuel: 20_000_000,
    stops: 10,
};
/// Engines at once.
const PARALLEL: usize = 2;
/// What guests and programs read if there is no input beside them.
const TEXT: &[u8] =
    b"# Fog\n\nThe *haar* comes in from the sea, from the sea, and 42 boats wait.\n";

/// A comparison under way.
pub(crate) struct Session {
    options: Options,
    bench: Bench,
    queue: Vec<Work>,
    cases: Vec<Case>,
    /// Modules that the pass must judge alike everywhere, with their names.
    judged: Vec<(String, Vec<u8>)>,
    refused: u64,
}

impl Session {
    /// Compares, prints, and returns how many findings there are.
    pub(crate) fn run(options: Options) -> Result<usize> {
        let mut session = Self {
            bench: Bench::new(options.seed)?,
            options,
            queue: Vec::new(),
            cases: Vec::new(),
            judged: Vec::new(),
            refused: 0,
        };
        session.spec()?;
        session.programs()?;
        session.guests()?;
        session.examine()?;
        session.summary();

        let folder = session.options.keep.clone();
        match folder {
            Some(folder) => {
                fs::create_dir_all(&folder)?;
                session.engines(&folder)?;
            }
            None => session.engines(tempfile::tempdir()?.path())?,
        }
        session.verdict()
    }

    fn spec(&mut self) -> Result<()> {
        if !self.options.wants("spec") {
            return Ok(());
        }
        let started = Instant::now();
        let mut report = Report::default();
        let (programs, invalid) = spec::run(&mut self.bench, &mut report)?;
        for program in programs {
            self.queue(&program.name, &program.bytes, b"", SMALL);
        }
        let judged = invalid
            .into_iter()
            .map(|program| (program.name, program.bytes));
        self.judged.extend(judged);
        say(&format!(
            "spec: {} modules metered, {} assertions hold or are findings, {} invalid modules refused or findings ({:.1} s)",
            report.modules,
            report.assertions,
            report.refused_invalid,
            started.elapsed().as_secs_f64(),
        ));
        for (what, skipped) in [
            ("modules", &report.skipped_modules),
            ("assertions", &report.skipped_assertions),
        ] {
            for (why, count) in skipped {
                say(&format!("  {count:>6} {what} skipped: {why}"));
            }
        }
        Ok(())
    }

    fn programs(&mut self) -> Result<()> {
        if self.options.wants("hostile") {
            for (name, bytes) in hostile::modules(self.options.seed)? {
                self.queue(&name, &bytes, b"", HOSTILE);
            }
        }
        if self.options.wants("loops") {
            let first = self.options.first;
            for index in first..first + self.options.modules {
                let bytes = loops::module(self.options.seed, index)?;
                self.queue(
                    &format!("loops/{}/{index}", self.options.seed),
                    &bytes,
                    b"",
                    SMALL,
                );
            }
        }
        if self.options.wants("smith") {
            let started = Instant::now();
            let first = self.options.first;
            for index in first..first + self.options.modules {
                let bytes = smith::module(self.options.seed, index)?;
                self.queue(
                    &format!("smith/{}/{index}", self.options.seed),
                    &bytes,
                    b"",
                    SMALL,
                );
            }
            let took = started.elapsed().as_secs_f64();
            say(&format!(
                "smith: {} modules ({took:.1} s)",
                self.options.modules
            ));
        }
        Ok(())
    }

    /// Every module in the folders that `cargo xtask` fills.
    fn guests(&mut self) -> Result<()> {
        if !self.options.wants("guests") {
            return Ok(());
        }
        let plan = Plan {
            fuel: self.options.fuel,
            stops: self.options.stops,
        };
        for folder in ["guests", "programs"] {
            let mut count = 0;
            for path in modules(&self.options.target.join(folder)) {
                let stem = path
                    .file_stem()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                let bytes =
                    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                let input = fs::read(path.with_extension("input")).unwrap_or(TEXT.to_vec());
                self.queue(&format!("{folder}/{stem}"), &bytes, &input, plan);
                if let Some(work) = self.queue.last_mut() {
                    // A program that takes a size takes the smallest one.
                    work.args = vec![stem.clone(), "1".to_owned()];
                }
                self.queue(&format!("{folder}/{stem}/empty"), &bytes, b"", SMALL);
                count += 1;
            }
            say(&format!("{folder}: {count} programs"));
        }
        Ok(())
    }

    fn queue(&mut self, name: &str, module: &[u8], input: &[u8], plan: Plan) {
        self.queue.push(Work {
            name: name.to_owned(),
            module: module.to_vec(),
            args: Vec::new(),
            input: input.to_vec(),
            plan,
        });
    }

    /// Works through the queue.
    fn examine(&mut self) -> Result<()> {
        let started = Instant::now();
        let queue = std::mem::take(&mut self.queue);
        let examined = self.bench.spread(&queue, Bench::examine)?;
        for (work, examined) in queue.into_iter().zip(examined) {
            match examined {
                Some(Examined::Case(case)) => self.cases.push(*case),
                Some(Examined::Refused) => {
                    self.refused += 1;
                    self.judged.push((work.name, work.module));
                }
                None => {}
            }
        }
        let took = started.elapsed().as_secs_f64();
        say(&format!("wasmtime and the slow counter: {took:.1} s"));
        Ok(())
    }

    fn summary(&self) {
        let ended = |kind: Kind| self.cases.iter().filter(|case| case.ended == kind).count();
        let runs: usize = self.cases.iter().map(|case| case.runs.len()).sum();
        say(&format!(
            "corpus: {} programs ({} return, {} trap, {} run out of fuel), {} refused, {runs} runs",
            self.cases.len(),
            ended(Kind::Returned),
            ended(Kind::Trapped),
            ended(Kind::OutOfFuel),
            self.refused,
        ));
        let tally = self.bench.tally;
        say(&format!(
            "counter: {} ends with equal fuel, {} traps with equal memory, {} out of fuel, {} without opinion",
            tally.counted, tally.trapped, tally.exhausted, tally.open,
        ));
    }

    /// Hands the corpus to the pass compiled to wasm, and to every engine.
    fn engines(&mut self, folder: &Path) -> Result<()> {
        let home = self.options.target.join("engines");
        let path = home.join("haar_web.wasm");
        let mut core = Core::load(&self.bench.native.engine, &path)?;
        let mut corpus = Corpus::new();
        self.judge(&mut core, &mut corpus)?;
        self.scripts(&mut core, &mut corpus)?;
        corpus.write(folder, &path)?;

        let wanted: Vec<Configuration> = Configuration::read(&home.join("engines.json"))?
            .into_iter()
            .filter(|configuration| self.options.wants_engine(&configuration.name))
            .collect();
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..PARALLEL {
                scope.spawn(|| {
                    while let Some(engine) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let started = Instant::now();
                        let result = compare(&corpus, folder, engine);
                        let took = started.elapsed().as_secs_f64();
                        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                        results.push((engine.name.clone(), took, result));
                    }
                });
            }
        });
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (name, took, result) in results {
            let compared = result?;
            say(&format!(
                "{name}: {} items equal, {} abstained, {} differ ({took:.1} s)",
                compared.equal,
                compared.abstained,
                compared.differences.len(),
            ));
            for Difference {
                section,
                index,
                what,
            } in compared.differences
            {
                let expected = corpus.expected.get(section);
                let item = expected.and_then(|expected| expected.names.get(index));
                let item = item.map_or("?", String::as_str);
                let module = self.module(item);
                self.bench
                    .found(item, format!("{name} in {section}: {what}"), &module);
            }
        }
        Ok(())
    }

    /// The pass, native and compiled, on everything it has seen; cases go to the engines as runs too.
    fn judge(&mut self, core: &mut Core, corpus: &mut Corpus) -> Result<()> {
        let started = Instant::now();
        let mut judged = std::mem::take(&mut self.judged);
        judged.extend(
            self.cases
                .iter()
                .map(|case| (case.name.clone(), case.original.clone())),
        );
        let mut initializes = std::collections::BTreeSet::new();
        for (name, module) in &judged {
            let native = native_line(&meter(module, &PROFILE));
            let (line, has_initialize) = core.meter(module, &PROFILE)?;
            if line != native {
                let what =
                    format!("the pass compiled to wasm\n    native {native}\n    wasm   {line}");
                self.bench.found(name, what, module);
            }
            if has_initialize {
                initializes.insert(name.clone());
            }
            if self.options.wants("core") {
                corpus.add_metering(name, module, native);
            }
        }
        for case in &self.cases {
            corpus.add_case(case, initializes.contains(&case.name))?;
        }
        let took = started.elapsed().as_secs_f64();
        say(&format!(
            "pass compiled to wasm: {} modules, same bytes or findings ({took:.1} s)",
            judged.len()
        ));
        self.judged = judged;
        Ok(())
    }

    fn scripts(&mut self, core: &mut Core, corpus: &mut Corpus) -> Result<()> {
        if !self.options.wants("scripts") {
            return Ok(());
        }
        for index in 0..self.options.scripts {
            let name = format!("script/{}/{index}", self.options.seed);
            let script = Script::new(self.options.seed, index);
            let native = script.play_natively()?;
            let compiled = script.play_in(core)?;
            if native != compiled {
                let what = format!("host calls\n    native {native}\n    wasm   {compiled}");
                self.bench.found(&name, what, b"");
            }
            let item = script.item(corpus);
            corpus.add_script(&name, item, native);
        }
        say(&format!(
            "haar-wasi compiled to wasm: {} scripts",
            self.options.scripts
        ));
        Ok(())
    }

    fn module(&self, name: &str) -> Vec<u8> {
        let judged = self.judged.iter().find(|(known, _)| known == name);
        judged.map(|(_, module)| module.clone()).unwrap_or_default()
    }

    /// Prints the findings and leaves their modules in files.
    fn verdict(&self) -> Result<usize> {
        const SHOWN_MAX: usize = 12;
        const TEXT_MAX: usize = 2_000;
        let findings = &self.bench.findings;
        let folder = self.options.target.join("agree");
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        for (index, finding) in findings.iter().take(SHOWN_MAX).enumerate() {
            let file = folder.join(format!("finding-{index}.wasm"));
            fs::write(&file, &finding.module)
                .with_context(|| format!("cannot write {}", file.display()))?;
            let what: String = finding.what.chars().take(TEXT_MAX).collect();
            say(&format!(
                "\n{}: {what}\n    module in {}",
                finding.name,
                file.display()
            ));
        }
        match findings.len() {
            0 => say("everything agrees"),
            many => say(&format!(
                "{many} findings; replay with --seed {}",
                self.options.seed
            )),
        }
        Ok(findings.len())
    }
}

fn compare(corpus: &Corpus, folder: &Path, engine: &Configuration) -> Result<Compared> {
    let mut compared = Compared::default();
    corpus.compare(folder, engine, "runs", &mut compared)?;
    if engine.is_default {
        corpus.compare(folder, engine, "meterings", &mut compared)?;
        corpus.compare(folder, engine, "scripts", &mut compared)?;
    }
    Ok(compared)
}

/// The modules in a folder, by name; none if there is no folder.
fn modules(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "wasm"))
        .collect();
    paths.sort();
    paths
}
