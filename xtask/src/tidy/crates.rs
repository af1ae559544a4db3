//! What every crate must have: a doc that says what it decides, and, if it is pure, the lints that
//! keep it so.

use super::{Finding, Text};
use crate::run::PURE;
use crate::workspace::{Package, Workspace};

/// What a pure crate's `clippy.toml` forbids, at the least.
const FORBIDDEN_TYPES: [&str; 3] = [
    "std::collections::HashMap",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// Reports crates that lack their doc or their lints.
pub fn check(workspace: &Workspace, texts: &[Text]) -> Vec<Finding> {
    let text = |path: &str| texts.iter().find(|text| text.path == path);
    let mut findings = Vec::new();
    for package in &workspace.packages {
        let folder = package.folder(&workspace.root).display().to_string();
        for path in entry_files(package, workspace) {
            let content = text(&path).map_or("", |text| text.content.as_str());
            findings.extend(check_doc(&path, content));
        }
        if PURE.contains(&package.name.as_str()) {
            let path = format!("{folder}/clippy.toml");
            let content = text(&path).map(|text| text.content.as_str());
            findings.extend(check_lints(&path, content));
        }
    }
    findings
}

/// The files that the compiler starts from, for libraries, macros and binaries.
fn entry_files(package: &Package, workspace: &Workspace) -> Vec<String> {
    let is_test = |kind: &String| matches!(kind.as_str(), "custom-build" | "test" | "bench");
    let targets = package
        .targets
        .iter()
        .filter(|target| !target.kind.iter().any(is_test));
    targets
        .filter_map(|target| target.src_path.strip_prefix(&workspace.root).ok())
        .map(|path| path.display().to_string())
        .collect()
}

fn check_doc(path: &str, content: &str) -> Option<Finding> {
    let advice = "it opens with `//!`: what it decides and what it never does";
    (!content.starts_with("//!")).then(|| Finding::new(path, 1, advice))
}

fn check_lints(path: &str, content: Option<&str>) -> Option<Finding> {
    let Some(content) = content else {
        let advice = "a pure crate has this file; it forbids IO, clocks, chance and hash maps";
        return Some(Finding::new(path, 1, advice));
    };
    let missing: Vec<&str> = FORBIDDEN_TYPES
        .into_iter()
        .filter(|forbidden| !content.contains(forbidden))
        .collect();
    (!missing.is_empty()).then(|| {
        let advice = format!("forbid {} in `disallowed-types`", missing.join(" and "));
        Finding::new(path, 1, advice)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_opens_with_its_doc() {
        assert_eq!(check_doc("lib.rs", "//! Decides.\n"), None);
        assert!(check_doc("lib.rs", "// Decides.\n").is_some());
        assert!(check_doc("lib.rs", "").is_some());
    }

    #[test]
    fn a_pure_crate_forbids_what_would_make_it_impure() {
        assert!(check_lints("clippy.toml", None).is_some());
        assert!(check_lints("clippy.toml", Some("disallowed-types = []")).is_some());
        assert_eq!(
            check_lints("clippy.toml", Some(&FORBIDDEN_TYPES.join("\n"))),
            None
        );
    }
}
