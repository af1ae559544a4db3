//! Draws random numbers and buckets them: 64-bit arithmetic and a remainder by a variable.
use lab_programs::{Random, fold, report, scale};

fn main() {
    let mut random = Random::new();
    let mut buckets = [0_u64; 101];
    let mut inside = 0;
    for _ in 0..scale(15_000_000) {
        let (x, y) = (random.unit(), random.unit());
        inside += u64::from(x * x + y * y <= 1.0);
        buckets[(random.next() % 101) as usize] += 1;
    }
    report(buckets.iter().fold(inside, |sum, &count| fold(sum, count)));
}
