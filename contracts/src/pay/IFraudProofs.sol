// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {BatchHeader, ExecutionReceipt, HubReceipt, JobLeaf, JobSpec} from "../lib/Types.sol";

/// @title The proofs that a hub or a miner lied
/// @notice Whoever holds two signed statements that contradict each other may submit them at any time. No vote is
/// needed: the culprit is suspected and pays in the same transaction. The submitter earns a bounty.
interface IFraudProofs {
    error FraudProofsZeroAddress();
    error FraudProofsNotDao(address caller);
    error FraudProofsUnknownSigner(address claimedBy, address got);
    error FraudProofsNotSameSigner(address a, address b);
    error FraudProofsNotSameSpec();
    error FraudProofsNotSameJob();
    error FraudProofsNotSameEpoch(uint256 a, uint256 b);
    error FraudProofsNoContradiction();
    error FraudProofsNotDeterministic(uint8 status);
    error FraudProofsAbiNotSlashable(uint32 abiVersion);
    error FraudProofsAlreadyPunished(bytes32 key);
    error FraudProofsNothingToPay();

    event FraudProved(address indexed culprit, bytes32 indexed key, address indexed reporter, uint256 bounty);
    event BountyWithdrawn(address indexed reporter, uint256 amount);
    event SlashableAbiSet(uint32 indexed abiVersion, bool slashable);

    /// @notice E1: one miner signed two different outcomes of one spec. It loses its stake.
    function proveMinerEquivocation(
        ExecutionReceipt calldata a,
        bytes calldata sigA,
        ExecutionReceipt calldata b,
        bytes calldata sigB,
        JobSpec calldata spec
    ) external;

    /// @notice E2: one hub signed two different batches of one epoch. Whichever of them is committed becomes void.
    function proveTwoBatches(
        BatchHeader calldata a,
        bytes calldata sigA,
        BatchHeader calldata b,
        bytes calldata sigB
    ) external;

    /// @notice E2: one hub signed two receipts of one job that differ in spec, buyer, result, fuel or charge.
    function proveTwoReceipts(
        HubReceipt calldata a,
        bytes calldata sigA,
        HubReceipt calldata b,
        bytes calldata sigB
    ) external;

    /// @notice E4: a hub settled a job with another result, fuel or charge than the receipt it had signed.
    function proveLeafContradictsReceipt(
        HubReceipt calldata receipt,
        bytes calldata operatorSig,
        BatchHeader calldata header,
        JobLeaf calldata leaf,
        uint256 index,
        bytes32[] calldata proof
    ) external;

    /// @notice Pays the caller the bounties it has earned by proofs.
    function withdrawBounty() external;

    /// @notice DAO only: whether miners are slashed for specs of this ABI version. Not before its determinism is
    /// trusted: a runtime that is not deterministic would make liars of honest miners.
    function setSlashableAbi(uint32 abiVersion, bool slashable) external;

    function bountyOf(address reporter) external view returns (uint256);

    /// @notice Whether this fraud has been punished. The keys are in the `FraudProved` events.
    function isPunished(bytes32 key) external view returns (bool);
    function isSlashableAbi(uint32 abiVersion) external view returns (bool);
}
