// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @notice Names one deterministic computation. The chain never looks inside the BLAKE3 hashes.
struct JobSpec {
    bytes32 moduleHash;
    bytes32 inputHash;
    bytes32 configHash;
    uint64 fuelLimit;
    uint32 abiVersion;
}

/// @notice Everything besides module and input that can change an outcome; `configHash` is its hash.
struct RunConfig {
    bytes32 profileHash;
    uint32 memoryPagesMax;
    bytes32 seed;
    uint64 time;
    bytes32 environmentHash;
}

/// @notice A buyer's order of one spec. Its EIP-712 digest is the `jobId`.
struct JobOrder {
    bytes32 specHash;
    address buyer;
    address hubWallet;
    bytes32 channelId;
    uint128 maxCharge;
    uint64 fuelPrice;
    uint128 baseFee;
    uint8 attempts;
    uint8 quorum;
    uint64 deadline;
    uint64 nonce;
}

/// @notice The hub's offer of one attempt of a job to one miner.
struct Assignment {
    bytes32 jobId;
    bytes32 specHash;
    address miner;
    address hubWallet;
    uint32 attempt;
    uint64 deadline;
}

/// @notice What a miner sends first, so that nobody can copy its answer.
struct SealedReceipt {
    bytes32 jobId;
    address miner;
    bytes32 seal;
}

/// @notice The set of sealed receipts that the hub signs before anybody reveals.
struct SealSet {
    bytes32 jobId;
    uint32 round;
    bytes32 sealsHash;
}

/// @notice An outcome, signed by the miner that ran it.
struct ExecutionReceipt {
    bytes32 jobId;
    bytes32 specHash;
    address miner;
    address hubWallet;
    bytes32 resultHash;
    uint64 fuelUsed;
    uint8 status;
    uint64 executedAt;
}

/// @notice What the hub signs for the buyer: the verdict and its price.
struct HubReceipt {
    bytes32 jobId;
    bytes32 specHash;
    address buyer;
    address hubWallet;
    bytes32 resultHash;
    uint64 fuelUsed;
    uint128 charged;
    bytes32 receiptsHash;
    bytes32 paymentRef;
    uint64 completedAt;
}

/// @notice The hub's promise that it owes `miner` this much in all since the beginning.
struct MinerCredit {
    address hubWallet;
    address miner;
    uint128 cumulative;
    uint64 epoch;
}

/// @notice One epoch of one hub: all jobs it settled and all that its miners have earned so far.
struct BatchHeader {
    address hubWallet;
    uint64 epoch;
    bytes32 prevBatch;
    bytes32 jobsRoot;
    bytes32 payRoot;
    bytes32 daHash;
    uint32 jobs;
    uint128 totalCharged;
    uint128 minerTotalCum;
}

/// @notice One settled job inside a batch.
struct JobLeaf {
    bytes32 jobId;
    bytes32 specHash;
    address buyer;
    bytes32 channelId;
    bytes32 resultHash;
    uint64 fuelUsed;
    uint128 charged;
    bytes32 minersHash;
}

/// @title The records that hubs, miners and buyers sign, and how each is hashed
/// @notice Every struct here is static, so `abi.encode(typeHash, record)` is the EIP-712 encoding: the
/// type hash followed by one word per field. The same hashes are made in Rust and TypeScript and compared
/// in `vectors/eip712.json`.
library Types {
    bytes32 internal constant JOB_SPEC = keccak256(
        "JobSpec(bytes32 moduleHash,bytes32 inputHash,bytes32 configHash,uint64 fuelLimit,uint32 abiVersion)"
    );
    bytes32 internal constant RUN_CONFIG = keccak256(
        "RunConfig(bytes32 profileHash,uint32 memoryPagesMax,bytes32 seed,uint64 time,bytes32 environmentHash)"
    );
    bytes32 internal constant JOB_ORDER = keccak256(
        "JobOrder(bytes32 specHash,address buyer,address hubWallet,bytes32 channelId,uint128 maxCharge,uint64 fuelPrice,uint128 baseFee,uint8 attempts,uint8 quorum,uint64 deadline,uint64 nonce)"
    );
    bytes32 internal constant ASSIGNMENT = keccak256(
        "Assignment(bytes32 jobId,bytes32 specHash,address miner,address hubWallet,uint32 attempt,uint64 deadline)"
    );
    bytes32 internal constant SEALED_RECEIPT =
        keccak256("SealedReceipt(bytes32 jobId,address miner,bytes32 seal)");
    bytes32 internal constant SEAL_SET = keccak256("SealSet(bytes32 jobId,uint32 round,bytes32 sealsHash)");
    bytes32 internal constant EXECUTION_RECEIPT = keccak256(
        "ExecutionReceipt(bytes32 jobId,bytes32 specHash,address miner,address hubWallet,bytes32 resultHash,uint64 fuelUsed,uint8 status,uint64 executedAt)"
    );
    bytes32 internal constant HUB_RECEIPT = keccak256(
        "HubReceipt(bytes32 jobId,bytes32 specHash,address buyer,address hubWallet,bytes32 resultHash,uint64 fuelUsed,uint128 charged,bytes32 receiptsHash,bytes32 paymentRef,uint64 completedAt)"
    );
    bytes32 internal constant MINER_CREDIT =
        keccak256("MinerCredit(address hubWallet,address miner,uint128 cumulative,uint64 epoch)");
    bytes32 internal constant BATCH_HEADER = keccak256(
        "BatchHeader(address hubWallet,uint64 epoch,bytes32 prevBatch,bytes32 jobsRoot,bytes32 payRoot,bytes32 daHash,uint32 jobs,uint128 totalCharged,uint128 minerTotalCum)"
    );

    /// @notice Outcomes up to this status are deterministic (0 returned, 1 trapped, 2 out of fuel): two honest
    /// runs agree on them, so a miner that signs two is lying. 3 unavailable and 4 suspect prove nothing.
    uint8 internal constant DETERMINISTIC_STATUS_MAX = 2;

    function hash(JobSpec memory spec) internal pure returns (bytes32) {
        return keccak256(abi.encode(JOB_SPEC, spec));
    }

    function hash(RunConfig memory config) internal pure returns (bytes32) {
        return keccak256(abi.encode(RUN_CONFIG, config));
    }

    function hash(JobOrder memory order) internal pure returns (bytes32) {
        return keccak256(abi.encode(JOB_ORDER, order));
    }

    function hash(Assignment memory assignment) internal pure returns (bytes32) {
        return keccak256(abi.encode(ASSIGNMENT, assignment));
    }

    function hash(SealedReceipt memory receipt) internal pure returns (bytes32) {
        return keccak256(abi.encode(SEALED_RECEIPT, receipt));
    }

    function hash(SealSet memory set) internal pure returns (bytes32) {
        return keccak256(abi.encode(SEAL_SET, set));
    }

    function hash(ExecutionReceipt memory receipt) internal pure returns (bytes32) {
        return keccak256(abi.encode(EXECUTION_RECEIPT, receipt));
    }

    function hash(HubReceipt memory receipt) internal pure returns (bytes32) {
        return keccak256(abi.encode(HUB_RECEIPT, receipt));
    }

    function hash(MinerCredit memory credit) internal pure returns (bytes32) {
        return keccak256(abi.encode(MINER_CREDIT, credit));
    }

    function hash(BatchHeader memory header) internal pure returns (bytes32) {
        return keccak256(abi.encode(BATCH_HEADER, header));
    }

    /// @notice Hashed twice, so that the 64 bytes of an inner node can never be passed off as a leaf.
    function hash(JobLeaf memory leaf) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(leaf))));
    }

    /// @notice The leaf of the pay tree: OpenZeppelin's StandardMerkleTree of `["address","uint256"]`.
    function payLeaf(address miner, uint256 cumulative) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(miner, cumulative))));
    }

    /// @notice What two deterministic runs of one spec must agree on.
    function sameOutcome(ExecutionReceipt memory a, ExecutionReceipt memory b) internal pure returns (bool) {
        return a.resultHash == b.resultHash && a.fuelUsed == b.fuelUsed && a.status == b.status;
    }
}
