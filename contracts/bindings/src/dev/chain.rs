//! The chain itself: its blocks, its clock, and the one way to add to them.

use std::collections::BTreeMap;
use std::path::Path;

use alloy::consensus::transaction::Recovered;
use alloy::consensus::{BlockHeader as _, Transaction as _, TxEnvelope};
use alloy::eips::eip2718::{Decodable2718 as _, Encodable2718 as _};
use alloy::primitives::B256;
use revm::context::result::InvalidTransaction;

use super::CHAIN_ID;
use super::block::{Executed, Mined, randomness};
use super::evm::{Place, TRANSACTION_GAS, World};
use super::journal::{Journal, JournalError, Record, Step};

/// A development chain of this length has been forgotten by somebody.
const BLOCKS_MAX: usize = 1 << 20;

/// The furthest that the clock may be put forward at once: a hundred years, in seconds.
const TRAVEL_SECONDS_MAX: u64 = 100 * 365 * 86_400;

/// A transaction that does not become part of the chain. The texts are those of other nodes.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rejection {
    #[error("failed to decode signed transaction")]
    Malformed,
    #[error("transaction type not supported")]
    TypeNotSupported,
    #[error("invalid chain id for signer")]
    WrongChain,
    #[error("already known")]
    AlreadyKnown,
    #[error("nonce too low: next nonce {next}, tx nonce {given}")]
    NonceTooLow { next: u64, given: u64 },
    #[error("nonce too high: next nonce {next}, tx nonce {given}")]
    NonceTooHigh { next: u64, given: u64 },
    #[error("exceeds block gas limit: at most {TRANSACTION_GAS}, tx gas {given}")]
    TooMuchGas { given: u64 },
    #[error("insufficient funds for gas * price + value")]
    InsufficientFunds,
    #[error("{0}")]
    Invalid(String),
    #[error("the development chain is full; start a new one")]
    Full,
    #[error("the block could not be written to disk: {0}")]
    Disk(#[from] std::io::Error),
    #[error("timestamp must be later than the last block's and less than a hundred years ahead")]
    BadTimestamp,
}

/// Everything that the chain knows.
#[derive(Debug)]
pub(super) struct Ledger {
    world: World,
    blocks: Vec<Mined>,
    places: BTreeMap<B256, usize>,
    /// How far the clock is ahead of the driver's, in seconds.
    offset: u64,
    /// What `evm_setNextBlockTimestamp` asked for.
    next_timestamp: Option<u64>,
    journal: Option<Journal>,
}

impl Ledger {
    /// A new chain in memory.
    pub(super) fn new(now: u64) -> Self {
        let mut ledger = Self::empty();
        ledger.extend(now, None);
        ledger
    }

    /// The chain that the file at `path` tells of, or a new one that it will tell of.
    pub(super) fn open(path: &Path, now: u64) -> Result<Self, JournalError> {
        let (mut journal, records) = Journal::open(path)?;
        let mut ledger = Self::empty();
        if records.is_empty() {
            journal.append(&Record {
                step: Step::Empty,
                timestamp: now,
                offset: 0,
            })?;
            ledger.extend(now, None);
        }
        for record in records {
            ledger.replay(record)?;
        }
        ledger.journal = Some(journal);
        Ok(ledger)
    }

    fn empty() -> Self {
        Self {
            world: World::genesis(),
            blocks: Vec::new(),
            places: BTreeMap::new(),
            offset: 0,
            next_timestamp: None,
            journal: None,
        }
    }

    fn replay(&mut self, record: Record) -> Result<(), JournalError> {
        let number = self.blocks.len() as u64;
        self.offset = record.offset;
        match record.step {
            Step::Clock => {}
            Step::Empty => self.extend(record.timestamp, None),
            Step::Transaction(raw) => {
                let failed = |reason: String| JournalError::DoesNotReplay { number, reason };
                let signed = decode(&raw).map_err(|error| failed(error.to_string()))?;
                let trial = self
                    .world
                    .attempt(self.place(record.timestamp), signed)
                    .map_err(|error| failed(error.to_string()))?;
                let executed = self.world.accept(trial);
                self.extend(record.timestamp, Some(executed));
            }
        }
        Ok(())
    }

    pub(super) fn world(&self) -> &World {
        &self.world
    }

    pub(super) fn blocks(&self) -> &[Mined] {
        &self.blocks
    }

    /// The block that holds a transaction.
    pub(super) fn block_of(&self, transaction: B256) -> Option<&Mined> {
        self.blocks.get(*self.places.get(&transaction)?)
    }

    /// The number of the last block.
    pub(super) fn height(&self) -> u64 {
        self.last().header.number()
    }

    /// Where a call runs: in the block that would be mined now. So what a contract says about
    /// time is true now, and not as of the last transaction, hours ago.
    pub(super) fn next_place(&self, now: u64) -> Place {
        self.place(self.next_time(now))
    }

    /// The block that would be mined now if nobody sent anything.
    pub(super) fn next_block(&self, now: u64) -> Mined {
        Mined::close(Some(&self.last().header), self.next_time(now), None)
    }

    /// Mines one block with this transaction and returns the transaction's hash.
    pub(super) fn send(&mut self, now: u64, raw: &[u8]) -> Result<B256, Rejection> {
        let signed = decode(raw)?;
        let hash = *signed.tx_hash();
        self.admit(&signed)?;
        let timestamp = self.next_time(now);
        let trial = self
            .world
            .attempt(self.place(timestamp), signed)
            .map_err(reject)?;

        let raw = trial.executed.signed.encoded_2718();
        self.record(Step::Transaction(raw), timestamp)?;
        let executed = self.world.accept(trial);
        self.extend(timestamp, Some(executed));
        Ok(hash)
    }

    /// Mines one empty block.
    pub(super) fn mine(&mut self, now: u64) -> Result<(), Rejection> {
        if self.blocks.len() >= BLOCKS_MAX {
            return Err(Rejection::Full);
        }
        let timestamp = self.next_time(now);
        self.record(Step::Empty, timestamp)?;
        self.extend(timestamp, None);
        Ok(())
    }

    /// Puts the clock forward and returns by how much in all.
    pub(super) fn increase_time(&mut self, now: u64, seconds: u64) -> Result<u64, Rejection> {
        if seconds > TRAVEL_SECONDS_MAX {
            return Err(Rejection::BadTimestamp);
        }
        // Many blocks in one second run ahead of the clock; the way starts where the chain is.
        let ahead = self.last().header.timestamp().saturating_sub(now);
        let offset = self.offset.max(ahead).checked_add(seconds);
        let offset = offset.ok_or(Rejection::BadTimestamp)?;
        self.set_offset(offset)?;
        Ok(offset)
    }

    /// Sets the time of the next block; the clock goes on from there.
    pub(super) fn set_next_timestamp(&mut self, now: u64, to: u64) -> Result<(), Rejection> {
        let last = self.last().header.timestamp();
        if to <= last || to - last > TRAVEL_SECONDS_MAX {
            return Err(Rejection::BadTimestamp);
        }
        self.set_offset(to.saturating_sub(now))?;
        self.next_timestamp = Some(to);
        Ok(())
    }

    fn set_offset(&mut self, offset: u64) -> Result<(), Rejection> {
        let before = std::mem::replace(&mut self.offset, offset);
        let recorded = self.record(Step::Clock, self.last().header.timestamp());
        if recorded.is_err() {
            self.offset = before;
        }
        recorded
    }

    fn admit(&self, signed: &Recovered<TxEnvelope>) -> Result<(), Rejection> {
        if self.blocks.len() >= BLOCKS_MAX {
            return Err(Rejection::Full);
        }
        if self.places.contains_key(signed.tx_hash()) {
            return Err(Rejection::AlreadyKnown);
        }
        if signed.chain_id() != Some(CHAIN_ID) {
            return Err(Rejection::WrongChain);
        }
        if signed.gas_limit() > TRANSACTION_GAS {
            return Err(Rejection::TooMuchGas {
                given: signed.gas_limit(),
            });
        }
        Ok(())
    }

    fn record(&mut self, step: Step, timestamp: u64) -> Result<(), Rejection> {
        let record = Record {
            step,
            timestamp,
            offset: self.offset,
        };
        if let Some(journal) = &mut self.journal {
            journal.append(&record)?;
        }
        Ok(())
    }

    fn extend(&mut self, timestamp: u64, executed: Option<Executed>) {
        let mined = Mined::close(
            self.blocks.last().map(|block| &block.header),
            timestamp,
            executed,
        );
        self.world
            .remember_block(mined.header.number(), mined.header.hash());
        if let Some(executed) = &mined.transaction {
            self.places
                .insert(*executed.signed.tx_hash(), self.blocks.len());
        }
        self.blocks.push(mined);
        self.next_timestamp = None;
    }

    fn last(&self) -> &Mined {
        self.blocks.last().expect("a chain begins with one block")
    }

    fn place(&self, timestamp: u64) -> Place {
        let parent = self
            .blocks
            .last()
            .map_or(B256::ZERO, |block| block.header.hash());
        Place {
            number: self.blocks.len() as u64,
            timestamp,
            randomness: randomness(parent),
        }
    }

    fn next_time(&self, now: u64) -> u64 {
        let after_last = self.last().header.timestamp() + 1;
        let by_clock = now.saturating_add(self.offset).max(after_last);
        self.next_timestamp.unwrap_or(by_clock)
    }
}

fn decode(raw: &[u8]) -> Result<Recovered<TxEnvelope>, Rejection> {
    let mut rest = raw;
    let envelope = TxEnvelope::decode_2718(&mut rest).map_err(|_| Rejection::Malformed)?;
    if !rest.is_empty() {
        return Err(Rejection::Malformed);
    }
    match envelope {
        TxEnvelope::Legacy(_) | TxEnvelope::Eip2930(_) | TxEnvelope::Eip1559(_) => {
            recover(envelope)
        }
        _ => Err(Rejection::TypeNotSupported),
    }
}

/// Finds out who signed; a malleable signature (EIP-2) names nobody.
fn recover(envelope: TxEnvelope) -> Result<Recovered<TxEnvelope>, Rejection> {
    let mut signature = [0; 65];
    signature.copy_from_slice(&envelope.signature().as_bytes());
    let signer = haar_records::Signature(signature).recover(envelope.signature_hash());
    let signer = signer.map_err(|_| Rejection::Malformed)?;
    Ok(Recovered::new_unchecked(envelope, signer))
}

fn reject(error: InvalidTransaction) -> Rejection {
    match error {
        InvalidTransaction::NonceTooLow { tx, state } => Rejection::NonceTooLow {
            next: state,
            given: tx,
        },
        InvalidTransaction::NonceTooHigh { tx, state } => Rejection::NonceTooHigh {
            next: state,
            given: tx,
        },
        InvalidTransaction::LackOfFundForMaxFee { .. } => Rejection::InsufficientFunds,
        error => Rejection::Invalid(error.to_string()),
    }
}
