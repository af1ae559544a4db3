//! Which instructions make NaNs of the engine's choice, which let them through, and which can
//! see their bits.
//!
//! IEEE 754-2019 §6.2 leaves payload and sign of a computed NaN open, and WebAssembly with it
//! (WebAssembly/design#477): x86 makes negative ones, ARM positive ones, JavaScriptCore either.
//! Everything not named here sees bits, so a new instruction errs towards one canonicalisation
//! too many.

use wasmparser::{Operator, V128};

/// The layout of a float value: scalar, or the lanes of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    F32,
    F64,
    F32x4,
    F64x2,
}

impl Shape {
    pub(crate) const ALL: [Self; 4] = [Self::F32, Self::F64, Self::F32x4, Self::F64x2];
}

/// What the NaNs of a value may be: a set, ordered by inclusion.
///
/// The empty set is *plain*: no NaN, or the canonical one, in whatever lanes one looks. `RAW` means
/// bits that must be kept, a shape means lanes whose NaNs are the engine's choice: *fresh*. More
/// than one member is a conflict: making such a value canonical could destroy a payload, leaving it
/// could show the engine's bits, and nothing tells which.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Nans(u8);

impl Nans {
    pub(crate) const PLAIN: Self = Self(0);
    pub(crate) const RAW: Self = Self(1 << 4);

    pub(crate) const fn fresh(shape: Shape) -> Self {
        Self(1 << shape as u8)
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is fresh in other lanes than those of `shape`.
    const fn is_fresh_beside(self, shape: Shape) -> bool {
        self.0 & !Self::RAW.0 & !Self::fresh(shape).0 != 0
    }

    pub(crate) const fn is_conflict(self) -> bool {
        self.0 & self.0.wrapping_sub(1) != 0
    }

    /// The shape of a value that is fresh and nothing else.
    pub(crate) fn only_fresh(self) -> Option<Shape> {
        let mut shapes = Shape::ALL.into_iter();
        shapes.find(|shape| self == Self::fresh(*shape))
    }
}

/// What an instruction does with one of its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// All bits count.
    Sees,
    /// No NaN's bits reach the result, as long as they are NaNs in these lanes.
    Reads(Shape),
    /// These lanes come out in those, with at most their sign changed.
    Flows(Shape, Shape),
    /// The value comes out as it is, whatever its lanes.
    Passes,
    /// The value vanishes.
    Drops,
}

impl Use {
    /// Whether fresh bits of such an operand would be seen here.
    pub(crate) fn sees(self, nans: Nans) -> bool {
        match self {
            Self::Sees => nans.0 & !Nans::RAW.0 != 0,
            Self::Reads(shape) | Self::Flows(shape, _) => nans.is_fresh_beside(shape),
            Self::Passes | Self::Drops => false,
        }
    }

    /// Whether the operand comes out again.
    pub(crate) fn is_flow(self) -> bool {
        matches!(self, Self::Flows(..) | Self::Passes)
    }

    /// What such an operand adds to the result.
    pub(crate) fn through(self, nans: Nans) -> Nans {
        match self {
            Self::Passes => nans,
            Self::Flows(from, to) => {
                let mut out = Nans(nans.0 & Nans::RAW.0);
                if nans.0 & Nans::fresh(from).0 != 0 {
                    out = out.or(Nans::fresh(to));
                }
                // Made canonical by other lanes, it is mere data in these.
                if nans.is_fresh_beside(from) {
                    out = out.or(Nans::RAW);
                }
                out
            }
            Self::Sees | Self::Reads(_) | Self::Drops => Nans::PLAIN,
        }
    }
}

/// What an instruction does with float bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Of all operands but the last.
    pub(crate) first: Use,
    /// Of the last operand.
    pub(crate) last: Use,
    /// What the result is, whatever the operands are.
    pub(crate) result: Nans,
}

impl Effect {
    const fn new(each: Use, result: Nans) -> Self {
        Self {
            first: each,
            last: each,
            result,
        }
    }

    const SEES: Self = Self::new(Use::Sees, Nans::RAW);

    const fn makes(from: Shape, to: Shape) -> Self {
        Self::new(Use::Reads(from), Nans::fresh(to))
    }

    const fn reads(shape: Shape) -> Self {
        Self::new(Use::Reads(shape), Nans::PLAIN)
    }

    const fn flows(from: Shape, to: Shape, result: Nans) -> Self {
        Self::new(Use::Flows(from, to), result)
    }

    /// The first operand comes out with a sign that counts.
    const fn signs(shape: Shape, sign: Use) -> Self {
        Self {
            first: Use::Flows(shape, shape),
            last: sign,
            result: Nans::RAW,
        }
    }

    const fn replaces(lane: Shape, vector: Shape, result: Nans) -> Self {
        Self {
            first: Use::Flows(vector, vector),
            last: Use::Flows(lane, vector),
            result,
        }
    }
}

/// What a scalar instruction does with float bits, or a vector one.
pub(crate) fn effect(op: &Operator<'_>) -> Effect {
    use Operator::*;
    use Shape::{F32, F64};
    match op {
        Drop => Effect::new(Use::Drops, Nans::PLAIN),
        Select | TypedSelect { .. } => Effect::new(Use::Passes, Nans::PLAIN),

        F32Add | F32Sub | F32Mul | F32Div | F32Sqrt | F32Min | F32Max | F32Ceil | F32Floor
        | F32Trunc | F32Nearest => Effect::makes(F32, F32),
        F64Add | F64Sub | F64Mul | F64Div | F64Sqrt | F64Min | F64Max | F64Ceil | F64Floor
        | F64Trunc | F64Nearest => Effect::makes(F64, F64),
        F32DemoteF64 => Effect::makes(F64, F32),
        F64PromoteF32 => Effect::makes(F32, F64),

        F32Eq | F32Ne | F32Lt | F32Gt | F32Le | F32Ge | I32TruncF32S | I32TruncF32U
        | I64TruncF32S | I64TruncF32U | I32TruncSatF32S | I32TruncSatF32U | I64TruncSatF32S
        | I64TruncSatF32U => Effect::reads(F32),
        F64Eq | F64Ne | F64Lt | F64Gt | F64Le | F64Ge | I32TruncF64S | I32TruncF64U
        | I64TruncF64S | I64TruncF64U | I32TruncSatF64S | I32TruncSatF64U | I64TruncSatF64S
        | I64TruncSatF64U => Effect::reads(F64),

        F32Abs => Effect::flows(F32, F32, Nans::PLAIN),
        F64Abs => Effect::flows(F64, F64, Nans::PLAIN),
        F32Neg => Effect::flows(F32, F32, Nans::RAW),
        F64Neg => Effect::flows(F64, F64, Nans::RAW),
        F32Copysign => Effect::signs(F32, Use::Sees),
        F64Copysign => Effect::signs(F64, Use::Sees),

        F32ConvertI32S | F32ConvertI32U | F32ConvertI64S | F32ConvertI64U | F64ConvertI32S
        | F64ConvertI32U | F64ConvertI64S | F64ConvertI64U => Effect::new(Use::Sees, Nans::PLAIN),
        F32Const { value } => constant(is_kept_32(value.bits())),
        F64Const { value } => constant(is_kept_64(value.bits())),

        _ => vector_effect(op),
    }
}

/// Whether an instruction can make a NaN of the engine's choice.
pub(crate) fn makes_nans(op: &Operator<'_>) -> bool {
    effect(op).result.only_fresh().is_some()
}

fn vector_effect(op: &Operator<'_>) -> Effect {
    use Operator::*;
    use Shape::{F32, F32x4, F64, F64x2};
    match op {
        F32x4Add | F32x4Sub | F32x4Mul | F32x4Div | F32x4Sqrt | F32x4Min | F32x4Max | F32x4Ceil
        | F32x4Floor | F32x4Trunc | F32x4Nearest => Effect::makes(F32x4, F32x4),
        F64x2Add | F64x2Sub | F64x2Mul | F64x2Div | F64x2Sqrt | F64x2Min | F64x2Max | F64x2Ceil
        | F64x2Floor | F64x2Trunc | F64x2Nearest => Effect::makes(F64x2, F64x2),
        F32x4DemoteF64x2Zero => Effect::makes(F64x2, F32x4),
        F64x2PromoteLowF32x4 => Effect::makes(F32x4, F64x2),

        // A comparison's mask is all ones or zeros: as a float it may be a NaN, and is kept.
        F32x4Eq | F32x4Ne | F32x4Lt | F32x4Gt | F32x4Le | F32x4Ge | I32x4TruncSatF32x4S
        | I32x4TruncSatF32x4U => Effect::new(Use::Reads(F32x4), Nans::RAW),
        F64x2Eq
        | F64x2Ne
        | F64x2Lt
        | F64x2Gt
        | F64x2Le
        | F64x2Ge
        | I32x4TruncSatF64x2SZero
        | I32x4TruncSatF64x2UZero => Effect::new(Use::Reads(F64x2), Nans::RAW),

        F32x4Abs | F32x4PMin | F32x4PMax => Effect::flows(F32x4, F32x4, Nans::PLAIN),
        // A plain f64 may look like a NaN to those who look at half of it.
        F64x2Abs | F64x2PMin | F64x2PMax => Effect::flows(F64x2, F64x2, Nans::PLAIN),
        F32x4Neg => Effect::flows(F32x4, F32x4, Nans::RAW),
        F64x2Neg => Effect::flows(F64x2, F64x2, Nans::RAW),
        F32x4Splat => Effect::flows(F32, F32x4, Nans::PLAIN),
        F64x2Splat => Effect::flows(F64, F64x2, Nans::RAW),
        F32x4ExtractLane { .. } => Effect::flows(F32x4, F32, Nans::PLAIN),
        F64x2ExtractLane { .. } => Effect::flows(F64x2, F64, Nans::PLAIN),
        F32x4ReplaceLane { .. } => Effect::replaces(F32, F32x4, Nans::PLAIN),
        F64x2ReplaceLane { .. } => Effect::replaces(F64, F64x2, Nans::RAW),

        I8x16Shuffle { lanes } if moves_lanes(lanes, 8) => Effect::new(Use::Passes, Nans::PLAIN),
        I8x16Shuffle { lanes } if moves_lanes(lanes, 4) => Effect::flows(F32x4, F32x4, Nans::PLAIN),
        V128Const { value } => constant(is_kept_vector(value)),

        _ => Effect::SEES,
    }
}

fn constant(is_kept: bool) -> Effect {
    let result = if is_kept { Nans::RAW } else { Nans::PLAIN };
    Effect::new(Use::Sees, result)
}

/// Whether these bits are a NaN other than the canonical one.
fn is_kept_32(bits: u32) -> bool {
    f32::from_bits(bits).is_nan() && bits != 0x7fc0_0000
}

fn is_kept_64(bits: u64) -> bool {
    f64::from_bits(bits).is_nan() && bits != 0x7ff8_0000_0000_0000
}

fn is_kept_vector(value: &V128) -> bool {
    let bits = value.i128().cast_unsigned();
    (0..4).any(|lane| is_kept_32((bits >> (32 * lane)) as u32))
        || (0..2).any(|lane| is_kept_64((bits >> (64 * lane)) as u64))
}

/// Whether a shuffle moves whole lanes of `size` bytes.
fn moves_lanes(lanes: &[u8; 16], size: u8) -> bool {
    lanes.chunks(usize::from(size)).all(|lane| {
        lane[0] % size == 0
            && lane
                .iter()
                .zip(lane[0]..)
                .all(|(byte, expected)| *byte == expected)
    })
}
