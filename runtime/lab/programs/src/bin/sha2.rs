//! SHA-256 of a few megabytes (crate sha2): 32-bit rotations in long straight blocks.
use lab_programs::{Random, fold, report, scale};
use sha2::{Digest, Sha256};

fn main() {
    let data = Random::new().bytes(1 << 20);
    let mut sum = 0;
    for round in 0..scale(30) {
        let digest = Sha256::new()
            .chain_update([round as u8])
            .chain_update(&data)
            .finalize();
        sum = digest.iter().fold(sum, |sum, &byte| fold(sum, byte.into()));
    }
    report(sum);
}
