//! Carries out what the machine asks for. Decides nothing.

use std::sync::Arc;
use std::time::Duration;

use haar_protocol::{Answer, Credit, Input, Output, Time};
use haar_records::eip712::seals_hash;
use haar_records::wire::{
    AttemptEnd, INLINE_BYTES_MAX, Offer, Payload, Provider, SealEntry, ToMiner,
};
use haar_records::{
    Assignment, B256, BlobHash, JobId, MinerCredit, MinerId, Outcome, Profile, SealSet,
};
use haar_swarm::{FetchError, Fetched};
use tokio::sync::mpsc;

use crate::core::now;
use crate::journal::Row;
use crate::limits::INPUT_BYTES_MAX;
use crate::sessions;
use crate::shared::Shared;

/// Works the outbox off, in order.
pub async fn work(shared: Arc<Shared>, mut outbox: mpsc::UnboundedReceiver<Output>) {
    while let Some(output) = outbox.recv().await {
        carry_out(&shared, output).await;
    }
}

async fn carry_out(shared: &Arc<Shared>, output: Output) {
    match output {
        Output::Offer {
            miner,
            job,
            attempt,
            deadline,
        } => {
            if let Err(error) = offer(shared, miner, job, attempt, deadline).await {
                tracing::error!(target: "haar::attempt::not_offered", job = job.short(), %error);
            }
        }
        Output::RequestReveal {
            job,
            round,
            seals,
            to,
        } => {
            request_reveal(shared, job, round, &seals, &to).await;
        }
        Output::FetchOutput { job, outcome, from } => {
            tokio::spawn(fetch_output(shared.clone(), job, outcome, from));
        }
        Output::CloseAttempt {
            miner,
            job,
            end,
            credit,
        } => {
            close(shared, miner, job, end, credit);
        }
        Output::Answer { job, answer } => answer_buyer(shared, job, &answer),
        Output::TurnAway { miner, reason } => {
            tracing::info!(target: "haar::miner::turned_away", miner = miner.short(), %reason);
            shared.sessions.close(&miner, &reason.to_string());
        }
        Output::Dismiss {
            miner,
            owner,
            job,
            reason,
        } => {
            tracing::warn!(target: "haar::miner::dismissed", miner = miner.short(), %owner, job = job.short(), %reason);
            shared.sessions.close(&miner, &reason.to_string());
        }
        Output::SetTimer { at, timer } => {
            let core = shared.core.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(at.ms_since(now()))).await;
                let _ = core.input(Input::TimerFired { timer }, Vec::new()).await;
            });
        }
        Output::Settle { batch } => shared.settler.commit(batch),
    }
}

/// Signs an assignment and opens the attempt's stream.
async fn offer(
    shared: &Arc<Shared>,
    miner: MinerId,
    job: JobId,
    attempt: u32,
    deadline: Time,
) -> Result<(), String> {
    let row = shared
        .calls
        .row(shared, &job)?
        .ok_or("the job has no row")?;
    let assignment = Assignment {
        jobId: job.0,
        specHash: row.spec.hash().0,
        miner: miner.0,
        hubWallet: shared.options.hub.0,
        attempt,
        deadline: deadline.0 / 1_000,
    };
    let mut providers = shared.sessions.holders(&row.spec.module, &miner);
    providers.push(shared.swarm.provider());
    let input = match &row.input {
        Payload::Blob(hash, bytes) if *bytes <= INLINE_BYTES_MAX as u64 => {
            let small = shared.blob(*hash, *bytes).await?;
            Payload::Inline(small.ok_or("the job's input is gone")?.to_vec())
        }
        other => other.clone(),
    };
    let offer = Offer {
        assignment: shared
            .options
            .key
            .sign_record(&shared.options.domain, assignment),
        spec: row.spec.clone(),
        module_bytes: row.module_bytes,
        input,
        providers,
        lease_ms: deadline.ms_since(now()),
    };
    sessions::offer(shared, miner, job, offer);
    Ok(())
}

/// Signs the set of seals once and sends it to all who sealed.
async fn request_reveal(
    shared: &Arc<Shared>,
    job: JobId,
    round: u32,
    seals: &[(MinerId, B256)],
    to: &[MinerId],
) {
    let record = SealSet {
        jobId: job.0,
        round,
        sealsHash: seals_hash(seals),
    };
    let seal_set = shared
        .options
        .key
        .sign_record(&shared.options.domain, record);
    let entry = |(miner, seal): &(MinerId, B256)| SealEntry {
        miner: *miner,
        seal: *seal,
    };
    let seals: Vec<SealEntry> = seals.iter().map(entry).collect();
    for miner in to {
        // One that sealed and then connected again has no stream: the offer, repeated, opens one.
        if !shared.sessions.has_stream(miner, &job)
            && let Err(error) = offer_again(shared, *miner, job).await
        {
            tracing::error!(target: "haar::attempt::not_offered", job = job.short(), %error);
        }
        let message = ToMiner::RevealRequest {
            seal_set: seal_set.clone(),
            seals: seals.clone(),
        };
        shared.sessions.send(miner, &job, message);
    }
}

/// Repeats the offer of an attempt. Whoever sealed has time until the job's end to be asked again.
async fn offer_again(shared: &Arc<Shared>, miner: MinerId, job: JobId) -> Result<(), String> {
    let view = shared.core.look(|machine| machine.job(&job));
    let view = view.ok_or("the job is gone")?;
    let known = view.attempts.iter().find(|known| known.miner == miner);
    let number = known.ok_or("the miner was never hired")?.attempt;
    offer(shared, miner, job, number, view.order.deadline).await
}

/// Makes sure that the hub holds the agreed output, whoever of the agreeing miners has it.
async fn fetch_output(shared: Arc<Shared>, job: JobId, outcome: Outcome, from: Vec<MinerId>) {
    let nothing = BlobHash::of(b"");
    if outcome.output == nothing {
        let _ = shared
            .core
            .input(Input::OutputStored { job, bytes: 0 }, Vec::new())
            .await;
        return;
    }
    if let Ok(Some(bytes)) = shared.blob(outcome.output, INPUT_BYTES_MAX).await {
        let stored = Input::OutputStored {
            job,
            bytes: bytes.len() as u64,
        };
        let _ = shared.core.input(stored, Vec::new()).await;
        return;
    }
    for miner in from {
        let Some(provider) = shared.sessions.provider(&miner) else {
            let _ = shared
                .core
                .input(Input::OutputMissing { job, miner }, Vec::new())
                .await;
            continue;
        };
        let fetched = fetch_bounded(&shared, &outcome, &provider).await;
        match fetched {
            Ok(fetched) => {
                let bytes = fetched.bytes.len() as u64;
                // Published, so that no later fetch can push an acknowledged output out.
                if let Err(error) = shared.swarm.publish(fetched.bytes).await {
                    tracing::error!(target: "haar::job::output_not_kept", job = job.short(), %error);
                    return;
                }
                let stored = Input::OutputStored { job, bytes };
                let _ = shared.core.input(stored, Vec::new()).await;
                return;
            }
            Err(error) => {
                tracing::info!(target: "haar::job::output_missing", job = job.short(), miner = miner.short(), %error);
                let _ = shared
                    .core
                    .input(Input::OutputMissing { job, miner }, Vec::new())
                    .await;
            }
        }
    }
}

/// Fetches an output whose size is one miner's word. The swarm verifies the true size before it
/// loads anything, so a wrong word costs a second question and the profile stays the bound.
async fn fetch_bounded(
    shared: &Shared,
    outcome: &Outcome,
    provider: &Provider,
) -> Result<Fetched, FetchError> {
    let max = u64::from(Profile::V1.output_bytes_max);
    let claimed = outcome.output_bytes.min(max);
    let from = std::slice::from_ref(provider);
    match shared.swarm.fetch(outcome.output, claimed, from).await {
        Err(FetchError::WrongSize { actual, .. }) if actual <= max => {
            shared.swarm.fetch(outcome.output, actual, from).await
        }
        other => other,
    }
}

fn close(shared: &Shared, miner: MinerId, job: JobId, end: AttemptEnd, credit: Option<Credit>) {
    let credit = credit.map(|credit| {
        let record = MinerCredit {
            hubWallet: shared.options.hub.0,
            miner: miner.0,
            cumulative: credit.cumulative.0,
            epoch: credit.epoch,
        };
        shared
            .options
            .key
            .sign_record(&shared.options.domain, record)
    });
    shared
        .sessions
        .send(&miner, &job, ToMiner::Closed { end, credit });
}

/// Keeps the receipt and wakes the buyer.
fn answer_buyer(shared: &Arc<Shared>, job: JobId, answer: &Answer) {
    tracing::info!(target: "haar::job::answered", job = job.short(), agreed = matches!(answer, Answer::Agreed { .. }));
    keep_receipt(shared, job);
    shared.calls.answer(&job, answer);
}

/// Writes a settled job's receipt into the database; the machine forgets old jobs.
pub fn keep_receipt(shared: &Arc<Shared>, job: JobId) {
    let Some(view) = shared.core.look(|machine| machine.job(&job)) else {
        return;
    };
    let Ok(Some(row)) = shared.calls.row(shared, &job) else {
        return;
    };
    let Some(document) = shared.receipt_document(job, &view, &row) else {
        return;
    };
    let shared = shared.clone();
    tokio::spawn(async move {
        // The receipt follows from the journal: what is lost here is written at the next start.
        let _ = shared
            .core
            .store(vec![Row::Receipt(job, format!("{document:#}"))])
            .await;
    });
}
