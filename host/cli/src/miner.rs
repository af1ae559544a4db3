//! `haar miner`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use haar_bindings::{Contracts, Sender, dev};
use haar_miner::{Guests, HubAddress, LookUp, LookUpError, MinerConfig, MinerEvent, Misbehaviour};
use haar_records::{Address, JobId, Keypair, Snm};
use serde_json::{Value, json};
use std::sync::Mutex;
use tokio::sync::{mpsc, watch};

use crate::client::HubClient;
use crate::{Done, keys, out};

/// What a miner stakes on a development chain.
const DEV_STAKE: Snm = Snm::whole(1_000);
/// Events that wait to be printed.
const EVENTS_WAITING_MAX: usize = 256;

/// Run a miner: takes jobs from a hub, runs them in a sandbox, earns SNM.
///
/// Strangers' code is compiled and run in processes of their own, which have no keys, no files and no
/// network, and may do nothing but compute. Their memory is limited, and a run that does not end is
/// killed. The miner sees the inputs and outputs of the jobs that it runs.
#[derive(Args)]
pub struct MinerVerb {
    /// The hub's URL.
    #[arg(long, env = "HAAR_HUB", default_value = "http://127.0.0.1:8080")]
    pub hub: String,
    /// Where the miner keeps its blobs, key and last credit.
    #[arg(long, default_value = "haar-miner")]
    pub dir: PathBuf,
    /// The key file; made if it does not exist.
    #[arg(long)]
    pub key: Option<PathBuf>,
    /// Who is paid; the key's own address if not given.
    #[arg(long)]
    pub owner: Option<Address>,
    /// Attempts at once; as many as the machine has cores if not given.
    #[arg(long)]
    pub capacity: Option<u16>,
    /// Where the miner listens, over UDP.
    #[arg(long, default_value = "0.0.0.0:0")]
    pub swarm: SocketAddr,
    /// The hub's chain: insist on a hub with a stake, and on a development chain get one as well.
    #[arg(long, requires = "deployment")]
    pub chain: Option<String>,
    /// Where the contracts are on that chain.
    #[arg(long)]
    pub deployment: Option<PathBuf>,
    /// Run strangers' code in the miner's own process, beside its keys. For development.
    #[arg(long, hide = true)]
    pub in_process: bool,
    /// Cheat, so that people can watch how it is caught.
    #[arg(long, hide = true)]
    pub misbehave: Option<MinerCheat>,
}

/// How a miner can cheat for a demonstration.
#[derive(Clone, Copy, ValueEnum)]
pub enum MinerCheat {
    /// Answer other bytes than the run gave.
    Lie,
    /// Claim more fuel than the run used.
    FuelCheat,
    /// Accept and never answer.
    Silent,
    /// Seal and never reveal.
    NeverReveal,
}

impl From<MinerCheat> for Misbehaviour {
    fn from(cheat: MinerCheat) -> Self {
        match cheat {
            MinerCheat::Lie => Self::Lie,
            MinerCheat::FuelCheat => Self::FuelCheat,
            MinerCheat::Silent => Self::Silent,
            MinerCheat::NeverReveal => Self::NeverReveal,
        }
    }
}

/// Asks the hub's HTTP side where its swarm side is. The first answer is remembered: a hub with
/// another wallet or operator at the same URL is not the same hub.
struct OverHttp {
    client: HubClient,
    known: Mutex<Option<HubAddress>>,
}

impl LookUp for OverHttp {
    async fn look_up(&self) -> Result<HubAddress, LookUpError> {
        let found = self
            .ask()
            .await
            .map_err(|error| LookUpError(format!("{error:#}")))?;
        let mut known = self
            .known
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = known.get_or_insert_with(|| found.clone());
        if (known.hub, known.operator, known.domain) != (found.hub, found.operator, found.domain) {
            return Err(LookUpError("another hub answers at this URL".to_owned()));
        }
        Ok(found)
    }
}

impl OverHttp {
    async fn ask(&self) -> Result<HubAddress> {
        let facts = self.client.facts().await?;
        Ok(HubAddress {
            provider: facts.provider()?,
            hub: facts.hub()?,
            operator: facts.operator,
            domain: facts.domain(),
            life: facts.life,
        })
    }
}

impl MinerVerb {
    /// Mines until it is interrupted.
    pub async fn run(self, json: bool) -> Result<Done> {
        let key = keys::load_or_make(&self.key.clone().unwrap_or(self.dir.join("miner.key")))?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let client = HubClient::new(&self.hub)?;
        self.check_stakes(&client, &key).await?;
        let config = MinerConfig {
            owner: self.owner.unwrap_or(key.address()),
            key,
            capacity: self.capacity.unwrap_or(u16::try_from(cores).unwrap_or(1)),
            dir: self.dir.clone(),
            bind: self.swarm,
            guests: self.guests(),
            misbehave: self.misbehave.map(Misbehaviour::from),
        };
        if !json {
            out::line(format_args!(
                "miner {} for {}",
                config.key.address(),
                self.hub
            ));
            out::line("stop it with Ctrl-C");
        }

        let (events, mut heard) = mpsc::channel(EVENTS_WAITING_MAX);
        let (stop, stopping) = watch::channel(false);
        let mining = haar_miner::run(
            config,
            OverHttp {
                client,
                known: Mutex::default(),
            },
            events,
            stopping,
        );
        tokio::pin!(mining);
        loop {
            tokio::select! {
                ended = &mut mining => {
                    ended?;
                    return Ok(Done::Yes);
                }
                Some(event) = heard.recv() => say(&event, json),
                _ = tokio::signal::ctrl_c() => {
                    let _ = stop.send(true);
                }
            }
        }
    }

    /// In processes of their own wherever there are such, unless somebody insists.
    fn guests(&self) -> Guests {
        #[cfg(target_os = "linux")]
        if !self.in_process {
            return Guests::Confined(crate::runner::program());
        }
        Guests::InProcess
    }

    /// A hub without a frozen stake may not pay, so nobody should work for it.
    async fn check_stakes(&self, client: &HubClient, key: &Keypair) -> Result<()> {
        let (Some(url), Some(deployment)) = (&self.chain, &self.deployment) else {
            return Ok(());
        };
        let hub = client.facts().await?.hub()?;
        let contracts = crate::hub::open(url, deployment).await?;
        match haar_bindings::hub::state(&contracts, hub).await? {
            Some(state) if state.may_be_paid => {}
            Some(state) => bail!("the hub is {}: it has no right to pay", state.phase),
            None => bail!("the hub's wallet {hub} is not on this chain"),
        }
        let miner = haar_records::MinerId(key.address());
        if haar_bindings::miner::state(&contracts, miner)
            .await?
            .is_some()
        {
            return Ok(());
        }
        if contracts.chain().id() != dev::CHAIN_ID {
            bail!(
                "{} has no stake in the miner registry {}",
                miner,
                contracts.at().miners
            );
        }
        stake_on_dev_chain(&contracts, key, self.owner.unwrap_or(key.address())).await
    }
}

/// Money is free on a development chain: the miner gets what it needs to take part.
async fn stake_on_dev_chain(contracts: &Contracts, key: &Keypair, owner: Address) -> Result<()> {
    let rich = dev::account(0).context("a development account")?;
    let rich = Sender::new(contracts.chain(), &rich);
    let miner = Sender::new(contracts.chain(), key);
    rich.give_gas(key.address(), 10).await?;
    haar_bindings::snm::transfer(contracts, &rich, key.address(), DEV_STAKE).await?;
    haar_bindings::miner::join(contracts, &miner, DEV_STAKE, key.address(), owner).await?;
    Ok(())
}

fn say(event: &MinerEvent, json: bool) {
    if json {
        out::record(&record(event));
        return;
    }
    match event {
        MinerEvent::Guests(Ok(how)) => out::line(format_args!("guests are confined: {how}")),
        MinerEvent::Guests(Err(risk)) => out::line(format_args!("NOT CONFINED: {risk}")),
        MinerEvent::Joined { .. } => out::line("joined; waiting for jobs"),
        MinerEvent::Refused { reason } => out::line(format_args!("the hub refused: {reason}")),
        MinerEvent::Lost { reason } => {
            out::line(format_args!("connection lost ({reason}); dialling again"));
        }
        MinerEvent::Ran { job, outcome, ms } => out::line(format_args!(
            "ran {} in {ms} ms, {} fuel",
            job.short(),
            outcome.fuel_used
        )),
        MinerEvent::Abstained { job, reason } => {
            out::line(format_args!("abstained from {}: {reason}", job.short()));
        }
        MinerEvent::Closed {
            job,
            end: Some(end),
            credit,
        } => {
            let owed = credit.map(|credit| format!("; the hub owes {}", credit.cumulative));
            out::line(format_args!(
                "{} {end:?}{}",
                job.short(),
                owed.unwrap_or_default()
            ));
        }
        MinerEvent::Faulted { fault, .. } => out::line(format_args!("the hub's fault: {fault}")),
        _ => {}
    }
}

fn record(event: &MinerEvent) -> Value {
    let of_job = |event: &str, job: &JobId| json!({ "event": event, "job": job.to_string() });
    match event {
        MinerEvent::Started { miner, .. } => {
            json!({ "event": "started", "miner": miner.to_string() })
        }
        MinerEvent::Guests(Ok(how)) => json!({ "event": "guests", "confined": true, "how": how }),
        MinerEvent::Guests(Err(risk)) => {
            json!({ "event": "guests", "confined": false, "risk": risk })
        }
        MinerEvent::Joined { .. } => json!({ "event": "joined" }),
        MinerEvent::Refused { reason } => json!({ "event": "refused", "reason": reason }),
        MinerEvent::Lost { reason } => json!({ "event": "lost", "reason": reason }),
        MinerEvent::Offered { job, .. } => of_job("offered", job),
        MinerEvent::Sealed { job, .. } => of_job("sealed", job),
        MinerEvent::Revealed { job } => of_job("revealed", job),
        MinerEvent::Declined { job, reason } => {
            json!({ "event": "declined", "job": job.to_string(), "reason": reason })
        }
        MinerEvent::Ran { job, outcome, ms } => json!({
            "event": "ran", "job": job.to_string(), "ms": ms,
            "fuel_used": outcome.fuel_used.0, "output": outcome.output.to_string(),
        }),
        MinerEvent::Abstained { job, reason } => {
            json!({ "event": "abstained", "job": job.to_string(), "reason": reason })
        }
        MinerEvent::Closed { job, end, credit } => json!({
            "event": "closed", "job": job.to_string(), "end": end.map(|end| format!("{end:?}")),
            "owed": credit.map(|credit| credit.cumulative.to_string()),
        }),
        MinerEvent::Faulted { fault, .. } => {
            json!({ "event": "faulted", "fault": fault.to_string() })
        }
        MinerEvent::Evidence(conflict) => of_job("evidence", &conflict.job),
        _ => json!({ "event": "other" }),
    }
}
