//! The processes of a fog: this very binary, started as a hub and as miners.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use haar_records::{HubId, Keypair};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::bank::Bank;
use crate::client::HubClient;
use crate::keys;

/// How long a process may take to be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// A hub to start.
pub struct HubPlan {
    /// Its folder's name.
    pub name: &'static str,
    /// The operator.
    pub key: Keypair,
    /// The wallet.
    pub wallet: HubId,
    /// How it cheats, if it does.
    pub misbehave: Option<&'static str>,
}

/// A miner to start.
pub struct MinerPlan {
    /// What the story calls it.
    pub name: &'static str,
    /// Its key, which is paid too.
    pub key: Keypair,
    /// How it cheats, if it does.
    pub misbehave: Option<&'static str>,
}

/// A miner that runs.
pub struct RunningMiner {
    /// What the story calls it.
    pub name: &'static str,
    /// Its id, as the hub prints it.
    pub id: String,
    /// Its key.
    pub key: Keypair,
    /// Whether it was told to cheat.
    pub is_liar: bool,
    /// The process's number.
    pub process: u32,
}

/// A hub and its miners.
pub struct Fog {
    /// Where buyers reach the hub.
    pub hub_url: String,
    /// The operator's token.
    pub token: String,
    /// The hub's process.
    pub hub_process: u32,
    /// The miners.
    pub miners: Vec<RunningMiner>,
    children: Vec<Child>,
}

impl Fog {
    /// Starts the hub, then the miners, and waits until all have met.
    pub async fn start(
        folder: &Path,
        bank: &Bank,
        plan: HubPlan,
        miners: Vec<MinerPlan>,
    ) -> Result<Self> {
        let dir = folder.join(plan.name);
        let key = write_key(&dir, &plan.key)?;
        let mut command = haar()?;
        command.args([
            "--json",
            "hub",
            "--http",
            "127.0.0.1:0",
            "--swarm",
            "127.0.0.1:0",
        ]);
        command.arg("--dir").arg(&dir).arg("--key").arg(&key);
        command
            .arg("--chain")
            .arg(&bank.url)
            .arg("--deployment")
            .arg(&bank.deployment);
        command.arg("--wallet").arg(plan.wallet.to_string());
        if let Some(misbehave) = plan.misbehave {
            command.arg("--misbehave").arg(misbehave);
        }
        let (child, ready) = spawn(command, "ready")
            .await
            .context("the hub did not start")?;
        let hub_url = ready["http"]
            .as_str()
            .context("the hub names its address")?
            .to_owned();
        let token = std::fs::read_to_string(dir.join("operator.token"))?;
        let hub_process = child.id().unwrap_or_default();
        let mut fog = Self {
            hub_url,
            token,
            hub_process,
            miners: Vec::new(),
            children: vec![child],
        };
        for miner in miners {
            fog.add_miner(&dir, miner).await?;
        }
        fog.wait_for_miners().await?;
        Ok(fog)
    }

    async fn add_miner(&mut self, dir: &Path, plan: MinerPlan) -> Result<()> {
        let dir = dir.join(plan.name);
        let key = write_key(&dir, &plan.key)?;
        let mut command = haar()?;
        command.args([
            "--json",
            "miner",
            "--swarm",
            "127.0.0.1:0",
            "--capacity",
            "4",
        ]);
        command
            .arg("--hub")
            .arg(&self.hub_url)
            .arg("--dir")
            .arg(&dir)
            .arg("--key")
            .arg(&key);
        if let Some(misbehave) = plan.misbehave {
            command.arg("--misbehave").arg(misbehave);
        }
        let about = || format!("miner {} did not join", plan.name);
        let (child, _) = spawn(command, "joined").await.with_context(about)?;
        self.miners.push(RunningMiner {
            name: plan.name,
            id: haar_records::MinerId(plan.key.address()).to_string(),
            key: plan.key,
            is_liar: plan.misbehave.is_some(),
            process: child.id().unwrap_or_default(),
        });
        self.children.push(child);
        Ok(())
    }

    async fn wait_for_miners(&self) -> Result<()> {
        let client = HubClient::new(&self.hub_url)?;
        let all_are_here = async {
            loop {
                let found = client.get("/v1/miners").await?;
                let miners = found["miners"]
                    .as_array()
                    .context("the hub lists its miners")?;
                if miners
                    .iter()
                    .filter(|miner| miner["present"] == true)
                    .count()
                    >= self.miners.len()
                {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(READY_TIMEOUT, all_are_here)
            .await
            .context("not all miners joined")?
    }

    /// What the story calls a miner.
    pub fn name(&self, id: &str) -> &'static str {
        self.miners
            .iter()
            .find(|miner| miner.id == id)
            .map_or("somebody", |miner| miner.name)
    }

    /// Ends all processes.
    pub async fn stop(&mut self) {
        for child in &mut self.children {
            // One that has ended already is what was wanted.
            let _ = child.kill().await;
        }
    }
}

fn haar() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    Ok(command)
}

/// Starts a process and reads its records until the one with this event.
async fn spawn(mut command: Command, event: &str) -> Result<(Child, Value)> {
    let mut child = command.spawn().context("cannot start a process")?;
    let stdout = child.stdout.take().context("a process without stdout")?;
    let mut lines = BufReader::new(stdout).lines();
    let record = tokio::time::timeout(READY_TIMEOUT, wait_for(&mut lines, event))
        .await
        .with_context(|| format!("it did not say '{event}' in time"))??;
    // Read on, so that the process never waits for us.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok((child, record))
}

async fn wait_for(lines: &mut Lines<BufReader<ChildStdout>>, event: &str) -> Result<Value> {
    while let Some(line) = lines.next_line().await? {
        let record: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
        if record["event"] == event {
            return Ok(record);
        }
        if record["event"] == "refused" {
            bail!("the hub refused: {}", record["reason"]);
        }
    }
    Err(anyhow!("it ended"))
}

fn write_key(dir: &Path, key: &Keypair) -> Result<PathBuf> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join("party.key");
    if !path.exists() {
        keys::write(
            &path,
            &haar_records::BlobHash::from(key.to_bytes()).to_string(),
        )?;
    }
    Ok(path)
}
