// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {BatchHeader, JobLeaf, MinerCredit} from "../lib/Types.sol";

/// @notice Where a batch stands.
enum BatchState {
    None,
    Committed,
    Finalized,
    Voided
}

/// @notice All that the chain keeps of one batch: one slot.
struct Batch {
    /// What the batch adds to its miners' earnings.
    uint128 share;
    /// Committed: final from then on. Voided: refunds may reach into the stake from then on.
    uint40 dueAt;
    /// Counts the breaks in the hub's chain before this batch.
    uint32 generation;
    BatchState state;
}

/// @notice The tip of one hub's chain of batches.
struct Chain {
    /// The last batch that is not void.
    bytes32 lastBatch;
    bytes32 lastFinalized;
    /// The root that miners claim against.
    bytes32 payRoot;
    /// `minerTotalCum` of `lastBatch`, and of `lastFinalized`.
    uint128 lastCum;
    uint128 payCum;
    uint64 lastEpoch;
    uint32 generation;
    /// The chain has been cut and not yet continued.
    bool broken;
}

/// @notice What a miner has had from one hub.
struct Paid {
    /// All of it. Never falls.
    uint128 total;
    /// The part paid by credits that no claim has accounted for yet.
    uint128 credited;
}

/// @notice One line of `claimMany`.
struct Claim {
    address miner;
    uint256 cumulative;
    bytes32[] proof;
}

/// @title What hubs owe their miners
/// @notice A hub commits one Merkle batch per epoch. The batch is final after the challenge window, and then miners
/// claim what they have earned in all, minus what they have been paid. It holds no money: the hub wallets do.
interface ISettlement {
    error SettlementZeroAddress();
    error SettlementNotFraudProofs(address caller);
    error SettlementEmptyBatch();
    error SettlementStaleEpoch(uint256 have, uint256 want);
    error SettlementWrongPredecessor(bytes32 have, bytes32 want);
    error SettlementTotalFalls(uint256 have, uint256 want);
    error SettlementWrongBatchState(BatchState have, BatchState want);
    error SettlementBatchNotFinal(uint256 readyAt);
    error SettlementHubSuspected(address hub, uint256 since);
    error SettlementInvalidProof();
    error SettlementInvalidSignature(address expected, address got);
    error SettlementUnknownSigner(address claimedBy, address got);
    error SettlementAmountNotIncreasing(uint256 have, uint256 paid);
    error SettlementNothingToPay();
    error SettlementWindowOpen(uint256 until);
    error SettlementCreditUnknown(bytes32 creditId);

    event BatchCommitted(
        address indexed hub,
        bytes32 indexed batchId,
        uint64 indexed epoch,
        bytes32 jobsRoot,
        bytes32 payRoot,
        bytes32 daHash,
        uint32 jobs,
        uint128 totalCharged,
        uint128 minerTotalCum
    );
    event BatchFinalized(address indexed hub, bytes32 indexed batchId);
    event BatchVoided(address indexed hub, bytes32 indexed batchId, uint64 fromEpoch);
    event MinerPaid(address indexed hub, address indexed miner, uint256 amount, uint256 cumulative);
    event BuyerRefunded(address indexed hub, address indexed buyer, bytes32 indexed jobId, uint256 amount);
    event CreditRequested(
        address indexed hub, address indexed miner, bytes32 indexed creditId, uint256 cumulative
    );
    event CreditRedeemed(
        address indexed hub, address indexed miner, bytes32 indexed creditId, uint256 amount
    );

    /// @notice Commits the next batch of a hub. Anybody may submit it; the hub's operator has signed it.
    function commitBatch(BatchHeader calldata header, bytes calldata operatorSig)
        external
        returns (bytes32 batchId);

    /// @notice Makes a batch final once its window is over and its predecessor is final. Anybody may.
    function finalizeBatch(BatchHeader calldata header) external;

    /// @notice Pays a miner `cumulative` minus what it has had. Anybody may; the money goes to its payout address.
    function claim(address hub, address miner, uint256 cumulative, bytes32[] calldata proof) external;

    /// @notice `claim` for many miners of one hub. Those with nothing to get are passed over.
    function claimMany(address hub, Claim[] calldata claims) external;

    /// @notice Starts the delay after which a credit signed by the hub can be redeemed.
    function requestCredit(MinerCredit calldata credit, bytes calldata operatorSig)
        external
        returns (bytes32 creditId);

    /// @notice Pays a requested credit as far as the hub's unpromised money goes; the rest stays redeemable. The
    /// stake pays only after the exit thaw, so that a credit to an accomplice is no faster way out than the exit.
    function redeemCredit(MinerCredit calldata credit) external;

    /// @notice Gives a buyer its charge back for a job of a void batch, on the same terms.
    function refundVoided(
        BatchHeader calldata header,
        JobLeaf calldata leaf,
        uint256 index,
        bytes32[] calldata proof
    ) external;

    /// @notice Takes back the promises of a batch that became void because an earlier one did. Anybody may.
    function releaseVoided(BatchHeader calldata header) external;

    /// @notice Fraud proofs only: voids a batch that is not final, and with it every later one of the hub.
    function cut(BatchHeader calldata header) external;

    /// @notice Fraud proofs only: a victim has been paid out of the stake, so a void batch owes it less.
    function bookRefund(address hub, address buyer, bytes32 jobId, uint128 amount) external;

    /// @notice Reverts unless the batch was ever committed and has this leaf at this place.
    function requireLeaf(
        BatchHeader calldata header,
        JobLeaf calldata leaf,
        uint256 index,
        bytes32[] calldata proof
    ) external view;

    function batches(bytes32 batchId) external view returns (Batch memory);

    /// @notice As `batches`, and a batch that follows a void one is void too.
    function stateOf(BatchHeader calldata header) external view returns (BatchState state, uint256 dueAt);
    function chainOf(address hub) external view returns (Chain memory);
    function paidTo(address hub, address miner) external view returns (Paid memory);

    /// @notice When a requested credit can be redeemed, and from when it may reach into the stake. 0: not requested.
    function creditReadyAt(bytes32 creditId) external view returns (uint256 readyAt, uint256 stakeFrom);

    function domainSeparator() external view returns (bytes32);

    /// @notice What a hub, miner or buyer signs: the EIP-712 digest of the hash of any record in `Types`.
    function digestOf(bytes32 structHash) external view returns (bytes32);
}
