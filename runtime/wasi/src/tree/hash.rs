//! One hash for all that a guest leaves: names, and the bytes behind them.

use super::{Inode, Kind, ROOT, Tree};
use crate::tree::Content;

impl Tree {
    /// BLAKE3 of the root: a file is 0, its length and its bytes; a directory is 1, how many names
    /// it has, and each name with its length and its node, in bytewise order.
    ///
    /// Inodes, times and files without a name are the guest's history and not what it leaves.
    pub(crate) fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        // Directories under way, and how far. A guest can nest a thousand, so this is no recursion.
        let mut trail: Vec<(Inode, usize)> = Vec::new();
        self.enter(ROOT, &mut hasher, &mut trail);
        while let Some((directory, index)) = trail.last_mut() {
            let Some(Kind::Directory { entries, .. }) =
                self.nodes.get(directory).map(|node| &node.kind)
            else {
                trail.pop();
                continue;
            };
            let Some(named) = entries.from(*index).first() else {
                trail.pop();
                continue;
            };
            *index += 1;
            hasher.update(&(named.name.len() as u16).to_le_bytes());
            hasher.update(named.name.as_bytes());
            self.enter(named.inode, &mut hasher, &mut trail);
        }
        *hasher.finalize().as_bytes()
    }

    fn enter(&self, inode: Inode, hasher: &mut blake3::Hasher, trail: &mut Vec<(Inode, usize)>) {
        match self.nodes.get(&inode).map(|node| &node.kind) {
            Some(Kind::File(content)) => add(content, hasher),
            Some(Kind::Directory { entries, .. }) => {
                hasher.update(&[1]);
                hasher.update(&(entries.from(0).len() as u32).to_le_bytes());
                trail.push((inode, 0));
            }
            // Every name leads to a node.
            None => {}
        }
    }
}

fn add(content: &Content, hasher: &mut blake3::Hasher) {
    hasher.update(&[0]);
    hasher.update(&content.len().to_le_bytes());
    for piece in content.pieces(0, content.len()) {
        hasher.update(piece);
    }
}
