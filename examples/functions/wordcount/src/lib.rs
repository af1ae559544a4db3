//! Counts the lines, words and bytes of a text, and its most frequent words.
//!
//! Any bytes can be counted: what is no UTF-8 still has lines and bytes. Equal inputs give equal
//! reports, down to the order of words that are equally frequent.

use std::collections::BTreeMap;
use std::fmt;

/// How many of the most frequent words a report names.
const FREQUENT_WORDS_MAX: usize = 10;

/// What was counted in one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Line feeds, as `wc -l` counts them.
    pub lines: usize,
    /// Runs of anything but ASCII blanks, as `wc -w` counts them.
    pub words: usize,
    /// Bytes, as `wc -c` counts them.
    pub bytes: usize,
    /// The most frequent words with their numbers, the most frequent first, equals by the alphabet.
    pub frequent: Vec<(String, usize)>,
}

impl Count {
    /// Counts a text.
    pub fn of(text: &[u8]) -> Self {
        Self {
            lines: text.iter().filter(|&&byte| byte == b'\n').count(),
            words: text
                .split(|&byte| is_blank(byte))
                .filter(|word| !word.is_empty())
                .count(),
            bytes: text.len(),
            frequent: frequent_words(text),
        }
    }
}

/// The first line is what `wc` prints about a pipe.
impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>7} {:>7} {:>7}", self.lines, self.words, self.bytes)?;
        for (word, count) in &self.frequent {
            writeln!(f, "{count:>7} {word}")?;
        }
        Ok(())
    }
}

/// Unlike `u8::is_ascii_whitespace` this includes the vertical tab, as `wc` does.
fn is_blank(byte: u8) -> bool {
    byte == b' ' || (b'\t'..=b'\r').contains(&byte)
}

/// Counts words as a reader sees them: letters and digits of any script, in lower case.
fn frequent_words(text: &[u8]) -> Vec<(String, usize)> {
    let text = String::from_utf8_lossy(text).to_lowercase();
    let mut counts = BTreeMap::<&str, usize>::new();
    for word in text.split(|c: char| !c.is_alphanumeric() && c != '\'') {
        let word = word.trim_matches('\'');
        if !word.is_empty() {
            *counts.entry(word).or_default() += 1;
        }
    }

    // The map is in the order of the alphabet and the sort is stable, so equals stay in that order.
    let mut frequent: Vec<_> = counts.into_iter().collect();
    frequent.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    frequent.truncate(FREQUENT_WORDS_MAX);
    frequent
        .into_iter()
        .map(|(word, count)| (word.to_owned(), count))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], expected: &str) {
        assert_eq!(Count::of(text).to_string(), expected);
    }

    #[test]
    fn a_text_is_counted_like_wc() {
        check(
            b"the fog of the sea\nand the haar\n",
            "      2       8      32\n      3 the\n      1 and\n      1 fog\n      1 haar\n      1 of\n      1 sea\n",
        );
    }

    #[test]
    fn nothing_has_nothing() {
        check(b"", "      0       0       0\n");
    }

    #[test]
    fn a_last_line_without_its_end_is_no_line() {
        check(b"a\nb", "      1       2       3\n      1 a\n      1 b\n");
    }

    #[test]
    fn every_blank_of_wc_ends_a_word() {
        let count = Count::of(b"a b\tc\x0bd\x0ce\rf\ng");
        assert_eq!((count.lines, count.words), (1, 7));
    }

    #[test]
    fn words_are_the_same_in_any_case_and_script() {
        check(
            "Über ÜBER über, ДЫМ дым".as_bytes(),
            "      0       5      32\n      3 über\n      2 дым\n",
        );
    }

    #[test]
    fn an_apostrophe_belongs_to_a_word_only_inside() {
        check(b"'don't' don't", "      0       2      13\n      2 don't\n");
    }

    #[test]
    fn bytes_that_are_no_text_are_counted_too() {
        check(
            b"a\xff\xfeb\n\x80",
            "      1       2       6\n      1 a\n      1 b\n",
        );
    }

    #[test]
    fn ten_words_are_named_and_equals_stand_in_order() {
        let text: String = (0..30).rev().map(|n| format!("w{n:02} ")).collect();
        let frequent = Count::of(text.as_bytes()).frequent;
        let words: Vec<&str> = frequent.iter().map(|(word, _)| word.as_str()).collect();
        assert_eq!(
            words,
            [
                "w00", "w01", "w02", "w03", "w04", "w05", "w06", "w07", "w08", "w09"
            ]
        );
    }
}
