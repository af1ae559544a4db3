//! Reads Debian's archive through apt, without touching the system.
//!
//! Apt works in a folder of ours with lists of its own. It checks signatures and hashes as always,
//! and follows the machine's mirrors and proxies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{console, process};

const MIRRORS_MAX: usize = 4;
const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
];

/// One suite of a mirror, with apt's lists of it in a folder of ours.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
}

impl Archive {
    /// Fetches the suite's lists into a new folder; `None` if the mirror does not have it or its signature is bad.
    pub fn open(mirror: &str, suite: &str, keyring: &str, folder: PathBuf) -> Result<Option<Self>> {
        for part in ["state/lists/partial", "cache/archives/partial", "sources.d"] {
            let part = folder.join(part);
            fs::create_dir_all(&part)
                .with_context(|| format!("cannot create {}", part.display()))?;
        }
        fs::write(folder.join("status"), "").context("cannot write apt's status")?;
        fs::write(
            folder.join("sources.list"),
            format!("deb [signed-by={keyring}] {mirror} {suite} main\n"),
        )
        .context("cannot write apt's sources")?;

        let archive = Self { folder };
        let found = process::run_quietly(archive.apt("apt-get").arg("update")).is_ok();
        if !found {
            console::detail(&format!("{mirror} has no {suite}"));
        }
        Ok(found.then_some(archive))
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let at = |name: &str| self.folder.join(name).display().to_string();
        for option in [
            format!("Dir::Etc::sourcelist={}", at("sources.list")),
            format!("Dir::Etc::sourceparts={}", at("sources.d")),
            format!("Dir::State={}", at("state")),
            format!("Dir::State::status={}", at("status")),
            format!("Dir::Cache={}", at("cache")),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::http::Timeout=20".to_owned(),
            // We ask for one exact version, so a mirror that lags behind is as good as any.
            "Acquire::Check-Valid-Until=false".to_owned(),
            // The folder may be closed to apt's own user; this one is ours anyway.
            "APT::Sandbox::User=".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        command
    }

    /// The versions of a package, newest first.
    pub fn versions(&self, package: &str) -> Result<Vec<String>> {
        let table = process::read(self.apt("apt-cache").args(["madison", package]))?;
        Ok(parse_versions(&table))
    }

    /// Downloads one version of a package into a folder; apt verifies its hash.
    pub fn download(&self, package: &str, version: &str, into: &Path) -> Result<()> {
        console::detail(&format!("{package} {version}"));
        process::run_quietly(
            self.apt("apt-get")
                .arg("download")
                .arg(format!("{package}={version}"))
                .current_dir(into),
        )
    }

    /// Downloads a package, and of what it needs whatever this machine does not have.
    pub fn download_missing(&self, package: &str, into: &Path) -> Result<()> {
        let partial = into.join("partial");
        fs::create_dir_all(&partial)
            .with_context(|| format!("cannot create {}", partial.display()))?;
        console::detail(package);
        process::run_quietly(
            self.apt("apt-get")
                .args([
                    "install",
                    "--download-only",
                    "--yes",
                    "--no-install-recommends",
                ])
                // The last word counts: what is installed here need not be downloaded.
                .args(["-o", "Dir::State::status=/var/lib/dpkg/status"])
                .args(["-o", "Debug::NoLocking=1"])
                .arg("-o")
                .arg(format!("Dir::Cache::archives={}", into.display()))
                .arg(package),
        )
    }
}

/// Reads the second column of `apt-cache madison`.
fn parse_versions(table: &str) -> Vec<String> {
    table
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(|version| version.trim().to_owned())
        .collect()
}

/// The keys that Debian signs with, if they are installed.
pub fn keyring() -> Option<&'static str> {
    KEYRINGS.into_iter().find(|path| Path::new(path).exists())
}

/// The mirrors that apt is configured with, and no others.
pub fn mirrors() -> Vec<String> {
    let mut apt = Command::new("apt-get");
    let targets = process::read(apt.args(["indextargets", "--format", "$(REPO_URI)"]));
    parse_mirrors(&targets.unwrap_or_default())
}

fn parse_mirrors(index_targets: &str) -> Vec<String> {
    let mut mirrors = Vec::new();
    for line in index_targets.lines().map(str::trim) {
        let fits = !line.is_empty() && !line.contains("security");
        if fits && mirrors.len() < MIRRORS_MAX && !mirrors.iter().any(|known| known == line) {
            mirrors.push(line.to_owned());
        }
    }
    mirrors
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADISON: &str = "\
  rust-src | 1.96.1+dfsg1-2~bpo13+1 | http://mirror trixie-backports/main amd64 Packages
  rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://mirror trixie-backports/main amd64 Packages
";

    #[test]
    fn versions_are_the_second_column() {
        assert_eq!(
            parse_versions(MADISON),
            ["1.96.1+dfsg1-2~bpo13+1", "1.95.0+dfsg1-2~bpo13+1"]
        );
        assert!(parse_versions("").is_empty());
    }

    #[test]
    fn mirrors_come_once_each_and_without_the_security_ones() {
        let mine = "http://mirror.example/debian/";
        let lines = format!("{mine}\n{mine}\nhttp://mirror.example/debian-security/\n");
        assert_eq!(parse_mirrors(&lines), [mine]);
        assert!(parse_mirrors("").is_empty());
    }
}
