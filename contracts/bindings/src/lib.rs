//! Everything that Haar says to a chain, and the only crate that talks to one.
//!
//! Above the chain itself (`chain`, `send`, `dev`) stand verbs, one module for each part of the
//! money: what is done with the token, hubs, miners, settlements, frauds, the DAO and its vault.
//! Amounts are SNM, records are those of `haar-records`, and what a contract refuses comes back as
//! an error that a program can match and a person can read.
//!
//! Nothing here decides: who is paid what is decided before, in the protocol.

pub mod chain;
pub mod contracts;
pub mod dao;
pub mod deploy;
pub mod dev;
pub mod fraud;
pub mod hub;
pub mod miner;
mod mirror;
pub mod pay;
pub mod refusal;
pub mod send;
pub mod settle;
pub mod snm;
pub mod vault;

pub use alloy::primitives::{Address, B256, U256};
pub use chain::{Chain, ChainError};
pub use deploy::{Contracts, Deployment, Genesis, deploy_all};
pub use dev::DevChain;
pub use refusal::Refusal;
pub use send::Sender;
