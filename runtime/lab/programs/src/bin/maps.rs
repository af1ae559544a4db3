//! Fills, asks and empties a hash map and a tree map (hashbrown, fixed hasher, and std's B-tree).
use lab_programs::{Random, fold, report, scale};
use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

fn main() {
    let mut random = Random::new();
    let mut hashed = hashbrown::HashMap::<u64, u64, BuildHasherDefault<DefaultHasher>>::default();
    let mut sorted = BTreeMap::new();
    let mut sum = 0;
    for _ in 0..scale(1_000_000) {
        let key = random.below(50_000);
        match random.below(4) {
            0 => sum = fold(sum, hashed.remove(&key).unwrap_or(1)),
            1 => {
                sum = fold(
                    sum,
                    sorted.range(key..).next().map_or(2, |(_, &value)| value),
                )
            }
            2 => *hashed.entry(key).or_insert(0) += key,
            _ => sum = fold(sum, sorted.insert(key, sum).unwrap_or(3)),
        }
    }
    report(fold(sum, (hashed.len() + sorted.len()) as u64));
}
