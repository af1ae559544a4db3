//! The signed records as EIP-712 types, hashed alike in Rust and in Solidity.
//!
//! The names of the structs and of their fields *are* the type strings, so they are written in
//! Solidity's camel case. `contracts/src/lib/Types.sol` holds the same list.

use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::{Eip712Domain, SolStruct, SolValue};

use crate::id::{JobId, MinerId};

/// The field-for-field mirror of `contracts/src/lib/Types.sol`.
#[allow(missing_docs, non_snake_case, clippy::too_many_arguments)]
mod types {
    use alloy_sol_types::sol;

    sol! {
        /// One deterministic computation.
        #[derive(Debug, PartialEq, Eq, Default)]
        struct JobSpec { bytes32 moduleHash; bytes32 inputHash; bytes32 configHash; uint64 fuelLimit; uint32 abiVersion; }
        /// Everything but module, input and fuel that can change an outcome.
        #[derive(Debug, PartialEq, Eq, Default)]
        struct RunConfig { bytes32 profileHash; uint32 memoryPagesMax; bytes32 seed; uint64 time; bytes32 environmentHash; }
        /// A buyer's order of one spec; its digest is the job's id.
        #[derive(Debug, PartialEq, Eq, Default)]
        struct JobOrder { bytes32 specHash; address buyer; address hubWallet; bytes32 channelId; uint128 maxCharge; uint64 fuelPrice; uint128 baseFee; uint8 attempts; uint8 quorum; uint64 deadline; uint64 nonce; }
        /// A hub hires a miner for one attempt.
        #[derive(Debug, PartialEq, Eq, Default)]
        struct Assignment { bytes32 jobId; bytes32 specHash; address miner; address hubWallet; uint32 attempt; uint64 deadline; }
        /// A miner's commitment, sent before it can know what the others say.
        #[derive(Debug, PartialEq, Eq, Default)]
        struct SealedReceipt { bytes32 jobId; address miner; bytes32 seal; }
        /// The hub closes the set of seals; miners reveal against it only.
        #[derive(Debug, PartialEq, Eq, Default)]
        struct SealSet { bytes32 jobId; uint32 round; bytes32 sealsHash; }
        /// A miner's signed outcome.
        #[derive(Debug, PartialEq, Eq, Default)]
        struct ExecutionReceipt { bytes32 jobId; bytes32 specHash; address miner; address hubWallet; bytes32 resultHash; uint64 fuelUsed; uint8 status; uint64 executedAt; }
        /// The hub's signed answer to the buyer.
        #[derive(Debug, PartialEq, Eq, Default)]
        struct HubReceipt { bytes32 jobId; bytes32 specHash; address buyer; address hubWallet; bytes32 resultHash; uint64 fuelUsed; uint128 charged; bytes32 receiptsHash; bytes32 paymentRef; uint64 completedAt; }
        /// What a hub owes a miner, in total and for ever growing.
        #[derive(Debug, PartialEq, Eq, Default)]
        struct MinerCredit { address hubWallet; address miner; uint128 cumulative; uint64 epoch; }
        /// One settlement: all jobs and all earnings of an epoch.
        #[derive(Debug, PartialEq, Eq, Default)]
        struct BatchHeader { address hubWallet; uint64 epoch; bytes32 prevBatch; bytes32 jobsRoot; bytes32 payRoot; bytes32 daHash; uint32 jobs; uint128 totalCharged; uint128 minerTotalCum; }
        /// Binds a miner's key to the endpoint that it speaks from.
        #[derive(Debug, PartialEq, Eq, Default)]
        struct MinerBinding { address miner; bytes32 endpointId; address hubWallet; uint64 expiry; }
        /// A published name for a module.
        #[derive(Debug, PartialEq, Eq, Default)]
        struct FunctionEntry { string name; string version; bytes32 moduleHash; uint64 moduleBytes; address author; }
        /// x402 `batch-settlement`: a ceiling for what a hub may claim from a channel.
        #[derive(Debug, PartialEq, Eq, Default)]
        struct Voucher { bytes32 channelId; uint128 maxClaimableAmount; }
        /// One settled job, a leaf of the jobs tree. Hashed by its ABI encoding, not by EIP-712.
        #[derive(Debug, PartialEq, Eq, Default)]
        struct JobLeaf { bytes32 jobId; bytes32 specHash; address buyer; bytes32 channelId; bytes32 resultHash; uint64 fuelUsed; uint128 charged; bytes32 minersHash; }
    }
}

pub use types::{
    Assignment, BatchHeader, ExecutionReceipt, FunctionEntry, HubReceipt, JobLeaf, JobOrder,
    JobSpec, MinerBinding, MinerCredit, RunConfig as RunConfigEntry, SealSet, SealedReceipt,
    Voucher,
};

/// Where a signature counts: one settlement contract on one chain.
///
/// A private cluster has no chain; it signs for chain 0 and contract 0, which no chain accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, minicbor::Encode, minicbor::Decode)]
pub struct Domain {
    /// EIP-155 id of the chain.
    #[n(0)]
    pub chain_id: u64,
    /// Address of the Settlement contract.
    #[cbor(n(1), with = "crate::cbor::address")]
    pub settlement: Address,
}

impl Domain {
    /// The domain of every record that a hub, miner, author or juror signs.
    #[must_use]
    pub fn eip712(&self) -> Eip712Domain {
        self.named("Haar Settlement")
    }

    /// The domain of x402 `batch-settlement` vouchers, at the channel contract `self.settlement`.
    #[must_use]
    pub fn x402(&self) -> Eip712Domain {
        self.named("x402 Batch Settlement")
    }

    /// What is signed for `record`: EIP-712's `\x19\x01 ‖ domain ‖ struct` digest.
    #[must_use]
    pub fn digest<T: SolStruct>(&self, record: &T) -> B256 {
        record.eip712_signing_hash(&self.eip712())
    }

    fn named(&self, name: &'static str) -> Eip712Domain {
        Eip712Domain::new(
            Some(name.into()),
            Some("1".into()),
            Some(alloy_primitives::U256::from(self.chain_id)),
            Some(self.settlement),
            None,
        )
    }
}

impl JobLeaf {
    /// `keccak256(keccak256(abi.encode(leaf)))`: hashed twice, so that no 64-byte inner node of a
    /// tree can pass as a leaf (OpenZeppelin's StandardMerkleTree does the same).
    #[must_use]
    pub fn leaf_hash(&self) -> B256 {
        keccak256(keccak256(self.abi_encode()))
    }
}

/// `seal = keccak256(abi.encode(jobId, miner, resultHash, fuelUsed, salt))`.
///
/// The miner is inside, so a copied seal cannot be opened; the salt has 32 bytes, so a one-bit
/// output cannot be guessed from it.
#[must_use]
pub fn seal(job: JobId, miner: MinerId, result: B256, fuel_used: u64, salt: B256) -> B256 {
    keccak256((job.0, miner.0, result, fuel_used, salt).abi_encode())
}

/// The hash of a closed set of seals: `keccak256(abi.encode(address[], bytes32[]))`, by miner.
#[must_use]
pub fn seals_hash(seals: &[(MinerId, B256)]) -> B256 {
    let miners: Vec<Address> = seals.iter().map(|(miner, _)| miner.0).collect();
    let hashes: Vec<B256> = seals.iter().map(|(_, seal)| *seal).collect();
    keccak256((miners, hashes).abi_encode_params())
}

/// `receiptsHash`: keccak256 over the agreeing miners' receipt digests, in the order of miners.
#[must_use]
pub fn receipts_hash(digests: &[B256]) -> B256 {
    keccak256(digests.to_vec().abi_encode())
}

/// `minersHash = keccak256(abi.encode(address[] sortedMiners, bytes32 receiptsHash))`.
#[must_use]
pub fn miners_hash(miners: &[MinerId], receipts: B256) -> B256 {
    let miners: Vec<Address> = miners.iter().map(|miner| miner.0).collect();
    keccak256((miners, receipts).abi_encode_params())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_binds_miner_and_salt() {
        let job = JobId::from([1; 32]);
        let (ann, bob) = (MinerId::from([2; 20]), MinerId::from([3; 20]));
        let result = B256::repeat_byte(4);
        let salt = B256::repeat_byte(5);

        let sealed = seal(job, ann, result, 9, salt);
        assert_ne!(
            sealed,
            seal(job, bob, result, 9, salt),
            "a copied seal would open"
        );
        assert_ne!(
            sealed,
            seal(job, ann, result, 9, B256::ZERO),
            "the salt would not matter"
        );
        assert_ne!(
            sealed,
            seal(job, ann, result, 8, salt),
            "the fuel would not matter"
        );
    }

    #[test]
    fn the_same_record_has_another_digest_on_another_chain() {
        let credit = MinerCredit::default();
        let here = Domain {
            chain_id: 1,
            ..Domain::default()
        };
        let there = Domain {
            chain_id: 2,
            ..Domain::default()
        };
        assert_ne!(here.digest(&credit), there.digest(&credit));
    }
}
