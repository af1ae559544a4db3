//! Key files: one secret key in hexadecimal, readable by its owner only.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use haar_records::{BlobHash, Keypair};

/// Reads a key, or makes one where there is none.
pub fn load_or_make(path: &Path) -> Result<Keypair> {
    if !path.exists() {
        make(path)?;
    }
    load(path)
}

/// Reads a key; refuses a file that others could read.
pub fn load(path: &Path) -> Result<Keypair> {
    let about = || format!("cannot read the key {}", path.display());
    let facts = std::fs::symlink_metadata(path).with_context(about)?;
    if !facts.is_file() || facts.mode() & 0o077 != 0 {
        bail!(
            "the key {} can be read by others: chmod 600 it",
            path.display()
        );
    }
    let text = std::fs::read_to_string(path).with_context(about)?;
    Keypair::from_hex(&text).with_context(about)
}

fn make(path: &Path) -> Result<()> {
    let about = || format!("cannot make the key {}", path.display());
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(about)?;
    }
    // The endpoint keys of the swarm come from the same source of randomness.
    let mut secret = [0_u8; 32];
    getrandom::fill(&mut secret).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Keypair::from_bytes(secret).with_context(about)?;
    write(path, &BlobHash::from(secret).to_string()).with_context(about)
}

/// Writes a secret into a new file of its owner's.
pub fn write(path: &Path, secret: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()
}
