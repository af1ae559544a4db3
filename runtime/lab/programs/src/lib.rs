//! What all programs share: a size to scale with, random data from a fixed seed, and one line of
//! output. Nothing here reads a clock, so a program prints the same on every engine.

use std::fmt::Write;

/// The first argument, or what the program takes some 100 to 300 ms for.
pub fn scale(default: u32) -> u32 {
    let argument = std::env::args().nth(1);
    argument
        .and_then(|word| word.parse().ok())
        .unwrap_or(default)
}

/// Prints the checksum that shows that two runs did the same.
pub fn report(checksum: u64) {
    println!("{checksum:016x}");
}

/// Folds one value into a checksum.
pub fn fold(checksum: u64, value: u64) -> u64 {
    (checksum.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Random numbers by xorshift64* (Vigna 2016), always the same ones.
pub struct Random(u64);

impl Random {
    /// Starts at a fixed seed.
    pub fn new() -> Self {
        Self(0x2545_f491_4f6c_dd1d)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    /// A number from 0 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// This many random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 32) as u8).collect()
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

/// Text that looks like log lines: words, numbers, addresses, so that it compresses and matches.
pub fn text(bytes: usize) -> String {
    const WORDS: [&str; 16] = [
        "fog", "miner", "hub", "the", "of", "receipt", "quorum", "and", "settles", "a", "job",
        "returned", "fuel", "swarm", "verdict", "stake",
    ];
    let mut random = Random::new();
    let mut text = String::with_capacity(bytes + 80);
    while text.len() < bytes {
        let (hour, host) = (random.below(24), random.below(250));
        let _ = write!(
            text,
            "2026-11-{:02} {hour:02}:07 10.0.3.{host} ",
            1 + random.below(30)
        );
        for _ in 0..4 + random.below(8) {
            text.push_str(WORDS[random.below(16) as usize]);
            text.push(' ');
        }
        let _ = writeln!(
            text,
            "user{}@mail{}.org {}",
            random.below(99),
            host,
            random.next()
        );
    }
    text.truncate(bytes);
    text
}
