//! The machine that runs guests: in processes of their own, or here.

use std::path::Path;
#[cfg(target_os = "linux")]
use std::time::Duration;
use std::time::Instant;

use haar_records::wire::Offer;
#[cfg(target_os = "linux")]
use haar_sandbox::process::{CompileLimits, Confined, ConfinedConfig, Tenant};
use haar_sandbox::{Run, RunSpec, Sandbox, SandboxConfig};

use crate::config::Guests;
use crate::run::MinerError;

/// Modules that stay prepared.
const PREPARED_MAX: usize = 64;
/// Bytes of compiled code that are kept in the miner's folder.
#[cfg(target_os = "linux")]
const CODE_BYTES_MAX: u64 = 2 << 30;

/// How long a process may take to be ready. A slow board under load needs some seconds.
#[cfg(target_os = "linux")]
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Runs guests.
#[derive(Debug)]
pub(crate) enum Machine {
    #[cfg(target_os = "linux")]
    Confined(Box<Confined>),
    InProcess(Box<Sandbox>),
}

impl Machine {
    /// Starts the machine for as many runs at once. Blocks until the first process is ready.
    pub(crate) fn start(guests: &Guests, capacity: u16, dir: &Path) -> Result<Self, MinerError> {
        match guests {
            #[cfg(target_os = "linux")]
            Guests::Confined(program) => {
                let confined = Confined::new(ConfinedConfig {
                    program: program.clone(),
                    concurrency: capacity.into(),
                    // A miner accepts no more than it can run; these are runs that nobody waits
                    // for any more, until they are killed.
                    queue_max: capacity.into(),
                    prepared_max: PREPARED_MAX,
                    start_timeout: START_TIMEOUT,
                    compile: CompileLimits::default(),
                    code_dir: dir.join("code"),
                    code_bytes_max: CODE_BYTES_MAX,
                })?;
                Ok(Self::Confined(Box::new(confined)))
            }
            Guests::InProcess => {
                let sandbox = Sandbox::new(SandboxConfig {
                    concurrency: capacity.into(),
                    prepared_max: PREPARED_MAX,
                })?;
                let _ = dir;
                Ok(Self::InProcess(Box::new(sandbox)))
            }
        }
    }

    /// How guests are held, for the miner's owner.
    pub(crate) fn describe(&self) -> Result<String, &'static str> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Confined(confined) => Ok(confined.locked().to_string()),
            Self::InProcess(_) => Err("guests run beside the keys, in the miner's own process"),
        }
    }

    /// Prepares and runs what an offer asks for, or says why this machine cannot. Blocks.
    pub(crate) fn work(
        &self,
        offer: &Offer,
        module: &[u8],
        input: &[u8],
        deadline: Instant,
    ) -> Result<Run, String> {
        let config = &offer.spec.config;
        let spec = RunSpec {
            input,
            config,
            fuel_max: offer.spec.fuel_max,
        };
        match self {
            #[cfg(target_os = "linux")]
            Self::Confined(confined) => {
                let compiled = confined
                    .prepare(module, config)
                    .map_err(|error| error.to_string())?;
                confined
                    .run(tenant(offer), &compiled, &spec, deadline)
                    .map_err(|error| error.to_string())
            }
            Self::InProcess(sandbox) => {
                let prepared = sandbox
                    .prepare(module, config)
                    .map_err(|error| error.to_string())?;
                let _ = deadline;
                sandbox
                    .run(&prepared, &spec)
                    .map_err(|error| error.to_string())
            }
        }
    }
}

/// Whom a run is for. An offer does not name the buyer, so the closest thing that it names stands for
/// all who share it: the hub, and the code that could do harm.
#[cfg(target_os = "linux")]
fn tenant(offer: &Offer) -> Tenant {
    let hub = offer.assignment.record.hubWallet;
    Tenant::of(&[hub.as_slice(), offer.spec.module.as_bytes()])
}
