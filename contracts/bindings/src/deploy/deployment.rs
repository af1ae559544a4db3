//! Where the contracts of a system are, in a file and on a chain.

use std::path::Path;

use alloy::primitives::Address;
use alloy::providers::Provider as _;
use haar_records::Domain;
use serde::{Deserialize, Serialize};

use crate::chain::{Chain, ChainError, within};

/// A deployment file is far smaller.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Where the contracts are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// The block that the first contract is in; nobody has to look for events before it.
    pub block: u64,
    /// The token.
    pub snm: Address,
    /// The DAO, as all other contracts know it.
    pub timelock: Address,
    /// Where the DAO votes.
    pub governor: Address,
    /// The registry of hubs.
    pub hubs: Address,
    /// The registry of miners.
    pub miners: Address,
    /// Where taken stakes lie still.
    pub vault: Address,
    /// What hubs owe their miners.
    pub settlement: Address,
    /// The proofs that a hub or a miner lied.
    pub frauds: Address,
    /// The code that every hub's wallet runs.
    pub wallet: Address,
}

/// A file that does not tell where the contracts are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeploymentError {
    /// The disk or its permissions.
    #[error("cannot use the deployment file: {0}")]
    Io(#[from] std::io::Error),
    /// Not what `save` wrote.
    #[error("not a deployment file: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Somebody else's file, surely.
    #[error("not a deployment file: it has more than {FILE_BYTES_MAX} bytes")]
    TooLarge,
}

impl Deployment {
    /// Reads what `save` wrote.
    pub fn load(path: &Path) -> Result<Self, DeploymentError> {
        if std::fs::metadata(path)?.len() > FILE_BYTES_MAX {
            return Err(DeploymentError::TooLarge);
        }
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }

    /// Writes the addresses as JSON, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), DeploymentError> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        let beside = path.with_extension("new");
        std::fs::write(&beside, text)?;
        std::fs::rename(&beside, path)?;
        Ok(())
    }

    /// The domain in which the records for these contracts are signed.
    #[must_use]
    pub fn domain(&self) -> Domain {
        Domain {
            chain_id: self.chain_id,
            settlement: self.settlement,
        }
    }

    fn all(&self) -> [Address; 9] {
        [
            self.snm,
            self.timelock,
            self.governor,
            self.hubs,
            self.miners,
            self.vault,
            self.settlement,
            self.frauds,
            self.wallet,
        ]
    }
}

/// Contracts that are not where they should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The deployment belongs to another chain.
    #[error("the contracts are on chain {expected}, and this is chain {found}")]
    OtherChain {
        /// Where the contracts are.
        expected: u64,
        /// What was asked.
        found: u64,
    },
    /// For instance a development chain that was started anew.
    #[error("there is no contract at {address} on this chain")]
    NoContract {
        /// Where nothing is.
        address: Address,
    },
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// The deployed contracts on their chain: what every verb needs to know.
#[derive(Debug, Clone)]
pub struct Contracts {
    chain: Chain,
    at: Deployment,
}

impl Contracts {
    /// The contracts of a deployment, once it is certain that they are there.
    pub async fn open(chain: &Chain, at: Deployment) -> Result<Self, OpenError> {
        if chain.id() != at.chain_id {
            return Err(OpenError::OtherChain {
                expected: at.chain_id,
                found: chain.id(),
            });
        }
        for address in at.all() {
            let code = async { chain.provider().get_code_at(address).await };
            if within(code).await.map_err(OpenError::Chain)?.is_empty() {
                return Err(OpenError::NoContract { address });
            }
        }
        Ok(Self {
            chain: chain.clone(),
            at,
        })
    }

    /// The contracts that have just been deployed.
    pub(super) fn new(chain: &Chain, at: Deployment) -> Self {
        Self {
            chain: chain.clone(),
            at,
        }
    }

    /// The chain that they are on.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Where they are.
    #[must_use]
    pub fn at(&self) -> &Deployment {
        &self.at
    }

    /// The domain in which the records for these contracts are signed.
    #[must_use]
    pub fn domain(&self) -> Domain {
        self.at.domain()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn deployment() -> Deployment {
        let at = Address::repeat_byte;
        Deployment {
            chain_id: 31_337,
            block: 1,
            snm: at(1),
            timelock: at(2),
            governor: at(3),
            hubs: at(4),
            miners: at(5),
            vault: at(6),
            settlement: at(7),
            frauds: at(8),
            wallet: at(9),
        }
    }

    #[test]
    fn a_deployment_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deployment.json");
        deployment().save(&path).unwrap();
        assert_eq!(Deployment::load(&path).unwrap(), deployment());
    }

    #[test]
    fn another_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deployment.json");
        std::fs::write(&path, "{}").unwrap();
        assert!(matches!(
            Deployment::load(&path),
            Err(DeploymentError::Malformed(_))
        ));
        std::fs::write(&path, vec![b' '; 100_000]).unwrap();
        assert!(matches!(
            Deployment::load(&path),
            Err(DeploymentError::TooLarge)
        ));
    }
}
