//! Loads and stores, and when two of them certainly touch different bytes.

use wasmparser::{MemArg, Operator};

/// What is known of an address operand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Address {
    #[default]
    Unknown,
    Constant(u32),
    /// A local, and the instruction that assigned it last before it was read.
    Local {
        local: u32,
        version: u32,
    },
}

impl Address {
    /// The address that an instruction pushes.
    pub(crate) fn of(op: &Operator<'_>) -> Self {
        match op {
            Operator::I32Const { value } => Self::Constant(value.cast_unsigned()),
            _ => Self::Unknown,
        }
    }
}

/// Which instruction assigned each local last, in the order of the text.
///
/// Two reads that see the same one, where the first value is still used after the second read, read
/// the same value: between them the run goes forward only.
#[derive(Debug)]
pub(crate) struct Versions(Vec<u32>);

impl Versions {
    pub(crate) fn new(locals: usize) -> Self {
        Self(vec![u32::MAX; locals])
    }

    pub(crate) fn assign(&mut self, local: u32, index: u32) {
        self.0[local as usize] = index;
    }

    pub(crate) fn of(&self, local: u32) -> Address {
        let version = self.0[local as usize];
        Address::Local { local, version }
    }
}

/// A load or store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    pub(crate) index: u32,
    address: Address,
    offset: u64,
    /// At most this many bytes.
    bytes: u64,
}

impl Access {
    pub(crate) fn at(mut self, index: u32, address: Address) -> Self {
        self.index = index;
        self.address = address;
        if let Address::Constant(constant) = address {
            self.offset += u64::from(constant);
            self.address = Address::Constant(0);
        }
        self
    }

    /// Whether both certainly touch different bytes. Addresses do not wrap: base and offset are
    /// added without bound.
    pub(crate) fn is_apart(&self, other: &Self) -> bool {
        let same_base = self.address == other.address && self.address != Address::Unknown;
        same_base
            && (self.offset + self.bytes <= other.offset
                || other.offset + other.bytes <= self.offset)
    }
}

/// The load or store that an instruction is, its address still unknown.
pub(crate) fn access(op: &Operator<'_>) -> Option<Access> {
    let (memarg, bytes) = small(op).or_else(|| vector(op))?;
    Some(Access {
        index: 0,
        address: Address::Unknown,
        offset: memarg.offset,
        bytes,
    })
}

fn small<'o>(op: &'o Operator<'_>) -> Option<(&'o MemArg, u64)> {
    use Operator::*;
    match op {
        I32Load { memarg }
        | F32Load { memarg }
        | I32Load8S { memarg }
        | I32Load8U { memarg }
        | I32Load16S { memarg }
        | I32Load16U { memarg }
        | I64Load8S { memarg }
        | I64Load8U { memarg }
        | I64Load16S { memarg }
        | I64Load16U { memarg }
        | I64Load32S { memarg }
        | I64Load32U { memarg }
        | I32Store { memarg }
        | F32Store { memarg }
        | I32Store8 { memarg }
        | I32Store16 { memarg }
        | I64Store8 { memarg }
        | I64Store16 { memarg }
        | I64Store32 { memarg } => Some((memarg, 4)),
        I64Load { memarg } | F64Load { memarg } | I64Store { memarg } | F64Store { memarg } => {
            Some((memarg, 8))
        }
        _ => None,
    }
}

fn vector<'o>(op: &'o Operator<'_>) -> Option<(&'o MemArg, u64)> {
    use Operator::*;
    match op {
        V128Load { memarg }
        | V128Load8x8S { memarg }
        | V128Load8x8U { memarg }
        | V128Load16x4S { memarg }
        | V128Load16x4U { memarg }
        | V128Load32x2S { memarg }
        | V128Load32x2U { memarg }
        | V128Load8Splat { memarg }
        | V128Load16Splat { memarg }
        | V128Load32Splat { memarg }
        | V128Load64Splat { memarg }
        | V128Load32Zero { memarg }
        | V128Load64Zero { memarg }
        | V128Store { memarg }
        | V128Load8Lane { memarg, .. }
        | V128Load16Lane { memarg, .. }
        | V128Load32Lane { memarg, .. }
        | V128Load64Lane { memarg, .. }
        | V128Store8Lane { memarg, .. }
        | V128Store16Lane { memarg, .. }
        | V128Store32Lane { memarg, .. }
        | V128Store64Lane { memarg, .. } => Some((memarg, 16)),
        _ => None,
    }
}
