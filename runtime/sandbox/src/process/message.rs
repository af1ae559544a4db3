//! What the supervisor and its children say to each other. Always in turn: a request, its answer.

use haar_records::{Fuel, Outcome, RunConfig};

use crate::outcome::Abstain;

/// The places for loaded modules in a runner. The supervisor decides which module stands where.
pub(crate) const SLOTS: u8 = 8;
/// The most bytes of an input.
pub(crate) const INPUT_BYTES_MAX: u64 = 64 << 20;
/// The most bytes of a text that a person reads.
const REASON_BYTES_MAX: usize = 512;

/// From the supervisor to a runner.
#[derive(Debug, minicbor::Encode, minicbor::Decode)]
pub(crate) enum ToRunner {
    /// The payload is compiled code, sealed. There is no answer: what is wrong with it is said to
    /// whoever runs it.
    #[n(0)]
    Load {
        /// Where it goes; what stood there is forgotten.
        #[n(0)]
        slot: u8,
        /// The key of this one entry of the cache, which opens no other.
        #[cbor(n(1), with = "minicbor::bytes")]
        key: [u8; 32],
    },
    /// The payload is the input of a run.
    #[n(1)]
    Run {
        /// Comes back with the answer.
        #[n(0)]
        number: u64,
        /// Which module.
        #[n(1)]
        slot: u8,
        /// The most fuel.
        #[n(2)]
        fuel_max: Fuel,
        /// The configuration that the module was prepared for.
        #[n(3)]
        config: RunConfig,
    },
}

/// From a runner to the supervisor.
#[derive(Debug, minicbor::Encode, minicbor::Decode)]
pub(crate) enum FromRunner {
    /// The process has locked itself in and waits.
    #[n(0)]
    Ready(#[n(0)] Locked),
    /// The process cannot become a runner.
    #[n(1)]
    Unfit {
        /// Why.
        #[n(0)]
        reason: String,
    },
    /// The payload is the output, and the log behind it.
    #[n(2)]
    Ran {
        /// Whose answer it is.
        #[n(0)]
        number: u64,
        /// What the run gave.
        #[n(1)]
        outcome: Outcome,
        /// Bytes of the log at the payload's end.
        #[n(2)]
        log_bytes: u32,
        /// The chained hash of every host call.
        #[cbor(n(3), with = "minicbor::bytes")]
        transcript: [u8; 32],
    },
    /// The runner could not.
    #[n(3)]
    Abstained {
        /// Whose answer it is.
        #[n(0)]
        number: u64,
        /// Why.
        #[n(1)]
        why: Why,
    },
}

/// An [`Abstain`] on the wire.
#[derive(Debug, minicbor::Encode, minicbor::Decode)]
pub(crate) enum Why {
    #[n(0)]
    BadSpec(#[n(0)] String),
    #[n(1)]
    OtherConfig,
    #[n(2)]
    HostMemory,
    #[n(3)]
    HostStack,
    #[n(4)]
    Engine(#[n(0)] String),
    #[n(5)]
    Panicked(#[n(0)] String),
    #[n(6)]
    NoThread,
}

impl From<Abstain> for Why {
    fn from(abstain: Abstain) -> Self {
        match abstain {
            Abstain::BadSpec { reason } => Self::BadSpec(clean(&reason)),
            Abstain::OtherConfig => Self::OtherConfig,
            Abstain::HostMemory => Self::HostMemory,
            Abstain::HostStack => Self::HostStack,
            Abstain::Engine { reason } => Self::Engine(clean(&reason)),
            Abstain::Panicked => Self::Panicked(String::new()),
            // Nobody waits in a runner.
            Abstain::NoThread | Abstain::Busy => Self::NoThread,
        }
    }
}

impl From<Why> for Abstain {
    fn from(why: Why) -> Self {
        match why {
            Why::BadSpec(reason) => Self::BadSpec {
                reason: clean(&reason),
            },
            Why::OtherConfig => Self::OtherConfig,
            Why::HostMemory => Self::HostMemory,
            Why::HostStack => Self::HostStack,
            Why::Engine(reason) => Self::Engine {
                reason: clean(&reason),
            },
            Why::Panicked(_) => Self::Panicked,
            Why::NoThread => Self::NoThread,
        }
    }
}

/// From the supervisor to a compiler: the payload is the module.
#[derive(Debug, minicbor::Encode, minicbor::Decode)]
pub(crate) struct Compile {
    /// What it is compiled for.
    #[n(0)]
    pub(crate) config: RunConfig,
    /// The key of the one entry of the cache that the code may become.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) key: [u8; 32],
}

/// From a compiler to the supervisor.
#[derive(Debug, minicbor::Encode, minicbor::Decode)]
pub(crate) enum FromCompiler {
    /// The process has locked itself in and waits.
    #[n(0)]
    Ready(#[n(0)] Locked),
    /// The process cannot become a compiler.
    #[n(1)]
    Unfit {
        /// Why.
        #[n(0)]
        reason: String,
    },
    /// The payload is the compiled code, sealed with the key.
    #[n(2)]
    Compiled,
    /// No miner can run the module.
    #[n(3)]
    Rejected {
        /// The stable code.
        #[n(0)]
        code: String,
        /// The byte of the module where the reason stands.
        #[n(1)]
        offset: Option<u64>,
        /// The sentence for its author.
        #[n(2)]
        message: String,
    },
    /// This release does not have the spec's rules.
    #[n(4)]
    UnknownProfile,
    /// The spec is outside of its limits.
    #[n(5)]
    BadConfig,
    /// The compiler could not, and will not the next time either.
    #[n(6)]
    Failed {
        /// What the engine says.
        #[n(0)]
        reason: String,
    },
}

/// What a process has shut behind itself. Everything that is not listed is always there: a child
/// without it does not become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Locked {
    /// How much of the file system and network Landlock holds back.
    #[n(0)]
    pub landlock: Landlock,
    /// Whether the process gave up the user that started it. Only root can.
    #[n(1)]
    pub is_nobody: bool,
}

impl Locked {
    /// Nothing is known yet.
    pub(crate) const NONE: Self = Self {
        landlock: Landlock::Absent,
        is_nobody: false,
    };
}

/// How far the kernel's Landlock goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Landlock {
    /// The kernel has none, or it is switched off; system calls are still filtered.
    #[n(0)]
    Absent,
    /// An older one: files are held back, some of the newer rights are not.
    #[n(1)]
    Partial,
    /// Everything that we ask for.
    #[n(2)]
    Full,
}

impl std::fmt::Display for Locked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("system calls filtered")?;
        f.write_str(match self.landlock {
            Landlock::Absent => ", no Landlock in this kernel",
            Landlock::Partial => ", Landlock in part",
            Landlock::Full => ", Landlock",
        })?;
        if self.is_nobody {
            f.write_str(", user nobody")?;
        }
        Ok(())
    }
}

/// A text from a child, for people: short, and without anything that moves a cursor.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::new();
    for character in text.chars() {
        if clean.len() + character.len_utf8() > REASON_BYTES_MAX {
            break;
        }
        clean.push(if character.is_control() {
            ' '
        } else {
            character
        });
    }
    clean
}
