//! Decides which fetched blobs must go so that a new one fits.
//!
//! Counts bytes and never touches the disk. The order of use is not kept over a restart: the shelf
//! is a cache, and a wrong guess costs one more download.

use std::collections::BTreeMap;

use haar_records::BlobHash;

/// The fetched blobs by their last use.
#[derive(Debug)]
pub(crate) struct Shelf {
    bytes_max: u64,
    /// Invariant: the sum over `by_hash`.
    shelved_bytes: u64,
    reserved_bytes: u64,
    clock: u64,
    by_hash: BTreeMap<BlobHash, Entry>,
    /// Invariant: the same entries as `by_hash`, by last use.
    by_use: BTreeMap<u64, BlobHash>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    last_use: u64,
    bytes: u64,
}

impl Shelf {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            shelved_bytes: 0,
            reserved_bytes: 0,
            clock: 0,
            by_hash: BTreeMap::new(),
            by_use: BTreeMap::new(),
        }
    }

    /// Reserves room for a blob that is about to arrive, and says what to evict for it.
    ///
    /// `None` when other reservations leave no room whatever is evicted.
    pub(crate) fn reserve(&mut self, bytes: u64) -> Option<Vec<BlobHash>> {
        let reserved_bytes = self.reserved_bytes.checked_add(bytes)?;
        let room = self.bytes_max.checked_sub(reserved_bytes)?;

        let mut evicted = Vec::new();
        while self.shelved_bytes > room {
            let (_, &hash) = self.by_use.first_key_value()?;
            self.remove(hash);
            evicted.push(hash);
        }
        self.reserved_bytes = reserved_bytes;
        Some(evicted)
    }

    /// Gives a reservation back: the blob did not come, or it has been put.
    pub(crate) fn release(&mut self, bytes: u64) {
        self.reserved_bytes -= bytes;
    }

    /// Shelves a blob as the one used last.
    pub(crate) fn put(&mut self, hash: BlobHash, bytes: u64) {
        self.remove(hash);
        self.clock += 1;
        self.shelved_bytes += bytes;
        self.by_hash.insert(
            hash,
            Entry {
                last_use: self.clock,
                bytes,
            },
        );
        self.by_use.insert(self.clock, hash);
    }

    /// Notes a use; false when the blob is not shelved.
    pub(crate) fn touch(&mut self, hash: BlobHash) -> bool {
        let Some(entry) = self.by_hash.get(&hash).copied() else {
            return false;
        };
        self.put(hash, entry.bytes);
        true
    }

    /// Forgets a blob; false when it was not shelved.
    pub(crate) fn remove(&mut self, hash: BlobHash) -> bool {
        let Some(entry) = self.by_hash.remove(&hash) else {
            return false;
        };
        self.by_use.remove(&entry.last_use);
        self.shelved_bytes -= entry.bytes;
        true
    }

    /// How many blobs there are.
    pub(crate) fn len(&self) -> usize {
        self.by_hash.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u8) -> BlobHash {
        BlobHash::from([number; 32])
    }

    /// Shelves `(number, bytes)` on a shelf of 100 bytes, touches, then reserves.
    #[track_caller]
    fn check(blobs: &[(u8, u64)], touched: &[u8], asked: u64, evicted: Option<&[u8]>) {
        let mut shelf = Shelf::new(100);
        for &(number, bytes) in blobs {
            shelf.put(hash(number), bytes);
        }
        for &number in touched {
            assert!(shelf.touch(hash(number)));
        }
        let expected = evicted.map(|numbers| numbers.iter().copied().map(hash).collect());
        assert_eq!(shelf.reserve(asked), expected);
    }

    #[test]
    fn nothing_goes_while_there_is_room() {
        check(&[(1, 40), (2, 40)], &[], 20, Some(&[]));
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        check(&[(1, 40), (2, 40)], &[], 21, Some(&[1]));
        check(&[(1, 40), (2, 40)], &[1], 21, Some(&[2]));
        check(&[(1, 40), (2, 40)], &[], 100, Some(&[1, 2]));
    }

    #[test]
    fn what_never_fits_evicts_nothing() {
        check(&[(1, 40)], &[], 101, None);
        check(&[(1, 40)], &[], u64::MAX, None);
    }

    #[test]
    fn a_blob_that_is_put_twice_counts_once() {
        check(&[(1, 40), (1, 40), (1, 60)], &[], 40, Some(&[]));
    }

    #[test]
    fn a_reservation_is_not_evicted() {
        let mut shelf = Shelf::new(100);
        shelf.put(hash(1), 10);
        assert_eq!(shelf.reserve(60), Some(vec![]));
        assert_eq!(shelf.reserve(41), None);
        assert_eq!(shelf.reserve(40), Some(vec![hash(1)]));
        shelf.release(60);
        assert_eq!(shelf.reserve(60), Some(vec![]));
        assert_eq!(shelf.len(), 0);
    }
}
