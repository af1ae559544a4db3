//! Batches: what was decided, epoch by epoch, for the chain.
//!
//! One batch at a time waits for the chain; the next epoch gathers meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use haar_records::{JobId, JobLeaf, MinerId, Snm};

use crate::config::BATCHES_KEPT_MAX;
use crate::output::Batch;

#[derive(Debug, Clone)]
pub(crate) struct Settlement {
    /// The epoch that is open.
    epoch: u64,
    /// Decided and in no batch.
    open: BTreeSet<JobId>,
    pending: Option<u64>,
    /// The last batches, the pending one included.
    batches: BTreeMap<u64, Batch>,
    finalized: u64,
}

impl Default for Settlement {
    fn default() -> Self {
        Self {
            epoch: 1,
            open: BTreeSet::new(),
            pending: None,
            batches: BTreeMap::new(),
            finalized: 0,
        }
    }
}

impl Settlement {
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn batch(&self, epoch: u64) -> Option<&Batch> {
        self.batches.get(&epoch)
    }

    pub(crate) fn pending(&self) -> Option<&Batch> {
        self.pending.and_then(|epoch| self.batches.get(&epoch))
    }

    pub(crate) fn decided(&mut self, job: JobId) {
        let is_new = self.open.insert(job);
        assert!(is_new, "a job is decided once");
    }

    /// The jobs of the batch to close, in order; none while another waits.
    pub(crate) fn closable(&self) -> Vec<JobId> {
        if self.pending.is_some() {
            Vec::new()
        } else {
            self.open.iter().copied().collect()
        }
    }

    pub(crate) fn close(&mut self, leaves: Vec<JobLeaf>, pay: Vec<(MinerId, Snm)>) -> &Batch {
        assert!(
            self.pending.is_none(),
            "one batch at a time waits for the chain"
        );
        assert!(
            leaves.is_sorted_by(|one, next| one.jobId < next.jobId),
            "leaves strictly increase"
        );
        assert!(
            leaves.len() == self.open.len(),
            "a batch settles all that was decided"
        );
        let epoch = self.epoch;
        let mut batch = Batch {
            epoch,
            previous: (epoch > 1).then(|| epoch - 1),
            total_charged: Snm(leaves.iter().map(|leaf| leaf.charged).sum()),
            miner_total_cum: pay.iter().map(|(_, sum)| *sum).sum(),
            leaves,
            pay,
            jobs_root: Default::default(),
            pay_root: Default::default(),
        };
        batch.jobs_root = batch.jobs_tree().root();
        batch.pay_root = batch.pay_tree().root();

        self.open.clear();
        self.epoch += 1;
        self.pending = Some(epoch);
        while self.batches.len() >= BATCHES_KEPT_MAX {
            self.batches.pop_first();
        }
        self.batches.entry(epoch).or_insert(batch)
    }

    pub(crate) fn committed(&mut self, epoch: u64) {
        if self.pending == Some(epoch) {
            self.pending = None;
        }
    }

    pub(crate) fn finalized(&mut self, epoch: u64) {
        // A batch cannot be final before it is committed.
        if epoch < self.epoch && self.pending != Some(epoch) {
            self.finalized = self.finalized.max(epoch);
        }
    }

    /// Whether the chain has the batch of this epoch, so that memory may forget its jobs.
    pub(crate) fn is_committed(&self, epoch: u64) -> bool {
        epoch < self.epoch && self.pending != Some(epoch)
    }

    pub(crate) fn last_finalized(&self) -> u64 {
        self.finalized
    }
}
