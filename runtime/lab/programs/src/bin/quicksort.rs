//! Sorts numbers by std's unstable sort and texts by its stable one.
use lab_programs::{Random, fold, report, scale};

fn main() {
    let mut random = Random::new();
    let mut numbers: Vec<u64> = (0..scale(1_500_000)).map(|_| random.next()).collect();
    let mut words: Vec<String> = numbers[..numbers.len() / 10]
        .iter()
        .map(|n| format!("{n:x}"))
        .collect();
    numbers.sort_unstable();
    words.sort();
    let sum = numbers
        .iter()
        .step_by(997)
        .fold(0, |sum, &value| fold(sum, value));
    report(
        words
            .iter()
            .step_by(97)
            .fold(sum, |sum, word| fold(sum, word.len() as u64)),
    );
}
