//! Eratosthenes' sieve: strided stores of bytes in a tiny loop.
use lab_programs::{fold, report, scale};

fn main() {
    let limit = 1_000_000;
    let mut sum = 0;
    for round in 0..scale(50) as usize {
        let mut composite = vec![false; limit + round];
        for number in 2..1_000 {
            if !composite[number] {
                let mut multiple = number * number;
                while multiple < composite.len() {
                    composite[multiple] = true;
                    multiple += number;
                }
            }
        }
        sum = fold(sum, composite.iter().filter(|&&is| !is).count() as u64);
    }
    report(sum);
}
