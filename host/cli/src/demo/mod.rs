//! `haar demo`: the whole of Haar on one machine, and nothing of it pretended.
//!
//! The hub and every miner are processes of their own that speak over QUIC and HTTP on loopback;
//! the contracts run as their real bytecode in an embedded EVM. Only the clock of the chain is
//! turned, and the story says when.

mod bank;
mod calls;
mod cheat;
mod fog;
mod pay;
mod story;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use crate::Done;
use crate::client::HubClient;
use bank::Bank;
use fog::{Fog, HubPlan, MinerPlan};
use story::Story;

/// Start a fog on this machine: call functions, catch a liar, settle, and punish a hub that cheats.
#[derive(Args)]
pub struct Demo {
    /// The folder with the example functions; `cargo xtask guests` builds them.
    #[arg(long)]
    guests: PathBuf,
    /// Where the demo leaves its picture, page and receipt.
    #[arg(long, default_value = "haar-demo")]
    out: PathBuf,
    /// Keep the fog running at the end and print what to try.
    #[arg(long)]
    stay: bool,
}

impl Demo {
    /// Plays all acts.
    pub async fn run(self, json: bool) -> Result<Done> {
        let started = Instant::now();
        let story = Story::new(json);
        let folder = tempfile::Builder::new().prefix("haar-demo-").tempdir();
        let folder = folder.context("cannot make a temporary folder")?;
        std::fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot make the folder {}", self.out.display()))?;

        story.act(
            "A fog comes up",
            "one hub, four miners, one chain; every one on its own",
        );
        let bank = Bank::open(folder.path()).await?;
        let (mut fog, wallet) = self.first_fog(&bank, folder.path(), &story).await?;
        let client = HubClient::new(&fog.hub_url)?;

        story.act(
            "Functions are published",
            "content-addressed modules, signed names",
        );
        calls::publish_all(&client, &self.guests, folder.path(), &story).await?;

        story.act(
            "Buyers call",
            "every call runs on several miners that cannot see each other",
        );
        let answers = calls::call_all(&client, &fog, &self.out, &story, started).await?;

        story.act("Anybody can check", "a receipt, replayed without the hub");
        let is_same = calls::replay_one(&client, &answers, &self.out, &story).await?;

        story.act(
            "The hub settles",
            "one transaction for all jobs, then every miner is paid",
        );
        let is_paid = pay::settle(&bank, &client, &fog, wallet, &story).await?;

        story.act(
            "A hub cheats",
            "it signs one charge for the buyer and settles another",
        );
        let is_punished = cheat::play(&bank, &self.guests, folder.path(), &story).await?;

        let is_good = is_same && is_paid && is_punished && answers.is_liar_caught;
        story.record(json!({
            "event": "end", "ok": is_good, "seconds": started.elapsed().as_secs(),
            "first_answer_ms": answers.first_answer_ms, "out": self.out,
        }));
        story.end(is_good, started.elapsed(), &self.out);
        if self.stay {
            story.stay(&fog.hub_url, &bank.url);
            tokio::signal::ctrl_c()
                .await
                .context("cannot wait for an interrupt")?;
        }
        fog.stop().await;
        Ok(if is_good { Done::Yes } else { Done::No })
    }

    /// The honest hub with three honest miners and one liar.
    async fn first_fog(
        &self,
        bank: &Bank,
        folder: &std::path::Path,
        story: &Story,
    ) -> Result<(Fog, haar_records::HubId)> {
        let owner = bank.account(1)?;
        let wallet = bank.register_hub(&owner, 100_000).await?;
        bank.deposit(&owner, wallet, 500).await?;
        let mut miners = Vec::new();
        for (at, name) in ["Ann", "Bob", "Cem"].into_iter().enumerate() {
            let key = bank.account(4 + at)?;
            bank.stake_miner(&key, 1_000).await?;
            miners.push(MinerPlan {
                name,
                key,
                misbehave: None,
            });
        }
        let key = bank.account(7)?;
        bank.stake_miner(&key, 1_000).await?;
        miners.push(MinerPlan {
            name: "Lou",
            key,
            misbehave: Some("lie"),
        });

        let plan = HubPlan {
            name: "hub",
            key: owner,
            wallet,
            misbehave: None,
        };
        let fog = Fog::start(folder, bank, plan, miners).await?;
        story.fog(&fog, wallet, bank).await?;
        Ok((fog, wallet))
    }
}
