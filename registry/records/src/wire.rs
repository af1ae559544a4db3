//! What hub and miner say to each other, as CBOR frames with a maximum length.
//!
//! The conversation of one attempt: `Offer` → `Accepted` → `Sealed` → `RevealRequest` → `Revealed`
//! → `Closed`. The version stands in the ALPN, so a frame never changes its meaning.

use alloy_primitives::{Address, B256};

use crate::eip712::{Assignment, Domain, MinerBinding, MinerCredit, SealSet};
use crate::id::{BlobHash, EndpointId, HubId, JobId, MinerId};
use crate::outcome::Outcome;
use crate::sign::{Signature, Signed};
use crate::spec::Spec;

/// The protocol that a miner and a hub speak; another version is another ALPN.
pub const CONTROL_ALPN: &[u8] = b"/haar/ctl/1";
/// The most bytes of one frame, its length prefix not counted.
pub const FRAME_BYTES_MAX: usize = 64 << 10;
/// Inputs and outputs up to this size travel inside the frame; larger ones as blobs.
pub const INLINE_BYTES_MAX: usize = 48 << 10;
/// The most peers that an offer names as sources of its blobs.
pub const PROVIDERS_MAX: usize = 20;
/// The most seals of one round.
pub const SEALS_MAX: usize = 16;
/// Bytes of a reason that a person reads.
pub const REASON_BYTES_MAX: usize = 512;

/// Frames that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than any frame may be.
    #[error("a frame of {bytes} bytes is longer than {FRAME_BYTES_MAX}")]
    TooLong {
        /// What the frame claims to have.
        bytes: usize,
    },
    /// Not the message it should be.
    #[error("malformed frame: {0}")]
    Malformed(String),
}

/// Bytes themselves, or the name under which the swarm has them.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Payload {
    /// Small enough to travel along.
    #[n(0)]
    Inline(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// To be fetched and verified by its hash.
    #[n(1)]
    Blob(#[n(0)] BlobHash, #[n(1)] u64),
}

impl Payload {
    /// The bytes' size, as claimed.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Blob(_, bytes) => *bytes,
        }
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes' name.
    #[must_use]
    pub fn hash(&self) -> BlobHash {
        match self {
            Self::Inline(bytes) => BlobHash::of(bytes),
            Self::Blob(hash, _) => *hash,
        }
    }
}

/// A party that has blobs, and where it listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
pub struct Provider {
    /// Its key.
    #[n(0)]
    pub endpoint: EndpointId,
    /// Socket addresses as text, a few.
    #[n(1)]
    pub addresses: Vec<String>,
}

/// A miner's first frame on a new connection.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Hello {
    /// Binds the miner's key to this endpoint and hub.
    #[n(0)]
    pub binding: Signed<MinerBinding>,
    /// Who owns the miner and is paid; one owner has one attempt in a job.
    #[cbor(n(1), with = "crate::cbor::address")]
    pub owner: Address,
    /// Attempts it runs at once.
    #[n(2)]
    pub capacity: u16,
    /// Name and version of its software, for people.
    #[n(3)]
    pub software: String,
    /// Where other miners can fetch blobs from it.
    #[n(4)]
    pub addresses: Vec<String>,
}

/// The hub's answer to a hello.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Welcome {
    /// The miner will get offers.
    #[n(0)]
    Joined {
        /// The hub's wallet.
        #[n(0)]
        hub: HubId,
        /// The key that signs the hub's assignments.
        #[cbor(n(1), with = "crate::cbor::address")]
        operator: Address,
        /// Where its signatures count.
        #[n(2)]
        domain: Domain,
    },
    /// The miner will not get offers.
    #[n(1)]
    Refused {
        /// Why, for the miner's owner.
        #[n(0)]
        reason: String,
    },
}

/// One attempt, offered.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Offer {
    /// The hub's signed word.
    #[n(0)]
    pub assignment: Signed<Assignment>,
    /// What to compute.
    #[n(1)]
    pub spec: Spec,
    /// The module's size.
    #[n(2)]
    pub module_bytes: u64,
    /// The input.
    #[n(3)]
    pub input: Payload,
    /// Who has the blobs, the hub last.
    #[n(4)]
    pub providers: Vec<Provider>,
    /// How long the miner may take, in milliseconds.
    #[n(5)]
    pub lease_ms: u64,
}

/// What a hub says to a miner on an attempt's stream.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum ToMiner {
    /// Hires the miner for one attempt.
    #[n(0)]
    Offer(#[n(0)] Box<Offer>),
    /// All seals of the round are in: open yours.
    #[n(1)]
    RevealRequest {
        /// The hub's signed word about the set.
        #[n(0)]
        seal_set: Signed<SealSet>,
        /// The set, by miner.
        #[n(1)]
        seals: Vec<SealEntry>,
    },
    /// The attempt is over.
    #[n(2)]
    Closed {
        /// How it ended for this miner.
        #[n(0)]
        end: AttemptEnd,
        /// What the hub now owes the miner in total, where it earned anything.
        #[n(1)]
        credit: Option<Signed<MinerCredit>>,
    },
}

/// One miner's seal in a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct SealEntry {
    /// Who sealed.
    #[n(0)]
    pub miner: MinerId,
    /// The commitment.
    #[cbor(n(1), with = "crate::cbor::word")]
    pub seal: B256,
}

/// How an attempt ended for its miner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum AttemptEnd {
    /// Its outcome was the agreed one; it is paid.
    #[n(0)]
    Agreed,
    /// Its outcome was not the agreed one; it is dismissed.
    #[n(1)]
    Dissented,
    /// The job ended without needing it.
    #[n(2)]
    Cancelled,
    /// It was too late.
    #[n(3)]
    Lapsed,
}

/// What a miner says to a hub on an attempt's stream.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum ToHub {
    /// The miner has begun.
    #[n(0)]
    Accepted,
    /// The miner cannot do this one.
    #[n(1)]
    Declined {
        /// Why, for the hub's owner.
        #[n(0)]
        reason: String,
    },
    /// The commitment to an outcome.
    #[n(2)]
    Sealed {
        /// `SealedReceipt.seal`.
        #[cbor(n(0), with = "crate::cbor::word")]
        seal: B256,
        /// The miner's signature of the sealed receipt.
        #[n(1)]
        signature: Signature,
    },
    /// The opening of the commitment.
    #[n(3)]
    Revealed(#[n(0)] Reveal),
    /// The engine could not answer (host out of memory, compile failure). No verdict about it.
    #[n(4)]
    Abstained {
        /// Why, for the hub's owner.
        #[n(0)]
        reason: String,
    },
}

/// An opened seal: the outcome, signed.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Reveal {
    /// What the run produced.
    #[n(0)]
    pub outcome: Outcome,
    /// Opens the seal.
    #[cbor(n(1), with = "crate::cbor::word")]
    pub salt: B256,
    /// Unix seconds, by the miner's clock.
    #[n(2)]
    pub executed_at: u64,
    /// The miner's signature of the execution receipt.
    #[n(3)]
    pub signature: Signature,
    /// The output itself.
    #[n(4)]
    pub output: Payload,
}

/// Encodes a message; its frame is this behind a 4-byte big-endian length.
#[must_use]
pub fn encode<T: minicbor::Encode<()>>(message: &T) -> Vec<u8> {
    minicbor::to_vec(message).expect("writing to memory does not fail")
}

/// Decodes exactly one message.
pub fn decode<T: for<'b> minicbor::Decode<'b, ()>>(bytes: &[u8]) -> Result<T, FrameError> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong { bytes: bytes.len() });
    }
    let mut decoder = minicbor::Decoder::new(bytes);
    let message = decoder
        .decode()
        .map_err(|error| FrameError::Malformed(error.to_string()))?;
    if decoder.position() != bytes.len() {
        return Err(FrameError::Malformed("bytes behind the message".to_owned()));
    }
    Ok(message)
}

impl EndpointId {
    /// Whether a job's blobs may be asked from this endpoint at all; zero is nobody.
    #[must_use]
    pub fn is_somebody(&self) -> bool {
        !self.0.is_zero()
    }
}

impl JobId {
    /// The miner's salt for this job, from a secret of its own.
    ///
    /// Derived and not drawn, so that a miner that lost its memory seals the same outcome alike.
    #[must_use]
    pub fn salt(&self, secret: &[u8; 32]) -> B256 {
        B256::from(*blake3::keyed_hash(secret, self.as_bytes()).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_the_wire() {
        let message = ToHub::Declined {
            reason: "full".to_owned(),
        };
        assert_eq!(decode::<ToHub>(&encode(&message)).expect("ours"), message);
    }

    #[test]
    fn bytes_behind_a_message_are_refused() {
        let mut bytes = encode(&ToHub::Accepted);
        bytes.push(0);
        assert!(decode::<ToHub>(&bytes).is_err());
    }

    #[test]
    fn garbage_is_refused_without_a_panic() {
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let mut bytes = Vec::new();
            for _ in 0..state % 64 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                bytes.push((state >> 56) as u8);
            }
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let _ = decode::<ToMiner>(&bytes);
            let _ = decode::<ToHub>(&bytes);
            let _ = decode::<Hello>(&bytes);
        }
    }

    #[test]
    fn an_inline_payload_is_named_by_its_bytes() {
        let payload = Payload::Inline(b"abc".to_vec());
        assert_eq!(payload.hash(), BlobHash::of(b"abc"));
        assert_eq!(payload.len(), 3);
    }
}
