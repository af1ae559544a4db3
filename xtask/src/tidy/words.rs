//! One word per thing, nothing left for later, and nothing that is true on one machine only.

use super::source::code_only;
use super::{Finding, Text};

/// This rule names what it forbids.
const OWN_FOLDER: &str = "xtask/src/tidy";

/// Words of other systems, and ours for the same thing. Words that also mean something else, such
/// as client or task, are left to the reader of a change.
const FORBIDDEN: [(&str, &str); 9] = [
    ("worker", "miner"),
    ("broker", "hub"),
    ("coordinator", "hub"),
    ("workunit", "job"),
    ("replica", "attempt"),
    ("requester", "buyer"),
    ("customer", "buyer"),
    ("bond", "stake"),
    ("blocklist", "blacklist"),
];
/// In lower case: who says them in a line that is about others.
const FOREIGN: [&str; 3] = ["worker_threads", "browser", "web worker"];

const LATER_MACROS: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];
const LATER_MARKS: [&str; 2] = ["FIXME", "XXX:"];

const MACHINE_PATHS: [&str; 4] = ["/root/", "/home/", "/tmp/", "/var/tmp/"];

/// Reports words, marks, paths and hosts that must not be committed.
pub fn check(text: &Text) -> Vec<Finding> {
    let mut findings = hosts(text);
    let is_source = matches!(text.extension(), "rs" | "ts" | "sol");
    if text.path.starts_with(OWN_FOLDER) {
        return findings;
    }

    findings.extend(machine_paths(text));
    if is_source {
        findings.extend(left_for_later(text));
    }
    // Pages have workers of their own, the browser's.
    if is_source && text.extension() != "ts" {
        findings.extend(forbidden_words(text));
    }
    findings
}

fn forbidden_words(text: &Text) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in text.lines() {
        let lower = line.to_lowercase();
        if FOREIGN.iter().any(|name| lower.contains(name)) {
            continue;
        }
        for word in words(line) {
            let singular = word.strip_suffix('s').unwrap_or(&word);
            let Some((_, ours)) = FORBIDDEN.iter().find(|(theirs, _)| *theirs == singular) else {
                continue;
            };
            let advice = format!("`{word}` is not our word; say {ours}");
            findings.push(Finding::new(&text.path, number, advice));
        }
    }
    findings
}

/// Splits a line into lower-case words, names like `WorkerId` and `worker_id` included.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for character in line.chars() {
        let starts = after_lower && character.is_uppercase();
        if starts || !character.is_alphabetic() {
            words.push(String::new());
        }
        if character.is_alphabetic() {
            words
                .last_mut()
                .expect("there is always a word")
                .extend(character.to_lowercase());
        }
        after_lower = character.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

fn left_for_later(text: &Text) -> Vec<Finding> {
    let mut findings = Vec::new();
    let code = if text.extension() == "rs" {
        code_only(&text.content)
    } else {
        String::new()
    };
    for (index, line) in code.lines().enumerate() {
        let unfinished = LATER_MACROS.into_iter().find(|name| line.contains(name));
        findings.extend(unfinished.map(|name| {
            let advice = format!("`{name}` is not finished; write it, or return a typed error");
            Finding::new(&text.path, index + 1, advice)
        }));
    }
    for (number, line) in text.lines() {
        let mark = LATER_MARKS.into_iter().find(|mark| line.contains(mark));
        findings.extend(mark.map(|mark| {
            let advice = format!("`{mark}` belongs into an issue, not into the code");
            Finding::new(&text.path, number, advice)
        }));
    }
    findings
}

fn machine_paths(text: &Text) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in text.lines() {
        // A page for people may tell them to write to their own temporary folder.
        let is_named = |path: &&str| {
            let allowed = text.extension() == "md" && path.contains("tmp");
            !allowed && starts_a_path(line, path)
        };
        findings.extend(MACHINE_PATHS.into_iter().find(is_named).map(|path| {
            let advice = format!("`{path}` exists on some machines only; take it as an argument");
            Finding::new(&text.path, number, advice)
        }));
    }
    findings
}

/// Whether `path` stands in the line at the beginning of a path, not within one.
fn starts_a_path(line: &str, path: &str) -> bool {
    let within = |character: char| character.is_alphanumeric() || "_-./}$:".contains(character);
    line.match_indices(path)
        .any(|(start, _)| !line[..start].ends_with(within))
}

/// Reports where a machine's own package registry got into a file that others use.
fn hosts(text: &Text) -> Vec<Finding> {
    let name = text.path.rsplit('/').next().unwrap_or("");
    let is_foreign = |line: &str| match name {
        "package-lock.json" => line.contains("\"resolved\": \"http"),
        "Cargo.lock" => {
            line.starts_with("source = ")
                && line != "source = \"registry+https://github.com/rust-lang/crates.io-index\""
        }
        ".npmrc" => line.contains("registry="),
        "config.toml" => line.starts_with("[source.") || line.starts_with("[registries"),
        _ => false,
    };
    let advice = match name {
        "package-lock.json" => "a host of packages; set npm's `omit-lockfile-registry-resolved`",
        _ => "a package registry that others may not reach; remove it",
    };
    let lines = text.lines().filter(|(_, line)| is_foreign(line));
    lines
        .map(|(number, _)| Finding::new(&text.path, number, advice))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds one file and compares the lines that are found.
    #[track_caller]
    fn check_lines(path: &str, content: &str, expected: &[usize]) {
        let findings = check(&Text {
            path: path.to_owned(),
            content: content.to_owned(),
        });
        let lines: Vec<usize> = findings.iter().map(|finding| finding.line).collect();
        assert_eq!(lines, expected, "{findings:?}");
    }

    #[test]
    fn names_are_split_into_words() {
        assert_eq!(
            words("WorkerId, worker_id2: 4"),
            ["worker", "id", "worker", "id"]
        );
        assert_eq!(words("HTTPServer"), ["httpserver"]);
    }

    #[test]
    fn other_systems_words_are_found_in_names_and_comments() {
        check_lines(
            "host/hub/src/lib.rs",
            "struct WorkerId;\n// Workers.\nfn pay() {}",
            &[1, 2],
        );
        check_lines(
            "host/hub/src/lib.rs",
            "builder.worker_threads(2);\nnetworker",
            &[],
        );
        check_lines("host/page/main.ts", "new Worker(url)", &[]);
    }

    #[test]
    fn nothing_is_left_for_later() {
        check_lines("a.rs", "fn f() {\n    todo!()\n}\n// FIXME: it", &[2, 4]);
        check_lines("a.rs", "// `todo!()` is refused.\nlet a = \"dbg!\";", &[]);
        check_lines("a.sol", "// FIXME", &[1]);
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        check_lines("a.rs", "open(\"/home/me/x\")", &[1]);
        check_lines("run", "cd /root/haar", &[1]);
        check_lines(
            "a.rs",
            "open(\"/blobs/home/x\")\nget(\"http://host/home/\")",
            &[],
        );
        check_lines(
            "README.md",
            "curl --output /tmp/out\ncd /home/me/haar",
            &[2],
        );
    }

    #[test]
    fn registries_of_one_machine_are_found() {
        let line = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
        check_lines("Cargo.lock", line, &[]);
        check_lines(
            "Cargo.lock",
            "source = \"registry+https://mirror.example/index\"",
            &[1],
        );
        check_lines(
            "contracts/package-lock.json",
            "\"resolved\": \"https://mirror.example\"",
            &[1],
        );
        check_lines(".cargo/config.toml", "[alias]\n[source.mirror]", &[2]);
    }
}
