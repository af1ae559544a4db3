//! The file that lets a development chain survive `kill -9`.
//!
//! Every block is one record, written and synced before anybody hears of the block. A record that
//! was being written when the power went is the last one and is dropped; a damaged record with
//! others behind it is not something a crash does, so the file is refused.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use alloy::primitives::keccak256;

const MAGIC: &[u8; 16] = b"haar dev chain 1";

/// Length and checksum.
const HEAD_BYTES: usize = 4 + 8;

/// Kind, timestamp and offset of the clock.
const FIXED_BYTES: usize = 1 + 8 + 8;

/// The most that one record may hold; a transaction is bounded by the gas for its bytes.
const RECORD_BYTES_MAX: usize = 1 << 21;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The disk or its permissions.
    #[error("cannot use the chain's journal: {0}")]
    Io(#[from] io::Error),
    /// Another process has the chain open.
    #[error("the chain's journal is in use by another process")]
    InUse,
    /// Something else is in that file.
    #[error("the file is not a journal of a development chain")]
    NotAJournal,
    /// A record in the middle is broken.
    #[error("the chain's journal is damaged at byte {at}")]
    Damaged {
        /// Where the record starts.
        at: usize,
    },
    /// A block that was mined once cannot be mined again.
    #[error("block {number} of the chain's journal does not replay: {reason}")]
    DoesNotReplay {
        /// Which block.
        number: u64,
        /// What the chain said.
        reason: String,
    },
}

/// One block, or a change of the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// What happened.
    pub(super) step: Step,
    /// The time of the block, in seconds since 1970.
    pub(super) timestamp: u64,
    /// How far the chain's clock is ahead of the driver's, in seconds.
    pub(super) offset: u64,
}

/// What a record tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A block without a transaction. The first one is the chain's beginning.
    Empty,
    /// A block with this signed transaction.
    Transaction(Vec<u8>),
    /// No block: the clock was put forward.
    Clock,
}

/// The open file, positioned behind its last good record.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
}

impl Journal {
    /// Opens or creates the file and returns what it holds.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Record>), JournalError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => JournalError::InUse,
            std::fs::TryLockError::Error(error) => error.into(),
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;

        if bytes.len() < MAGIC.len() {
            if !MAGIC.starts_with(&bytes) {
                return Err(JournalError::NotAJournal);
            }
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(MAGIC)?;
            file.sync_all()?;
            return Ok((Self { file }, Vec::new()));
        }
        if !bytes.starts_with(MAGIC) {
            return Err(JournalError::NotAJournal);
        }

        let (records, end) = parse(&bytes)?;
        file.set_len(end as u64)?;
        file.seek(SeekFrom::Start(end as u64))?;
        Ok((Self { file }, records))
    }

    /// Writes one record and waits until the disk has it.
    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        let start = self.file.stream_position()?;
        let written = self
            .file
            .write_all(&encode(record))
            .and_then(|()| self.file.sync_data());
        if written.is_err() {
            // Half a record in the middle of the file would make the rest unreadable.
            self.file.set_len(start)?;
            self.file.seek(SeekFrom::Start(start))?;
        }
        written
    }
}

fn encode(record: &Record) -> Vec<u8> {
    let (kind, raw): (u8, &[u8]) = match &record.step {
        Step::Empty => (0, &[]),
        Step::Transaction(raw) => (1, raw),
        Step::Clock => (2, &[]),
    };
    let mut body = vec![kind];
    body.extend(record.timestamp.to_le_bytes());
    body.extend(record.offset.to_le_bytes());
    body.extend(raw);

    let length = u32::try_from(body.len()).expect("a record is smaller than a request");
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(&keccak256(&body)[..8]);
    bytes.extend(body);
    bytes
}

/// Returns all good records and where the last of them ends.
fn parse(bytes: &[u8]) -> Result<(Vec<Record>, usize), JournalError> {
    let mut records = Vec::new();
    let mut at = MAGIC.len();
    while at < bytes.len() {
        match parse_one(&bytes[at..]) {
            Parsed::Record(record, length) => {
                records.push(record);
                at += length;
            }
            Parsed::Torn => break,
            Parsed::Damaged => return Err(JournalError::Damaged { at }),
        }
    }
    Ok((records, at))
}

enum Parsed {
    Record(Record, usize),
    /// The end of the file came too early, or its last record is not what was written.
    Torn,
    Damaged,
}

fn parse_one(bytes: &[u8]) -> Parsed {
    let Some((head, rest)) = bytes.split_at_checked(HEAD_BYTES) else {
        return Parsed::Torn;
    };
    let (length, checksum) = head.split_at(4);
    let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
    if !(FIXED_BYTES..=RECORD_BYTES_MAX).contains(&length) {
        // Some file systems leave zeros behind when the power goes in the middle of an append.
        let blank = bytes.iter().all(|byte| *byte == 0);
        return if blank { Parsed::Torn } else { Parsed::Damaged };
    }
    let Some((body, behind)) = rest.split_at_checked(length) else {
        return Parsed::Torn;
    };
    if keccak256(body)[..8] != *checksum {
        return if behind.is_empty() {
            Parsed::Torn
        } else {
            Parsed::Damaged
        };
    }

    let word = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().expect("eight bytes"));
    let raw = &body[FIXED_BYTES..];
    let step = match body[0] {
        0 if raw.is_empty() => Step::Empty,
        1 => Step::Transaction(raw.to_vec()),
        2 if raw.is_empty() => Step::Clock,
        _ => return Parsed::Damaged,
    };
    Parsed::Record(
        Record {
            step,
            timestamp: word(1),
            offset: word(9),
        },
        HEAD_BYTES + length,
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let steps = [
            Step::Empty,
            Step::Transaction(vec![7; 100]),
            Step::Clock,
            Step::Empty,
        ];
        let all = steps.into_iter().zip(1..);
        all.map(|(step, timestamp)| Record {
            step,
            timestamp,
            offset: 3,
        })
        .collect()
    }

    /// Writes the records, lets `harm` change the file, and compares what can still be read.
    #[track_caller]
    fn check(harm: impl FnOnce(&mut Vec<u8>), expected: Option<usize>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain");
        let (mut journal, none) = Journal::open(&path).unwrap();
        assert!(none.is_empty());
        records()
            .iter()
            .for_each(|record| journal.append(record).unwrap());
        drop(journal);

        let mut bytes = std::fs::read(&path).unwrap();
        harm(&mut bytes);
        std::fs::write(&path, bytes).unwrap();

        let Some(count) = expected else {
            Journal::open(&path).unwrap_err();
            return;
        };
        let (mut journal, found) = Journal::open(&path).unwrap();
        assert_eq!(found, records()[..count]);

        // And the file is good for more.
        journal.append(&records()[0]).unwrap();
        drop(journal);
        assert_eq!(Journal::open(&path).unwrap().1.len(), count + 1);
    }

    #[test]
    fn what_was_written_is_read() {
        check(|_| (), Some(4));
    }

    #[test]
    fn a_torn_last_record_is_dropped() {
        let last = HEAD_BYTES + FIXED_BYTES;
        for missing in 1..=last {
            check(|bytes| bytes.truncate(bytes.len() - missing), Some(3));
        }
        check(|bytes| *bytes.last_mut().unwrap() ^= 1, Some(3));
        check(|bytes| bytes.extend([0; 40]), Some(4));
    }

    #[test]
    fn damage_in_the_middle_is_not_taken_for_a_crash() {
        let second = MAGIC.len() + HEAD_BYTES + FIXED_BYTES;
        check(|bytes| bytes[second + HEAD_BYTES + 40] ^= 1, None);
    }

    #[test]
    fn another_file_is_refused() {
        check(|bytes| bytes[0] = b'H', None);
        check(|bytes| *bytes = b"hello".to_vec(), None);
    }

    #[test]
    fn only_one_process_has_the_chain() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain");
        let (first, _) = Journal::open(&path).unwrap();
        assert!(matches!(Journal::open(&path), Err(JournalError::InUse)));
        drop(first);
        Journal::open(&path).unwrap();
    }
}
