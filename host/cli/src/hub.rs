//! `haar hub`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use haar_bindings::deploy::{Contracts, Deployment, Genesis, deploy_all};
use haar_bindings::{Chain, DevChain, Sender, dev};
use haar_hub::{Hub, HubOptions, Misbehaviour, Money, Prices};
use haar_records::{BuyerId, Domain, HubId, Keypair, Snm};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{Done, keys, out};

/// What a development hub freezes and lends its house at the first start.
const DEV_STAKE: Snm = Snm::whole(100_000);
const DEV_HOUSE: Snm = Snm::whole(1_000);

/// Without a chain nothing is paid, but the machine still forgets jobs by epochs.
const PRIVATE_EPOCH_SECONDS: u64 = 60;

/// Run a hub: takes buyers' calls, hires miners, settles.
#[derive(Args)]
pub struct HubVerb {
    /// Where the hub keeps its database, blobs and secrets.
    #[arg(long, default_value = "haar-hub")]
    pub dir: PathBuf,
    /// Where buyers reach it.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// Where miners reach it, over UDP.
    #[arg(long, default_value = "0.0.0.0:0")]
    pub swarm: SocketAddr,
    /// The money: none (a cluster of your own), dev (a chain inside of this process), or the URL
    /// of a chain.
    #[arg(long, default_value = "none")]
    pub chain: String,
    /// Where a dev chain answers JSON-RPC, for miners and buyers on this machine.
    #[arg(long, default_value = "127.0.0.1:8545")]
    pub chain_listen: SocketAddr,
    /// Where the contracts are on that chain, as `haar chain` writes it.
    #[arg(long)]
    pub deployment: Option<PathBuf>,
    /// The hub's wallet on that chain; it must be Active.
    #[arg(long)]
    pub wallet: Option<HubId>,
    /// The operator's key file; made if it does not exist.
    #[arg(long)]
    pub key: Option<PathBuf>,
    /// What every answer costs, in SNM.
    #[arg(long, default_value = "0.001")]
    pub base_fee: Snm,
    /// What a million units of fuel cost, in SNM.
    #[arg(long, default_value = "0.000001")]
    pub fuel_price: Snm,
    /// Settle every so many seconds; without it, on a chain only when the operator says so.
    #[arg(long)]
    pub settle_every: Option<u64>,
    /// Cheat, so that people can watch how it is caught.
    #[arg(long, hide = true)]
    pub misbehave: Option<HubCheat>,
}

/// How a hub can cheat for a demonstration.
#[derive(Clone, Copy, ValueEnum)]
pub enum HubCheat {
    /// Settle twice the charge that the receipt says.
    Overcharge,
}

impl HubVerb {
    /// Runs until it is interrupted.
    pub async fn run(self, json: bool) -> Result<Done> {
        let key = keys::load_or_make(&self.key.clone().unwrap_or(self.dir.join("operator.key")))?;
        let (domain, hub, money) = self.money(&key).await?;
        let options = HubOptions {
            dir: self.dir.clone(),
            http: self.http,
            swarm: self.swarm,
            house: BuyerId(key.address()),
            key,
            hub,
            domain,
            prices: Prices {
                base_fee: self.base_fee,
                fuel_price: u64::try_from(self.fuel_price.0 / 1_000_000)
                    .context("the fuel price is too high")?,
            },
            settle_every_s: self
                .settle_every
                .or(money.is_none().then_some(PRIVATE_EPOCH_SECONDS)),
            misbehave: self
                .misbehave
                .map(|HubCheat::Overcharge| Misbehaviour::Overcharge),
        };
        let running = Hub::start(options, money).await?;
        self.say_ready(&running, json);
        tokio::signal::ctrl_c()
            .await
            .context("cannot wait for an interrupt")?;
        Ok(Done::Yes)
    }

    /// Connects to the chain, if there is one, and finds the hub's wallet there.
    async fn money(&self, key: &Keypair) -> Result<(Domain, HubId, Option<Money>)> {
        match self.chain.as_str() {
            "none" => Ok((Domain::default(), HubId::default(), None)),
            "dev" => {
                let (contracts, hub) = develop(&self.dir, self.chain_listen, key).await?;
                let sender = Sender::new(contracts.chain(), key);
                let domain = contracts.domain();
                Ok((domain, hub, Some(Money::new(contracts, sender, hub, 0))))
            }
            url => {
                let Some(path) = &self.deployment else {
                    bail!("--chain {url} needs --deployment: where the contracts are");
                };
                let Some(hub) = self.wallet else {
                    bail!("--chain {url} needs --wallet: the hub's wallet");
                };
                let contracts = open(url, path).await?;
                check_wallet(&contracts, hub, key).await?;
                let sender = Sender::new(contracts.chain(), key);
                let confirmations = if contracts.chain().id() == dev::CHAIN_ID {
                    0
                } else {
                    12
                };
                let domain = contracts.domain();
                Ok((
                    domain,
                    hub,
                    Some(Money::new(contracts, sender, hub, confirmations)),
                ))
            }
        }
    }
}

/// The contracts of a deployment file on the chain behind a URL.
pub async fn open(url: &str, deployment: &Path) -> Result<Contracts> {
    let at = Deployment::load(deployment)
        .with_context(|| format!("cannot read the deployment {}", deployment.display()))?;
    let chain = Chain::connect(url)
        .await
        .with_context(|| format!("no chain at {url}"))?;
    Ok(Contracts::open(&chain, at).await?)
}

/// Refuses to serve with a wallet that may not be paid, or with a key that is not its operator's.
async fn check_wallet(contracts: &Contracts, hub: HubId, key: &Keypair) -> Result<()> {
    let Some(state) = haar_bindings::hub::state(contracts, hub).await? else {
        bail!("there is no hub wallet {hub} on this chain");
    };
    if state.operator != key.address() {
        bail!(
            "the wallet's operator is {}, not {}",
            state.operator,
            key.address()
        );
    }
    if !state.may_commit {
        bail!("the hub is {}: it has no right to settle", state.phase);
    }
    Ok(())
}

/// A chain of the hub's own, kept in its folder: contracts, a registered wallet, a funded house.
async fn develop(dir: &Path, listen: SocketAddr, key: &Keypair) -> Result<(Contracts, HubId)> {
    std::fs::create_dir_all(dir)
        .with_context(|| format!("cannot make the folder {}", dir.display()))?;
    let chain = DevChain::open(&dir.join("chain.log"), dev::system_clock)?;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot serve the dev chain at {listen}"))?;
    tokio::spawn(dev::serve(listener, chain.clone()));
    let chain = Chain::dev(chain).await?;
    let rich = Sender::new(&chain, &dev::account(0).context("a development account")?);
    let path = dir.join("deployment.json");
    let contracts = if path.exists() {
        Contracts::open(&chain, Deployment::load(&path)?).await?
    } else {
        let contracts = deploy_all(&rich, &Genesis::usual(rich.address())).await?;
        contracts.at().save(&path)?;
        contracts
    };

    let salt = haar_records::B256::ZERO;
    let registered =
        haar_bindings::hub::create_and_register(&contracts, &rich, key.address(), salt, DEV_STAKE);
    let hub = registered.await?;
    if haar_bindings::snm::balance(&contracts, key.address()).await? == Snm::ZERO
        && haar_bindings::snm::balance(&contracts, hub.0).await? == DEV_STAKE
    {
        rich.give_gas(key.address(), 100).await?;
        haar_bindings::snm::transfer(&contracts, &rich, key.address(), DEV_HOUSE).await?;
        let operator = Sender::new(&chain, key);
        haar_bindings::pay::deposit_to_hub(&contracts, &operator, hub, DEV_HOUSE).await?;
    }
    Ok((contracts, hub))
}

impl HubVerb {
    fn say_ready(&self, running: &Hub, json: bool) {
        let shared = &running.shared;
        let provider = shared.swarm.provider();
        if json {
            out::record(&json!({
                "event": "ready",
                "http": format!("http://{}", shared.http),
                "hub": shared.options.hub.to_string(),
                "operator": shared.options.key.address(),
                "endpoint": provider.endpoint.to_string(),
                "token_file": shared.options.dir.join("operator.token"),
            }));
            return;
        }
        out::line(format_args!("hub      {}", shared.options.hub));
        out::line(format_args!("buyers   http://{}", shared.http));
        let chain = match self.chain.as_str() {
            "dev" => format!(
                " --chain http://{} --deployment {}",
                self.chain_listen,
                self.dir.join("deployment.json").display()
            ),
            _ => String::new(),
        };
        out::line(format_args!(
            "miners   haar miner --hub http://{}{chain}",
            shared.http
        ));
        out::line(format_args!(
            "swarm    {} at {}",
            provider.endpoint,
            provider.addresses.join(", ")
        ));
        out::line("stop it with Ctrl-C; nothing is lost, whenever it stops");
    }
}
