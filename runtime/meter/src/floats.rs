//! Which instructions make NaNs of the engine's choice, and which can see them.
//!
//! A value is *fresh* if an arithmetic instruction made it: should it be a NaN, its bits are the
//! engine's. Fresh values may be computed with and compared; wherever their bits could be seen
//! they must have been made canonical. Everything not named here sees bits, so a new instruction
//! errs towards one canonicalisation too many.

use wasmparser::Operator;

/// The layout of a float value: scalar, or the lanes of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    F32,
    F64,
    F32x4,
    F64x2,
}

/// What an instruction does with float bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Operands of this shape are not seen, because no NaN's bits reach the result.
    Reads(Shape),
    /// As `Reads`, and the result is fresh.
    Makes { from: Shape, to: Shape },
    /// The operand comes out with at most its sign changed, and stays what it was.
    Passes(Shape),
    /// The operands vanish.
    Drops,
    /// Every operand's bits are seen.
    Sees,
}

/// The role of an instruction.
pub(crate) fn role(op: &Operator<'_>) -> Role {
    use Operator::*;
    match op {
        Drop => Role::Drops,
        F32Add | F32Sub | F32Mul | F32Div | F32Sqrt | F32Min | F32Max | F32Ceil | F32Floor
        | F32Trunc | F32Nearest => Role::Makes {
            from: Shape::F32,
            to: Shape::F32,
        },
        F64Add | F64Sub | F64Mul | F64Div | F64Sqrt | F64Min | F64Max | F64Ceil | F64Floor
        | F64Trunc | F64Nearest => Role::Makes {
            from: Shape::F64,
            to: Shape::F64,
        },
        F32DemoteF64 => Role::Makes {
            from: Shape::F64,
            to: Shape::F32,
        },
        F64PromoteF32 => Role::Makes {
            from: Shape::F32,
            to: Shape::F64,
        },

        F32Abs => Role::Passes(Shape::F32),
        F64Abs => Role::Passes(Shape::F64),

        F32Eq | F32Ne | F32Lt | F32Gt | F32Le | F32Ge | I32TruncF32S | I32TruncF32U
        | I64TruncF32S | I64TruncF32U | I32TruncSatF32S | I32TruncSatF32U | I64TruncSatF32S
        | I64TruncSatF32U => Role::Reads(Shape::F32),
        F64Eq | F64Ne | F64Lt | F64Gt | F64Le | F64Ge | I32TruncF64S | I32TruncF64U
        | I64TruncF64S | I64TruncF64U | I32TruncSatF64S | I32TruncSatF64U | I64TruncSatF64S
        | I64TruncSatF64U => Role::Reads(Shape::F64),

        _ => vector_role(op),
    }
}

fn vector_role(op: &Operator<'_>) -> Role {
    use Operator::*;
    match op {
        F32x4Add | F32x4Sub | F32x4Mul | F32x4Div | F32x4Sqrt | F32x4Min | F32x4Max | F32x4Ceil
        | F32x4Floor | F32x4Trunc | F32x4Nearest => Role::Makes {
            from: Shape::F32x4,
            to: Shape::F32x4,
        },
        F64x2Add | F64x2Sub | F64x2Mul | F64x2Div | F64x2Sqrt | F64x2Min | F64x2Max | F64x2Ceil
        | F64x2Floor | F64x2Trunc | F64x2Nearest => Role::Makes {
            from: Shape::F64x2,
            to: Shape::F64x2,
        },
        F32x4DemoteF64x2Zero => Role::Makes {
            from: Shape::F64x2,
            to: Shape::F32x4,
        },
        F64x2PromoteLowF32x4 => Role::Makes {
            from: Shape::F32x4,
            to: Shape::F64x2,
        },

        F32x4Abs => Role::Passes(Shape::F32x4),
        F64x2Abs => Role::Passes(Shape::F64x2),

        F32x4Eq | F32x4Ne | F32x4Lt | F32x4Gt | F32x4Le | F32x4Ge | I32x4TruncSatF32x4S
        | I32x4TruncSatF32x4U => Role::Reads(Shape::F32x4),
        F64x2Eq
        | F64x2Ne
        | F64x2Lt
        | F64x2Gt
        | F64x2Le
        | F64x2Ge
        | I32x4TruncSatF64x2SZero
        | I32x4TruncSatF64x2UZero => Role::Reads(Shape::F64x2),

        _ => Role::Sees,
    }
}
