//! Shortest ways through a random graph with a binary heap.
use lab_programs::{Random, fold, report, scale};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

fn main() {
    let nodes = scale(25_000) as usize;
    let mut random = Random::new();
    let mut edges = vec![Vec::new(); nodes];
    for from in &mut edges {
        for _ in 0..8 {
            from.push((random.below(nodes as u64) as usize, 1 + random.below(100)));
        }
    }
    let mut sum = 0;
    for start in 0..3 {
        let mut distance = vec![u64::MAX; nodes];
        let mut queue = BinaryHeap::from([(Reverse(0), start)]);
        while let Some((Reverse(far), node)) = queue.pop() {
            if far < distance[node] {
                distance[node] = far;
                queue.extend(
                    edges[node]
                        .iter()
                        .map(|&(to, length)| (Reverse(far + length), to)),
                );
            }
        }
        sum = distance.iter().fold(sum, |sum, &far| fold(sum, far));
    }
    report(sum);
}
