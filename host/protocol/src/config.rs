//! The rules' numbers: named maxima, and what a hub's owner may choose.

use haar_records::{Domain, HubId};

/// The most answers that one job may buy.
pub const ATTEMPTS_MAX: u8 = 7;
/// The most miners that one job may ask, those that decline or stay silent included.
pub const OFFERS_MAX: u32 = 32;
/// The most jobs without an end.
pub const JOBS_LIVE_MAX: usize = 16_384;
/// The most jobs in memory, ended ones included.
pub const JOBS_KEPT_MAX: usize = 65_536;
/// The most settled jobs that wait for a batch, and so the most leaves of one.
pub const BATCH_JOBS_MAX: usize = 32_768;
/// The most miners that are remembered, present or not.
pub const MINERS_MAX: usize = 16_384;
/// The most miners and owners that are remembered as dismissed.
pub const DISMISSED_MAX: usize = 65_536;
/// The most buyers with an account.
pub const BUYERS_MAX: usize = 262_144;
/// The most deposits whose references are remembered.
pub const DEPOSITS_KEPT_MAX: usize = 65_536;
/// The most batches that are kept for a look; older ones live in the driver's database.
pub const BATCHES_KEPT_MAX: usize = 16;
/// The most runs at once that a miner may claim to do.
pub const CAPACITY_MAX: u16 = 1_024;
/// The farthest deadline.
pub const DEADLINE_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// Unopened seals closer together than this are one fault.
pub const UNREVEALED_APART_MS: u64 = 60_000;
/// Such faults in a row after which a miner is dismissed.
pub const UNREVEALED_MAX: u32 = 3;
/// Waiting jobs that are looked at when a miner becomes free.
pub const HIRE_SCAN_MAX: usize = 32;
/// Parts per million in a whole.
pub const PPM: u64 = 1_000_000;

/// What a hub's owner chooses. It belongs to the journal: another config is another history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubConfig {
    /// The hub's wallet, part of every receipt's digest.
    pub hub: HubId,
    /// Where signatures count.
    pub domain: Domain,
    /// The hub's part of each charge, in parts per million.
    pub fee_ppm: u64,
    /// How long a miner may take to accept an offer.
    pub accept_ms: u64,
    /// How long a miner may take from the offer to its seal.
    pub lease_ms: u64,
    /// How long a miner that left is expected back before its attempt lapses.
    pub return_ms: u64,
    /// The least time that the slow ones get once somebody has sealed.
    pub stragglers_ms_min: u64,
    /// How many times the sealed one's own time the slow ones get.
    pub stragglers_factor: u64,
    /// How long a miner may take to reveal.
    pub reveal_ms: u64,
    /// How long a job waits for somebody to hire.
    pub patience_ms: u64,
    /// What a buyer is told to wait when there are too few miners.
    pub retry_after_ms: u64,
    /// How long an ended job stays in memory beyond its deadline.
    pub retention_ms: u64,
}

impl HubConfig {
    /// The defaults for a hub with this wallet.
    #[must_use]
    pub fn new(hub: HubId, domain: Domain) -> Self {
        Self {
            hub,
            domain,
            fee_ppm: 50_000,
            accept_ms: 5_000,
            lease_ms: 60_000,
            return_ms: 2_000,
            stragglers_ms_min: 5_000,
            stragglers_factor: 3,
            reveal_ms: 5_000,
            patience_ms: 10_000,
            retry_after_ms: 2_000,
            retention_ms: 10 * 60 * 1_000,
        }
    }
}
