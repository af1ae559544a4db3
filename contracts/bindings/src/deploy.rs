//! Puts the contracts on a chain, in the order that contracts/README.md gives.

use std::path::Path;

use alloy::primitives::{Address, B256, U256, aliases::U40, keccak256};
use alloy::providers::Provider as _;
use haar_records::{Domain, Snm};
use serde::{Deserialize, Serialize};

use crate::chain::{Chain, ChainError, within};
use crate::contracts::frauds::FraudProofs;
use crate::contracts::governor::DaoGovernor;
use crate::contracts::hubs::HubRegistry::{self, Params};
use crate::contracts::miners::MinerRegistry;
use crate::contracts::settlement::Settlement;
use crate::contracts::snm::SNM;
use crate::contracts::timelock::TimelockController;
use crate::contracts::vault::ExpropriationVault;
use crate::contracts::wallet::HubWallet;
use crate::send::Sender;

const HOURS: u64 = 3_600;
const DAYS: u64 = 24 * HOURS;

/// How long a decision of the DAO waits before it can be executed, in seconds.
const TIMELOCK_SECONDS: u64 = 2 * DAYS;

/// A deployment file is far smaller.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// What a new system starts with. The contracts check the bounds.
#[derive(Debug, Clone)]
pub struct Genesis {
    /// Who gets all SNM at first.
    pub holder: Address,
    /// All the SNM that there will ever be.
    pub supply: Snm,
    /// The smallest stake of a hub.
    pub hub_stake_min: Snm,
    /// The smallest stake of a miner.
    pub miner_stake_min: Snm,
    /// How long a batch can be challenged before it pays, in seconds.
    pub challenge_seconds: u64,
    /// Open value may be at most this many times a hub's stake.
    pub leverage: u8,
    /// The ABI versions whose determinism is trusted, so that miners can be slashed for lying.
    pub slashable_abis: Vec<u32>,
}

impl Genesis {
    /// The usual rules, with all SNM for `holder`.
    #[must_use]
    pub fn usual(holder: Address) -> Self {
        Self {
            holder,
            supply: Snm::whole(444_000_000),
            hub_stake_min: Snm::whole(10_000),
            miner_stake_min: Snm::whole(100),
            challenge_seconds: 24 * HOURS,
            leverage: 3,
            slashable_abis: vec![1],
        }
    }

    fn params(&self) -> Params {
        let seconds = |seconds: u64| U40::from(seconds);
        Params {
            minFreeze: self.hub_stake_min.0,
            leverage: self.leverage,
            challengeWindow: seconds(self.challenge_seconds),
            withdrawDelay: seconds(2 * self.challenge_seconds),
            exitThaw: seconds(21 * DAYS),
            minSuspicion: seconds(3 * DAYS),
            suspectMax: seconds(9 * DAYS),
            operatorDelay: seconds(2 * self.challenge_seconds),
            slashBps: 1_000,
            bountyBps: 1_000,
            protocolFeeBps: 50,
            penalty: 1,
        }
    }
}

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

/// Puts all contracts on the sender's chain and connects them.
///
/// The sender has no power over them afterwards: the DAO is the timelock, which obeys votes only.
pub async fn deploy_all(sender: &Sender, genesis: &Genesis) -> Result<Contracts, ChainError> {
    let block = sender.chain().height().await? + 1;
    let (holder, supply) = (genesis.holder, U256::from(genesis.supply.0));
    let token = sender
        .create(&SNM::BYTECODE, SNM::constructorCall { holder, supply })
        .await?;
    let (timelock, governor) = create_dao(sender, token).await?;

    let told = HubRegistry::constructorCall {
        token,
        dao_: timelock,
        rules: genesis.params(),
    };
    let hubs = sender.create(&HubRegistry::BYTECODE, told).await?;
    let told = MinerRegistry::constructorCall {
        token,
        minStake_: genesis.miner_stake_min.0,
        thaw_: U40::from(14 * DAYS),
        bountyBps_: 1_000,
    };
    let miners = sender.create(&MinerRegistry::BYTECODE, told).await?;
    let (dao_, treasury_) = (timelock, timelock);
    let told = ExpropriationVault::constructorCall {
        token,
        dao_,
        treasury_,
        hubs,
        miners,
    };
    let vault = sender.create(&ExpropriationVault::BYTECODE, told).await?;
    let told = Settlement::constructorCall {
        hubs,
        miners,
        treasury_,
    };
    let settlement = sender.create(&Settlement::BYTECODE, told).await?;
    let told = FraudProofs::constructorCall {
        token,
        dao_,
        settlement,
        hubs,
        miners,
        slashableAbis: genesis.slashable_abis.clone(),
    };
    let frauds = sender.create(&FraudProofs::BYTECODE, told).await?;
    let told = HubWallet::constructorCall {
        token,
        registry: hubs,
        settlement,
    };
    let wallet = sender.create(&HubWallet::BYTECODE, told).await?;

    let chain_id = sender.chain().id();
    let at = Deployment {
        chain_id,
        block,
        snm: token,
        timelock,
        governor,
        hubs,
        miners,
        vault,
        settlement,
        frauds,
        wallet,
    };
    connect(sender, &at).await?;
    tracing::info!(target: "haar::chain::deployed", chain_id, block, snm = %token, %settlement);
    Ok(Contracts {
        chain: sender.chain().clone(),
        at,
    })
}

/// Creates the timelock, to which everything will belong, and the votes that it will obey.
async fn create_dao(sender: &Sender, token: Address) -> Result<(Address, Address), ChainError> {
    let told = TimelockController::constructorCall {
        minDelay: U256::from(TIMELOCK_SECONDS),
        proposers: Vec::new(),
        // Anybody may execute what has been decided and has waited.
        executors: vec![Address::ZERO],
        admin: sender.address(),
    };
    let timelock = sender.create(&TimelockController::BYTECODE, told).await?;
    let told = DaoGovernor::constructorCall {
        token_: token,
        timelock_: timelock,
    };
    Ok((timelock, sender.create(&DaoGovernor::BYTECODE, told).await?))
}

/// Tells the contracts about each other and hands the timelock over to the votes.
async fn connect(sender: &Sender, at: &Deployment) -> Result<(), ChainError> {
    let wired = HubRegistry::wireCall {
        walletImplementation_: at.wallet,
        settlement_: at.settlement,
        fraudProofs_: at.frauds,
        vault_: at.vault,
    };
    sender.call(at.hubs, wired).await?;
    let wired = MinerRegistry::wireCall {
        fraudProofs_: at.frauds,
        vault_: at.vault,
    };
    sender.call(at.miners, wired).await?;

    for role in ["PROPOSER_ROLE", "CANCELLER_ROLE"] {
        let role = keccak256(role);
        let granted = TimelockController::grantRoleCall {
            role,
            account: at.governor,
        };
        sender.call(at.timelock, granted).await?;
    }
    let renounced = TimelockController::renounceRoleCall {
        role: B256::ZERO,
        callerConfirmation: sender.address(),
    };
    sender.call(at.timelock, renounced).await?;
    Ok(())
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
