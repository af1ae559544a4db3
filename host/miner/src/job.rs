//! The work of one attempt: fetch, prepare, run, and keep the output where it can be had.

use std::sync::Arc;
use std::time::Instant;

use haar_records::wire::{INLINE_BYTES_MAX, Offer, Payload};
use haar_records::{BlobHash, Fuel, Outcome, Status};
use haar_swarm::Swarm;
use tokio::sync::Semaphore;

use crate::config::Misbehaviour;
use crate::guests::Machine;

/// What the work needs.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) swarm: Swarm,
    pub(crate) machine: Arc<Machine>,
    /// Invariant: as many permits as runs at once. A run that nobody waits for any more keeps its
    /// permit to its end.
    pub(crate) seats: Arc<Semaphore>,
    pub(crate) misbehave: Option<Misbehaviour>,
}

/// An answer, ready to be sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) outcome: Outcome,
    pub(crate) output: Payload,
}

impl Bench {
    /// Does the work of an offer until the deadline, or says why this machine cannot.
    pub(crate) async fn work(&self, offer: &Arc<Offer>, deadline: Instant) -> Result<Work, String> {
        let (outcome, output) = self.run(offer, deadline).await?;
        let (outcome, output) = match self.misbehave {
            Some(Misbehaviour::Lie) => lie(outcome, output),
            Some(Misbehaviour::FuelCheat) => (cheat(outcome, offer.spec.fuel_max), output),
            Some(Misbehaviour::Silent | Misbehaviour::NeverReveal) | None => (outcome, output),
        };

        // Before the seal goes out, so that an agreed output can be had from the first moment on.
        let output = if output.len() <= INLINE_BYTES_MAX {
            Payload::Inline(output)
        } else {
            let bytes = output.len() as u64;
            let hash = self
                .swarm
                .publish(output.into())
                .await
                .map_err(|error| format!("the output could not be kept: {error}"))?;
            Payload::Blob(hash, bytes)
        };
        Ok(Work { outcome, output })
    }

    async fn run(
        &self,
        offer: &Arc<Offer>,
        deadline: Instant,
    ) -> Result<(Outcome, Vec<u8>), String> {
        let spec = &offer.spec;
        let module = self
            .swarm
            .fetch(spec.module, offer.module_bytes, &offer.providers)
            .await
            .map_err(|error| format!("no module: {error}"))?
            .bytes;
        let input = match &offer.input {
            Payload::Inline(bytes) => bytes.clone().into(),
            Payload::Blob(hash, bytes) => {
                self.swarm
                    .fetch(*hash, *bytes, &offer.providers)
                    .await
                    .map_err(|error| format!("no input: {error}"))?
                    .bytes
            }
        };

        let seat = Arc::clone(&self.seats)
            .acquire_owned()
            .await
            .map_err(|error| error.to_string())?;
        let (machine, offer) = (Arc::clone(&self.machine), Arc::clone(offer));
        let running = tokio::task::spawn_blocking(move || {
            let _seat = seat;
            let run = machine.work(&offer, &module, &input, deadline)?;
            Ok((run.outcome, run.output))
        });
        running.await.map_err(|error| error.to_string())?
    }
}

/// An answer that looks like one and is not the run's.
fn lie(outcome: Outcome, mut output: Vec<u8>) -> (Outcome, Vec<u8>) {
    match output.last_mut() {
        Some(last) => *last ^= 1,
        None => output.extend_from_slice(b"a lie"),
    }
    let outcome = Outcome {
        status: Status::Returned,
        output: BlobHash::of(&output),
        output_bytes: output.len() as u64,
        trap: None,
        ..outcome
    };
    (outcome, output)
}

/// A tenth more than was used, as far as the limit goes.
fn cheat(outcome: Outcome, fuel_max: Fuel) -> Outcome {
    let used = outcome.fuel_used.0;
    let claimed = used.saturating_add(used / 10).min(fuel_max.0);
    Outcome {
        fuel_used: Fuel(claimed),
        ..outcome
    }
}
