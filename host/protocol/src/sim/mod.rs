//! A whole fog in one thread: hub, buyers, miners of every kind, network, chain and crashes, from
//! one seed.
//!
//! The hub and the miners are the real machines; only the world around them is simulated. After
//! every step the money and the verdicts are compared with what the world knows to be true. The
//! same seed gives the same world to the last byte, so a failure is replayed by its seed.

mod actor;
mod dice;
mod tally;
mod world;

use haar_records::{JobId, MinerId, Snm};

use crate::hub::JobState;
use crate::ledger::LedgerViolation;

pub use actor::Kind;

/// What to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimConfig {
    /// Jobs that buyers order.
    pub jobs: u32,
    /// A duty that the hub's driver neglects, to see that the checks notice.
    pub neglect: Option<Neglect>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            jobs: 40,
            neglect: None,
        }
    }
}

/// A duty of the driver, without which the machine's promises do not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neglect {
    /// Believes a message without checking who signed it.
    Signatures,
    /// Acts on an input before the journal has it.
    Journal,
}

impl std::str::FromStr for Neglect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "signatures" => Ok(Self::Signatures),
            "journal" => Ok(Self::Journal),
            _ => Err(format!("'{text}' is neither 'signatures' nor 'journal'")),
        }
    }
}

/// What a world was like, when it came to its end in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Inputs that the hub handled.
    pub steps: u64,
    /// Jobs that the hub took.
    pub jobs: u64,
    /// Jobs with a verdict.
    pub settled: u64,
    /// Jobs without one.
    pub refunded: u64,
    /// Orders that were not taken.
    pub turned_down: u64,
    /// Miners hired for the settled jobs.
    pub attempts: u64,
    /// Wrong outcomes accepted of a single miner, which is what `optimistic` risks until audits.
    pub wrong_optimistic: u64,
    /// Wrong outcomes accepted of colluders that led by the whole quorum.
    pub wrong_colluding: u64,
    /// Miners put out.
    pub dismissed: u64,
    /// Messages under a false name that were dropped.
    pub forged: u64,
    /// Crashes of the hub.
    pub crashes: u64,
    /// Batches that became final.
    pub batches: u64,
    /// Simulated milliseconds.
    pub simulated_ms: u64,
    /// BLAKE3 of everything that happened.
    pub hash: [u8; 32],
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The books do not add up.
    #[error("the books do not add up: {0}")]
    Ledger(#[from] LedgerViolation),
    /// The hub has another sum than buyers paid in.
    #[error("buyers deposited {expected}, the hub's accounts hold {found}")]
    Deposits {
        /// Paid in.
        expected: Snm,
        /// In the books.
        found: Snm,
    },
    /// A wrong outcome won without a quorum of colluders.
    #[error("job {job}: a wrong outcome was accepted")]
    WrongAccepted {
        /// Which job.
        job: JobId,
    },
    /// The price does not follow the charge law.
    #[error("job {job}: charged {charged}, expected {expected}")]
    Charge {
        /// Which job.
        job: JobId,
        /// What the hub took.
        charged: Snm,
        /// What the law says.
        expected: Snm,
    },
    /// Somebody got something else than a fair share, or a dissenter got something.
    #[error("job {job}: miner {miner} earned {earned}, expected {expected}")]
    Share {
        /// Which job.
        job: JobId,
        /// Who.
        miner: MinerId,
        /// What the hub gave.
        earned: Snm,
        /// What is right.
        expected: Snm,
    },
    /// The group does not lead by the quorum.
    #[error("job {job}: accepted without the quorum's margin")]
    Margin {
        /// Which job.
        job: JobId,
    },
    /// A miner that revealed the accepted outcome got nothing, and was not put out.
    #[error("job {job}: miner {miner} agreed and is not paid")]
    Unpaid {
        /// Which job.
        job: JobId,
        /// Who.
        miner: MinerId,
    },
    /// A reveal was believed before the set of seals was closed.
    #[error("job {job}: miner {miner} revealed before it was asked")]
    RevealedEarly {
        /// Which job.
        job: JobId,
        /// Who.
        miner: MinerId,
    },
    /// Two miners of one owner worked on one job.
    #[error("job {job}: two attempts of one owner")]
    SharedOwner {
        /// Which job.
        job: JobId,
    },
    /// A miner's total is not the sum of its shares.
    #[error("miner {miner} is owed {owed}, but earned {earned}")]
    Cumulative {
        /// Who.
        miner: MinerId,
        /// What the hub says.
        owed: Snm,
        /// The sum of all shares.
        earned: Snm,
    },
    /// A miner that did nothing wrong was put out.
    #[error("miner {miner} ({kind:?}) was dismissed")]
    InnocentDismissed {
        /// Who.
        miner: MinerId,
        /// How it behaves.
        kind: Kind,
    },
    /// A job ended twice, differently.
    #[error("job {job} was answered twice, differently")]
    AnsweredTwice {
        /// Which job.
        job: JobId,
    },
    /// A job that was taken is not known any more.
    #[error("job {job} is lost")]
    Lost {
        /// Which job.
        job: JobId,
    },
    /// A job has no end.
    #[error("job {job} is still {state:?} at the end of the world")]
    NeverEnds {
        /// Which job.
        job: JobId,
        /// Where it stands.
        state: JobState,
    },
    /// A miner without a job is not free.
    #[error("miner {miner} is busy at the end of the world, with {running} runs")]
    BusyForEver {
        /// Who.
        miner: MinerId,
        /// Runs that the hub counts.
        running: u16,
    },
    /// The replayed hub is not the one that crashed.
    #[error("after a crash the replayed hub differs from the one before")]
    Replay,
    /// A batch is not what it should be.
    #[error("epoch {epoch}: {what}")]
    Batch {
        /// Which one.
        epoch: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// A broken promise and where it broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}, step {step}: {violation}")]
pub struct Failure {
    /// Replays it.
    pub seed: u64,
    /// How many inputs the hub had handled.
    pub step: u64,
    /// What broke.
    pub violation: Violation,
}

/// Simulates one world to its end.
pub fn run(seed: u64, config: &SimConfig) -> Result<Report, Failure> {
    let mut world = world::World::new(seed, config);
    world.run().map_err(|violation| Failure {
        seed,
        step: world.steps(),
        violation,
    })
}

impl Report {
    /// Adds another world's counts; the hashes are chained.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.jobs += other.jobs;
        self.settled += other.settled;
        self.refunded += other.refunded;
        self.turned_down += other.turned_down;
        self.attempts += other.attempts;
        self.wrong_optimistic += other.wrong_optimistic;
        self.wrong_colluding += other.wrong_colluding;
        self.dismissed += other.dismissed;
        self.forged += other.forged;
        self.crashes += other.crashes;
        self.batches += other.batches;
        self.simulated_ms += other.simulated_ms;
        self.hash = *blake3::hash(&[self.hash, other.hash].concat()).as_bytes();
    }
}
