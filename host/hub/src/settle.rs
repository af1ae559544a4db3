//! Settlement: one batch per epoch onto the chain, its end, and the miners' pay.
//!
//! The machine decides what a batch says. This side signs it, keeps the signed bytes, and sends
//! them until the chain has them: a hub that dies in between sends the same bytes again, so nobody
//! is paid twice.

use std::sync::Arc;
use std::time::Duration;

use haar_protocol::{Batch, Input};
use haar_records::eip712::JobLeaf;
use haar_records::tree::JobTree;
use haar_records::{B256, BatchHeader, MinerId, Signed, Snm};
use serde_json::{Value, json};
use tokio::sync::mpsc;

pub use crate::money::Money;

use haar_bindings::settle::batch_id;

use crate::journal::Row;
use crate::shared::{Misbehaviour, Shared};

/// How long an operator's request waits for a batch to be on chain.
const COMMIT_WAIT: Duration = Duration::from_secs(60);
/// How long to wait before a failed commit is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// The note that holds the last epoch whose batch is final.
const FINAL_NOTE: &str = "final_epoch";
/// The note that holds the last epoch from whose batch the miners were paid.
const PAID_NOTE: &str = "paid_epoch";

/// Hands batches to the task that commits them.
#[derive(Debug)]
pub struct Settler {
    queue: mpsc::UnboundedSender<Batch>,
    /// One settlement at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Settler {
    /// A settler and the batches that it is given.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Batch>) {
        let (queue, batches) = mpsc::unbounded_channel();
        (
            Self {
                queue,
                turn: tokio::sync::Mutex::new(()),
            },
            batches,
        )
    }

    /// Queues a batch. The same one may come again after a restart.
    pub fn commit(&self, batch: Batch) {
        // Only a stopping hub has no receiver; the batch comes again when it starts.
        let _ = self.queue.send(batch);
    }

    /// Closes the epoch, waits for its batch, finalizes what is due and pays the miners.
    pub async fn settle_now(&self, shared: &Arc<Shared>) -> Result<Value, String> {
        let _turn = self.turn.lock().await;
        let before = shared.core.look(haar_protocol::hub::Hub::epoch);
        let settle = shared.core.input(Input::SettleNow, Vec::new()).await;
        settle.map_err(|error| error.to_string())?;
        tokio::time::timeout(COMMIT_WAIT, committed(shared))
            .await
            .map_err(|_| "the chain did not take the batch in time".to_owned())?;

        let after = shared.core.look(haar_protocol::hub::Hub::epoch);
        let batch = (before < after).then(|| describe(shared, before)).flatten();
        let paid = finish_due(shared).await?;
        Ok(json!({ "batch": batch, "finalized": paid.epochs, "paid": paid.miners }))
    }
}

/// Returns when no closed batch waits for the chain.
async fn committed(shared: &Shared) {
    while shared
        .core
        .look(|machine| machine.batch_pending().is_some())
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Commits batches, and settles by the clock if the owner wants that.
pub async fn work(shared: Arc<Shared>, mut batches: mpsc::UnboundedReceiver<Batch>) {
    if let Some(seconds) = shared.options.settle_every_s {
        tokio::spawn(settle_by_clock(
            shared.clone(),
            Duration::from_secs(seconds.max(1)),
        ));
    }
    let mut done = 0;
    while let Some(batch) = batches.recv().await {
        let epoch = batch.epoch;
        // The machine asks again and again until it hears of the commit.
        if epoch <= done {
            continue;
        }
        while let Err(error) = commit(&shared, &batch).await {
            tracing::error!(target: "haar::batch::not_committed", epoch, %error);
            tokio::time::sleep(RETRY_AFTER).await;
        }
        done = epoch;
    }
}

async fn settle_by_clock(shared: Arc<Shared>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        if let Err(error) = shared.settler.settle_now(&shared).await {
            tracing::error!(target: "haar::batch::not_settled", %error);
        }
    }
}

/// Signs a batch once, keeps it, and brings it onto the chain.
async fn commit(shared: &Arc<Shared>, batch: &Batch) -> Result<(), String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let epoch = batch.epoch;
    let signed = match load(shared, epoch)? {
        Some(signed) => signed,
        None => {
            let signed = sign(shared, batch).await?;
            let bytes = haar_records::wire::encode(&signed);
            let kept = shared.core.store(vec![Row::Batch(epoch, bytes)]).await;
            kept.map_err(|error| words(&error))?;
            signed
        }
    };
    if let Some(money) = &shared.money {
        money.commit(&signed).await?;
    }
    tracing::info!(target: "haar::batch::committed", epoch, jobs = batch.leaves.len(), charged = %batch.total_charged);
    let committed = shared
        .core
        .input(Input::BatchCommitted { epoch }, Vec::new())
        .await;
    committed.map_err(|error| words(&error))
}

async fn sign(shared: &Shared, batch: &Batch) -> Result<Signed<BatchHeader>, String> {
    let previous = match batch.previous {
        Some(epoch) => {
            let before = load(shared, epoch)?.ok_or("the batch before this one is gone")?;
            batch_id(&before.record)
        }
        None => B256::ZERO,
    };
    let (leaves, total_charged) = settled_leaves(shared, batch);
    let root = JobTree::new(leaves.iter().map(JobLeaf::leaf_hash).collect()).root();
    let file = batch_file(batch, &leaves).to_string();
    let published = shared.swarm.publish(file.into()).await;
    let data = published.map_err(|error| error.to_string())?;
    let header = BatchHeader {
        hubWallet: shared.options.hub.0,
        epoch: batch.epoch,
        prevBatch: previous,
        jobsRoot: root,
        payRoot: batch.pay_root,
        daHash: data.0,
        jobs: u32::try_from(leaves.len()).map_err(|error| error.to_string())?,
        totalCharged: total_charged.0,
        minerTotalCum: batch.miner_total_cum.0,
    };
    Ok(shared
        .options
        .key
        .sign_record(&shared.options.domain, header))
}

/// The leaves as they are settled: the machine's, unless the owner wants to show a cheat.
fn settled_leaves(shared: &Shared, batch: &Batch) -> (Vec<JobLeaf>, Snm) {
    let mut leaves = batch.leaves.clone();
    let mut total = batch.total_charged;
    if shared.options.misbehave == Some(Misbehaviour::Overcharge)
        && let Some(leaf) = leaves.first_mut()
    {
        let more = leaf.charged;
        leaf.charged += more;
        total.0 += more;
    }
    (leaves, total)
}

/// All that a stranger needs to check a batch, named by the header's `daHash`.
fn batch_file(batch: &Batch, leaves: &[JobLeaf]) -> Value {
    let leaf = |leaf: &JobLeaf| {
        json!({
            "jobId": leaf.jobId, "specHash": leaf.specHash, "buyer": leaf.buyer,
            "channelId": leaf.channelId, "resultHash": leaf.resultHash,
            "fuelUsed": leaf.fuelUsed.to_string(), "charged": leaf.charged.to_string(),
            "minersHash": leaf.minersHash,
        })
    };
    let pay = |(miner, sum): &(MinerId, Snm)| json!({ "miner": miner.to_string(), "cumulative": sum.0.to_string() });
    json!({
        "version": 1,
        "epoch": batch.epoch,
        "leaves": leaves.iter().map(leaf).collect::<Vec<_>>(),
        "pay": batch.pay.iter().map(pay).collect::<Vec<_>>(),
    })
}

#[derive(Default)]
struct Paid {
    epochs: Vec<u64>,
    miners: Vec<Value>,
}

/// Finalizes every batch whose window is over, and pays the miners from the last one.
async fn finish_due(shared: &Arc<Shared>) -> Result<Paid, String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let mut last = noted_epoch(shared, FINAL_NOTE)?;
    let mut paid = Paid::default();
    for epoch in last + 1.. {
        let Some(signed) = load(shared, epoch)? else {
            break;
        };
        if let Some(money) = &shared.money
            && !money.finalize(&signed.record).await?
        {
            break;
        }
        let note = Row::Note(FINAL_NOTE, epoch.to_string());
        let finalized = shared
            .core
            .input(Input::BatchFinalized { epoch }, vec![note])
            .await;
        finalized.map_err(|error| words(&error))?;
        tracing::info!(target: "haar::batch::finalized", epoch);
        paid.epochs.push(epoch);
        last = epoch;
    }

    // Noted apart from the finality: a hub that dies in between pays after it has started again.
    if let Some(money) = &shared.money
        && noted_epoch(shared, PAID_NOTE)? < last
    {
        let batch = shared.core.look(|machine| machine.batch(last).cloned());
        if let Some(batch) = batch {
            money.pay(&batch).await?;
            let note = Row::Note(PAID_NOTE, last.to_string());
            let noted = shared.core.store(vec![note]).await;
            noted.map_err(|error| words(&error))?;
            let pay = |(miner, sum): &(MinerId, Snm)| json!({ "miner": miner.to_string(), "cumulative": sum.to_string() });
            paid.miners = batch.pay.iter().map(pay).collect();
        }
    }
    Ok(paid)
}

/// The epoch in a note; 0 if there was none yet.
fn noted_epoch(shared: &Shared, note: &str) -> Result<u64, String> {
    let noted = shared.read(|journal| journal.note(note));
    let noted = noted.map_err(|error| error.to_string())?;
    Ok(noted.and_then(|text| text.parse().ok()).unwrap_or(0))
}

fn load(shared: &Shared, epoch: u64) -> Result<Option<Signed<BatchHeader>>, String> {
    let bytes = shared
        .read(|journal| journal.batch(epoch))
        .map_err(|error| error.to_string())?;
    bytes
        .map(|bytes| haar_records::wire::decode(&bytes).map_err(|error| error.to_string()))
        .transpose()
}

/// A signed batch as a record: sums for people, and the header exactly as it was signed.
pub(crate) fn describe(shared: &Shared, epoch: u64) -> Option<Value> {
    let signed = load(shared, epoch).ok().flatten()?;
    let header = &signed.record;
    Some(json!({
        "epoch": epoch,
        "id": batch_id(header),
        "jobs": header.jobs,
        "charged": Snm(header.totalCharged).to_string(),
        "miners_total": Snm(header.minerTotalCum).to_string(),
        "header": {
            "hub": header.hubWallet, "epoch": header.epoch, "previous": header.prevBatch,
            "jobs_root": header.jobsRoot, "pay_root": header.payRoot,
            "data": header.daHash, "jobs": header.jobs,
            "total_charged": header.totalCharged.to_string(),
            "miner_total": header.minerTotalCum.to_string(),
        },
        "signature": signed.signature.to_string(),
    }))
}
