//! Puts the contracts on a chain, in the order that contracts/README.md gives.

mod deployment;

use alloy::primitives::{Address, B256, U256, aliases::U40, keccak256};
use haar_records::Snm;

use crate::chain::ChainError;
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
pub use deployment::{Contracts, Deployment, DeploymentError, OpenError};

const HOURS: u64 = 3_600;
const DAYS: u64 = 24 * HOURS;

/// How long a decision of the DAO waits before it can be executed, in seconds.
const TIMELOCK_SECONDS: u64 = 2 * DAYS;

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
    Ok(Contracts::new(sender.chain(), at))
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
