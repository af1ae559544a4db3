//! What can happen to a hub: the journal's vocabulary.
//!
//! The driver makes each input durable before the machine handles it, and after a crash feeds the
//! journal again. So every input is encodable, its indices never change their meaning, and it
//! carries all that the machine cannot know by itself: the time and the randomness.

use std::fmt;

use haar_records::{
    Address, B256, BuyerId, Fuel, JobId, JobOrder, MinerId, Outcome, Signature, Snm, SpecHash,
};

/// Milliseconds since 1970, as the driver's clock says.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    minicbor::Encode,
    minicbor::Decode,
)]
#[cbor(transparent)]
pub struct Time(#[n(0)] pub u64);

impl Time {
    /// This much later.
    #[must_use]
    pub fn after_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` until now; zero if it is not earlier.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// A buyer's order, checked by the driver: signature, spec, blobs and channel are good.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Order {
    /// The digest of the signed `JobOrder`. Its nonce makes it unique.
    #[n(0)]
    pub job: JobId,
    /// What is computed.
    #[n(1)]
    pub spec: SpecHash,
    /// Who pays.
    #[n(2)]
    pub buyer: BuyerId,
    /// Where the money comes from.
    #[cbor(n(3), with = "haar_records::cbor::word")]
    pub channel: B256,
    /// Reserved now; what the job does not cost goes back.
    #[n(4)]
    pub max_charge: Snm,
    /// Atoms of SNM for one unit of fuel.
    #[n(5)]
    pub fuel_price: u64,
    /// Charged for every answer.
    #[n(6)]
    pub base_fee: Snm,
    /// The spec's limit: an answer that claims more cannot be true.
    #[n(7)]
    pub fuel_max: Fuel,
    /// Miners hired at first.
    #[n(8)]
    pub attempts: u8,
    /// By how many members the accepted group must lead; 1 is the level `optimistic`.
    #[n(9)]
    pub quorum: u8,
    /// When the job ends without a verdict.
    #[n(10)]
    pub deadline: Time,
    /// The driver's randomness, from which the miners are drawn.
    #[cbor(n(11), with = "minicbor::bytes")]
    pub entropy: [u8; 32],
}

impl Order {
    /// The part of the order that the charge law reads.
    #[must_use]
    pub fn terms(&self) -> JobOrder {
        JobOrder {
            specHash: self.spec.0,
            buyer: self.buyer.0,
            channelId: self.channel,
            maxCharge: self.max_charge.0,
            fuelPrice: self.fuel_price,
            baseFee: self.base_fee.0,
            attempts: self.attempts,
            quorum: self.quorum,
            ..JobOrder::default()
        }
    }
}

/// What a timer was set for. A timer that comes early, late or twice does no harm.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode,
)]
pub enum Timer {
    /// The job ends, with or without a verdict.
    #[n(0)]
    Deadline {
        /// Which job.
        #[n(0)]
        job: JobId,
    },
    /// A hired miner has not accepted or not sealed.
    #[n(1)]
    Attempt {
        /// Which job.
        #[n(0)]
        job: JobId,
        /// Which of its attempts.
        #[n(1)]
        attempt: u32,
    },
    /// Somebody has sealed; the slow ones may be replaced.
    #[n(2)]
    Stragglers {
        /// Which job.
        #[n(0)]
        job: JobId,
        /// Which round.
        #[n(1)]
        round: u32,
    },
    /// A round's reveals should be in.
    #[n(3)]
    Reveals {
        /// Which job.
        #[n(0)]
        job: JobId,
        /// Which round.
        #[n(1)]
        round: u32,
    },
    /// A job has waited for somebody to hire.
    #[n(4)]
    Patience {
        /// Which job.
        #[n(0)]
        job: JobId,
    },
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Input {
    /// The first input of every life of the process. All miners are gone until they join again.
    #[n(0)]
    Started,
    /// A miner said hello, or said it again.
    #[n(1)]
    MinerJoined {
        /// Whose receipts it signs.
        #[n(0)]
        miner: MinerId,
        /// Who owns it.
        #[cbor(n(1), with = "haar_records::cbor::address")]
        owner: Address,
        /// Runs it can do at once.
        #[n(2)]
        capacity: u16,
    },
    /// A miner's connection is gone.
    #[n(2)]
    MinerLeft {
        /// Which one.
        #[n(0)]
        miner: MinerId,
    },
    /// A buyer ordered a job.
    #[n(3)]
    Ordered(#[n(0)] Order),
    /// A miner has begun.
    #[n(4)]
    Accepted {
        /// Which one.
        #[n(0)]
        miner: MinerId,
        /// Which job.
        #[n(1)]
        job: JobId,
    },
    /// A miner does not want or cannot do this one.
    #[n(5)]
    Declined {
        /// Which one.
        #[n(0)]
        miner: MinerId,
        /// Which job.
        #[n(1)]
        job: JobId,
    },
    /// A miner's engine could not answer.
    #[n(6)]
    Abstained {
        /// Which one.
        #[n(0)]
        miner: MinerId,
        /// Which job.
        #[n(1)]
        job: JobId,
    },
    /// A miner committed to an outcome. The driver has checked the signature.
    #[n(7)]
    Sealed {
        /// Which one.
        #[n(0)]
        miner: MinerId,
        /// Which job.
        #[n(1)]
        job: JobId,
        /// The commitment.
        #[cbor(n(2), with = "haar_records::cbor::word")]
        seal: B256,
        /// The miner's signature of the sealed receipt.
        #[n(3)]
        signature: Signature,
    },
    /// A miner opened its commitment. The driver has checked the signature.
    #[n(8)]
    Revealed {
        /// Which one.
        #[n(0)]
        miner: MinerId,
        /// Which job.
        #[n(1)]
        job: JobId,
        /// What the run produced, as the miner says.
        #[n(2)]
        outcome: Outcome,
        /// Opens the seal.
        #[cbor(n(3), with = "haar_records::cbor::word")]
        salt: B256,
        /// Unix seconds, by the miner's clock.
        #[n(4)]
        executed_at: u64,
        /// The miner's signature of the execution receipt.
        #[n(5)]
        signature: Signature,
    },
    /// The driver holds the agreed output.
    #[n(9)]
    OutputStored {
        /// Which job's.
        #[n(0)]
        job: JobId,
        /// Its true size, which no miner's word decides.
        #[n(1)]
        bytes: u64,
    },
    /// A miner could not deliver the output that it signed for.
    #[n(10)]
    OutputMissing {
        /// Which job's.
        #[n(0)]
        job: JobId,
        /// Who could not.
        #[n(1)]
        miner: MinerId,
    },
    /// A timer's time has come.
    #[n(11)]
    TimerFired {
        /// Which one.
        #[n(0)]
        timer: Timer,
    },
    /// A buyer's money has arrived for good.
    #[n(12)]
    Deposited {
        /// Whose.
        #[n(0)]
        buyer: BuyerId,
        /// How much.
        #[n(1)]
        amount: Snm,
        /// Names the deposit; a second one of the same name is the same one.
        #[cbor(n(2), with = "haar_records::cbor::word")]
        reference: B256,
    },
    /// Close the epoch: everything decided and not yet in a batch.
    #[n(13)]
    SettleNow,
    /// The chain has the batch.
    #[n(14)]
    BatchCommitted {
        /// Which one.
        #[n(0)]
        epoch: u64,
    },
    /// The batch can no longer be challenged.
    #[n(15)]
    BatchFinalized {
        /// Which one.
        #[n(0)]
        epoch: u64,
    },
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Entry {
    /// When the driver saw it.
    #[n(0)]
    pub at: Time,
    /// What it saw.
    #[n(1)]
    pub input: Input,
}

impl Entry {
    /// The entry's bytes in the journal.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("writing to memory does not fail")
    }

    /// The entry behind these bytes; no byte may be left over.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, minicbor::decode::Error> {
        let mut decoder = minicbor::Decoder::new(bytes);
        let entry = decoder.decode()?;
        if decoder.position() != bytes.len() {
            return Err(minicbor::decode::Error::message(
                "bytes behind the journal entry",
            ));
        }
        Ok(entry)
    }
}
