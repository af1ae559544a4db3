//! The demo's chain and the people on it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use haar_bindings::deploy::{Contracts, Genesis, deploy_all};
use haar_bindings::{Chain, DevChain, Sender, dev, hub, miner, pay, snm};
use haar_records::{B256, HubId, Keypair, Snm};
use tokio::net::TcpListener;

/// A chain in this process, with Haar's contracts, served to the other processes.
pub struct Bank {
    /// The contracts.
    pub contracts: Contracts,
    /// Who holds all SNM at the start.
    pub rich: Sender,
    /// Where other processes reach the chain.
    pub url: String,
    /// Where the contracts' addresses are written.
    pub deployment: PathBuf,
}

impl Bank {
    /// Starts the chain and deploys everything.
    pub async fn open(folder: &Path) -> Result<Self> {
        let chain = DevChain::open(&folder.join("chain.log"), dev::system_clock)?;
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("cannot serve the chain")?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(dev::serve(listener, chain.clone()));

        let chain = Chain::dev(chain).await?;
        let rich = Sender::new(&chain, &dev::account(0).context("a development account")?);
        let contracts = deploy_all(&rich, &Genesis::usual(rich.address())).await?;
        let deployment = folder.join("deployment.json");
        contracts.at().save(&deployment)?;
        Ok(Self {
            contracts,
            rich,
            url,
            deployment,
        })
    }

    /// One of the chain's ten funded accounts.
    pub fn account(&self, index: usize) -> Result<Keypair> {
        dev::account(index).context("a development chain has ten accounts")
    }

    /// Somebody who sends transactions.
    pub fn sender(&self, key: &Keypair) -> Sender {
        Sender::new(self.contracts.chain(), key)
    }

    /// Gives SNM to an account.
    async fn give(&self, key: &Keypair, tokens: u64) -> Result<()> {
        snm::transfer(
            &self.contracts,
            &self.rich,
            key.address(),
            Snm::whole(tokens),
        )
        .await?;
        Ok(())
    }

    /// Registers a hub with a stake that it freezes.
    pub async fn register_hub(&self, owner: &Keypair, stake: u64) -> Result<HubId> {
        self.give(owner, stake).await?;
        let sender = self.sender(owner);
        let stake = Snm::whole(stake);
        let operator = owner.address();
        let made =
            hub::create_and_register(&self.contracts, &sender, operator, B256::ZERO, stake).await;
        Ok(made?)
    }

    /// Pays a buyer's money into a hub's wallet.
    pub async fn deposit(&self, buyer: &Keypair, hub: HubId, tokens: u64) -> Result<()> {
        self.give(buyer, tokens).await?;
        let amount = Snm::whole(tokens);
        pay::deposit_to_hub(&self.contracts, &self.sender(buyer), hub, amount).await?;
        Ok(())
    }

    /// Stakes a miner.
    pub async fn stake_miner(&self, key: &Keypair, stake: u64) -> Result<()> {
        self.give(key, stake).await?;
        let sender = self.sender(key);
        let address = key.address();
        miner::join(
            &self.contracts,
            &sender,
            Snm::whole(stake),
            address,
            address,
        )
        .await?;
        Ok(())
    }

    /// Turns the chain's clock forward.
    pub async fn pass(&self, seconds: u64) -> Result<()> {
        Ok(self.contracts.chain().time_travel(seconds).await?)
    }
}
