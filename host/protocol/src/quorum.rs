//! Counts answers and says when a group leads by enough.
//!
//! The margin rule is the iterative redundancy of Brun et al., "Smart Redundancy for Distributed
//! Computation" (ICDCS 2011): accept the group that leads the next largest by `quorum` members,
//! and buy exactly as many answers as could decide. Without dissent this is the unanimous quorum.

use std::collections::BTreeMap;

/// What a set of answers means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weighing<K> {
    /// This answer leads by the quorum.
    Accepted(K),
    /// Nothing is decided before this many further answers.
    NeedsMore(u32),
}

/// Weighs the answers. `quorum` is at least 1.
#[must_use]
pub fn weigh<K: Ord + Copy>(quorum: u8, answers: &[K]) -> Weighing<K> {
    // A quorum of nobody would accept any output.
    let quorum = u32::from(quorum.max(1));
    let mut groups: BTreeMap<K, u32> = BTreeMap::new();
    for answer in answers {
        *groups.entry(*answer).or_default() += 1;
    }

    let mut first: Option<(K, u32)> = None;
    let mut second = 0;
    for (answer, size) in groups {
        match first {
            Some((_, largest)) if size <= largest => second = second.max(size),
            _ => {
                second = first.map_or(0, |(_, largest)| largest);
                first = Some((answer, size));
            }
        }
    }

    match first {
        Some((answer, size)) if size - second >= quorum => Weighing::Accepted(answer),
        Some((_, size)) => Weighing::NeedsMore(quorum - (size - second)),
        None => Weighing::NeedsMore(quorum),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(quorum: u8, answers: &str, expected: Weighing<char>) {
        let answers: Vec<char> = answers.chars().collect();
        assert_eq!(weigh(quorum, &answers), expected, "{answers:?}");
    }

    #[test]
    fn a_unanimous_quorum_decides() {
        check(1, "a", Weighing::Accepted('a'));
        check(2, "aa", Weighing::Accepted('a'));
        check(3, "aaa", Weighing::Accepted('a'));
    }

    #[test]
    fn a_majority_without_the_margin_decides_nothing() {
        check(2, "", Weighing::NeedsMore(2));
        check(2, "a", Weighing::NeedsMore(1));
        check(2, "ab", Weighing::NeedsMore(2));
        check(2, "aab", Weighing::NeedsMore(1));
        check(3, "aaabb", Weighing::NeedsMore(2));
    }

    #[test]
    fn the_lead_over_the_next_group_decides() {
        check(2, "aaab", Weighing::Accepted('a'));
        check(2, "baaca", Weighing::Accepted('a'));
        check(2, "bbbaacd", Weighing::NeedsMore(1));
        check(2, "abbb", Weighing::Accepted('b'));
    }

    #[test]
    fn a_quorum_of_nobody_is_a_quorum_of_one() {
        check(0, "", Weighing::NeedsMore(1));
        check(0, "a", Weighing::Accepted('a'));
    }

    #[test]
    fn never_more_answers_are_bought_than_could_decide() {
        for quorum in 1..=4_u8 {
            for pattern in 0..3_u32.pow(6) {
                let answers: Vec<u32> = (0..6).map(|at| pattern / 3_u32.pow(at) % 3).collect();
                let Weighing::NeedsMore(more) = weigh(quorum, &answers) else {
                    continue;
                };
                let decides = |extra: u32| {
                    (0..3).any(|answer| {
                        let mut all = answers.clone();
                        all.extend(std::iter::repeat_n(answer, extra as usize));
                        matches!(weigh(quorum, &all), Weighing::Accepted(_))
                    })
                };
                assert!(decides(more) && !decides(more - 1), "{answers:?}");
            }
        }
    }
}
