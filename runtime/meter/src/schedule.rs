//! What each class of instructions costs: the schedule `haar-cost/1`.
//!
//! A schedule is data, so that calibration can count a class by pricing nothing else. Runs that are
//! billed use [`Schedule::V1`] and nothing else; changing any number of it is a new
//! [`crate::COST_VERSION`], and its hash is part of every job's profile.

pub use crate::class::{Class, class};

/// Prices, in fuel. One unit is about one simple integer instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The price of each class, in the order of [`Class::ALL`].
    pub prices: [u32; Class::ALL.len()],
    /// Of the instructions of [`Class::Move`] in one straight piece, this many cost one together:
    /// optimising engines spend nothing on them, interpreters and baseline compilers do.
    pub moves_per_fuel: u32,
    /// Entering a function costs one for this many 64-bit slots of declared locals, which the
    /// engine must zero.
    pub locals_per_fuel: u32,
    /// Bytes of a bulk operation that cost one, as a power of two.
    pub bulk_shift: u32,
    /// One page of memory, whether the guest grows by it or starts with it.
    pub page: u32,
    /// Starting an instance, before its memory and data are counted.
    pub init: u32,
    /// Bytes of data segments that cost one at the start.
    pub init_bytes_per_fuel: u32,
}

impl Schedule {
    /// The schedule that is billed.
    pub const V1: Self = Self {
        #[rustfmt::skip]
        prices: [
            0, // Structure
            0, // Move
            1, // Loop
            1, // Br
            2, // BrIf
            2, // If
            4, // BrTable
            12, // Call
            24, // CallIndirect
            2, // Select
            1, // Global
            1, // MemorySize
            1, // Load
            1, // Store
            300, // MemoryGrow
            32, // Bulk
            100, // DataDrop
            1, // Integer
            2, // IntegerMul
            1, // IntegerCount
            10, // I32Div
            14, // I64Div
            1, // FloatBits
            8, // FloatCast
            2, // FloatCompare
            1, // Float
            8, // FloatRound
            6, // FloatMinMax
            16, // F32Div
            8, // F64Div
            16, // F32Sqrt
            16, // F64Sqrt
            2, // ConvertSigned
            4, // ConvertUnsigned
            6, // Truncate
            1, // Vector
            1, // VectorLoad
            1, // VectorStore
            3, // VectorShuffle
            2, // VectorFloat
            24, // VectorMinMax
            24, // I64x2Mul
            20, // F32x4Div
            24, // F64x2Div
            24, // F32x4Sqrt
            32, // F64x2Sqrt
            10, // VectorConvertUnsigned
            10, // VectorTruncate
        ],
        moves_per_fuel: 8,
        locals_per_fuel: 4,
        bulk_shift: 2,
        page: 65_536,
        init: 20_000,
        init_bytes_per_fuel: 8,
    };

    /// The price of one instruction of a class.
    #[must_use]
    pub fn price(&self, class: Class) -> u64 {
        u64::from(self.prices[class as usize])
    }

    /// BLAKE3 of the domain `haar-cost`, the version and all numbers in the order of their fields,
    /// each a little-endian `u32`.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"haar-cost");
        let rest = [
            self.moves_per_fuel,
            self.locals_per_fuel,
            self.bulk_shift,
            self.page,
            self.init,
            self.init_bytes_per_fuel,
        ];
        for number in std::iter::once(&crate::COST_VERSION)
            .chain(&self.prices)
            .chain(&rest)
        {
            hasher.update(&number.to_le_bytes());
        }
        hasher.finalize().into()
    }

    /// What `moves` instructions of [`Class::Move`] in one straight piece cost together.
    pub(crate) fn moves(&self, moves: u64) -> u64 {
        moves.checked_div(self.moves_per_fuel.into()).unwrap_or(0)
    }

    /// What zeroing `slots` of declared locals costs.
    pub(crate) fn locals(&self, slots: u64) -> u64 {
        slots.checked_div(self.locals_per_fuel.into()).unwrap_or(0)
    }

    /// What an instance of this size costs before it runs.
    pub(crate) fn start(&self, pages: u64, data_bytes: u64) -> u64 {
        let data = data_bytes.checked_div(self.init_bytes_per_fuel.into());
        u64::from(self.init) + u64::from(self.page) * pages + data.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_part_of_the_hash() {
        let mut others = vec![Schedule::V1; Class::ALL.len() + 6];
        for (index, other) in others.iter_mut().enumerate() {
            match index.checked_sub(Class::ALL.len()) {
                None => other.prices[index] += 1,
                Some(0) => other.moves_per_fuel += 1,
                Some(1) => other.locals_per_fuel += 1,
                Some(2) => other.bulk_shift += 1,
                Some(3) => other.page += 1,
                Some(4) => other.init += 1,
                Some(_) => other.init_bytes_per_fuel += 1,
            }
        }
        for other in others {
            assert_ne!(other.hash(), Schedule::V1.hash());
        }
    }

    #[test]
    fn classes_stand_in_the_order_of_their_prices() {
        for (index, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, index);
        }
        assert_eq!(Schedule::V1.price(Class::CallIndirect), 24);
        assert_eq!(Schedule::V1.price(Class::VectorTruncate), 10);
    }

    #[test]
    fn a_divisor_of_zero_charges_nothing() {
        let free = Schedule {
            moves_per_fuel: 0,
            locals_per_fuel: 0,
            init_bytes_per_fuel: 0,
            ..Schedule::V1
        };
        assert_eq!(free.moves(100) + free.locals(100), 0);
        assert_eq!(free.start(0, 100), 20_000);
    }
}
