//! BLAKE3 of a few megabytes (crate blake3, portable code).
use lab_programs::{Random, fold, report, scale};

fn main() {
    let data = Random::new().bytes(1 << 20);
    let mut sum = 0;
    for round in 0..scale(70) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[round as u8]).update(&data);
        sum = hasher
            .finalize()
            .as_bytes()
            .iter()
            .fold(sum, |sum, &byte| fold(sum, byte.into()));
    }
    report(sum);
}
