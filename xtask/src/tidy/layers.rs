//! Who may import whom: arrows point down only, and each outside thing has one owner.

use super::Finding;
use crate::run::PURE;
use crate::workspace::{Package, Workspace};

/// One of our crates and the crates of ours that it may import.
struct Layer {
    name: &'static str,
    imports: &'static [&'static str],
    /// Only in its tests.
    test_imports: &'static [&'static str],
}

const fn layer(name: &'static str, imports: &'static [&'static str]) -> Layer {
    Layer {
        name,
        imports,
        test_imports: &[],
    }
}

/// From the bottom to the top. The hub imports `meter` to refuse a bad module at publish; it never
/// imports `sandbox`, because it never runs a guest.
const LAYERS: [Layer; 15] = [
    layer("haar-records", &[]),
    layer("haar-meter", &["haar-records"]),
    layer("haar-wasi", &["haar-records"]),
    layer("haar-protocol", &["haar-records"]),
    layer("haar-bindings", &["haar-records"]),
    layer("haar-swarm", &["haar-records"]),
    layer("haar-sandbox", &["haar-records", "haar-meter", "haar-wasi"]),
    layer("haar-web", &["haar-meter", "haar-wasi"]),
    layer(
        "haar-lab",
        &["haar-records", "haar-meter", "haar-wasi", "haar-sandbox"],
    ),
    layer(
        "haar-hub",
        &[
            "haar-records",
            "haar-meter",
            "haar-protocol",
            "haar-bindings",
            "haar-swarm",
        ],
    ),
    layer(
        "haar-miner",
        &[
            "haar-records",
            "haar-protocol",
            "haar-swarm",
            "haar-sandbox",
        ],
    ),
    layer(
        "haar-cli",
        &[
            "haar-records",
            "haar-meter",
            "haar-wasi",
            "haar-protocol",
            "haar-bindings",
            "haar-swarm",
            "haar-sandbox",
            "haar-hub",
            "haar-miner",
        ],
    ),
    Layer {
        name: "haar-guest-macros",
        imports: &[],
        test_imports: &["haar-guest-sdk"],
    },
    layer("haar-guest-sdk", &["haar-guest-macros"]),
    layer("xtask", &[]),
];
/// What every package in the folder of example functions may import.
const FUNCTION: Layer = layer("an example function", &["haar-guest-sdk"]);
const FUNCTIONS: &str = "examples/functions";

/// An outside thing; a name that starts with it and a hyphen belongs to it.
struct Outside {
    name: &'static str,
    owners: &'static [&'static str],
    test_owners: &'static [&'static str],
}

const fn outside(name: &'static str, owners: &'static [&'static str]) -> Outside {
    Outside {
        name,
        owners,
        test_owners: &[],
    }
}

/// The first that fits decides, so exceptions stand before the rule.
const OUTSIDE: [Outside; 14] = [
    outside("iroh", &["haar-swarm"]),
    Outside {
        name: "wasmtime",
        // The lab compares engines with each other.
        owners: &["haar-sandbox", "haar-lab"],
        // Their tests run what they made; their code knows no engine.
        test_owners: &["haar-meter", "haar-wasi"],
    },
    Outside {
        name: "wasi-common",
        owners: &["haar-sandbox"],
        test_owners: &["haar-wasi"],
    },
    outside("cap-std", &["haar-sandbox"]),
    outside("alloy-primitives", &["haar-records", "haar-bindings"]),
    outside("alloy-sol-types", &["haar-records", "haar-bindings"]),
    outside("alloy", &["haar-bindings"]),
    outside("revm", &["haar-bindings"]),
    outside("hyper", &["haar-hub"]),
    outside("rusqlite", &["haar-hub"]),
    outside("clap", &["haar-cli"]),
    outside("indicatif", &["haar-cli"]),
    outside("web-sys", &["haar-web-miner"]),
    outside("wasm-bindgen", &["haar-web-miner"]),
];

/// Threads, sockets, clocks and chance: a pure crate gets what they yield as arguments.
const IMPURE: [&str; 8] = [
    "tokio",
    "mio",
    "async-std",
    "rand",
    "getrandom",
    "chrono",
    "rayon",
    "reqwest",
];

/// Reports every dependency that points where it must not.
pub fn check(workspace: &Workspace) -> Vec<Finding> {
    let ours: Vec<&str> = workspace
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut findings = Vec::new();
    for package in &workspace.packages {
        let folder = package.folder(&workspace.root);
        let manifest = folder.join("Cargo.toml").display().to_string();
        let content = std::fs::read_to_string(&package.manifest_path).unwrap_or_default();
        let in_functions = folder.starts_with(FUNCTIONS);
        for advice in check_package(package, in_functions, &ours) {
            findings.push(Finding::new(
                &manifest,
                line_of(&content, &advice.0),
                advice.1,
            ));
        }
    }
    findings
}

/// Returns each dependency that is not allowed, with the reason.
fn check_package(package: &Package, in_functions: bool, ours: &[&str]) -> Vec<(String, String)> {
    let name = package.name.as_str();
    let layer = LAYERS.iter().find(|layer| layer.name == name);
    let layer = layer.or(in_functions.then_some(&FUNCTION));
    let Some(layer) = layer else {
        let advice = format!("`{name}` has no layer; give it one in xtask/src/tidy/layers.rs");
        return vec![("name".to_owned(), advice)];
    };

    let mut findings = Vec::new();
    for dependency in &package.dependencies {
        let other = dependency.name.as_str();
        let in_tests = dependency.kind.as_deref() == Some("dev");
        let advice = if ours.contains(&other) {
            check_ours(layer, other, in_tests)
        } else {
            check_outside(name, other, in_tests)
        };
        findings.extend(advice.map(|advice| (other.to_owned(), advice)));
    }
    findings
}

fn check_ours(layer: &Layer, other: &str, in_tests: bool) -> Option<String> {
    let allowed =
        layer.imports.contains(&other) || (in_tests && layer.test_imports.contains(&other));
    (!allowed).then(|| {
        format!(
            "{} must not import {other}: arrows point down only (ARCHITECTURE.md); move what is \
             shared into a lower crate",
            layer.name
        )
    })
}

fn check_outside(name: &str, other: &str, in_tests: bool) -> Option<String> {
    if PURE.contains(&name) && !in_tests && IMPURE.contains(&other) {
        return Some(format!(
            "{name} is pure and must not import {other}: take what it yields as an argument"
        ));
    }

    let belongs = |outside: &&Outside| {
        other
            .strip_prefix(outside.name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let outside = OUTSIDE.iter().find(belongs)?;
    let allowed =
        outside.owners.contains(&name) || (in_tests && outside.test_owners.contains(&name));
    (!allowed).then(|| {
        format!(
            "{name} must not import {other}: it belongs to {}",
            outside.owners.join(" and ")
        )
    })
}

/// The line of a manifest that names the dependency.
fn line_of(manifest: &str, dependency: &str) -> usize {
    let names = |line: &str| {
        let rest = line.trim_start().strip_prefix(dependency);
        rest.is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    };
    manifest
        .lines()
        .position(names)
        .map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    const OURS: [&str; 6] = [
        "haar-records",
        "haar-wasi",
        "haar-swarm",
        "haar-sandbox",
        "haar-hub",
        "haar-guest-sdk",
    ];

    /// Feeds one dependency of one package and compares whether it is allowed.
    #[track_caller]
    fn check(name: &str, other: &str, kind: Option<&str>, allowed: bool) {
        let dependency = Dependency {
            name: other.to_owned(),
            kind: kind.map(str::to_owned),
        };
        let package = Package {
            name: name.to_owned(),
            manifest_path: "Cargo.toml".into(),
            dependencies: vec![dependency],
            targets: Vec::new(),
        };
        let findings = check_package(&package, name == "example", &OURS);
        assert_eq!(findings.is_empty(), allowed, "{findings:?}");
    }

    #[test]
    fn arrows_point_down_only() {
        check("haar-hub", "haar-records", None, true);
        check("haar-records", "haar-hub", None, false);
        check("haar-swarm", "haar-sandbox", None, false);
        check("haar-hub", "haar-sandbox", None, false);
        check("haar-hub", "haar-sandbox", Some("dev"), false);
    }

    #[test]
    fn functions_know_only_the_sdk() {
        check("example", "haar-guest-sdk", None, true);
        check("example", "haar-records", None, false);
        check("haar-guest-sdk", "haar-records", None, false);
    }

    #[test]
    fn outside_things_have_one_owner() {
        check("haar-swarm", "iroh-blobs", None, true);
        check("haar-hub", "iroh", None, false);
        check("haar-hub", "hyper-util", None, true);
        check("haar-miner", "hyper", None, false);
        check("haar-hub", "irohic", None, true);
    }

    #[test]
    fn tests_may_use_an_engine() {
        check("haar-meter", "wasmtime", Some("dev"), true);
        check("haar-meter", "wasmtime", None, false);
    }

    #[test]
    fn the_pure_part_of_alloy_is_for_records_too() {
        check("haar-records", "alloy-primitives", None, true);
        check("haar-records", "alloy", None, false);
        check("haar-hub", "alloy-sol-types", None, false);
    }

    #[test]
    fn pure_crates_take_chance_as_an_argument() {
        check("haar-protocol", "getrandom", None, false);
        check("haar-protocol", "rand", Some("dev"), true);
        check("haar-protocol", "rand_chacha", None, true);
    }

    #[test]
    fn a_new_crate_needs_a_layer() {
        check("haar-new", "serde", None, false);
    }

    #[test]
    fn a_finding_points_at_the_manifests_line() {
        let manifest =
            "[package]\nname = \"x\"\n[dependencies]\niroh-blobs = \"1\"\niroh.workspace = true\n";
        assert_eq!(line_of(manifest, "iroh"), 5);
        assert_eq!(line_of(manifest, "iroh-blobs"), 4);
        assert_eq!(line_of(manifest, "clap"), 1);
    }
}
