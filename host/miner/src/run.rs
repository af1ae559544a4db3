//! Brings a miner up, keeps it joined, and takes it down.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use haar_protocol::Miner;
use haar_records::{HubId, Keypair};
use haar_sandbox::SandboxError;
use haar_swarm::{StartError, Swarm, SwarmConfig};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::check::Parties;
use crate::clock::pause;
use crate::config::{CAPACITY_MAX, HubAddress, LookUp, MinerConfig};
use crate::credit::{CreditError, Credits};
use crate::driver::{Driver, State};
use crate::event::MinerEvent;
use crate::guests::Machine;
use crate::job::Bench;
use crate::session::{End, keep};

/// The shortest pause after a hub has said no: it will hardly think otherwise at once.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// A miner that cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MinerError {
    /// The capacity is no number of runs.
    #[error("a miner runs between 1 and {CAPACITY_MAX} attempts at once, not {capacity}")]
    Capacity {
        /// What was asked for.
        capacity: u16,
    },
    /// The folder cannot be made.
    #[error("cannot make the folder {}: {source}", path.display())]
    Dir {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The swarm cannot start.
    #[error(transparent)]
    Swarm(#[from] StartError),
    /// The sandbox cannot start.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Guests cannot be confined; a miner does not run them beside its keys unless it is told to.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Confined(#[from] haar_sandbox::process::ConfinedError),
    /// The runtime ended before the miner had begun.
    #[error("the miner was interrupted while it started")]
    Interrupted,
    /// The credit of earlier days cannot be read, and must not be overwritten.
    #[error(transparent)]
    Credit(#[from] CreditError),
    /// The look-up gave another hub than before; a miner works for one.
    #[error("the look-up now gives hub {found}, or another operator or chain, and gave {expected}")]
    HubChanged {
        /// Whom it gave at first.
        expected: HubId,
        /// Whom it gives now.
        found: HubId,
    },
}

/// Works for a hub until `shutdown` becomes true, or its sender is gone.
///
/// Runs under way are not waited for; they hold threads of the runtime until they are over, which
/// confined ones are soon after their deadline.
pub async fn run(
    config: MinerConfig,
    hub: impl LookUp,
    events: mpsc::Sender<MinerEvent>,
    mut shutdown: watch::Receiver<bool>,
) -> Result<(), MinerError> {
    if !(1..=CAPACITY_MAX).contains(&config.capacity) {
        let capacity = config.capacity;
        return Err(MinerError::Capacity { capacity });
    }
    std::fs::create_dir_all(&config.dir).map_err(|source| MinerError::Dir {
        path: config.dir.clone(),
        source,
    })?;
    let machine = start_machine(&config).await?;
    let guests = machine.describe().map_err(str::to_owned);
    match &guests {
        Ok(how) => tracing::info!(target: "haar::miner::confined", %how),
        Err(risk) => tracing::warn!(target: "haar::miner::not_confined", %risk),
    }
    let _ = events.try_send(MinerEvent::Guests(guests));
    let swarm = Swarm::start(SwarmConfig {
        secret: endpoint_secret(&config.key),
        dir: config.dir.join("blobs"),
        bind: config.bind,
        serve_control: false,
    })
    .await?;
    let _ = events.try_send(MinerEvent::Started {
        miner: config.id(),
        provider: swarm.provider(),
    });

    let working = Box::pin(work(&config, &hub, &events, swarm.clone(), machine));
    let result = tokio::select! {
        result = working => result,
        _ = shutdown.wait_for(|stops| *stops) => Ok(()),
    };
    swarm.shutdown().await;
    result
}

/// Starting processes takes a moment, in which nothing else has to wait.
async fn start_machine(config: &MinerConfig) -> Result<Arc<Machine>, MinerError> {
    let (guests, capacity, dir) = (config.guests.clone(), config.capacity, config.dir.clone());
    let starting = tokio::task::spawn_blocking(move || Machine::start(&guests, capacity, &dir));
    starting
        .await
        .map_err(|_| MinerError::Interrupted)?
        .map(Arc::new)
}

/// The secret of the endpoint that a miner with this key listens with.
#[must_use]
pub fn endpoint_secret(key: &Keypair) -> [u8; 32] {
    blake3::derive_key("haar miner 1 endpoint", &key.to_bytes())
}

fn salt_secret(key: &Keypair) -> [u8; 32] {
    blake3::derive_key("haar miner 1 salts", &key.to_bytes())
}

/// Joins the hub again and again. Ends only with an error that no patience mends.
async fn work(
    config: &MinerConfig,
    look_up: &impl LookUp,
    events: &mpsc::Sender<MinerEvent>,
    swarm: Swarm,
    machine: Arc<Machine>,
) -> Result<(), MinerError> {
    let mut bench = Some((swarm, machine));
    let mut driver: Option<Employed> = None;
    let mut failures = 0;
    loop {
        let address = match look_up.look_up().await {
            Ok(address) => address,
            Err(error) => {
                let reason = error.to_string();
                let _ = events.try_send(MinerEvent::Lost { reason });
                tokio::time::sleep(pause(failures)).await;
                failures += 1;
                continue;
            }
        };
        // Made once: what it remembers belongs to one hub.
        if let Some((swarm, machine)) = bench.take() {
            let hired = hire(config, &address, events, swarm, machine)?;
            driver = Some(Employed(Arc::new(hired)));
        }
        let Some(Employed(driver)) = &driver else {
            continue;
        };
        check_same(&driver.parties, &address)?;

        let session = Box::pin(keep(
            driver,
            config.owner,
            config.capacity,
            &address,
            look_up,
        ));
        let mut pausing = pause(failures);
        failures += 1;
        match session.await {
            End::Lost(reason) => {
                tracing::info!(target: "haar::miner::lost", %reason);
                driver.tell(MinerEvent::Lost { reason });
                failures = 0;
                pausing = pause(failures);
            }
            End::Unreachable(reason) => driver.tell(MinerEvent::Lost { reason }),
            End::Refused(reason) => {
                tracing::warn!(target: "haar::miner::refused", %reason);
                driver.tell(MinerEvent::Refused { reason });
                pausing = pausing.max(REFUSED_PAUSE);
            }
            End::Faulted(fault) => {
                tracing::warn!(target: "haar::hub::faulted", %fault);
                driver.tell(MinerEvent::Faulted { job: None, fault });
                pausing = pausing.max(REFUSED_PAUSE);
            }
        }
        tokio::time::sleep(pausing).await;
    }
}

/// A driver whose runs are given up when nobody works for its hub any more.
struct Employed(Arc<Driver>);

impl Drop for Employed {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

fn hire(
    config: &MinerConfig,
    address: &HubAddress,
    events: &mpsc::Sender<MinerEvent>,
    swarm: Swarm,
    machine: Arc<Machine>,
) -> Result<Driver, MinerError> {
    let parties = Parties {
        miner: config.id(),
        hub: address.hub,
        operator: address.operator,
        domain: address.domain,
    };
    let bench = Bench {
        swarm,
        machine,
        seats: Arc::new(Semaphore::new(config.capacity.into())),
        misbehave: config.misbehave,
    };
    Ok(Driver {
        key: config.key.clone(),
        parties,
        bench,
        credits: Credits::open(&config.dir, address.hub)?,
        dir: config.dir.clone(),
        salt_secret: salt_secret(&config.key),
        events: events.clone(),
        state: Mutex::new(State::new(Miner::new(config.id(), config.capacity))),
    })
}

fn check_same(parties: &Parties, address: &HubAddress) -> Result<(), MinerError> {
    let known = (parties.hub, parties.operator, parties.domain);
    if known == (address.hub, address.operator, address.domain) {
        return Ok(());
    }
    Err(MinerError::HubChanged {
        expected: parties.hub,
        found: address.hub,
    })
}
