//! The signed records exist twice: as `haar-records` defines them and as the artifacts list them.

use alloy::sol_types::{SolType, SolValue};

/// The same record as the other crate's type.
///
/// Both are generated from the same Solidity structs, and the settlement's digests are compared in
/// the tests, so a field that moved would not go unnoticed.
pub(crate) fn mirror<A, B>(record: &A) -> B
where
    A: SolValue,
    B: SolValue + From<<<B as SolValue>::SolType as SolType>::RustType>,
{
    B::abi_decode(&record.abi_encode()).expect("both have the same fields in the same order")
}
