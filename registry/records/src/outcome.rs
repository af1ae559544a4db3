//! What a run produced, and the hash by which two runs are compared.

use alloy_primitives::{B256, keccak256};
use alloy_sol_types::SolValue;

use crate::id::BlobHash;
use crate::money::Fuel;

/// How a run ended. All three are answers that honest miners agree on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode,
)]
#[cbor(index_only)]
pub enum Status {
    /// The guest returned, or exited with a code.
    #[n(0)]
    Returned,
    /// The guest failed deterministically.
    #[n(1)]
    Trapped,
    /// The guest used up `fuel_max`.
    #[n(2)]
    OutOfFuel,
}

impl Status {
    /// The number that the contracts know.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Why a guest trapped. For people: engines do not agree on the kind, so it is never compared.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode,
)]
#[cbor(index_only)]
pub enum TrapKind {
    /// The guest gave up: a panic, an assertion, `unreachable`.
    #[n(0)]
    Abort,
    /// Calls nested deeper than the profile's stack.
    #[n(1)]
    StackLimit,
    /// Division by zero or a number that does not fit.
    #[n(2)]
    Arithmetic,
    /// An address outside of memory or table.
    #[n(3)]
    Bounds,
    /// An indirect call of nothing, or of another type.
    #[n(4)]
    IndirectCall,
    /// A host call with a bad pointer, or more output than allowed.
    #[n(5)]
    HostCall,
    /// The reactor's answer is not a response frame.
    #[n(6)]
    Abi,
    /// A trap without a better name.
    #[n(7)]
    Other,
}

impl TrapKind {
    /// A stable word for machines.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::StackLimit => "stack-limit",
            Self::Arithmetic => "arithmetic",
            Self::Bounds => "bounds",
            Self::IndirectCall => "indirect-call",
            Self::HostCall => "host-call",
            Self::Abi => "abi",
            Self::Other => "other",
        }
    }

    /// What happened, as a sentence for the author.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Abort => "the function aborted (a panic or `unreachable`)",
            Self::StackLimit => "the function's calls nested deeper than the stack limit",
            Self::Arithmetic => "an arithmetic operation has no result (division by zero?)",
            Self::Bounds => "the function reached outside of its memory or table",
            Self::IndirectCall => "an indirect call had no target of its type",
            Self::HostCall => "a host call had a bad pointer or wrote more than is allowed",
            Self::Abi => "the function's answer is not a response frame",
            Self::Other => "the function trapped",
        }
    }
}

/// What one run of a spec produced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, minicbor::Encode, minicbor::Decode)]
pub struct Outcome {
    /// How it ended.
    #[n(0)]
    pub status: Status,
    /// The exit code; an application error of a reactor is 1. Zero unless returned.
    #[n(1)]
    pub exit_code: u32,
    /// BLAKE3 of the output; of nothing unless returned.
    #[n(2)]
    pub output: BlobHash,
    /// Bytes of the output.
    #[n(3)]
    pub output_bytes: u64,
    /// Work done; `fuel_max` where the rules bill the whole limit.
    #[n(4)]
    pub fuel_used: Fuel,
    /// Why it trapped, for people; never compared.
    #[n(5)]
    pub trap: Option<TrapKind>,
}

/// What is compared between miners: equal keys are the same answer.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode,
)]
pub struct OutcomeKey {
    /// Hash of status, exit code and output.
    #[cbor(n(0), with = "crate::cbor::word")]
    pub result: B256,
    /// Work done.
    #[n(1)]
    pub fuel_used: Fuel,
    /// How it ended.
    #[n(2)]
    pub status: Status,
}

impl Outcome {
    /// `resultHash = keccak256(abi.encode(uint8 status, uint32 exitCode, bytes32 blake3(output)))`.
    #[must_use]
    pub fn result_hash(&self) -> B256 {
        // A small integer is a left-padded word for the ABI, whatever its declared width.
        keccak256((u32::from(self.status.code()), self.exit_code, self.output.0).abi_encode())
    }

    /// The part of the outcome that is compared.
    #[must_use]
    pub fn key(&self) -> OutcomeKey {
        OutcomeKey {
            result: self.result_hash(),
            fuel_used: self.fuel_used,
            status: self.status,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_trap_is_not_compared() {
        let trapped = |trap| Outcome {
            status: Status::Trapped,
            exit_code: 0,
            output: BlobHash::of(b""),
            output_bytes: 0,
            fuel_used: Fuel(3),
            trap: Some(trap),
        };
        assert_eq!(
            trapped(TrapKind::Bounds).key(),
            trapped(TrapKind::Other).key()
        );
    }

    #[test]
    fn fuel_is_part_of_the_answer() {
        let mut outcome = Outcome {
            status: Status::Returned,
            exit_code: 0,
            output: BlobHash::of(b"42"),
            output_bytes: 2,
            fuel_used: Fuel(3),
            trap: None,
        };
        let honest = outcome.key();
        outcome.fuel_used = Fuel(4);
        assert_ne!(outcome.key(), honest);
    }
}
