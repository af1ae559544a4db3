//! The schedule once more, by the names of the instructions: SPEC.md section 3 from its text.

use wasmparser::Operator;

/// What a page of memory costs.
pub(crate) const PAGE: i64 = 65_536;
/// Bytes of a bulk operation that cost one fuel.
pub(crate) const BULK_BYTES: i64 = 8;
/// What a start costs, beside pages and data.
const INIT: u64 = 20_000;

/// What the host takes before a run.
pub(crate) fn init_cost(pages: u64, data_bytes: u64) -> u64 {
    INIT + PAGE.unsigned_abs() * pages + data_bytes / 8
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
        "Add" | "Sub" | "Mul" | "Div" | "Sqrt" | "Min" | "Max" | "Ceil" | "Floor" | "Trunc" | "Nearest"
    );
    makes.then_some(shape)
}

/// The static price of an instruction.
pub(crate) fn price(op: &Operator<'_>) -> i64 {
    let name = name(op);
    let is_vector = ["I8x16", "I16x8", "I32x4", "I64x2", "F32x4", "F64x2", "V128"]
        .iter()
        .any(|shape| name.starts_with(shape));
    if is_vector { vector(&name) } else { scalar(&name) }
}

fn scalar(name: &str) -> i64 {
    let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    match name {
        "Nop" | "Block" | "Loop" | "End" | "Else" | "Drop" | "Return" | "Unreachable" => 0,
        "LocalGet" | "LocalSet" | "LocalTee" => 0,
        _ if name.ends_with("Const") => 0,
        "If" | "BrTable" => 3,
        "Call" => 5,
        "CallIndirect" => 10,
        "MemoryGrow" => 300,
        "MemoryFill" | "MemoryCopy" | "MemoryInit" => 32,
        "DataDrop" => 100,
        "F32Div" => 4,
        "F64Div" | "F32Sqrt" => 6,
        "F64Sqrt" => 10,
        _ if name.contains("Load") || name.contains("Store") => 1,
        _ if name.contains("Reinterpret") => 1,
        _ if is(&["I32Trunc", "I64Trunc"]) => 8,
        _ if is(&["I32Div", "I32Rem"]) => 10,
        _ if is(&["I64Div", "I64Rem"]) => 14,
        _ if !is(&["F32", "F64"]) => 1,
        _ if name.contains("Convert") => 2 + 2 * i64::from(name.ends_with('U')),
        _ if name.ends_with("Min") || name.ends_with("Max") => 6,
        _ => match &name[3..] {
            "Abs" | "Neg" | "Copysign" | "DemoteF64" | "PromoteF32" => 1,
            _ => 2,
        },
    }
}

fn vector(name: &str) -> i64 {
    match name {
        "V128Const" => 0,
        "I8x16Shuffle" | "I8x16Swizzle" => 2,
        "I64x2Mul" => 4,
        "F32x4Sqrt" => 6,
        "F32x4Div" => 10,
        "F64x2Div" => 12,
        "F64x2Sqrt" => 14,
        _ if name.contains("TruncSat") => 8,
        _ if name.contains("Convert") => {
            let is_unsigned = name.ends_with('U');
            2 + 2 * i64::from(is_unsigned)
        }
        _ if name.starts_with('F') => match &name[5..] {
            "Min" | "Max" => 4,
            "Add" | "Sub" | "Mul" | "Ceil" | "Floor" | "Trunc" | "Nearest" => 2,
            _ => 1,
        },
        _ => 1,
    }
}

/// The instruction's name as the parser prints it, without its immediates.
fn name(op: &Operator<'_>) -> String {
    let full = format!("{op:?}");
    let end = full.find([' ', '(', '{']).unwrap_or(full.len());
    full[..end].to_owned()
}
