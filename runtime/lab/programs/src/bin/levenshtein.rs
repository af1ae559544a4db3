//! The edit distance of two texts: minima in a row of numbers.
use lab_programs::{Random, report, scale};

fn main() {
    let len = scale(8_000) as usize;
    let mut random = Random::new();
    let mut letters = || -> Vec<u8> { (0..len).map(|_| b'a' + random.below(6) as u8).collect() };
    let (one, other) = (letters(), letters());
    let mut row: Vec<u32> = (0..=len as u32).collect();
    for (at, letter) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = at as u32 + 1;
        for (column, known) in other.iter().enumerate() {
            let replaced = diagonal + u32::from(letter != known);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    report(row[len].into());
}
