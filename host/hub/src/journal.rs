//! The hub's memory: SQLite in WAL mode, synced before anything is acknowledged.
//!
//! Inputs and the rows that they need are written in one transaction, many inputs per fsync. The
//! schema's version is stored; a newer database is refused in words.

use std::path::Path;

use haar_protocol::Entry;
use haar_records::{BlobHash, JobId, JobOrder, Signed, SignedFunction, Spec, wire::Payload};
use rusqlite::{Connection, OptionalExtension, params};

/// Version of the tables below. Raise it together with a migration.
const SCHEMA: i64 = 1;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS inputs (seq INTEGER PRIMARY KEY, entry BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS jobs (job BLOB PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS blobs (hash BLOB PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS receipts (job BLOB PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS requests (key TEXT PRIMARY KEY, request BLOB NOT NULL, job BLOB NOT NULL)
        WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS functions (name TEXT NOT NULL, version TEXT NOT NULL, kind TEXT NOT NULL,
        record BLOB NOT NULL, PRIMARY KEY (name, version)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS batches (epoch INTEGER PRIMARY KEY, signed BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
";

/// What a job needs beyond the machine's state.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct JobRow {
    /// What is computed.
    #[n(0)]
    pub spec: Spec,
    /// The buyer's signed order.
    #[n(1)]
    pub order: Signed<JobOrder>,
    /// The input.
    #[n(2)]
    pub input: Payload,
    /// The module's size.
    #[n(3)]
    pub module_bytes: u64,
    /// As the buyer called it.
    #[n(4)]
    pub function: String,
}

/// A row that is written together with an input.
#[derive(Debug, Clone)]
pub enum Row {
    /// A job's spec, order and input.
    Job(JobId, Box<JobRow>),
    /// A small input or output; larger ones live in the swarm's store.
    Blob(BlobHash, Vec<u8>),
    /// A receipt as the buyer gets it.
    Receipt(JobId, String),
    /// The job that a buyer's idempotency key stands for.
    Request {
        /// The key.
        key: String,
        /// What was asked for.
        request: BlobHash,
        /// The job.
        job: JobId,
    },
    /// A published function and its kind.
    Function(Box<SignedFunction>, String),
    /// A settlement as it was signed.
    Batch(u64, Vec<u8>),
    /// A fact of the driver.
    Note(&'static str, String),
}

/// The database cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The disk or SQLite failed.
    #[error("the hub's database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// Written by a newer hub.
    #[error("the hub's database has schema {found}, this hub knows {SCHEMA}: update the hub")]
    Newer {
        /// Its version.
        found: i64,
    },
    /// A row that cannot be read.
    #[error("the hub's database is damaged: {0}")]
    Damaged(String),
}

/// One connection to the database.
#[derive(Debug)]
pub struct Journal {
    connection: Connection,
}

impl Journal {
    /// Opens or makes the database.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > SCHEMA {
            return Err(JournalError::Newer { found });
        }
        connection.execute_batch(TABLES)?;
        connection.pragma_update(None, "user_version", SCHEMA)?;
        Ok(Self { connection })
    }

    /// Makes inputs and rows durable, all or none of them.
    pub fn append<'a>(
        &mut self,
        entries: &[Entry],
        rows: impl Iterator<Item = &'a Row>,
    ) -> Result<(), JournalError> {
        let transaction = self.connection.transaction()?;
        for row in rows {
            write(&transaction, row)?;
        }
        let mut insert = transaction.prepare_cached("INSERT INTO inputs (entry) VALUES (?1)")?;
        for entry in entries {
            insert.execute(params![entry.to_bytes()])?;
        }
        drop(insert);
        transaction.commit()?;
        Ok(())
    }

    /// Reads every input, oldest first.
    pub fn replay(&self, mut each: impl FnMut(Entry)) -> Result<u64, JournalError> {
        let mut select = self
            .connection
            .prepare("SELECT entry FROM inputs ORDER BY seq")?;
        let mut rows = select.query([])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let bytes: Vec<u8> = row.get(0)?;
            let entry = Entry::from_bytes(&bytes)
                .map_err(|error| JournalError::Damaged(format!("input {count}: {error}")))?;
            each(entry);
            count += 1;
        }
        Ok(count)
    }

    /// A job's row.
    pub fn job(&self, job: &JobId) -> Result<Option<JobRow>, JournalError> {
        let sql = "SELECT row FROM jobs WHERE job = ?1";
        let bytes: Option<Vec<u8>> = self.one(sql, job.as_bytes())?;
        bytes
            .map(|bytes| minicbor::decode(&bytes).map_err(damaged))
            .transpose()
    }

    /// A small input or output.
    pub fn blob(&self, hash: &BlobHash) -> Result<Option<Vec<u8>>, JournalError> {
        self.one("SELECT bytes FROM blobs WHERE hash = ?1", hash.as_bytes())
    }

    /// A receipt in JSON.
    pub fn receipt(&self, job: &JobId) -> Result<Option<String>, JournalError> {
        self.one("SELECT json FROM receipts WHERE job = ?1", job.as_bytes())
    }

    /// What an idempotency key was used for.
    pub fn request(&self, key: &str) -> Result<Option<(BlobHash, JobId)>, JournalError> {
        let sql = "SELECT request, job FROM requests WHERE key = ?1";
        let found = self.connection.query_row(sql, [key], |row| {
            Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, [u8; 32]>(1)?))
        });
        Ok(found
            .optional()?
            .map(|(request, job)| (request.into(), job.into())))
    }

    /// All published functions with their kinds.
    pub fn functions(&self) -> Result<Vec<(SignedFunction, String)>, JournalError> {
        let mut select = self
            .connection
            .prepare("SELECT record, kind FROM functions")?;
        let rows = select.query_map([], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (bytes, kind) = row?;
            Ok((minicbor::decode(&bytes).map_err(damaged)?, kind))
        })
        .collect()
    }

    /// A settlement as it was signed.
    pub fn batch(&self, epoch: u64) -> Result<Option<Vec<u8>>, JournalError> {
        self.one(
            "SELECT signed FROM batches WHERE epoch = ?1",
            epoch.cast_signed(),
        )
    }

    /// A fact of the driver.
    pub fn note(&self, name: &str) -> Result<Option<String>, JournalError> {
        self.one("SELECT value FROM notes WHERE name = ?1", name)
    }

    fn one<P: rusqlite::ToSql, T: rusqlite::types::FromSql>(
        &self,
        sql: &str,
        key: P,
    ) -> Result<Option<T>, JournalError> {
        let mut select = self.connection.prepare_cached(sql)?;
        Ok(select.query_row([key], |row| row.get(0)).optional()?)
    }
}

fn damaged(error: minicbor::decode::Error) -> JournalError {
    JournalError::Damaged(error.to_string())
}

fn write(transaction: &rusqlite::Transaction<'_>, row: &Row) -> Result<(), JournalError> {
    let encode = |row: &JobRow| minicbor::to_vec(row).expect("writing to memory does not fail");
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        transaction.prepare_cached(sql)?.execute(values)
    };
    match row {
        Row::Job(job, row) => run(
            "INSERT OR IGNORE INTO jobs VALUES (?1, ?2)",
            &[job.as_bytes(), &encode(row)],
        ),
        Row::Blob(hash, bytes) => run(
            "INSERT OR IGNORE INTO blobs VALUES (?1, ?2)",
            &[hash.as_bytes(), bytes],
        ),
        Row::Receipt(job, json) => run(
            "INSERT OR IGNORE INTO receipts VALUES (?1, ?2)",
            &[job.as_bytes(), json],
        ),
        Row::Request { key, request, job } => run(
            "INSERT OR IGNORE INTO requests VALUES (?1, ?2, ?3)",
            &[key, request.as_bytes(), job.as_bytes()],
        ),
        Row::Function(signed, kind) => {
            let record = minicbor::to_vec(signed).expect("writing to memory does not fail");
            let function = &signed.record.function;
            run(
                "INSERT OR IGNORE INTO functions VALUES (?1, ?2, ?3, ?4)",
                &[&function.name(), &function.version(), kind, &record],
            )
        }
        Row::Batch(epoch, signed) => run(
            "INSERT OR IGNORE INTO batches VALUES (?1, ?2)",
            &[&epoch.cast_signed(), signed],
        ),
        Row::Note(name, value) => run(
            "INSERT OR REPLACE INTO notes VALUES (?1, ?2)",
            &[name, value],
        ),
    }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use haar_protocol::{Input, Time};

    use super::*;

    #[test]
    fn what_was_appended_is_replayed_in_order() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("hub.db");
        let entry = |at| Entry {
            at: Time(at),
            input: Input::SettleNow,
        };
        let mut journal = Journal::open(&path).expect("a new database");
        journal
            .append(&[entry(1), entry(2)], [].iter())
            .expect("room");
        journal
            .append(&[entry(3)], [Row::Note("a", "b".into())].iter())
            .expect("room");
        drop(journal);

        let journal = Journal::open(&path).expect("the same database");
        let mut seen = Vec::new();
        journal
            .replay(|entry| seen.push(entry.at.0))
            .expect("readable");
        assert_eq!(seen, [1, 2, 3]);
        assert_eq!(journal.note("a").expect("readable").as_deref(), Some("b"));
    }

    #[test]
    fn a_newer_database_is_refused_in_words() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("hub.db");
        let journal = Journal::open(&path).expect("a new database");
        journal
            .connection
            .pragma_update(None, "user_version", 99)
            .expect("writable");
        drop(journal);
        let error = Journal::open(&path).expect_err("newer");
        assert!(error.to_string().contains("update the hub"), "{error}");
    }
}
