//! Keeps the largest credit that a hub signed: with it the miner claims its pay, even from a hub that
//! never settles.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use haar_records::wire::{self, FRAME_BYTES_MAX};
use haar_records::{HubId, MinerCredit, Signed};
use tokio::sync::Mutex;

/// A credit that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreditError {
    /// The file cannot be read or written.
    #[error("cannot access the credit in {}: {source}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file does not hold a credit.
    #[error("{} does not hold a credit", path.display())]
    Malformed {
        /// Where.
        path: PathBuf,
    },
}

/// The largest credit of a hub in a miner's folder, if it has one.
pub fn latest_credit(dir: &Path, hub: HubId) -> Result<Option<Signed<MinerCredit>>, CreditError> {
    let path = path(dir, hub);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(CreditError::File { path, source }),
    };
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(CreditError::Malformed { path });
    }
    match wire::decode(&bytes) {
        Ok(credit) => Ok(Some(credit)),
        Err(_) => Err(CreditError::Malformed { path }),
    }
}

/// The credit of one hub, in memory and on disk.
#[derive(Debug)]
pub(crate) struct Credits {
    dir: PathBuf,
    hub: HubId,
    latest: Mutex<Option<Signed<MinerCredit>>>,
}

impl Credits {
    pub(crate) fn open(dir: &Path, hub: HubId) -> Result<Self, CreditError> {
        Ok(Self {
            dir: dir.to_owned(),
            hub,
            latest: Mutex::new(latest_credit(dir, hub)?),
        })
    }

    /// Keeps a credit whose signature was checked, if it says more than the last one.
    pub(crate) async fn keep(&self, credit: Signed<MinerCredit>) -> Result<(), CreditError> {
        let mut latest = self.latest.lock().await;
        let known = latest.as_ref().map(|known| known.record.cumulative);
        if known >= Some(credit.record.cumulative) {
            return Ok(());
        }
        let path = path(&self.dir, self.hub);
        let bytes = wire::encode(&credit);
        replace(path, bytes).await?;
        *latest = Some(credit);
        Ok(())
    }
}

/// Writes a file so that it has its old bytes or its new ones, whenever the machine stops.
async fn replace(path: PathBuf, bytes: Vec<u8>) -> Result<(), CreditError> {
    let written = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || replace_now(&path, &bytes)).await
    };
    match written {
        Ok(Ok(())) => Ok(()),
        Ok(Err(source)) => Err(CreditError::File { path, source }),
        Err(error) => Err(CreditError::File {
            path,
            source: io::Error::other(error),
        }),
    }
}

fn replace_now(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = fs::File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    // The new name is durable only with its folder. Where folders cannot be opened, the file's own
    // durability has to do.
    if let Some(dir) = path.parent()
        && let Ok(dir) = fs::File::open(dir)
    {
        dir.sync_all()?;
    }
    Ok(())
}

fn path(dir: &Path, hub: HubId) -> PathBuf {
    dir.join(format!("credit-{hub}.cbor"))
}
