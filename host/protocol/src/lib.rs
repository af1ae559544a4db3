//! Who does what, when: hub and miner as state machines without IO.
//!
//! One door in (`handle`), one door out (the outbox). Time and randomness come in as arguments;
//! what should happen goes out as values. The rules, messages and states are in README.md.

pub mod config;
pub mod hub;
pub mod input;
pub mod ledger;
pub mod miner;
pub mod output;
pub mod quorum;
pub mod sim;

pub use config::HubConfig;
pub use hub::{AttemptState, AttemptView, Hub, JobState, JobView, MinerView, RevealView};
pub use input::{Entry, Input, Order, Time, Timer};
pub use miner::{Miner, MinerInput, MinerOutput};
pub use output::{Answer, Batch, Credit, DismissReason, NoVerdict, Output, Refusal, TurnAway};
