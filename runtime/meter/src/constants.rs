//! Reads constant expressions: the first values of globals, the places and contents of segments.
//!
//! Each is a single constant. Everything that computes is refused, so that bounds are known here.

use wasmparser::{ConstExpr, ElementItems, Operator};

use crate::Profile;
use crate::admission::{cap, feature, invalid};
use crate::limits;
use crate::rejected::{Feature, Rejected, place};

/// A constant expression of one instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Constant {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
    V128(i128),
}

/// The functions of an element segment; `entries` counts them over all segments.
pub(crate) fn read_functions(
    items: ElementItems<'_>,
    entries: &mut u64,
    offset: u64,
) -> Result<Vec<Option<u32>>, Rejected> {
    let at = Some(place(offset));
    let mut functions = Vec::new();
    let mut push = |function| -> Result<(), Rejected> {
        *entries += 1;
        cap(
            "entries in element segments",
            *entries,
            limits::TABLE_ENTRIES_MAX,
            at,
        )?;
        functions.push(function);
        Ok(())
    };
    match items {
        ElementItems::Functions(section) => {
            section
                .into_iter()
                .try_for_each(|function| push(Some(function?)))?;
        }
        ElementItems::Expressions(_, section) => {
            for expression in section {
                push(read_reference(&expression?)?)?;
            }
        }
    }
    Ok(functions)
}

/// A table entry written as an expression: `ref.func f` or `ref.null func`.
fn read_reference(expression: &ConstExpr<'_>) -> Result<Option<u32>, Rejected> {
    let mut reader = expression.get_operators_reader();
    let (op, offset) = reader.read_with_offset()?;
    let function = match op {
        Operator::RefFunc { function_index } => Some(function_index),
        Operator::RefNull {
            hty: wasmparser::HeapType::FUNC,
        } => None,
        _ => {
            let what = "a computed table entry";
            return Err(Rejected::Table {
                what,
                offset: place(offset),
            });
        }
    };
    match reader.read()? {
        Operator::End => Ok(function),
        _ => Err(feature(Feature::ExtendedConst, offset)),
    }
}

/// A constant expression, which must be one constant.
pub(crate) fn read_constant(
    expression: &ConstExpr<'_>,
    profile: &Profile,
) -> Result<Constant, Rejected> {
    let mut reader = expression.get_operators_reader();
    let (op, offset) = reader.read_with_offset()?;
    let constant = match op {
        Operator::I32Const { value } => Constant::I32(value),
        Operator::I64Const { value } => Constant::I64(value),
        Operator::F32Const { value } => Constant::F32(value.bits()),
        Operator::F64Const { value } => Constant::F64(value.bits()),
        Operator::V128Const { value } if profile.simd => Constant::V128(value.i128()),
        Operator::V128Const { .. } => return Err(feature(Feature::Simd, offset)),
        Operator::RefFunc { .. } | Operator::RefNull { .. } => {
            return Err(Rejected::Table {
                what: "a reference",
                offset: place(offset),
            });
        }
        Operator::End => return Err(invalid(offset, "an empty constant expression")),
        _ => return Err(feature(Feature::ExtendedConst, offset)),
    };
    match reader.read_with_offset()? {
        (Operator::End, _) => Ok(constant),
        (_, offset) => Err(feature(Feature::ExtendedConst, offset)),
    }
}

/// Where a segment goes. The index type is 32 bits, and addresses are unsigned.
pub(crate) fn read_offset(expression: &ConstExpr<'_>) -> Result<u32, Rejected> {
    let offset = expression.get_binary_reader().original_position();
    let any = Profile {
        stack_limit: 0,
        pages_max: 0,
        simd: true,
    };
    match read_constant(expression, &any)? {
        Constant::I32(value) => Ok(value.cast_unsigned()),
        _ => Err(invalid(offset, "a segment's offset must be an i32")),
    }
}
