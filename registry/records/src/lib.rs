//! The words that everybody on the fog shares: ids, specs, jobs, receipts, batches, and their bytes.
//!
//! Every byte that is hashed, signed or sent is decided in this crate and nowhere else. It performs
//! no IO, reads no clock and draws no randomness, so a server, a browser tab and the contracts agree
//! on what was said. `vectors/*.json` at the root of the project holds the examples that the
//! Solidity tests check as well.

pub mod cbor;
pub mod eip712;
pub mod function;

pub mod http_frame;
pub mod id;
pub mod money;
pub mod outcome;
pub mod sign;
pub mod spec;
pub mod tree;
pub mod wire;

pub use alloy_primitives::{Address, B256, U256, keccak256};
pub use eip712::{
    Assignment, BatchHeader, Domain, ExecutionReceipt, HubReceipt, JobLeaf, JobOrder, MinerBinding,
    MinerCredit, SealSet, SealedReceipt, Voucher,
};
pub use function::{FunctionName, FunctionRecord, NameError, SignedFunction};
pub use id::{BlobHash, BuyerId, EndpointId, HubId, JobId, MinerId, ParseIdError, SpecHash};
pub use money::{Fuel, ParseSnmError, Snm};
pub use outcome::{Outcome, OutcomeKey, Status, TrapKind};
pub use sign::{KeyError, Keypair, Signature, SignatureError, Signed};
pub use spec::{Profile, RunConfig, Spec, charge};
