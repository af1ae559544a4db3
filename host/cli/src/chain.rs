//! `haar chain`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use haar_bindings::deploy::{Genesis, deploy_all};
use haar_bindings::{Chain, DevChain, Sender, dev};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{Done, out};

/// Run a development chain with Haar's contracts, for trying things on this machine.
#[derive(Args)]
pub struct ChainVerb {
    /// Where it answers JSON-RPC; loopback only.
    #[arg(long, default_value = "127.0.0.1:8545")]
    pub listen: SocketAddr,
    /// The file that keeps its blocks; without it they are gone when it stops.
    #[arg(long)]
    pub log: Option<PathBuf>,
    /// Where to write the contracts' addresses.
    #[arg(long, default_value = "deployment.json")]
    pub deployment: PathBuf,
}

impl ChainVerb {
    /// Deploys the contracts, unless they are there, and serves the chain.
    pub async fn run(self, json: bool) -> Result<Done> {
        if !self.listen.ip().is_loopback() {
            bail!("everybody knows this chain's keys: it listens on loopback only");
        }
        let chain = match &self.log {
            Some(path) => DevChain::open(path, dev::system_clock)?,
            None => DevChain::new(dev::system_clock),
        };
        let listener = TcpListener::bind(self.listen)
            .await
            .with_context(|| format!("cannot listen at {}", self.listen))?;
        let url = format!("http://{}", listener.local_addr()?);
        let local = Chain::dev(chain.clone()).await?;
        if local.height().await? == 0 {
            let rich = Sender::new(&local, &dev::account(0).context("a development account")?);
            let contracts = deploy_all(&rich, &Genesis::usual(rich.address())).await?;
            contracts.at().save(&self.deployment)?;
        }
        if json {
            out::record(&json!({ "event": "ready", "url": url, "deployment": self.deployment }));
        } else {
            out::line(format_args!("chain {} at {url}", dev::CHAIN_ID));
            out::line(format_args!("contracts in {}", self.deployment.display()));
        }
        tokio::select! {
            served = dev::serve(listener, chain) => served.context("the chain stopped")?,
            _ = tokio::signal::ctrl_c() => {}
        }
        Ok(Done::Yes)
    }
}
