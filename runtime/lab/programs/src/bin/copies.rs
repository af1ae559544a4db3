//! Moves blocks of all sizes about: memory.copy and memory.fill.
use lab_programs::{Random, fold, report, scale};

fn main() {
    let mut random = Random::new();
    let mut block = random.bytes(1 << 20);
    for _ in 0..scale(450_000) {
        let len = 1 << random.below(17);
        let (from, to) = (
            random.below(900_000) as usize,
            random.below(900_000) as usize,
        );
        block.copy_within(from..from + len, to);
        block[from..from + len / 8].fill(len as u8);
    }
    report(
        block
            .iter()
            .step_by(61)
            .fold(0, |sum, &byte| fold(sum, byte.into())),
    );
}
