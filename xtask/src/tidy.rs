//! Checks what no compiler checks: who may import whom, how long things are, which words are used.
//!
//! Every rule looks at text or at `cargo metadata` and returns findings; nothing is changed. All
//! findings are reported at once, each with its place and what to do about it.

mod crates;
mod layers;
mod sizes;
mod source;
mod words;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::console::{self, Step};
use crate::{process, workspace};

/// Larger files are data; a rule about text has nothing to say about them.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// One breach of a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: String,
    line: usize,
    /// What is wrong and what to do, in one sentence or two.
    advice: String,
}

impl Finding {
    fn new(file: &str, line: usize, advice: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            advice: advice.into(),
        }
    }
}

/// A text file of the project, by its path below the root.
#[derive(Debug)]
struct Text {
    path: String,
    content: String,
}

impl Text {
    fn extension(&self) -> &str {
        Path::new(&self.path)
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or("")
    }

    /// The lines with their numbers, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.content
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }
}

/// Checks every rule; an error if any is broken.
pub fn check() -> Result<()> {
    let step = Step::start("tidy: layers, sizes, words");
    let workspace = workspace::get()?;
    let texts = texts(&workspace.root)?;

    let mut findings = layers::check(workspace);
    findings.extend(crates::check(workspace, &texts));
    for text in &texts {
        findings.extend(sizes::check(text));
        findings.extend(words::check(text));
    }
    findings.sort();
    findings.dedup();

    for Finding { file, line, advice } in &findings {
        console::detail(&format!("{file}:{line}: {advice}"));
    }
    match findings.len() {
        0 => step.done(&format!("{} files", texts.len())),
        1 => bail!("tidy has one finding"),
        many => bail!("tidy has {many} findings"),
    }
    Ok(())
}

/// Reads every file that is tracked or about to be.
fn texts(root: &Path) -> Result<Vec<Text>> {
    let paths = process::read(
        Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(root),
    )?;
    let mut texts = Vec::new();
    for path in paths.split_terminator('\0') {
        let file = root.join(path);
        // A tracked file may be deleted in the checkout, and not every file is text.
        let small = fs::metadata(&file).is_ok_and(|metadata| metadata.len() <= TEXT_BYTES_MAX);
        if let (true, Ok(content)) = (small, fs::read_to_string(&file)) {
            texts.push(Text {
                path: path.to_owned(),
                content,
            });
        }
    }
    Ok(texts)
}
