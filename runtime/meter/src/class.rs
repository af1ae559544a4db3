//! Sorts instructions into classes that share a price, and so decides what is admitted.
//!
//! An operator that is not listed has no class and is refused, so a new version of the parser
//! cannot let anything in by itself.

use wasmparser::Operator;

/// Instructions that share a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// `else`, `end`, `return`, `unreachable`: no machine instruction of their own.
    Structure,
    /// Constants, `local.*`, `drop`, `nop`, `block`: free one by one, see [`Schedule::moves_per_fuel`](crate::schedule::Schedule::moves_per_fuel).
    Move,
    /// Entering a `loop`; going round it costs what its body costs.
    Loop,
    /// `br`.
    Br,
    /// `br_if`.
    BrIf,
    /// `if`.
    If,
    /// `br_table`.
    BrTable,
    /// `call`.
    Call,
    /// `call_indirect`.
    CallIndirect,
    /// Both forms of `select`.
    Select,
    /// `global.get` and `global.set`.
    Global,
    /// `memory.size`.
    MemorySize,
    /// Scalar loads.
    Load,
    /// Scalar stores.
    Store,
    /// `memory.grow`, refused or not; pages come on top.
    MemoryGrow,
    /// `memory.fill`, `memory.copy`, `memory.init`; bytes come on top.
    Bulk,
    /// `data.drop`.
    DataDrop,
    /// Integer add, sub, logic, shift, rotate, compare, extend, wrap.
    Integer,
    /// Integer multiplication.
    IntegerMul,
    /// `clz`, `ctz`, `popcnt`.
    IntegerCount,
    /// 32-bit division and remainder.
    I32Div,
    /// 64-bit division and remainder.
    I64Div,
    /// `abs`, `neg`, `copysign`, reinterpretation.
    FloatBits,
    /// Promotion and demotion.
    FloatCast,
    /// Scalar float comparison.
    FloatCompare,
    /// Scalar float add, sub, mul.
    Float,
    /// Scalar `ceil`, `floor`, `trunc`, `nearest`.
    FloatRound,
    /// Scalar `min` and `max`.
    FloatMinMax,
    /// `f32.div`.
    F32Div,
    /// `f64.div`.
    F64Div,
    /// `f32.sqrt`.
    F32Sqrt,
    /// `f64.sqrt`.
    F64Sqrt,
    /// Signed integer to float.
    ConvertSigned,
    /// Unsigned integer to float.
    ConvertUnsigned,
    /// Float to integer, trapping or saturating.
    Truncate,
    /// 128-bit integer, logic, compare and lane instructions.
    Vector,
    /// 128-bit loads.
    VectorLoad,
    /// 128-bit stores.
    VectorStore,
    /// `shuffle` and `swizzle`.
    VectorShuffle,
    /// Lanewise float add, sub, mul, rounding, and conversion from signed integers.
    VectorFloat,
    /// Lanewise float `min` and `max`.
    VectorMinMax,
    /// `i64x2.mul`.
    I64x2Mul,
    /// `f32x4.div`.
    F32x4Div,
    /// `f64x2.div`.
    F64x2Div,
    /// `f32x4.sqrt`.
    F32x4Sqrt,
    /// `f64x2.sqrt`.
    F64x2Sqrt,
    /// Lanewise conversion from unsigned integers.
    VectorConvertUnsigned,
    /// Lanewise float to integer.
    VectorTruncate,
}

impl Class {
    /// Every class, in the order of the schedule.
    pub const ALL: [Self; 48] = [
        Self::Structure,
        Self::Move,
        Self::Loop,
        Self::Br,
        Self::BrIf,
        Self::If,
        Self::BrTable,
        Self::Call,
        Self::CallIndirect,
        Self::Select,
        Self::Global,
        Self::MemorySize,
        Self::Load,
        Self::Store,
        Self::MemoryGrow,
        Self::Bulk,
        Self::DataDrop,
        Self::Integer,
        Self::IntegerMul,
        Self::IntegerCount,
        Self::I32Div,
        Self::I64Div,
        Self::FloatBits,
        Self::FloatCast,
        Self::FloatCompare,
        Self::Float,
        Self::FloatRound,
        Self::FloatMinMax,
        Self::F32Div,
        Self::F64Div,
        Self::F32Sqrt,
        Self::F64Sqrt,
        Self::ConvertSigned,
        Self::ConvertUnsigned,
        Self::Truncate,
        Self::Vector,
        Self::VectorLoad,
        Self::VectorStore,
        Self::VectorShuffle,
        Self::VectorFloat,
        Self::VectorMinMax,
        Self::I64x2Mul,
        Self::F32x4Div,
        Self::F64x2Div,
        Self::F32x4Sqrt,
        Self::F64x2Sqrt,
        Self::VectorConvertUnsigned,
        Self::VectorTruncate,
    ];

    /// Whether an instruction of this class ends a straight piece of code.
    #[must_use]
    pub fn ends_piece(self) -> bool {
        matches!(
            self,
            Self::Structure | Self::Loop | Self::Br | Self::BrIf | Self::If | Self::BrTable
        )
    }
}

/// The class of an instruction, or nothing if `haar-wasm/1` does not admit it.
#[must_use]
pub fn class(op: &Operator<'_>, simd: bool) -> Option<Class> {
    general_class(op)
        .or_else(|| float_class(op))
        .or_else(|| if simd { vector_class(op) } else { None })
}

#[rustfmt::skip]
fn general_class(op: &Operator<'_>) -> Option<Class> {
    use Operator::*;
    let class = match op {
        Unreachable | Else | End | Return => Class::Structure,
        Nop | Block { .. } | Drop | LocalGet { .. } | LocalSet { .. } | LocalTee { .. } |
        I32Const { .. } | I64Const { .. } | F32Const { .. } | F64Const { .. } => Class::Move,
        Loop { .. } => Class::Loop,
        Br { .. } => Class::Br,
        BrIf { .. } => Class::BrIf,
        If { .. } => Class::If,
        BrTable { .. } => Class::BrTable,
        Select | TypedSelect { .. } => Class::Select,
        GlobalGet { .. } | GlobalSet { .. } => Class::Global,
        I32Load { .. } | I64Load { .. } | F32Load { .. } | F64Load { .. } | I32Load8S { .. } |
        I32Load8U { .. } | I32Load16S { .. } | I32Load16U { .. } | I64Load8S { .. } |
        I64Load8U { .. } | I64Load16S { .. } | I64Load16U { .. } | I64Load32S { .. } |
        I64Load32U { .. } => Class::Load,
        I32Store { .. } | I64Store { .. } | F32Store { .. } | F64Store { .. } |
        I32Store8 { .. } | I32Store16 { .. } | I64Store8 { .. } | I64Store16 { .. } |
        I64Store32 { .. } => Class::Store,
        MemorySize { .. } => Class::MemorySize,
        I32Mul | I64Mul => Class::IntegerMul,
        I32Clz | I32Ctz | I32Popcnt | I64Clz | I64Ctz | I64Popcnt => Class::IntegerCount,
        I32Eqz | I32Eq | I32Ne |
        I32LtS | I32LtU | I32GtS | I32GtU | I32LeS | I32LeU | I32GeS | I32GeU | I64Eqz | I64Eq
        | I64Ne | I64LtS | I64LtU | I64GtS | I64GtU | I64LeS | I64LeU | I64GeS | I64GeU |
        I32Add | I32Sub | I32And | I32Or | I32Xor |
        I32Shl | I32ShrS | I32ShrU | I32Rotl | I32Rotr | I64Add
        | I64Sub | I64And | I64Or | I64Xor | I64Shl | I64ShrS | I64ShrU | I64Rotl |
        I64Rotr | I32WrapI64 | I64ExtendI32S | I64ExtendI32U | I32Extend8S | I32Extend16S |
        I64Extend8S | I64Extend16S | I64Extend32S => Class::Integer,
        I32DivS | I32DivU | I32RemS | I32RemU => Class::I32Div,
        I64DivS | I64DivU | I64RemS | I64RemU => Class::I64Div,
        Call { .. } => Class::Call,
        CallIndirect { .. } => Class::CallIndirect,
        DataDrop { .. } => Class::DataDrop,
        MemoryGrow { .. } => Class::MemoryGrow,
        MemoryInit { .. } | MemoryCopy { .. } | MemoryFill { .. } => Class::Bulk,
        _ => return None,
    };
    Some(class)
}

#[rustfmt::skip]
fn float_class(op: &Operator<'_>) -> Option<Class> {
    use Operator::*;
    let class = match op {
        F32Abs | F32Neg | F32Copysign | F64Abs | F64Neg | F64Copysign | I32ReinterpretF32 |
        I64ReinterpretF64 | F32ReinterpretI32 | F64ReinterpretI64 => Class::FloatBits,
        F32DemoteF64 | F64PromoteF32 => Class::FloatCast,
        F32Eq | F32Ne | F32Lt | F32Gt | F32Le | F32Ge | F64Eq | F64Ne | F64Lt | F64Gt | F64Le
        | F64Ge => Class::FloatCompare,
        F32Add | F32Sub | F32Mul | F64Add | F64Sub | F64Mul => Class::Float,
        F32Ceil | F32Floor | F32Trunc | F32Nearest | F64Ceil | F64Floor | F64Trunc |
        F64Nearest => Class::FloatRound,
        F32ConvertI32S | F32ConvertI64S | F64ConvertI32S | F64ConvertI64S => Class::ConvertSigned,
        F32ConvertI32U | F32ConvertI64U | F64ConvertI32U | F64ConvertI64U => Class::ConvertUnsigned,
        F32Min | F32Max | F64Min | F64Max => Class::FloatMinMax,
        F32Div => Class::F32Div,
        F64Div => Class::F64Div,
        F32Sqrt => Class::F32Sqrt,
        F64Sqrt => Class::F64Sqrt,
        I32TruncF32S | I32TruncF32U | I32TruncF64S | I32TruncF64U | I64TruncF32S |
        I64TruncF32U | I64TruncF64S | I64TruncF64U | I32TruncSatF32S | I32TruncSatF32U |
        I32TruncSatF64S | I32TruncSatF64U | I64TruncSatF32S | I64TruncSatF32U |
        I64TruncSatF64S | I64TruncSatF64U => Class::Truncate,
        _ => return None,
    };
    Some(class)
}

#[rustfmt::skip]
fn vector_class(op: &Operator<'_>) -> Option<Class> {
    use Operator::*;
    let class = match op {
        V128Const { .. } => Class::Move,
        V128Load { .. } | V128Load8x8S { .. } | V128Load8x8U { .. } | V128Load16x4S { .. } |
        V128Load16x4U { .. } | V128Load32x2S { .. } | V128Load32x2U { .. } |
        V128Load8Splat { .. } | V128Load16Splat { .. } | V128Load32Splat { .. } |
        V128Load64Splat { .. } | V128Load32Zero { .. } | V128Load64Zero { .. } |
        V128Load8Lane { .. } | V128Load16Lane { .. } | V128Load32Lane { .. } |
        V128Load64Lane { .. } => Class::VectorLoad,
        V128Store { .. } | V128Store8Lane { .. } | V128Store16Lane { .. } |
        V128Store32Lane { .. } | V128Store64Lane { .. } => Class::VectorStore,
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
        F64x2Neg | F64x2PMin | F64x2PMax | F32x4DemoteF64x2Zero | F64x2PromoteLowF32x4 => Class::Vector,
        I8x16Shuffle { .. } | I8x16Swizzle => Class::VectorShuffle,
        F32x4Ceil | F32x4Floor | F32x4Trunc |
        F32x4Nearest | F32x4Add | F32x4Sub | F32x4Mul | F64x2Ceil | F64x2Floor | F64x2Trunc |
        F64x2Nearest | F64x2Add | F64x2Sub | F64x2Mul | F32x4ConvertI32x4S |
        F64x2ConvertLowI32x4S => Class::VectorFloat,
        I64x2Mul => Class::I64x2Mul,
        F32x4Min | F32x4Max | F64x2Min | F64x2Max => Class::VectorMinMax,
        F32x4ConvertI32x4U | F64x2ConvertLowI32x4U => Class::VectorConvertUnsigned,
        F32x4Sqrt => Class::F32x4Sqrt,
        I32x4TruncSatF32x4S | I32x4TruncSatF32x4U | I32x4TruncSatF64x2SZero |
        I32x4TruncSatF64x2UZero => Class::VectorTruncate,
        F32x4Div => Class::F32x4Div,
        F64x2Div => Class::F64x2Div,
        F64x2Sqrt => Class::F64x2Sqrt,
        _ => return None,
    };
    Some(class)
}
