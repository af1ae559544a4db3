//! Chance that can be repeated: one number names everything that follows from it.

/// A small generator of our own, so that a seed means the same in ten years.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The chance that `seed` names.
    pub fn new(seed: u64) -> Self {
        // Xorshift cannot leave zero.
        Self(mix(seed, 0) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`; 0 if there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        match bound {
            0 => 0,
            bound => (self.next() % bound as u64) as usize,
        }
    }

    pub fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A number that is often small and sometimes at an edge.
    pub fn edge(&mut self) -> u64 {
        const EDGES: [u64; 16] = [
            0,
            1,
            2,
            7,
            63,
            64,
            127,
            128,
            255,
            256,
            0xFFFF,
            0x1_0000,
            0x7FFF_FFFF,
            0x8000_0000,
            0xFFFF_FFFF,
            u64::MAX,
        ];
        match self.below(4) {
            0 => self.next(),
            1 => self.below(16) as u64,
            2 => self.below(4096) as u64,
            _ => self.pick(&EDGES),
        }
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}

/// The seed of execution `index` under the seed of the whole.
pub fn mix(seed: u64, index: u64) -> u64 {
    let mut word = seed ^ index.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}
