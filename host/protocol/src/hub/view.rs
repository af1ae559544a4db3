//! What the driver may read of a hub. It can change nothing through it.

use haar_records::wire::AttemptEnd;
use haar_records::{Address, B256, JobId, JobLeaf, MinerId, Outcome, Signature, Snm};

use super::Hub;
use super::job::{Attempt, Job, Phase};
use crate::input::{Order, Time};
use crate::ledger::Ledger;
use crate::output::{Answer, Batch, TurnAway};

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobState {
    /// Miners are hired, and run and seal.
    Collecting,
    /// The round's seals are closed; miners open theirs.
    Revealing,
    /// Enough agree; the output is on its way to the hub.
    Fetching,
    /// Agreed and paid for.
    Settled,
    /// Ended without a verdict; the buyer has everything back.
    Refunded,
}

impl JobState {
    /// Whether nothing can happen to the job any more.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Settled | Self::Refunded)
    }
}

/// Where an attempt is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptState {
    /// The miner has not answered the offer.
    Offered,
    /// The miner has begun.
    Accepted,
    /// The miner has committed to an outcome.
    Sealed,
    /// The miner's outcome is known.
    Revealed,
    /// The attempt is over.
    Ended(AttemptEnd),
}

/// One attempt, as the driver and people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptView {
    /// Who was hired.
    pub miner: MinerId,
    /// Who owns the miner.
    pub owner: Address,
    /// The attempt's number within the job, from 0.
    pub attempt: u32,
    /// The round in which it sealed or should have.
    pub round: u32,
    /// Where it is.
    pub state: AttemptState,
    /// When the miner was hired.
    pub hired_at: Time,
    /// When the miner has to have sealed.
    pub deadline: Time,
    /// The commitment and its signature.
    pub seal: Option<(B256, Signature)>,
    /// What it revealed; evidence even where it was wrong.
    pub reveal: Option<RevealView>,
    /// What the attempt earned.
    pub earned: Snm,
}

/// A signed outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevealView {
    /// What the run produced, as the miner says.
    pub outcome: Outcome,
    /// What opened the seal.
    pub salt: B256,
    /// Unix seconds, by the miner's clock.
    pub executed_at: u64,
    /// The signature of the execution receipt.
    pub signature: Signature,
}

/// One job, as the driver and people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    /// What was ordered.
    pub order: Order,
    /// Where it is.
    pub state: JobState,
    /// The current round.
    pub round: u32,
    /// All attempts, in the order of hiring.
    pub attempts: Vec<AttemptView>,
    /// What the buyer was told, once the job has ended.
    pub answer: Option<Answer>,
    /// When it was ordered.
    pub ordered_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// The batch in which it is settled, once that is closed.
    pub epoch: Option<u64>,
}

/// One miner, as the driver and people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinerView {
    /// Which one.
    pub miner: MinerId,
    /// Who owns it.
    pub owner: Address,
    /// Whether it is connected.
    pub is_present: bool,
    /// Whether it is out for ever.
    pub is_dismissed: bool,
    /// Runs it can do at once.
    pub capacity: u16,
    /// Runs that it does now.
    pub running: u16,
    /// Agreed answers since its last wrong one.
    pub record: u32,
    /// All that it earned.
    pub cumulative: Snm,
}

impl Hub {
    /// A job that is still in memory.
    #[must_use]
    pub fn job(&self, job: &JobId) -> Option<JobView> {
        self.jobs.get(job).map(job_view)
    }

    /// The ids of all jobs in memory.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> {
        self.jobs.keys().copied()
    }

    /// Jobs without an end.
    #[must_use]
    pub fn jobs_live(&self) -> usize {
        self.live
    }

    /// Jobs that are decided and in no batch.
    #[must_use]
    pub fn jobs_unsettled(&self) -> usize {
        self.settlement.open()
    }

    /// A miner that the hub remembers.
    #[must_use]
    pub fn miner(&self, miner: &MinerId) -> Option<MinerView> {
        self.pool.view(miner, &self.ledger)
    }

    /// All miners that the hub remembers, by id.
    pub fn miners(&self) -> impl Iterator<Item = MinerView> {
        self.pool
            .ids()
            .filter_map(|miner| self.pool.view(&miner, &self.ledger))
    }

    /// Whether this miner would get offers if it joined now.
    pub fn admits(&self, miner: &MinerId, owner: &Address) -> Result<(), TurnAway> {
        self.pool.admits(miner, owner)
    }

    /// The accounts.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The epoch that is open now: jobs decided now will be in its batch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.settlement.epoch()
    }

    /// A batch that was closed not long ago.
    #[must_use]
    pub fn batch(&self, epoch: u64) -> Option<&Batch> {
        self.settlement.batch(epoch)
    }

    /// The closed batch that is not committed.
    #[must_use]
    pub fn batch_pending(&self) -> Option<&Batch> {
        self.settlement.pending()
    }

    /// The last epoch whose batch is final; 0 before the first.
    #[must_use]
    pub fn epoch_finalized(&self) -> u64 {
        self.settlement.last_finalized()
    }

    /// The leaf of a settled job.
    #[must_use]
    pub fn leaf(&self, job: &JobId) -> Option<JobLeaf> {
        self.jobs.get(job).and_then(Job::leaf)
    }
}

fn job_view(job: &Job) -> JobView {
    JobView {
        order: job.order.clone(),
        state: state(job.phase),
        round: job.round,
        attempts: job.attempts.iter().map(attempt_view).collect(),
        answer: job.answer.clone(),
        ordered_at: job.ordered_at,
        ended_at: job.ended_at,
        epoch: job.epoch,
    }
}

fn state(phase: Phase) -> JobState {
    match phase {
        Phase::Collecting => JobState::Collecting,
        Phase::Revealing { .. } => JobState::Revealing,
        Phase::Fetching { .. } => JobState::Fetching,
        Phase::Settled => JobState::Settled,
        Phase::Refunded => JobState::Refunded,
    }
}

fn attempt_view(attempt: &Attempt) -> AttemptView {
    AttemptView {
        miner: attempt.miner,
        owner: attempt.owner,
        attempt: attempt.number,
        round: attempt.round,
        state: attempt.state,
        hired_at: attempt.hired_at,
        deadline: attempt.lease,
        seal: attempt.seal,
        reveal: attempt.reveal,
        earned: attempt.earned,
    }
}
