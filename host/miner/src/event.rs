//! What happened to a miner, for whoever watches it.

use std::sync::Arc;

use haar_protocol::Credit;
use haar_protocol::miner::SetConflict;
use haar_records::wire::{AttemptEnd, Provider};
use haar_records::{B256, BlobHash, Fuel, HubId, JobId, MinerId, Outcome, SpecHash};

use crate::fault::HubFault;

/// Something to show. A watcher that does not keep up misses some.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MinerEvent {
    /// The miner listens and looks for its hub.
    Started {
        /// Its name.
        miner: MinerId,
        /// Where others can fetch blobs from it.
        provider: Provider,
    },
    /// How strangers' code is held: in processes of its own and how tightly, or else what the risk is.
    Guests(Result<String, String>),
    /// The hub took it in.
    Joined {
        /// Which hub.
        hub: HubId,
    },
    /// The hub did not take it in; it tries again later.
    Refused {
        /// Why.
        reason: String,
    },
    /// The hub could not be found or reached, or the connection is lost; it tries again.
    Lost {
        /// Why.
        reason: String,
    },
    /// The hub offers an attempt; the offer is good.
    Offered {
        /// Which job.
        job: JobId,
        /// The number of the attempt within the job.
        attempt: u32,
        /// What to compute.
        spec: SpecHash,
        /// By which module.
        module: BlobHash,
        /// With how much fuel at the most.
        fuel_max: Fuel,
    },
    /// The miner does not take an attempt.
    Declined {
        /// Which job.
        job: JobId,
        /// Why.
        reason: String,
    },
    /// A run is done.
    Ran {
        /// Which job.
        job: JobId,
        /// What the miner claims: the run's own outcome, unless it misbehaves.
        outcome: Outcome,
        /// How long fetching, preparing and running took.
        ms: u64,
    },
    /// There is no answer: this machine could not.
    Abstained {
        /// Which job.
        job: JobId,
        /// Why.
        reason: String,
    },
    /// The commitment is sent.
    Sealed {
        /// Which job.
        job: JobId,
        /// The commitment.
        seal: B256,
    },
    /// The outcome is sent.
    Revealed {
        /// Which job.
        job: JobId,
    },
    /// The hub says that an attempt is over.
    Closed {
        /// Which job.
        job: JobId,
        /// How it ended; nothing where the hub never said.
        end: Option<AttemptEnd>,
        /// What the hub owes in total by now, if it ever signed anything.
        credit: Option<Credit>,
    },
    /// The hub broke the rules.
    Faulted {
        /// In which job, if in one.
        job: Option<JobId>,
        /// How.
        fault: HubFault,
    },
    /// The hub signed two sets of seals for one round. The proof is in the miner's folder.
    Evidence(Arc<SetConflict>),
}
