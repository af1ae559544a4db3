//! The two Merkle trees of a settlement.
//!
//! The **jobs tree** is positional: node = `keccak256(left ‖ right)`, an odd node at the end of a
//! level moves up unchanged, and a proof lists only the siblings that exist. So a proof says *where*
//! a leaf stands, which adjacency and leaf-by-index proofs need. The **pay tree** is OpenZeppelin's
//! StandardMerkleTree over `["address","uint256"]`: sorted pairs, membership only.

use alloy_primitives::{B256, U256, keccak256};
use alloy_sol_types::SolValue;

use crate::id::MinerId;
use crate::money::Snm;

/// A Merkle tree whose proofs bind the leaf's position.
#[derive(Debug, Clone)]
pub struct JobTree {
    /// From the leaves up to the root; never empty, but its only level may be.
    levels: Vec<Vec<B256>>,
}

impl JobTree {
    /// The tree over these leaf hashes, in this order.
    #[must_use]
    pub fn new(leaves: Vec<B256>) -> Self {
        let mut levels = vec![leaves];
        while levels[levels.len() - 1].len() > 1 {
            let below = &levels[levels.len() - 1];
            let above = below.chunks(2).map(|pair| match pair {
                [left, right] => node(*left, *right),
                [odd] => *odd,
                _ => unreachable!("chunks of two have one or two items"),
            });
            levels.push(above.collect());
        }
        Self { levels }
    }

    /// The root; zero for a tree without leaves.
    #[must_use]
    pub fn root(&self) -> B256 {
        self.levels[self.levels.len() - 1]
            .first()
            .copied()
            .unwrap_or(B256::ZERO)
    }

    /// The siblings on the way from leaf `index` to the root, or `None` beyond the last leaf.
    #[must_use]
    pub fn proof(&self, index: usize) -> Option<Vec<B256>> {
        if index >= self.levels[0].len() {
            return None;
        }
        let siblings = self
            .levels
            .iter()
            .enumerate()
            .filter_map(|(height, level)| level.get((index >> height) ^ 1).copied());
        Some(siblings.collect())
    }

    /// Whether `leaf` stands at `index` of a tree with `count` leaves and this `root`.
    #[must_use]
    pub fn verify(root: B256, count: usize, index: usize, leaf: B256, siblings: &[B256]) -> bool {
        if index >= count {
            return false;
        }
        let (mut hash, mut at, mut width) = (leaf, index, count);
        let mut siblings = siblings.iter();
        while width > 1 {
            if (at ^ 1) < width {
                let Some(sibling) = siblings.next() else {
                    return false;
                };
                hash = if at % 2 == 0 {
                    node(hash, *sibling)
                } else {
                    node(*sibling, hash)
                };
            }
            at /= 2;
            width = width.div_ceil(2);
        }
        siblings.next().is_none() && hash == root
    }
}

/// Cumulative earnings by miner, as a StandardMerkleTree.
#[derive(Debug, Clone)]
pub struct PayTree {
    /// OpenZeppelin's layout: node `i` has the children `2i + 1` and `2i + 2`.
    nodes: Vec<B256>,
    /// Leaf hashes with their place in `nodes`, sorted by hash.
    places: Vec<(B256, usize)>,
}

impl PayTree {
    /// The tree over these earnings; the order does not matter.
    #[must_use]
    pub fn new(earnings: &[(MinerId, Snm)]) -> Self {
        let mut leaves: Vec<B256> = earnings
            .iter()
            .map(|(miner, sum)| pay_leaf(*miner, *sum))
            .collect();
        leaves.sort_unstable();

        let count = leaves.len();
        let mut nodes = vec![B256::ZERO; (2 * count).saturating_sub(1)];
        let mut places = Vec::with_capacity(count);
        for (at, leaf) in leaves.iter().enumerate() {
            let place = nodes.len() - 1 - at;
            nodes[place] = *leaf;
            places.push((*leaf, place));
        }
        for place in (0..count.saturating_sub(1)).rev() {
            nodes[place] = sorted_node(nodes[2 * place + 1], nodes[2 * place + 2]);
        }
        Self { nodes, places }
    }

    /// The root; zero when nobody earned anything.
    #[must_use]
    pub fn root(&self) -> B256 {
        self.nodes.first().copied().unwrap_or(B256::ZERO)
    }

    /// The siblings that prove one miner's earnings, or `None` if they are not in the tree.
    #[must_use]
    pub fn proof(&self, miner: MinerId, cumulative: Snm) -> Option<Vec<B256>> {
        let leaf = pay_leaf(miner, cumulative);
        let found = self
            .places
            .binary_search_by_key(&leaf, |(hash, _)| *hash)
            .ok()?;
        let mut place = self.places[found].1;
        let mut siblings = Vec::new();
        while place > 0 {
            let sibling = if place % 2 == 1 { place + 1 } else { place - 1 };
            siblings.push(self.nodes[sibling]);
            place = (place - 1) / 2;
        }
        Some(siblings)
    }

    /// Whether `siblings` prove these earnings under `root`.
    #[must_use]
    pub fn verify(root: B256, miner: MinerId, cumulative: Snm, siblings: &[B256]) -> bool {
        let leaf = pay_leaf(miner, cumulative);
        root == siblings
            .iter()
            .fold(leaf, |hash, sibling| sorted_node(hash, *sibling))
    }
}

/// `keccak256(bytes.concat(keccak256(abi.encode(miner, cumulative))))`.
#[must_use]
pub fn pay_leaf(miner: MinerId, cumulative: Snm) -> B256 {
    keccak256(keccak256((miner.0, U256::from(cumulative.0)).abi_encode()))
}

fn node(left: B256, right: B256) -> B256 {
    keccak256([left.0, right.0].concat())
}

fn sorted_node(one: B256, other: B256) -> B256 {
    node(one.min(other), one.max(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: usize) -> Vec<B256> {
        (0..count)
            .map(|at| keccak256([u8::try_from(at).expect("small")]))
            .collect()
    }

    #[test]
    fn every_leaf_is_proved_at_its_place_only() {
        for count in 1..=17 {
            let leaves = leaves(count);
            let tree = JobTree::new(leaves.clone());
            for (index, leaf) in leaves.iter().enumerate() {
                let proof = tree.proof(index).expect("inside");
                for claimed in 0..count + 2 {
                    let good = JobTree::verify(tree.root(), count, claimed, *leaf, &proof);
                    assert_eq!(
                        good,
                        claimed == index,
                        "{index} claimed at {claimed} of {count}"
                    );
                }
            }
            assert_eq!(tree.proof(count), None);
        }
    }

    #[test]
    fn a_proof_may_be_neither_longer_nor_shorter() {
        let leaves = leaves(5);
        let tree = JobTree::new(leaves.clone());
        let mut proof = tree.proof(2).expect("inside");
        proof.push(B256::ZERO);
        assert!(!JobTree::verify(tree.root(), 5, 2, leaves[2], &proof));
        proof.truncate(proof.len() - 2);
        assert!(!JobTree::verify(tree.root(), 5, 2, leaves[2], &proof));
    }

    #[test]
    fn earnings_are_proved_to_the_last_atom() {
        for count in 1..=9_u8 {
            let earnings: Vec<_> = (0..count)
                .map(|at| (MinerId::from([at; 20]), Snm(u128::from(at) * 7)))
                .collect();
            let tree = PayTree::new(&earnings);
            for (miner, sum) in &earnings {
                let proof = tree.proof(*miner, *sum).expect("in the tree");
                assert!(PayTree::verify(tree.root(), *miner, *sum, &proof));
                assert!(!PayTree::verify(
                    tree.root(),
                    *miner,
                    Snm(sum.0 + 1),
                    &proof
                ));
            }
        }
    }

    #[test]
    fn an_empty_settlement_has_empty_roots() {
        assert_eq!(JobTree::new(Vec::new()).root(), B256::ZERO);
        assert_eq!(PayTree::new(&[]).root(), B256::ZERO);
    }
}
