//! What a hub wants done: the driver carries it out and decides nothing.
//!
//! Outputs are not durable. After a crash the driver drops what the replay puts out, and the
//! machine asks again, on `Input::Started` and when a miner joins, for everything still open.

use haar_records::tree::{JobTree, PayTree};
use haar_records::wire::AttemptEnd;
use haar_records::{Address, B256, JobId, JobLeaf, MinerId, Outcome, Snm};

use crate::input::{Time, Timer};

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Hire a miner for one attempt. Comes again when the miner joins again.
    Offer {
        /// Whom.
        miner: MinerId,
        /// For which job.
        job: JobId,
        /// The attempt's number within the job, from 0.
        attempt: u32,
        /// Until when the miner must have sealed.
        deadline: Time,
    },
    /// Sign this set of seals and ask its miners to open theirs. Comes again when one joins again.
    RequestReveal {
        /// Which job.
        job: JobId,
        /// Which round.
        round: u32,
        /// All seals of the round, by miner.
        seals: Vec<(MinerId, B256)>,
        /// Whom to ask.
        to: Vec<MinerId>,
    },
    /// Get the agreed output from any of these miners, then say `OutputStored`; say
    /// `OutputMissing` for each one that fails.
    FetchOutput {
        /// Which job.
        job: JobId,
        /// What was agreed; `output_bytes` and `trap` are one miner's word only.
        outcome: Outcome,
        /// Who signed for it, in the order in which to ask.
        from: Vec<MinerId>,
    },
    /// Tell a miner that its attempt is over.
    CloseAttempt {
        /// Whom.
        miner: MinerId,
        /// Which job.
        job: JobId,
        /// How it ended.
        end: AttemptEnd,
        /// What the hub owes the miner in total, where the attempt earned something.
        credit: Option<Credit>,
    },
    /// Tell the buyer. Each accepted order is answered once, and again if it is ordered again.
    Answer {
        /// Which job.
        job: JobId,
        /// What to say.
        answer: Answer,
    },
    /// A miner has joined and gets no offers: say why and close.
    TurnAway {
        /// Whom.
        miner: MinerId,
        /// Why.
        reason: TurnAway,
    },
    /// A miner is out for ever. Where it was connected, close the connection.
    Dismiss {
        /// Whom.
        miner: MinerId,
        /// Its owner, who is out as well.
        owner: Address,
        /// The job in which it happened.
        job: JobId,
        /// What it did.
        reason: DismissReason,
    },
    /// Say `TimerFired` with this timer at this time.
    SetTimer {
        /// When.
        at: Time,
        /// Which.
        timer: Timer,
    },
    /// Commit a batch, then say `BatchCommitted`. Comes again on `Started` and `SettleNow`.
    Settle {
        /// What is settled.
        batch: Batch,
    },
}

/// What the hub owes a miner; the driver signs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Credit {
    /// All that the miner earned since the beginning.
    pub cumulative: Snm,
    /// The epoch whose batch will hold it.
    pub epoch: u64,
}

/// What a buyer is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Enough miners agree.
    Agreed {
        /// On what.
        outcome: Outcome,
        /// What the job costs.
        charged: Snm,
        /// Miners that were hired for it.
        attempts: u32,
        /// Who agreed, sorted.
        agreeing: Vec<MinerId>,
        /// Who answered something else, sorted.
        dissenting: Vec<MinerId>,
        /// `HubReceipt.receiptsHash`, over the agreeing miners' receipts.
        receipts_hash: B256,
    },
    /// The order was not taken; nothing is held.
    Refused(Refusal),
    /// Too few miners are here; nothing is held.
    NoMiner {
        /// When asking again makes sense.
        retry_after_ms: u64,
    },
    /// The job ended without a verdict; the whole reservation is free again.
    NoVerdict {
        /// Why.
        reason: NoVerdict,
        /// Miners that were hired for it.
        attempts: u32,
    },
}

/// Why an order is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The buyer's account does not cover the highest charge.
    #[error("the job may cost {needed}, but only {available} are available")]
    InsufficientFunds {
        /// The highest charge.
        needed: Snm,
        /// What the buyer has free.
        available: Snm,
    },
    /// The hub has as many jobs as it can keep.
    #[error("the hub has too many jobs; try again later")]
    TooManyJobs,
    /// Attempts or quorum are not in `1..=ATTEMPTS_MAX`, or the quorum is larger.
    #[error("between 1 and {max} attempts, of which the quorum is a part", max = crate::config::ATTEMPTS_MAX)]
    BadQuorum,
    /// The deadline has passed or is too far away.
    #[error("the deadline has passed or is too far away")]
    BadDeadline,
}

/// Why a job ended without a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum NoVerdict {
    /// The deadline came first.
    #[error("the deadline came before a verdict")]
    Deadline,
    /// Nobody was left to hire.
    #[error("no further miner could be hired")]
    NoMiner,
    /// The most attempts were made and no group leads by the quorum.
    #[error("the miners disagree and no further attempt is allowed")]
    Disagreement,
}

/// Why a miner is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum TurnAway {
    /// It, or its owner, was dismissed.
    #[error("the miner or its owner was dismissed")]
    Dismissed,
    /// It has joined before, for another owner.
    #[error("the miner has joined before for another owner")]
    OwnerChanged,
    /// The hub has as many miners as it can keep.
    #[error("the hub has too many miners")]
    TooManyMiners,
}

/// What a dismissed miner did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum DismissReason {
    /// It signed an outcome that the quorum did not find.
    #[error("its outcome was not the agreed one")]
    WrongOutcome,
    /// It signed two different things about one job.
    #[error("it signed two different answers")]
    Equivocated,
    /// It signed an outcome that its seal does not hold, or that cannot be.
    #[error("its reveal does not open its seal")]
    FalseReveal,
    /// It sealed and did not reveal, too often.
    #[error("it sealed and did not reveal")]
    NeverReveals,
}

/// One epoch's settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its number, from 1.
    pub epoch: u64,
    /// The epoch before, if there was one.
    pub previous: Option<u64>,
    /// The settled jobs, strictly increasing by job id. Never empty.
    pub leaves: Vec<JobLeaf>,
    /// All miners that ever earned something and their totals, by miner.
    pub pay: Vec<(MinerId, Snm)>,
    /// What the jobs cost together.
    pub total_charged: Snm,
    /// What all miners earned since the beginning.
    pub miner_total_cum: Snm,
    /// The root of the jobs tree.
    pub jobs_root: B256,
    /// The root of the pay tree.
    pub pay_root: B256,
}

impl Batch {
    /// The tree whose proofs say where a job stands.
    #[must_use]
    pub fn jobs_tree(&self) -> JobTree {
        JobTree::new(self.leaves.iter().map(JobLeaf::leaf_hash).collect())
    }

    /// The tree whose proofs pay the miners.
    #[must_use]
    pub fn pay_tree(&self) -> PayTree {
        PayTree::new(&self.pay)
    }
}
