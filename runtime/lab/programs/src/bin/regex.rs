//! Finds addresses, dates and words with classes in text (crate regex): table-driven automata.
use lab_programs::{fold, report, scale, text};
use regex::Regex;

fn main() {
    let text = text(300_000);
    let patterns = [
        r"[a-z0-9]+@[a-z0-9]+\.org",
        r"(\d{4})-(\d{2})-(\d{2}) (\d{2}):(\d{2})",
        r"(?:miner|hub|swarm)s? (?:and|of) \w+",
        r"\b10\.0\.3\.(?:2[0-4]\d|1\d\d)\b",
    ];
    let mut sum = 0;
    for _ in 0..scale(15) {
        for pattern in patterns {
            for found in Regex::new(pattern).unwrap().find_iter(&text) {
                sum = fold(sum, (found.start() + found.len()) as u64);
            }
        }
    }
    report(sum);
}
