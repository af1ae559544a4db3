//! Fetches, meters and runs one attempt.

use std::sync::Arc;

use bytes::Bytes;
use haar_records::wire::{INLINE_BYTES_MAX, Offer, Payload};
use haar_records::{BlobHash, Fuel, Outcome, Status};
use haar_sandbox::{Run, RunSpec, Sandbox};
use haar_swarm::Swarm;
use tokio::sync::Semaphore;

use crate::{MinerConfig, Misbehaviour};

/// Runs attempts, as many at once as the owner allows.
pub struct Lab {
    config: MinerConfig,
    swarm: Swarm,
    sandbox: Arc<Sandbox>,
    places: Semaphore,
}

/// What a run gave.
pub struct Finished {
    /// The outcome.
    pub outcome: Outcome,
    /// The output, small or published.
    pub output: Payload,
}

/// A run that gave no outcome: the miner abstains, and nobody judges it for that.
#[derive(Debug, thiserror::Error)]
pub enum NoRun {
    /// A blob cannot be had.
    #[error("{what} cannot be fetched: {source}")]
    Fetch {
        /// Module or input.
        what: &'static str,
        /// Why.
        source: haar_swarm::FetchError,
    },
    /// The module is refused here, or cannot be compiled.
    #[error("the module cannot be prepared: {0}")]
    Prepare(#[from] haar_sandbox::PrepareError),
    /// The engine could not answer.
    #[error("{0}")]
    Abstain(#[from] haar_sandbox::Abstain),
    /// The output cannot be kept.
    #[error("the output cannot be kept: {0}")]
    Keep(#[from] haar_swarm::StoreError),
    /// The thread died.
    #[error("the run's thread died")]
    Thread,
}

impl Lab {
    /// A lab with the owner's number of places.
    pub fn new(config: MinerConfig, swarm: Swarm, sandbox: Arc<Sandbox>) -> Self {
        let places = Semaphore::new(usize::from(config.capacity.max(1)));
        Self {
            config,
            swarm,
            sandbox,
            places,
        }
    }

    /// The secret from which all salts follow.
    pub fn salt_secret(&self) -> [u8; 32] {
        blake3::derive_key("haar 2026 miner salt", &self.config.key.to_bytes())
    }

    /// Runs what was offered.
    pub async fn run(&self, offer: &Offer) -> Result<Finished, NoRun> {
        if self.config.misbehave == Some(Misbehaviour::Silent) {
            std::future::pending::<()>().await;
        }
        let _place = self.places.acquire().await.map_err(|_| NoRun::Thread)?;
        let module = self
            .fetch("the module", offer.spec.module, offer.module_bytes, offer)
            .await?;
        let input = match &offer.input {
            Payload::Inline(bytes) => Bytes::from(bytes.clone()),
            Payload::Blob(hash, bytes) => self.fetch("the input", *hash, *bytes, offer).await?,
        };

        let (sandbox, spec) = (self.sandbox.clone(), offer.spec.clone());
        let running = tokio::task::spawn_blocking(move || -> Result<Run, NoRun> {
            let prepared = sandbox.prepare(&module, &spec.config)?;
            let run = RunSpec {
                input: &input,
                config: &spec.config,
                fuel_max: spec.fuel_max,
            };
            Ok(sandbox.run(&prepared, &run)?)
        });
        let mut run = running.await.map_err(|_| NoRun::Thread)??;
        self.misbehave(&mut run);

        let output = if run.output.len() <= INLINE_BYTES_MAX {
            Payload::Inline(run.output)
        } else {
            let bytes = run.output.len() as u64;
            Payload::Blob(self.swarm.publish(run.output.into()).await?, bytes)
        };
        Ok(Finished {
            outcome: run.outcome,
            output,
        })
    }

    async fn fetch(
        &self,
        what: &'static str,
        hash: BlobHash,
        bytes: u64,
        offer: &Offer,
    ) -> Result<Bytes, NoRun> {
        let fetched = self.swarm.fetch(hash, bytes, &offer.providers).await;
        fetched
            .map(|fetched| fetched.bytes)
            .map_err(|source| NoRun::Fetch { what, source })
    }

    /// Spoils a true outcome, if the owner wants a miner that does.
    fn misbehave(&self, run: &mut Run) {
        match self.config.misbehave {
            Some(Misbehaviour::Lie) => {
                run.output = format!("{} says so\n", self.config.key.address()).into_bytes();
                run.outcome.output = BlobHash::of(&run.output);
                run.outcome.output_bytes = run.output.len() as u64;
                run.outcome.status = Status::Returned;
                run.outcome.trap = None;
            }
            Some(Misbehaviour::FuelCheat) => {
                run.outcome.fuel_used =
                    Fuel(run.outcome.fuel_used.0 + run.outcome.fuel_used.0 / 10);
            }
            Some(Misbehaviour::Silent | Misbehaviour::NeverReveal) | None => {}
        }
    }
}
