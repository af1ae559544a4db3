//! Takes jobs from one hub, runs them in the sandbox, and signs what they gave.
//!
//! The driver around `haar_protocol::miner`: it moves bytes, checks signatures and limits, runs, signs and
//! writes files. When to accept, seal and reveal is decided by the machine alone, which a browser tab
//! uses as well.
//!
//! What always holds:
//! - Nothing runs that the hub did not sign, and nothing is signed but what the sandbox gave (a
//!   [`Misbehaviour`] set on purpose aside).
//! - An outcome is revealed only against a set of seals that the hub signed and that holds our own.
//! - A lost hub is looked up and joined again, for ever; a job that it offers again is answered with
//!   the same seal and not run twice.
//! - What a hub sends is bounded and checked. A hub that breaks the rules gets its stream closed,
//!   and the miner lives on.
//! - Guests run in processes without keys, files and network ([`Guests`]), never two modules in one.
//! - The largest credit that the hub signed survives the death of the process.

mod attempt;
mod check;
mod clock;
mod config;
mod credit;
mod driver;
mod event;
mod fault;
mod guests;
mod job;
mod run;
mod session;

pub use config::{Guests, HubAddress, LookUp, LookUpError, MinerConfig, Misbehaviour};
pub use credit::{CreditError, latest_credit};
pub use event::MinerEvent;
pub use fault::HubFault;
pub use run::{MinerError, endpoint_secret, run};
