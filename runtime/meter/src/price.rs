//! What each instruction costs: the schedule `haar-cost/1`, and with it the list of what is admitted.
//!
//! An operator that is not listed has no price and is refused, so a new version of the parser
//! cannot let anything in by itself. Changing any number here is a new [`crate::COST_VERSION`].

use wasmparser::Operator;

/// `memory.fill`, `memory.copy`, `memory.init`: this, and the length in bytes / 8 when they run.
pub(crate) const BULK: u64 = 32;
/// The bytes of a bulk operation are shifted right by this to give their price.
pub(crate) const BULK_SHIFT: i64 = 3;
/// `memory.grow`: this at the site, so that a refused growth costs too.
pub(crate) const GROW: u64 = 300;
/// One page of memory, whether the guest grows by it or starts with it.
pub(crate) const PAGE: u64 = 65_536;
/// What starting an instance costs before its memory and data are counted.
pub(crate) const INIT: u64 = 20_000;
/// Bytes of data segments that cost one fuel at the start.
pub(crate) const INIT_BYTES_PER_FUEL: u64 = 8;

/// The static cost of one instruction, or nothing if `haar-wasm/1` does not admit it.
pub(crate) fn price(op: &Operator<'_>, simd: bool) -> Option<u64> {
    general_price(op)
        .or_else(|| float_price(op))
        .or_else(|| if simd { vector_price(op) } else { None })
}

#[rustfmt::skip]
fn general_price(op: &Operator<'_>) -> Option<u64> {
    use Operator::*;
    let cost = match op {
        Unreachable | Nop | Block { .. } | Loop { .. } | Else | End | Return | Drop |
        LocalGet { .. } | LocalSet { .. } | LocalTee { .. } | I32Const { .. } |
        I64Const { .. } | F32Const { .. } | F64Const { .. } => 0,
        Br { .. } | BrIf { .. } | Select | GlobalGet { .. } | GlobalSet { .. } |
        I32Load { .. } | I64Load { .. } | F32Load { .. } | F64Load { .. } | I32Load8S { .. } |
        I32Load8U { .. } | I32Load16S { .. } | I32Load16U { .. } | I64Load8S { .. } |
        I64Load8U { .. } | I64Load16S { .. } | I64Load16U { .. } | I64Load32S { .. } |
        I64Load32U { .. } | I32Store { .. } | I64Store { .. } | F32Store { .. } |
        F64Store { .. } | I32Store8 { .. } | I32Store16 { .. } | I64Store8 { .. } |
        I64Store16 { .. } | I64Store32 { .. } | MemorySize { .. } | I32Eqz | I32Eq | I32Ne |
        I32LtS | I32LtU | I32GtS | I32GtU | I32LeS | I32LeU | I32GeS | I32GeU | I64Eqz | I64Eq
        | I64Ne | I64LtS | I64LtU | I64GtS | I64GtU | I64LeS | I64LeU | I64GeS | I64GeU |
        I32Clz | I32Ctz | I32Popcnt | I32Add | I32Sub | I32Mul | I32And | I32Or | I32Xor |
        I32Shl | I32ShrS | I32ShrU | I32Rotl | I32Rotr | I64Clz | I64Ctz | I64Popcnt | I64Add
        | I64Sub | I64Mul | I64And | I64Or | I64Xor | I64Shl | I64ShrS | I64ShrU | I64Rotl |
        I64Rotr | I32WrapI64 | I64ExtendI32S | I64ExtendI32U | I32Extend8S | I32Extend16S |
        I64Extend8S | I64Extend16S | I64Extend32S | TypedSelect { .. } => 1,
        If { .. } | BrTable { .. } => 3,
        Call { .. } => 5,
        CallIndirect { .. } | I32DivS | I32DivU | I32RemS | I32RemU => 10,
        I64DivS | I64DivU | I64RemS | I64RemU => 14,
        DataDrop { .. } => 100,
        MemoryGrow { .. } => GROW,
        MemoryInit { .. } | MemoryCopy { .. } | MemoryFill { .. } => BULK,
        _ => return None,
    };
    Some(cost)
}

#[rustfmt::skip]
fn float_price(op: &Operator<'_>) -> Option<u64> {
    use Operator::*;
    let cost = match op {
        F32Abs | F32Neg | F32Copysign | F64Abs | F64Neg | F64Copysign | F32DemoteF64 |
        F64PromoteF32 | I32ReinterpretF32 | I64ReinterpretF64 | F32ReinterpretI32 |
        F64ReinterpretI64 => 1,
        F32Eq | F32Ne | F32Lt | F32Gt | F32Le | F32Ge | F64Eq | F64Ne | F64Lt | F64Gt | F64Le
        | F64Ge | F32Ceil | F32Floor | F32Trunc | F32Nearest | F32Add | F32Sub | F32Mul |
        F64Ceil | F64Floor | F64Trunc | F64Nearest | F64Add | F64Sub | F64Mul | F32ConvertI32S
        | F32ConvertI64S | F64ConvertI32S | F64ConvertI64S => 2,
        F32Div | F32ConvertI32U | F32ConvertI64U | F64ConvertI32U | F64ConvertI64U => 4,
        F32Sqrt | F32Min | F32Max | F64Div | F64Min | F64Max => 6,
        I32TruncF32S | I32TruncF32U | I32TruncF64S | I32TruncF64U | I64TruncF32S |
        I64TruncF32U | I64TruncF64S | I64TruncF64U | I32TruncSatF32S | I32TruncSatF32U |
        I32TruncSatF64S | I32TruncSatF64U | I64TruncSatF32S | I64TruncSatF32U |
        I64TruncSatF64S | I64TruncSatF64U => 8,
        F64Sqrt => 10,
        _ => return None,
    };
    Some(cost)
}

#[rustfmt::skip]
fn vector_price(op: &Operator<'_>) -> Option<u64> {
    use Operator::*;
    let cost = match op {
        V128Const { .. } => 0,
        V128Load { .. } | V128Load8x8S { .. } | V128Load8x8U { .. } | V128Load16x4S { .. } |
        V128Load16x4U { .. } | V128Load32x2S { .. } | V128Load32x2U { .. } |
        V128Load8Splat { .. } | V128Load16Splat { .. } | V128Load32Splat { .. } |
        V128Load64Splat { .. } | V128Load32Zero { .. } | V128Load64Zero { .. } |
        V128Store { .. } | V128Load8Lane { .. } | V128Load16Lane { .. } |
        V128Load32Lane { .. } | V128Load64Lane { .. } | V128Store8Lane { .. } |
        V128Store16Lane { .. } | V128Store32Lane { .. } | V128Store64Lane { .. } |
        I8x16ExtractLaneS { .. } | I8x16ExtractLaneU { .. } | I8x16ReplaceLane { .. } |
        I16x8ExtractLaneS { .. } | I16x8ExtractLaneU { .. } | I16x8ReplaceLane { .. } |
        I32x4ExtractLane { .. } | I32x4ReplaceLane { .. } | I64x2ExtractLane { .. } |
        I64x2ReplaceLane { .. } | F32x4ExtractLane { .. } | F32x4ReplaceLane { .. } |
        F64x2ExtractLane { .. } | F64x2ReplaceLane { .. } | I8x16Splat | I16x8Splat |
        I32x4Splat | I64x2Splat | F32x4Splat | F64x2Splat | I8x16Eq | I8x16Ne | I8x16LtS |
        I8x16LtU | I8x16GtS | I8x16GtU | I8x16LeS | I8x16LeU | I8x16GeS | I8x16GeU | I16x8Eq |
        I16x8Ne | I16x8LtS | I16x8LtU | I16x8GtS | I16x8GtU | I16x8LeS | I16x8LeU | I16x8GeS |
        I16x8GeU | I32x4Eq | I32x4Ne | I32x4LtS | I32x4LtU | I32x4GtS | I32x4GtU | I32x4LeS |
        I32x4LeU | I32x4GeS | I32x4GeU | I64x2Eq | I64x2Ne | I64x2LtS | I64x2GtS | I64x2LeS |
        I64x2GeS | F32x4Eq | F32x4Ne | F32x4Lt | F32x4Gt | F32x4Le | F32x4Ge | F64x2Eq |
        F64x2Ne | F64x2Lt | F64x2Gt | F64x2Le | F64x2Ge | V128Not | V128And | V128AndNot |
        V128Or | V128Xor | V128Bitselect | V128AnyTrue | I8x16Abs | I8x16Neg | I8x16Popcnt |
        I8x16AllTrue | I8x16Bitmask | I8x16NarrowI16x8S | I8x16NarrowI16x8U | I8x16Shl |
        I8x16ShrS | I8x16ShrU | I8x16Add | I8x16AddSatS | I8x16AddSatU | I8x16Sub |
        I8x16SubSatS | I8x16SubSatU | I8x16MinS | I8x16MinU | I8x16MaxS | I8x16MaxU |
        I8x16AvgrU | I16x8ExtAddPairwiseI8x16S | I16x8ExtAddPairwiseI8x16U | I16x8Abs |
        I16x8Neg | I16x8Q15MulrSatS | I16x8AllTrue | I16x8Bitmask | I16x8NarrowI32x4S |
        I16x8NarrowI32x4U | I16x8ExtendLowI8x16S | I16x8ExtendHighI8x16S |
        I16x8ExtendLowI8x16U | I16x8ExtendHighI8x16U | I16x8Shl | I16x8ShrS | I16x8ShrU |
        I16x8Add | I16x8AddSatS | I16x8AddSatU | I16x8Sub | I16x8SubSatS | I16x8SubSatU |
        I16x8Mul | I16x8MinS | I16x8MinU | I16x8MaxS | I16x8MaxU | I16x8AvgrU |
        I16x8ExtMulLowI8x16S | I16x8ExtMulHighI8x16S | I16x8ExtMulLowI8x16U |
        I16x8ExtMulHighI8x16U | I32x4ExtAddPairwiseI16x8S | I32x4ExtAddPairwiseI16x8U |
        I32x4Abs | I32x4Neg | I32x4AllTrue | I32x4Bitmask | I32x4ExtendLowI16x8S |
        I32x4ExtendHighI16x8S | I32x4ExtendLowI16x8U | I32x4ExtendHighI16x8U | I32x4Shl |
        I32x4ShrS | I32x4ShrU | I32x4Add | I32x4Sub | I32x4Mul | I32x4MinS | I32x4MinU |
        I32x4MaxS | I32x4MaxU | I32x4DotI16x8S | I32x4ExtMulLowI16x8S | I32x4ExtMulHighI16x8S
        | I32x4ExtMulLowI16x8U | I32x4ExtMulHighI16x8U | I64x2Abs | I64x2Neg | I64x2AllTrue |
        I64x2Bitmask | I64x2ExtendLowI32x4S | I64x2ExtendHighI32x4S | I64x2ExtendLowI32x4U |
        I64x2ExtendHighI32x4U | I64x2Shl | I64x2ShrS | I64x2ShrU | I64x2Add | I64x2Sub |
        I64x2ExtMulLowI32x4S | I64x2ExtMulHighI32x4S | I64x2ExtMulLowI32x4U |
        I64x2ExtMulHighI32x4U | F32x4Abs | F32x4Neg | F32x4PMin | F32x4PMax | F64x2Abs |
        F64x2Neg | F64x2PMin | F64x2PMax | F32x4DemoteF64x2Zero | F64x2PromoteLowF32x4 => 1,
        I8x16Shuffle { .. } | I8x16Swizzle | F32x4Ceil | F32x4Floor | F32x4Trunc |
        F32x4Nearest | F32x4Add | F32x4Sub | F32x4Mul | F64x2Ceil | F64x2Floor | F64x2Trunc |
        F64x2Nearest | F64x2Add | F64x2Sub | F64x2Mul | F32x4ConvertI32x4S |
        F64x2ConvertLowI32x4S => 2,
        I64x2Mul | F32x4Min | F32x4Max | F64x2Min | F64x2Max | F32x4ConvertI32x4U |
        F64x2ConvertLowI32x4U => 4,
        F32x4Sqrt => 6,
        I32x4TruncSatF32x4S | I32x4TruncSatF32x4U | I32x4TruncSatF64x2SZero |
        I32x4TruncSatF64x2UZero => 8,
        F32x4Div => 10,
        F64x2Div => 12,
        F64x2Sqrt => 14,
        _ => return None,
    };
    Some(cost)
}
