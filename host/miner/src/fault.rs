//! What a hub does that no honest hub does.

use haar_records::{HubId, SignatureError};

/// Something wrong in what a hub sent. The stream is closed; the miner lives on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubFault {
    /// The welcome names another hub, operator or domain than was looked up.
    #[error(
        "the hub shows itself as {found}, or with another operator or chain, and not as {expected}"
    )]
    OtherHub {
        /// Who was looked up.
        expected: HubId,
        /// Who answered.
        found: HubId,
    },
    /// The first message of a stream is no offer, or a later one is.
    #[error("a message came out of its turn")]
    OutOfTurn,
    /// A frame that cannot be read, or a stream that broke off.
    #[error("unreadable: {0}")]
    Unreadable(String),
    /// The assignment is not signed by the hub's operator.
    #[error("the assignment is not the operator's: {0}")]
    Assignment(SignatureError),
    /// The assignment is for somebody else, or for another spec than the offer's.
    #[error("the assignment's {0} is not the offer's")]
    Mismatch(&'static str),
    /// The same job was offered before with another spec.
    #[error("the job was offered before with another spec")]
    OtherSpec,
    /// The spec asks for another profile than this release has.
    #[error("the spec asks for another profile than this release has")]
    Profile,
    /// A number or list of the offer is beyond its limit.
    #[error("the offer has {value} {what}, more than {max}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How much there is.
        value: u64,
        /// How much there may be.
        max: u64,
    },
    /// The set of seals is not signed by the hub's operator.
    #[error("the set of seals is not the operator's: {0}")]
    SealSet(SignatureError),
    /// The set does not hold our seal: to reveal against it would show others our answer.
    #[error("the set of seals does not hold ours")]
    SealMissing,
    /// The credit is not signed by the hub's operator.
    #[error("the credit is not the operator's: {0}")]
    Credit(SignatureError),
}
