//! Builds and walks binary trees (Benchmarks Game): the allocator and recursion.
use lab_programs::{fold, report, scale};

struct Tree(Option<Box<(Tree, Tree)>>);

fn build(depth: u32) -> Tree {
    Tree((depth > 0).then(|| Box::new((build(depth - 1), build(depth - 1)))))
}

fn count(tree: &Tree) -> u64 {
    tree.0
        .as_ref()
        .map_or(1, |both| 1 + count(&both.0) + count(&both.1))
}

fn main() {
    let depth = scale(19);
    let long_lived = build(depth);
    let mut sum = 0;
    for small in (4..=depth).step_by(4) {
        for _ in 0..1 << (depth - small) {
            sum = fold(sum, count(&build(small)));
        }
    }
    report(fold(sum, count(&long_lived)));
}
