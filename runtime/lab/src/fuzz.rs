//! `fuzz`: throws made-up inputs at everything that reads what strangers send.
//!
//! An input is bytes, and bytes name the whole execution: a failure is written to a file, and the
//! file repeats it. The work happens in a child process, so that even an abort can be told apart
//! from a pass and be traced to its input.

mod admission;
mod chance;
mod corpus;
mod frames;
mod manifest;
mod mutate;
mod records;
mod rewriting;
mod sections;
mod session;
mod wasi;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use chance::Chance;
use session::Session;

/// Enough for the merge check: over a million together.
const RUNS: u64 = 1_010_000;
/// Fixed, so that the merge check of one commit always does the same.
const SEED: u64 = 1;
/// Names the folder of notes and makes the process the one that works.
const NOTES: &str = "HAAR_FUZZ_NOTES";

/// Something that takes bytes of a stranger.
trait Target: Sync {
    /// Makes an input.
    fn make(&self, chance: &mut Chance) -> Vec<u8>;

    /// Feeds it and says which promise was broken, if one was. A panic breaks one too. Otherwise
    /// it says whether the input got through or was refused on the way: a session that is refused
    /// every time shows little.
    fn check(&self, input: &[u8]) -> Result<bool, String>;
}

/// The targets, and how many of a thousand executions each gets: what takes longer gets fewer.
const TARGETS: [(&str, u64); 4] = [
    ("admission", 330),
    ("rewriting", 30),
    ("wasi", 230),
    ("manifest", 410),
];

fn target(name: &str) -> Result<Box<dyn Target>> {
    Ok(match name {
        "admission" => Box::new(admission::Admission::new()?),
        "rewriting" => Box::new(rewriting::Rewriting::new()?),
        "wasi" => Box::new(wasi::Calls),
        "manifest" => Box::new(manifest::Manifest::new()?),
        _ => bail!(
            "there is no target `{name}`; there are {}",
            TARGETS.map(|(name, _)| name).join(", ")
        ),
    })
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    runs: u64,
    seed: u64,
    replay: Option<String>,
    target: Option<String>,
}

impl Wish {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut wish = Self {
            runs: RUNS,
            seed: SEED,
            replay: None,
            target: None,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word.as_str() {
                "--runs" => wish.runs = number(value()?)?,
                "--seed" => wish.seed = number(value()?)?,
                "--replay" => wish.replay = Some(value()?.clone()),
                name if !name.starts_with('-') && wish.target.is_none() => {
                    wish.target = Some(name.to_owned());
                }
                other => bail!("`fuzz` does not take `{other}`"),
            }
        }
        Ok(wish)
    }
}

fn number(text: &str) -> Result<u64> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.replace('_', "").parse(),
    };
    parsed.with_context(|| format!("{text} is not a number"))
}

/// Runs the command.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    let wish = Wish::parse(arguments)?;
    if let Some(replay) = &wish.replay {
        let name = wish
            .target
            .as_deref()
            .context("name the target to replay")?;
        return replay_one(name, replay);
    }
    match std::env::var_os(NOTES) {
        Some(notes) => work(&wish, Path::new(&notes)),
        None => guard(arguments),
    }
}

/// Repeats one execution, from its file or its seed.
fn replay_one(name: &str, replay: &str) -> Result<ExitCode> {
    let target = target(name)?;
    let input = match Path::new(replay) {
        file if file.exists() => std::fs::read(file)?,
        _ => target.make(&mut Chance::new(number(replay)?)),
    };
    match target.check(&input) {
        Ok(_) => say(&format!("{name}: {} bytes, no failure", input.len())),
        Err(broken) => bail!("{name}: {broken}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts the process that works, and explains its death if it dies.
fn guard(arguments: &[String]) -> Result<ExitCode> {
    let notes = tempfile::tempdir().context("cannot make a folder for notes")?;
    let status = Command::new(std::env::current_exe()?)
        .arg("fuzz")
        .args(arguments)
        .env(NOTES, notes.path())
        .status()
        .context("cannot start the process that works")?;
    if let Some(code) = status.code() {
        return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
    }

    say(&format!("the process died: {status}; it was at one of"));
    for note in std::fs::read_dir(notes.path())? {
        let note = std::fs::read_to_string(note?.path())?;
        if let Some((target, seed)) = note.trim_end().split_once(' ') {
            say(&format!("  {}", replay_line(target, seed.trim())));
        }
    }
    Ok(ExitCode::FAILURE)
}

fn work(wish: &Wish, notes: &Path) -> Result<ExitCode> {
    let chosen: Vec<(&str, u64)> = match &wish.target {
        Some(name) => vec![(name.as_str(), wish.runs)],
        None => TARGETS
            .iter()
            .map(|(name, share)| (*name, (wish.runs * share).div_ceil(1000)))
            .collect(),
    };

    let mut executions = 0;
    for (name, runs) in chosen {
        let target = target(name)?;
        let session = Session::new(name, wish.seed, runs, notes);
        let report = session.run(&*target);
        say(&report.line());
        executions += report.executions;
        if let Some(failure) = report.failure {
            let file = save(name, &failure.input)?;
            say(&format!(
                "{name} failed, seed {:#x}: {}\n  the input is in {}\n  {}\n  {}",
                failure.seed,
                failure.broken,
                file.display(),
                replay_line(name, &file.display().to_string()),
                replay_line(name, &format!("{:#x}", failure.seed)),
            ));
            return Ok(ExitCode::FAILURE);
        }
    }
    let peak = session::peak_kib().map_or(String::new(), |kib| {
        format!(", at most {} MiB of memory", kib >> 10)
    });
    say(&format!("{executions} executions, no failure{peak}"));
    Ok(ExitCode::SUCCESS)
}

fn replay_line(target: &str, replay: &str) -> String {
    format!("cargo xtask fuzz --replay {replay} {target}")
}

fn save(name: &str, input: &[u8]) -> Result<PathBuf> {
    let folder = std::env::current_exe()?.with_file_name("fuzz-failures");
    std::fs::create_dir_all(&folder)?;
    let hash = input
        .iter()
        .fold(0, |hash, byte| chance::mix(hash, u64::from(*byte)));
    let file = folder.join(format!("{name}-{hash:016x}.bin"));
    std::fs::write(&file, input)?;
    Ok(file)
}

#[allow(clippy::print_stdout)]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Inputs that failed once, by target: `regressions/<target>/<what it was>`.
    #[test]
    fn past_failures_stay_repaired() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
        for (name, _) in TARGETS {
            let target = target(name).unwrap();
            let Ok(files) = std::fs::read_dir(folder.join(name)) else {
                continue;
            };
            for file in files {
                let file = file.unwrap().path();
                let broken = target.check(&std::fs::read(&file).unwrap());
                assert_eq!(broken.err(), None, "{}", file.display());
            }
        }
    }

    #[test]
    fn a_seed_always_makes_the_same_input() {
        for (name, _) in TARGETS {
            let (one, other) = (target(name).unwrap(), target(name).unwrap());
            for seed in 0..40 {
                let input = one.make(&mut Chance::new(seed));
                assert!(input == other.make(&mut Chance::new(seed)), "{name} {seed}");
                assert_eq!(one.check(&input).err(), None, "{name} {seed}");
            }
        }
    }

    #[test]
    fn the_command_line_says_how_many_from_where_and_at_what() {
        let parse = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            Wish::parse(&words).map_err(|error| error.to_string())
        };
        let wish = parse("--runs 1_000 wasi --seed 0xff").unwrap();
        assert_eq!((wish.runs, wish.seed), (1_000, 255));
        assert_eq!(wish.target.as_deref(), Some("wasi"));
        assert_eq!(parse("").unwrap().runs, RUNS);
        for bad in ["--runs", "--runs many", "--fast", "wasi admission"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(target("nothing").is_err());
    }

    #[test]
    fn every_execution_is_given_to_some_target() {
        assert_eq!(TARGETS.iter().map(|(_, share)| share).sum::<u64>(), 1000);
    }
}
