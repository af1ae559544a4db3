//! One attempt's stream: checks what the hub says, signs what the machine says.

use std::time::Duration;

use haar_protocol::Credit;
use haar_protocol::miner::{MinerInput, MinerOutput};
use haar_records::eip712::seals_hash;
use haar_records::wire::{
    INLINE_BYTES_MAX, Offer, PROVIDERS_MAX, Payload, Reveal, SEALS_MAX, SealEntry, ToHub, ToMiner,
};
use haar_records::{
    ExecutionReceipt, JobId, MinerCredit, MinerId, Outcome, Profile, SealSet, SealedReceipt,
    SignatureError, Signed, Snm,
};
use haar_swarm::{Frames, FramesRx, FramesTx};
use tokio::sync::mpsc;

use crate::desk::{Desk, now};
use crate::{HubAddress, MinerEvent, Misbehaviour};

/// How long the hub may take to send the offer on a stream that it opened.
const OFFER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest lease that a miner takes.
const LEASE_MS_MAX: u64 = 60 * 60 * 1_000;
/// The largest module that a miner fetches.
const MODULE_BYTES_MAX: u64 = 32 << 20;
/// The largest input that a miner fetches.
const INPUT_BYTES_MAX: u64 = 10 << 20;

/// What a hub must not say. The miner ends the stream.
#[derive(Debug, thiserror::Error)]
enum HubFault {
    #[error("the operator did not sign this: {0}")]
    Signature(#[from] SignatureError),
    #[error("the assignment is for another miner, hub or spec")]
    OtherAssignment,
    #[error("the offer is outside of the limits: {0}")]
    Limit(&'static str),
    #[error("the set of seals is not what was signed")]
    OtherSeals,
    #[error("this message does not belong here")]
    Unexpected,
}

/// Serves the stream that the hub opened for one attempt.
pub async fn serve(desk: &Desk, hub: &HubAddress, mut frames: Frames) {
    let offer = match tokio::time::timeout(OFFER_TIMEOUT, frames.recv::<ToMiner>()).await {
        Ok(Ok(Some(ToMiner::Offer(offer)))) => *offer,
        _ => return,
    };
    let job = JobId(offer.assignment.record.jobId);
    if let Err(fault) = check_offer(desk, hub, &offer) {
        tracing::warn!(target: "haar::offer::declined", job = job.short(), %fault);
        let _ = frames
            .send(&ToHub::Declined {
                reason: fault.to_string(),
            })
            .await;
        frames.finish();
        return;
    }

    desk.tell(MinerEvent::Offered { job }).await;
    let deadline = now().after_ms(offer.lease_ms);
    let spec_hash = offer.assignment.record.specHash;
    let outputs = desk.offered(job, offer, deadline);
    let (tx, rx) = frames.split();
    let talk = Talk {
        desk,
        hub,
        job,
        spec_hash,
    };
    talk.converse(tx, rx, outputs).await;
}

fn check_offer(desk: &Desk, hub: &HubAddress, offer: &Offer) -> Result<(), HubFault> {
    let assignment = &offer.assignment.record;
    offer.assignment.check(&hub.domain, hub.operator)?;
    let is_ours = assignment.miner == desk.config().key.address()
        && assignment.hubWallet == hub.hub.0
        && assignment.specHash == offer.spec.hash().0;
    if !is_ours {
        return Err(HubFault::OtherAssignment);
    }
    if offer.spec.config.profile != Profile::V1 || !offer.spec.config.is_within_limits() {
        return Err(HubFault::Limit(
            "a configuration that this miner does not know",
        ));
    }
    if offer.module_bytes > MODULE_BYTES_MAX || offer.input.len() > INPUT_BYTES_MAX {
        return Err(HubFault::Limit("module or input is too large"));
    }
    if offer.input.hash() != offer.spec.input {
        return Err(HubFault::Limit("the input is not the spec's"));
    }
    if matches!(&offer.input, Payload::Inline(bytes) if bytes.len() > INLINE_BYTES_MAX) {
        return Err(HubFault::Limit("the inline input is too large"));
    }
    if offer.providers.len() > PROVIDERS_MAX || offer.lease_ms > LEASE_MS_MAX {
        return Err(HubFault::Limit("too many providers, or too long a lease"));
    }
    Ok(())
}

struct Talk<'a> {
    desk: &'a Desk,
    hub: &'a HubAddress,
    job: JobId,
    spec_hash: haar_records::B256,
}

impl Talk<'_> {
    /// Passes messages both ways until the attempt is closed or the stream is gone.
    async fn converse(
        &self,
        mut tx: FramesTx,
        mut rx: FramesRx,
        mut outputs: mpsc::Receiver<MinerOutput>,
    ) {
        loop {
            tokio::select! {
                output = outputs.recv() => {
                    let Some(output) = output else { break };
                    let is_last = matches!(output, MinerOutput::Decline { .. } | MinerOutput::Abstain { .. });
                    if let Some(message) = self.say(output)
                        && let Err(error) = tx.send(&message).await
                    {
                        tracing::debug!(target: "haar::attempt::not_sent", job = self.job.short(), %error);
                        break;
                    }
                    if is_last {
                        break;
                    }
                }
                message = rx.recv::<ToMiner>() => {
                    let Ok(Some(message)) = message else { break };
                    let is_last = matches!(message, ToMiner::Closed { .. });
                    if let Err(fault) = self.hear(message).await {
                        tracing::warn!(target: "haar::hub::fault", job = self.job.short(), %fault);
                        break;
                    }
                    if is_last {
                        break;
                    }
                }
            }
        }
        tx.finish();
    }

    /// The signed message for what the machine wants said.
    fn say(&self, output: MinerOutput) -> Option<ToHub> {
        let key = &self.desk.config().key;
        let miner = key.address();
        match output {
            MinerOutput::Accept { .. } => Some(ToHub::Accepted),
            MinerOutput::Decline { reason, .. } => Some(ToHub::Declined {
                reason: reason.to_string(),
            }),
            MinerOutput::Abstain { .. } => Some(ToHub::Abstained {
                reason: "the engine could not answer".to_owned(),
            }),
            MinerOutput::Seal { seal, .. } => {
                let record = SealedReceipt {
                    jobId: self.job.0,
                    miner,
                    seal,
                };
                let signature = key.sign(self.hub.domain.digest(&record));
                Some(ToHub::Sealed { seal, signature })
            }
            MinerOutput::Reveal {
                outcome,
                salt,
                executed_at,
                ..
            } => {
                if self.desk.config().misbehave == Some(Misbehaviour::NeverReveal) {
                    return None;
                }
                let output = self.desk.output(&self.job)?;
                let digest = self.hub.domain.digest(&self.receipt(&outcome, executed_at));
                let signature = key.sign(digest);
                Some(ToHub::Revealed(Reveal {
                    outcome,
                    salt,
                    executed_at,
                    signature,
                    output,
                }))
            }
            MinerOutput::Run { .. } | MinerOutput::Forget { .. } | MinerOutput::Evidence(_) => None,
        }
    }

    fn receipt(&self, outcome: &Outcome, executed_at: u64) -> ExecutionReceipt {
        ExecutionReceipt {
            jobId: self.job.0,
            specHash: self.spec_hash,
            miner: self.desk.config().key.address(),
            hubWallet: self.hub.hub.0,
            resultHash: outcome.result_hash(),
            fuelUsed: outcome.fuel_used.0,
            status: outcome.status.code(),
            executedAt: executed_at,
        }
    }

    /// Checks what the hub says and hands it to the machine.
    async fn hear(&self, message: ToMiner) -> Result<(), HubFault> {
        match message {
            ToMiner::Offer(_) => Err(HubFault::Unexpected),
            ToMiner::RevealRequest { seal_set, seals } => self.hear_seals(&seal_set, &seals),
            ToMiner::Closed { end, credit } => {
                let credit = credit.map(|credit| self.check_credit(credit)).transpose()?;
                let job = self.job;
                self.desk.handle(MinerInput::Closed { job, end, credit });
                let owed = credit.map(|credit| credit.cumulative);
                self.desk.tell(MinerEvent::Closed { job, end, owed }).await;
                Ok(())
            }
        }
    }

    fn hear_seals(&self, set: &Signed<SealSet>, seals: &[SealEntry]) -> Result<(), HubFault> {
        set.check(&self.hub.domain, self.hub.operator)?;
        let pairs: Vec<(MinerId, haar_records::B256)> = seals
            .iter()
            .map(|entry| (entry.miner, entry.seal))
            .collect();
        let is_signed = set.record.jobId == self.job.0
            && seals.len() <= SEALS_MAX
            && set.record.sealsHash == seals_hash(&pairs);
        if !is_signed {
            return Err(HubFault::OtherSeals);
        }
        self.desk.handle(MinerInput::RevealRequested {
            job: self.job,
            round: set.record.round,
            seals: pairs,
            signature: set.signature,
        });
        Ok(())
    }

    /// Keeps the hub's promise to pay: with it the miner is paid even if the hub disappears.
    fn check_credit(&self, signed: Signed<MinerCredit>) -> Result<Credit, HubFault> {
        signed.check(&self.hub.domain, self.hub.operator)?;
        let record = &signed.record;
        if record.miner != self.desk.config().key.address() || record.hubWallet != self.hub.hub.0 {
            return Err(HubFault::OtherAssignment);
        }
        let path = self.desk.config().dir.join("credit.cbor");
        let written = std::fs::write(
            path.with_extension("new"),
            haar_records::wire::encode(&signed),
        )
        .and_then(|()| std::fs::rename(path.with_extension("new"), &path));
        if let Err(error) = written {
            tracing::error!(target: "haar::credit::not_kept", %error);
        }
        Ok(Credit {
            cumulative: Snm(record.cumulative),
            epoch: record.epoch,
        })
    }
}
