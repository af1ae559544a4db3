//! Hands a corpus to other engines and compares what they print, line by line.
//!
//! A folder holds the manifest, all bytes in one file, the core and the driver. Each engine works
//! through it in processes of a few hundred items, so that one that dies is missed and named.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use wasmparser::Operator;

use super::case::{Case, PROFILE, kind_name};
use super::native::OUTPUT_BYTES_MAX;
use super::parts::Parts;

/// Items that one process works through.
const CHUNK: usize = 250;
/// Processes of a section that may die before the rest is given up.
const DEATHS_MAX: usize = 8;
/// A process that prints nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(20);

/// One engine with one choice of its compilers.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Configuration {
    pub(crate) name: String,
    program: PathBuf,
    arguments: Vec<String>,
    /// Stands between the driver and its arguments.
    separator: Option<String>,
    library_path: Option<PathBuf>,
    /// Words of a reason for which this choice of compilers may abstain: it lacks something.
    may_abstain: Option<String>,
    /// Whether this is the engine as people have it: it also checks the pass itself.
    pub(crate) is_default: bool,
}

/// Where some bytes of the corpus stand: offset and length.
type Place = (usize, usize);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    profile: ManifestProfile,
    output_bytes_max: u32,
    runs: Vec<RunItem>,
    meterings: Vec<MeteringItem>,
    scripts: Vec<ScriptItem>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ManifestProfile {
    stack_limit: u32,
    pages_max: u32,
    simd: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RunItem {
    module: Place,
    args: Vec<String>,
    input: Place,
    kind: &'static str,
    init_cost: String,
    has_initialize: bool,
    fuels: Vec<String>,
    /// What of it an engine may be known to compute wrongly, in the words of `vectorFaults`.
    uses: Vec<&'static str>,
}

#[derive(Serialize)]
struct MeteringItem {
    module: Place,
}

/// A script of host calls in the driver's form.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScriptItem {
    pub(crate) pages: u32,
    pub(crate) writes: Vec<(usize, Place)>,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) files: Vec<(String, Place)>,
    pub(crate) stdin: Place,
    pub(crate) seed: Place,
    pub(crate) time_ns: String,
    pub(crate) fuel: String,
    pub(crate) calls: Vec<Vec<String>>,
}

/// The lines that one section must give.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) names: Vec<String>,
    pub(crate) lines: Vec<Vec<String>>,
}

/// A corpus under construction, and then in a folder.
pub(crate) struct Corpus {
    manifest: Manifest,
    bytes: Vec<u8>,
    pub(crate) expected: BTreeMap<&'static str, Expected>,
}

/// What one engine showed.
#[derive(Default)]
pub(crate) struct Compared {
    pub(crate) differences: Vec<Difference>,
    /// Items that equal those of wasmtime.
    pub(crate) equal: usize,
    /// Items for which this engine lacks something.
    pub(crate) abstained: usize,
}

/// A line that differs.
pub(crate) struct Difference {
    pub(crate) section: &'static str,
    pub(crate) index: usize,
    pub(crate) what: String,
}

impl Corpus {
    pub(crate) fn new() -> Self {
        Self {
            manifest: Manifest {
                profile: ManifestProfile {
                    stack_limit: PROFILE.stack_limit,
                    pages_max: PROFILE.pages_max,
                    simd: PROFILE.simd,
                },
                output_bytes_max: OUTPUT_BYTES_MAX,
                runs: Vec::new(),
                meterings: Vec::new(),
                scripts: Vec::new(),
            },
            bytes: Vec::new(),
            expected: BTreeMap::new(),
        }
    }

    /// Lays bytes down and says where.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Place {
        let at = self.bytes.len();
        self.bytes.extend(bytes);
        (at, bytes.len())
    }

    pub(crate) fn add_case(&mut self, case: &Case, has_initialize: bool) -> Result<()> {
        let item = RunItem {
            module: self.put(&case.metered.bytes),
            args: case.args.clone(),
            input: self.put(&case.input),
            kind: kind_name(case.metered.kind),
            init_cost: case.metered.init_cost.to_string(),
            has_initialize,
            fuels: case.runs.iter().map(|(fuel, _)| fuel.to_string()).collect(),
            uses: uses(&case.original)?,
        };
        self.manifest.runs.push(item);
        let lines = case.runs.iter().map(|(_, line)| line.clone()).collect();
        self.expect("runs", &case.name, lines);
        Ok(())
    }

    pub(crate) fn add_metering(&mut self, name: &str, module: &[u8], line: String) {
        let module = self.put(module);
        self.manifest.meterings.push(MeteringItem { module });
        self.expect("meterings", name, vec![line]);
    }

    pub(crate) fn add_script(&mut self, name: &str, item: ScriptItem, line: String) {
        self.manifest.scripts.push(item);
        self.expect("scripts", name, vec![line]);
    }

    fn expect(&mut self, section: &'static str, name: &str, lines: Vec<String>) {
        let lines = lines.into_iter().map(|line| line.replace('\n', "\\n"));
        let lines = lines.collect();
        let expected = self.expected.entry(section).or_default();
        expected.names.push(name.to_owned());
        expected.lines.push(lines);
    }

    /// Writes everything that an engine needs.
    pub(crate) fn write(&self, folder: &Path, core: &Path) -> Result<()> {
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
        };
        put("manifest.json", &serde_json::to_vec(&self.manifest)?)?;
        put("corpus.bin", &self.bytes)?;
        put("host.mjs", include_bytes!("../../../web/host.js"))?;
        put("driver.mjs", include_bytes!("driver.mjs"))?;
        let from = fs::read(core).with_context(|| format!("cannot read {}", core.display()))?;
        put("haar_web.wasm", &from)
    }

    /// Runs one section in one engine and compares every line.
    pub(crate) fn compare(
        &self,
        folder: &Path,
        configuration: &Configuration,
        section: &'static str,
        compared: &mut Compared,
    ) -> Result<()> {
        let Some(expected) = self.expected.get(section) else {
            return Ok(());
        };
        let (mut first, mut deaths) = (0, 0);
        while first < expected.lines.len() && deaths < DEATHS_MAX {
            let last = (first + CHUNK).min(expected.lines.len());
            let printed = configuration.work(folder, section, first, last)?;
            let mut done = first;
            for (index, lines) in printed.lines {
                let wanted = expected.lines.get(index).map_or(&[][..], Vec::as_slice);
                if lines.len() < wanted.len() {
                    break;
                }
                done = index + 1;
                match differ(wanted, &lines) {
                    None => compared.equal += 1,
                    Some(what) if configuration.may(&what) => compared.abstained += 1,
                    Some(what) => {
                        compared.differences.push(Difference {
                            section,
                            index,
                            what,
                        });
                    }
                }
            }
            if done < last {
                let what = format!("the engine stopped in the middle: {}", printed.error);
                compared.differences.push(Difference {
                    section,
                    index: done,
                    what,
                });
                done += 1;
                deaths += 1;
            }
            first = done;
        }
        Ok(())
    }
}

/// The vector instructions of a module that some engine is known to have wrong.
fn uses(module: &[u8]) -> Result<Vec<&'static str>> {
    let mut uses = BTreeSet::new();
    for body in Parts::read(module)?.bodies {
        for op in body.get_operators_reader()? {
            match op? {
                Operator::F32x4Max | Operator::F64x2Max => uses.insert("max"),
                Operator::F32x4Min | Operator::F64x2Min => uses.insert("min"),
                _ => false,
            };
        }
    }
    Ok(uses.into_iter().collect())
}

/// The first line that is not as expected.
fn differ(wanted: &[String], got: &[String]) -> Option<String> {
    let (wanted, got) = wanted.iter().zip(got).find(|(wanted, got)| wanted != got)?;
    Some(format!("\n    wasmtime {wanted}\n    here     {got}"))
}

/// What a process printed, by item, and what it said last.
struct Printed {
    lines: BTreeMap<usize, Vec<String>>,
    error: String,
}

impl Configuration {
    /// Reads the list that `cargo xtask engines` writes.
    pub(crate) fn read(list: &Path) -> Result<Vec<Self>> {
        let text = fs::read(list).with_context(|| {
            format!("cannot read {}; run `cargo xtask engines`", list.display())
        })?;
        serde_json::from_slice(&text).context("the list of engines is damaged")
    }

    /// Whether a difference is one that this choice of compilers cannot help.
    fn may(&self, what: &str) -> bool {
        let words = self.may_abstain.as_deref();
        words.is_some_and(|words| what.contains("abstained") && what.contains(words))
    }

    fn work(&self, folder: &Path, section: &str, first: usize, last: usize) -> Result<Printed> {
        let tag = format!("{}-{section}", self.name);
        let (out, err) = (
            folder.join(format!("{tag}.out")),
            folder.join(format!("{tag}.err")),
        );
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(folder.join("driver.mjs"));
        command.args(&self.separator).arg(folder).arg(section);
        command
            .args([first.to_string(), last.to_string()])
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?);
        if let Some(path) = &self.library_path {
            command.env("LD_LIBRARY_PATH", path);
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let ended = wait(&mut child, &out)?;

        let mut lines: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let text = fs::read(&out)?;
        for line in String::from_utf8_lossy(&text).lines() {
            let mut words = line.splitn(3, ' ');
            let (Some(index), Some(_), Some(rest)) = (words.next(), words.next(), words.next())
            else {
                bail!("{} printed {line:?}", self.name);
            };
            let index = index
                .parse()
                .map_err(|_| anyhow!("{} printed {line:?}", self.name))?;
            lines.entry(index).or_default().push(rest.to_owned());
        }
        let error = String::from_utf8_lossy(&fs::read(&err)?).into_owned();
        Ok(Printed {
            lines,
            error: format!(
                "{ended}: {}",
                error.trim().chars().take(600).collect::<String>()
            ),
        })
    }
}

/// Waits as long as the output grows, and says how the process ended.
fn wait(child: &mut Child, out: &Path) -> Result<String> {
    let mut last = (Instant::now(), 0);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.to_string());
        }
        let size = fs::metadata(out).map_or(0, |metadata| metadata.len());
        if size != last.1 {
            last = (Instant::now(), size);
        }
        if PATIENCE < last.0.elapsed() {
            child.kill()?;
            child.wait()?;
            return Ok("it hung and was killed".to_owned());
        }
        std::thread::sleep(POLL);
    }
}
