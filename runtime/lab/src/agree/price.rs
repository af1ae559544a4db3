//! The rules of SPEC.md section 3 once more, by the names of the instructions. Only the numbers of
//! the schedule are the pass's own.

use haar_meter::schedule::{Class, Schedule};
use wasmparser::Operator;

/// What a page of memory costs.
pub(crate) const PAGE: i64 = Schedule::V1.page as i64;
/// Bytes of a bulk operation that cost one fuel.
pub(crate) const BULK_BYTES: i64 = 1 << Schedule::V1.bulk_shift;

/// What the host takes before a run.
pub(crate) fn init_cost(pages: u64, data_bytes: u64) -> u64 {
    let schedule = Schedule::V1;
    let data = data_bytes / u64::from(schedule.init_bytes_per_fuel);
    u64::from(schedule.init) + u64::from(schedule.page) * pages + data
}

/// The lanes in which an instruction may make a NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    F32,
    F64,
    F32x4,
    F64x2,
}

/// The lanes of a NaN that this instruction may make.
pub(crate) fn maker(op: &Operator<'_>) -> Option<Shape> {
    let name = name(op);
    match name.as_str() {
        "F32DemoteF64" => return Some(Shape::F32),
        "F64PromoteF32" => return Some(Shape::F64),
        "F32x4DemoteF64x2Zero" => return Some(Shape::F32x4),
        "F64x2PromoteLowF32x4" => return Some(Shape::F64x2),
        _ => {}
    }
    let (shape, what) = [
        ("F32x4", Shape::F32x4),
        ("F64x2", Shape::F64x2),
        ("F32", Shape::F32),
        ("F64", Shape::F64),
    ]
    .into_iter()
    .find_map(|(prefix, shape)| Some((shape, name.strip_prefix(prefix)?)))?;
    let makes = matches!(
        what,
        "Add"
            | "Sub"
            | "Mul"
            | "Div"
            | "Sqrt"
            | "Min"
            | "Max"
            | "Ceil"
            | "Floor"
            | "Trunc"
            | "Nearest"
    );
    makes.then_some(shape)
}

/// What an instruction is to the slow counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Price {
    /// It costs nothing by itself, and counts in its straight piece.
    Move,
    /// It costs this and goes on.
    Plain(i64),
    /// It costs this, and a share of the moves before it.
    EndsPiece(i64),
}

/// The price of an instruction, by its name and the public numbers.
pub(crate) fn price(op: &Operator<'_>) -> Price {
    let name = name(op);
    let is_vector = ["I8x16", "I16x8", "I32x4", "I64x2", "F32x4", "F64x2", "V128"]
        .iter()
        .any(|shape| name.starts_with(shape));
    let class = if is_vector {
        vector(&name)
    } else {
        scalar(&name)
    };
    let cost = Schedule::V1.price(class).cast_signed();
    match class {
        Class::Move => Price::Move,
        Class::Structure | Class::Loop | Class::Br | Class::BrIf | Class::If | Class::BrTable => {
            Price::EndsPiece(cost)
        }
        _ => Price::Plain(cost),
    }
}

/// What the moves of a straight piece cost together.
pub(crate) fn moves(count: i64) -> i64 {
    count / i64::from(Schedule::V1.moves_per_fuel)
}

/// What the declared locals of a function cost at its entry.
pub(crate) fn locals(slots: i64) -> i64 {
    slots / i64::from(Schedule::V1.locals_per_fuel)
}

fn scalar(name: &str) -> Class {
    let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    match name {
        "End" | "Else" | "Return" | "Unreachable" => Class::Structure,
        "Nop" | "Block" | "Drop" | "LocalGet" | "LocalSet" | "LocalTee" => Class::Move,
        _ if name.ends_with("Const") => Class::Move,
        "Loop" => Class::Loop,
        "Br" => Class::Br,
        "BrIf" => Class::BrIf,
        "If" => Class::If,
        "BrTable" => Class::BrTable,
        "Call" => Class::Call,
        "CallIndirect" => Class::CallIndirect,
        "Select" | "TypedSelect" => Class::Select,
        "GlobalGet" | "GlobalSet" => Class::Global,
        "MemorySize" => Class::MemorySize,
        "MemoryGrow" => Class::MemoryGrow,
        "MemoryFill" | "MemoryCopy" | "MemoryInit" => Class::Bulk,
        "DataDrop" => Class::DataDrop,
        "F32Div" => Class::F32Div,
        "F64Div" => Class::F64Div,
        "F32Sqrt" => Class::F32Sqrt,
        "F64Sqrt" => Class::F64Sqrt,
        "F32DemoteF64" | "F64PromoteF32" => Class::FloatCast,
        _ if name.contains("Load") => Class::Load,
        _ if name.contains("Store") => Class::Store,
        _ if name.contains("Reinterpret") => Class::FloatBits,
        _ if is(&["I32Trunc", "I64Trunc"]) => Class::Truncate,
        _ if is(&["I32Div", "I32Rem"]) => Class::I32Div,
        _ if is(&["I64Div", "I64Rem"]) => Class::I64Div,
        _ if !is(&["F32", "F64"]) => match name.get(3..).unwrap_or_default() {
            "Mul" => Class::IntegerMul,
            "Clz" | "Ctz" | "Popcnt" => Class::IntegerCount,
            _ => Class::Integer,
        },
        _ if name.contains("Convert") && name.ends_with('U') => Class::ConvertUnsigned,
        _ if name.contains("Convert") => Class::ConvertSigned,
        _ => match name.get(3..).unwrap_or_default() {
            "Abs" | "Neg" | "Copysign" => Class::FloatBits,
            "Min" | "Max" => Class::FloatMinMax,
            "Eq" | "Ne" | "Lt" | "Gt" | "Le" | "Ge" => Class::FloatCompare,
            "Ceil" | "Floor" | "Trunc" | "Nearest" => Class::FloatRound,
            _ => Class::Float,
        },
    }
}

fn vector(name: &str) -> Class {
    match name {
        "V128Const" => Class::Move,
        "I8x16Shuffle" | "I8x16Swizzle" => Class::VectorShuffle,
        "I64x2Mul" => Class::I64x2Mul,
        "F32x4Sqrt" => Class::F32x4Sqrt,
        "F32x4Div" => Class::F32x4Div,
        "F64x2Div" => Class::F64x2Div,
        "F64x2Sqrt" => Class::F64x2Sqrt,
        _ if name.starts_with("V128Load") => Class::VectorLoad,
        _ if name.starts_with("V128Store") => Class::VectorStore,
        _ if name.contains("TruncSat") => Class::VectorTruncate,
        _ if name.contains("Convert") && name.contains("x4U") => Class::VectorConvertUnsigned,
        _ if name.contains("Convert") => Class::VectorFloat,
        _ if name.starts_with('F') => match name.get(5..).unwrap_or_default() {
            "Min" | "Max" => Class::VectorMinMax,
            "Add" | "Sub" | "Mul" | "Ceil" | "Floor" | "Trunc" | "Nearest" => Class::VectorFloat,
            _ => Class::Vector,
        },
        _ => Class::Vector,
    }
}

/// The instruction's name as the parser prints it, without its immediates.
fn name(op: &Operator<'_>) -> String {
    let full = format!("{op:?}");
    let end = full.find([' ', '(', '{']).unwrap_or(full.len());
    full[..end].to_owned()
}
