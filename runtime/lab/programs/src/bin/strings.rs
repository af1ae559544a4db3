//! Builds, splits and formats text: the allocator, UTF-8, numbers to digits.
use lab_programs::{fold, report, scale, text};
use std::fmt::Write;

fn main() {
    let text = text(50_000);
    let mut sum = 0;
    for round in 0..scale(110) {
        let mut page = String::new();
        for (at, line) in text.lines().enumerate() {
            let upper = line
                .split(' ')
                .map(str::to_uppercase)
                .collect::<Vec<_>>()
                .join("-");
            let _ = write!(
                page,
                "{at:>6}: {upper} {:.3} {:?}\n",
                f64::from(round) / 7.0,
                line.find("hub")
            );
        }
        let reversed: String = page
            .chars()
            .rev()
            .filter(|letter| letter.is_alphanumeric())
            .collect();
        sum = fold(sum, (page.len() ^ reversed.len()) as u64);
    }
    report(sum);
}
