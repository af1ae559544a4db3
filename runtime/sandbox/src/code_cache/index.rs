//! Which entries there are, how large, and which of them is longest unused.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use haar_records::{B256, BlobHash};

use super::{CodeFault, disk};
use crate::artifact::CodeId;

/// How entries' names end.
const EXTENSION: &str = "cwasm";
/// Names that are looked at when a folder is read. What lies beyond is deleted unread.
const ENTRIES_MAX: usize = 65_536;

/// An entry's file name.
pub(super) fn name(id: CodeId) -> String {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    format!(
        "{}-{}-{}.{EXTENSION}",
        hex(id.module.as_bytes()),
        hex(id.profile.as_slice()),
        id.pages_max
    )
}

/// The entry that a file name names, if it is one that [`name`] gives.
fn parse(file: &str) -> Option<CodeId> {
    let (stem, extension) = file.rsplit_once('.')?;
    let mut parts = stem.split('-');
    let (module, profile) = (word(parts.next()?)?, word(parts.next()?)?);
    let id = CodeId {
        module: BlobHash::from(module),
        profile: B256::from(profile),
        pages_max: parts.next()?.parse().ok()?,
    };
    // Only one spelling, so that no entry is counted twice.
    (extension == EXTENSION && name(id) == file).then_some(id)
}

fn word(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let mut word = [0; 32];
    for (index, byte) in word.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(word)
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    bytes: u64,
    used: u64,
}

#[derive(Debug)]
pub(super) struct Index {
    bytes_max: u64,
    clock: u64,
    /// Invariant: the sum of the entries' bytes.
    bytes: u64,
    entries: BTreeMap<CodeId, Entry>,
}

impl Index {
    /// Reads a folder, the longest unused entry first. What is not an entry is removed.
    pub(super) fn read(folder: &Path, bytes_max: u64) -> (Self, Vec<CodeFault>) {
        let mut index = Self {
            bytes_max,
            clock: 0,
            bytes: 0,
            entries: BTreeMap::new(),
        };
        let mut faults = Vec::new();
        let mut found: Vec<(SystemTime, CodeId, u64)> = Vec::new();
        for file in disk::list(folder) {
            match parse(&file.name) {
                Some(id) if file.is_plain && found.len() < ENTRIES_MAX => {
                    found.push((file.used, id, file.bytes));
                }
                None if file.is_young_temporary() => {}
                _ => {
                    let path = folder.join(&file.name);
                    let reason = if disk::remove(&path) {
                        "no entry of this cache; removed"
                    } else {
                        "no entry of this cache; ignored"
                    };
                    faults.push(CodeFault {
                        path,
                        reason: reason.to_owned(),
                    });
                }
            }
        }
        found.sort();
        for (_, id, bytes) in found {
            index.insert(id, bytes);
        }
        (index, faults)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn insert(&mut self, id: CodeId, bytes: u64) {
        self.remove(id);
        self.clock += 1;
        let used = self.clock;
        self.entries.insert(id, Entry { bytes, used });
        self.bytes += bytes;
    }

    pub(super) fn remove(&mut self, id: CodeId) {
        if let Some(entry) = self.entries.remove(&id) {
            self.bytes -= entry.bytes;
        }
    }

    pub(super) fn touch(&mut self, id: CodeId) {
        self.clock += 1;
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.used = self.clock;
        }
    }

    /// Takes out the longest unused entries until the rest fits, but not `keep`.
    pub(super) fn evict(&mut self, keep: Option<CodeId>) -> Vec<CodeId> {
        let mut evicted = Vec::new();
        while self.bytes > self.bytes_max {
            let others = self.entries.iter().filter(|(id, _)| Some(**id) != keep);
            let Some(id) = others
                .min_by_key(|(_, entry)| entry.used)
                .map(|(id, _)| *id)
            else {
                break;
            };
            self.remove(id);
            evicted.push(id);
        }
        evicted
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_name_is_read_in_one_spelling_only() {
        let id = CodeId {
            module: BlobHash::from([0xab; 32]),
            profile: B256::from([7; 32]),
            pages_max: 16,
        };
        let name = name(id);
        assert_eq!(parse(&name), Some(id));
        for other in [
            name.to_uppercase(),
            name.replace("-16.", "-016."),
            name.replace("-16.", "-+16."),
            name.replace("-16.", "-16-1."),
            name.replace(".cwasm", ".tmp"),
            name.replace("ab-", "ä-"),
            String::new(),
        ] {
            assert_eq!(parse(&other), None, "{other}");
        }
    }
}
