//! The names in one directory.
//!
//! A sorted list and not a tree: a listing goes on from any place at once, however many names
//! stand before it, and a thousand names are few enough to move.

use super::Inode;

/// What one name leads to.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: Box<str>,
    pub(super) inode: Inode,
    /// A node never changes its kind, so its names may remember it.
    pub(super) is_directory: bool,
}

/// Names in bytewise order, as every listing shows them.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries(Vec<Named>);

impl Entries {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, name: &str) -> Option<Inode> {
        let index = self.find(name).ok()?;
        self.0.get(index).map(|named| named.inode)
    }

    /// Adds a name that is not there yet, or lets it lead elsewhere.
    pub(super) fn insert(&mut self, named: Named) {
        match self.find(&named.name) {
            Ok(index) => {
                if let Some(old) = self.0.get_mut(index) {
                    *old = named;
                }
            }
            Err(index) => self.0.insert(index, named),
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Named> {
        let index = self.find(name).ok()?;
        Some(self.0.remove(index))
    }

    /// The names from the one at `index` on.
    pub(super) fn from(&self, index: usize) -> &[Named] {
        self.0.get(index..).unwrap_or_default()
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|named| (*named.name).cmp(name))
    }
}
