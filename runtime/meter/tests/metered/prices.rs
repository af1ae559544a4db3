//! Prices for counting by hand, and the billed ones as the specification has them.

use haar_meter::schedule::{Class, Schedule};

/// Small round numbers, so that placement can be checked on paper and stays checked when the billed
/// prices change.
pub const ROUND: Schedule = Schedule {
    #[rustfmt::skip]
    prices: [
        0, // Structure
        0, // Move
        1, // Loop
        1, // Br
        1, // BrIf
        3, // If
        3, // BrTable
        5, // Call
        10, // CallIndirect
        1, // Select
        1, // Global
        1, // MemorySize
        1, // Load
        1, // Store
        300, // MemoryGrow
        32, // Bulk
        100, // DataDrop
        1, // Integer
        1, // IntegerMul
        1, // IntegerCount
        10, // I32Div
        14, // I64Div
        1, // FloatBits
        1, // FloatCast
        2, // FloatCompare
        2, // Float
        2, // FloatRound
        6, // FloatMinMax
        4, // F32Div
        6, // F64Div
        6, // F32Sqrt
        10, // F64Sqrt
        2, // ConvertSigned
        4, // ConvertUnsigned
        8, // Truncate
        1, // Vector
        1, // VectorLoad
        1, // VectorStore
        2, // VectorShuffle
        2, // VectorFloat
        4, // VectorMinMax
        4, // I64x2Mul
        10, // F32x4Div
        12, // F64x2Div
        6, // F32x4Sqrt
        14, // F64x2Sqrt
        4, // VectorConvertUnsigned
        8, // VectorTruncate
    ],
    moves_per_fuel: 8,
    locals_per_fuel: 8,
    bulk_shift: 3,
    page: 65_536,
    init: 20_000,
    init_bytes_per_fuel: 8,
};

#[test]
fn the_specification_has_the_prices_that_are_billed() {
    let specification = include_str!("../../SPEC.md");
    let section = specification
        .split("\n## ")
        .find(|part| part.starts_with("3. "));
    let rows = section.unwrap().lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let class = cells.next()?;
        Some((class, cells.nth(1)?.parse::<u64>().ok()?))
    });
    let expected = Class::ALL.map(|class| (format!("{class:?}"), Schedule::V1.price(class)));
    let found: Vec<_> = rows
        .map(|(class, price)| (class.to_owned(), price))
        .collect();
    assert_eq!(found, expected);
}
