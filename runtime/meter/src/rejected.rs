//! Why a module is refused: one stable code each, the byte where it went wrong, and a sentence
//! that tells the author what to do about it.

/// A module that `haar-wasm/1` does not admit. The author must change it; no miner can run it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// Not a WebAssembly module, or one that breaks the rules of WebAssembly itself.
    #[error("the module is not valid WebAssembly: {message} (byte {offset}); build it again")]
    Invalid {
        /// Where.
        offset: usize,
        /// What the validator says.
        message: String,
    },
    /// A proposal that the profile leaves out.
    #[error("the module uses {feature}; {}", .feature.advice())]
    Feature {
        /// Which one.
        feature: Feature,
        /// Where.
        offset: usize,
    },
    /// Tables may only be filled once, by active segments, and references live nowhere else.
    #[error(
        "{what} is not admitted (byte {offset}); only one own table, filled by active segments of functions, may be used, and only by call_indirect"
    )]
    Table {
        /// What was found.
        what: &'static str,
        /// Where.
        offset: usize,
    },
    /// There must be exactly one memory of the module's own, exported as `memory`.
    #[error(
        "{what}; a module needs exactly one memory of its own, exported as \"memory\", and no imported globals"
    )]
    Memory {
        /// What was found.
        what: &'static str,
        /// Where, if there is a place.
        offset: Option<usize>,
    },
    /// An import that the host does not offer in this form.
    #[error(
        "the import {name} {problem} (byte {offset}); only the functions of wasi_snapshot_preview1 and haar, with their own types, can be imported"
    )]
    Import {
        /// `module.name`, shortened.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
        /// Where.
        offset: usize,
    },
    /// A float, a vector or a reference at the edge, where a browser may choose its bits.
    #[error(
        "{name} carries a float, vector or reference across the module's edge (byte {offset}); pass integers or bytes in memory"
    )]
    BoundaryFloat {
        /// The import or export.
        name: String,
        /// Where.
        offset: usize,
    },
    /// Names that start with `__haar_` belong to the pass.
    #[error(
        "the name {name} is reserved (byte {offset}); rename it, or meter the original module if this one is metered already"
    )]
    Reserved {
        /// The name, shortened.
        name: String,
        /// Where.
        offset: usize,
    },
    /// A segment that would trap half-way through instantiation.
    #[error(
        "a segment writes up to {end}, past the initial size of {size} (byte {offset}); enlarge the initial memory or table"
    )]
    SegmentOutOfBounds {
        /// Where the segment would end.
        end: u64,
        /// The size of the memory in bytes or of the table in entries.
        size: u64,
        /// Where.
        offset: usize,
    },
    /// A ceiling was passed.
    #[error("the module has {value} {name}, at most {max} are admitted")]
    Limit {
        /// What was counted.
        name: &'static str,
        /// How much there is.
        value: u64,
        /// How much there may be.
        max: u64,
        /// Where, if there is a place.
        offset: Option<usize>,
    },
    /// Neither a command nor a reactor.
    #[error(
        "{what}; export either _start: () -> (), or haar_abi_v1: () -> i32, haar_alloc: (i32) -> i32 and haar_run: (i32, i32) -> i64"
    )]
    Entry {
        /// What is missing or wrong.
        what: &'static str,
        /// Where, if there is a place.
        offset: Option<usize>,
    },
    /// The result did not validate: a bug of the pass, never of the author.
    #[error(
        "metering produced an invalid module ({message}); please report this as a bug of haar-meter"
    )]
    Internal {
        /// What the validator says about the result.
        message: String,
    },
}

impl Rejected {
    /// A name for machines that never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "E_INVALID",
            Self::Feature { feature, .. } => feature.code(),
            Self::Table { .. } => "E_TABLE",
            Self::Memory { .. } => "E_MEMORY",
            Self::Import { .. } => "E_IMPORT",
            Self::BoundaryFloat { .. } => "E_BOUNDARY_FLOAT",
            Self::Reserved { .. } => "E_RESERVED",
            Self::SegmentOutOfBounds { .. } => "E_SEGMENT_OOB",
            Self::Limit { .. } => "E_LIMIT",
            Self::Entry { .. } => "E_ENTRY",
            Self::Internal { .. } => "E_INTERNAL",
        }
    }

    /// The byte of the original module where the reason stands, if there is one place.
    pub fn offset(&self) -> Option<usize> {
        match self {
            Self::Invalid { offset, .. }
            | Self::Feature { offset, .. }
            | Self::Table { offset, .. }
            | Self::Import { offset, .. }
            | Self::BoundaryFloat { offset, .. }
            | Self::Reserved { offset, .. }
            | Self::SegmentOutOfBounds { offset, .. } => Some(*offset),
            Self::Memory { offset, .. }
            | Self::Limit { offset, .. }
            | Self::Entry { offset, .. } => *offset,
            Self::Internal { .. } => None,
        }
    }
}

impl From<wasmparser::Error> for Rejected {
    fn from(error: wasmparser::Error) -> Self {
        Self::Invalid {
            offset: place(error.offset()),
            message: error.message().to_owned(),
        }
    }
}

/// An offset of the parser as an index. Modules are far below 4 GiB, so nothing is lost.
pub(crate) fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// Proposals of WebAssembly that the profile leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feature {
    /// Shared memory and atomics: their results depend on timing.
    Threads,
    /// Relaxed SIMD: its results depend on the processor.
    RelaxedSimd,
    /// 128-bit vectors, in a profile without them.
    Simd,
    /// 64-bit memories and tables, several memories, page sizes, discarding.
    Memory,
    /// Tail calls.
    TailCall,
    /// Exceptions, new and legacy, and tags.
    Exceptions,
    /// Structures, arrays and other collected types.
    Gc,
    /// Typed function references.
    FunctionReferences,
    /// Continuations.
    StackSwitching,
    /// 128-bit arithmetic.
    WideArithmetic,
    /// Arithmetic or globals in constant expressions.
    ExtendedConst,
}

impl Feature {
    /// The proposal that an operator without a price comes from.
    pub(crate) fn of_proposal(proposal: &str) -> Option<Self> {
        Some(match proposal {
            "threads" | "shared_everything_threads" | "acquire_release_atomics" => Self::Threads,
            "relaxed_simd" => Self::RelaxedSimd,
            "simd" => Self::Simd,
            "memory_control" => Self::Memory,
            "tail_call" => Self::TailCall,
            "exceptions" | "legacy_exceptions" => Self::Exceptions,
            "gc" | "custom_descriptors" => Self::Gc,
            "function_references" => Self::FunctionReferences,
            "stack_switching" => Self::StackSwitching,
            "wide_arithmetic" => Self::WideArithmetic,
            _ => return None,
        })
    }

    fn code(self) -> &'static str {
        match self {
            Self::Threads => "E_FEATURE_THREADS",
            Self::RelaxedSimd => "E_FEATURE_RELAXED_SIMD",
            Self::Simd => "E_FEATURE_SIMD",
            Self::Memory => "E_FEATURE_MEMORY",
            Self::TailCall => "E_FEATURE_TAIL_CALL",
            Self::Exceptions => "E_FEATURE_EXCEPTIONS",
            Self::Gc => "E_FEATURE_GC",
            Self::FunctionReferences => "E_FEATURE_FUNCTION_REFERENCES",
            Self::StackSwitching => "E_FEATURE_STACK_SWITCHING",
            Self::WideArithmetic => "E_FEATURE_WIDE_ARITHMETIC",
            Self::ExtendedConst => "E_FEATURE_EXTENDED_CONST",
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Self::Threads => "-atomics",
            Self::RelaxedSimd => "-relaxed-simd",
            Self::Simd => "-simd128",
            Self::Memory => "-multimemory",
            Self::TailCall => "-tail-call",
            Self::Exceptions => "-exception-handling",
            Self::Gc => "-gc",
            Self::FunctionReferences => "-reference-types",
            Self::StackSwitching => "-stack-switching",
            Self::WideArithmetic => "-wide-arithmetic",
            Self::ExtendedConst => "-extended-const",
        }
    }

    fn advice(self) -> String {
        format!(
            "build it without (in Rust: -C target-feature={})",
            self.flag()
        )
    }
}

impl std::fmt::Display for Feature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Threads => "threads or atomics",
            Self::RelaxedSimd => "relaxed SIMD",
            Self::Simd => "128-bit SIMD, which this profile leaves out",
            Self::Memory => "64-bit, several or unusual memories",
            Self::TailCall => "tail calls",
            Self::Exceptions => "exceptions",
            Self::Gc => "garbage-collected types",
            Self::FunctionReferences => "typed function references",
            Self::StackSwitching => "stack switching",
            Self::WideArithmetic => "wide arithmetic",
            Self::ExtendedConst => "extended constant expressions",
        })
    }
}
