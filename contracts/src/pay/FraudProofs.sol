// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IHubRegistry, Reason} from "../hub/IHubRegistry.sol";
import {BatchHeader, ExecutionReceipt, HubReceipt, JobLeaf, JobSpec, Types} from "../lib/Types.sol";
import {IMinerRegistry} from "../miner/IMinerRegistry.sol";
import {IFraudProofs} from "./IFraudProofs.sol";
import {ISettlement} from "./ISettlement.sol";

/// @title The proofs that a hub or a miner lied
/// @notice See `IFraudProofs`. The only money here is bounties that have not been withdrawn.
contract FraudProofs is IFraudProofs {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;

    IERC20 public immutable TOKEN;
    ISettlement public immutable SETTLEMENT;
    IHubRegistry public immutable HUBS;
    IMinerRegistry public immutable MINERS;
    address public immutable dao;
    uint8 private immutable PENALTY;

    mapping(address reporter => uint256) public bountyOf;
    mapping(bytes32 key => bool) public isPunished;
    mapping(uint32 abiVersion => bool) public isSlashableAbi;

    /// @param slashableAbis the ABI versions whose determinism is trusted from the start
    constructor(
        IERC20 token,
        address dao_,
        ISettlement settlement,
        IHubRegistry hubs,
        IMinerRegistry miners,
        uint32[] memory slashableAbis
    ) {
        if (dao_ == address(0)) revert FraudProofsZeroAddress();
        TOKEN = token;
        dao = dao_;
        SETTLEMENT = settlement;
        HUBS = hubs;
        MINERS = miners;
        PENALTY = hubs.params().penalty;
        for (uint256 i = 0; i < slashableAbis.length; i++) {
            _setSlashableAbi(slashableAbis[i], true);
        }
    }

    /// @inheritdoc IFraudProofs
    function proveMinerEquivocation(
        ExecutionReceipt calldata a,
        bytes calldata sigA,
        ExecutionReceipt calldata b,
        bytes calldata sigB,
        JobSpec calldata spec
    ) external {
        if (a.miner != b.miner) revert FraudProofsNotSameSigner(a.miner, b.miner);
        bytes32 specHash = Types.hash(spec);
        if (a.specHash != specHash || b.specHash != specHash) revert FraudProofsNotSameSpec();
        if (!isSlashableAbi[spec.abiVersion]) revert FraudProofsAbiNotSlashable(spec.abiVersion);
        _requireDeterministic(a.status);
        _requireDeterministic(b.status);
        if (Types.sameOutcome(a, b)) revert FraudProofsNoContradiction();
        _requireMiner(a.miner, Types.hash(a), sigA);
        _requireMiner(b.miner, Types.hash(b), sigB);

        bytes32 key = _punishOnce(keccak256(abi.encode("E1", a.miner, specHash)));
        (, uint256 bounty) = MINERS.slash(a.miner, msg.sender);
        _reward(a.miner, key, bounty);
    }

    /// @inheritdoc IFraudProofs
    function proveTwoBatches(
        BatchHeader calldata a,
        bytes calldata sigA,
        BatchHeader calldata b,
        bytes calldata sigB
    ) external {
        address hub = a.hubWallet;
        if (hub != b.hubWallet) revert FraudProofsNotSameSigner(hub, b.hubWallet);
        if (a.epoch != b.epoch) revert FraudProofsNotSameEpoch(a.epoch, b.epoch);
        bytes32 idA = Types.hash(a);
        bytes32 idB = Types.hash(b);
        if (idA == idB) revert FraudProofsNoContradiction();
        _requireOperator(hub, idA, sigA);
        _requireOperator(hub, idB, sigB);

        bytes32 key = _punishOnce(keccak256(abi.encode("E2 batches", hub, a.epoch)));
        SETTLEMENT.cut(a);
        SETTLEMENT.cut(b);
        (, uint256 bounty) = HUBS.punish(hub, Reason.HubEquivocation, key, address(0), 0);
        _reward(hub, key, bounty);
    }

    /// @inheritdoc IFraudProofs
    function proveTwoReceipts(
        HubReceipt calldata a,
        bytes calldata sigA,
        HubReceipt calldata b,
        bytes calldata sigB
    ) external {
        address hub = a.hubWallet;
        if (hub != b.hubWallet) revert FraudProofsNotSameSigner(hub, b.hubWallet);
        if (a.jobId != b.jobId) revert FraudProofsNotSameJob();
        // A receipt signed again after a crash, with a later time or more miners' receipts, is no lie.
        bool same = a.specHash == b.specHash && a.buyer == b.buyer && a.resultHash == b.resultHash
            && a.fuelUsed == b.fuelUsed && a.charged == b.charged;
        if (same) revert FraudProofsNoContradiction();
        _requireOperator(hub, Types.hash(a), sigA);
        _requireOperator(hub, Types.hash(b), sigB);

        bytes32 key = _punishOnce(keccak256(abi.encode("E2 receipts", hub, a.jobId)));
        (, uint256 bounty) = HUBS.punish(hub, Reason.HubEquivocation, key, address(0), 0);
        _reward(hub, key, bounty);
    }

    /// @inheritdoc IFraudProofs
    function proveLeafContradictsReceipt(
        HubReceipt calldata receipt,
        bytes calldata operatorSig,
        BatchHeader calldata header,
        JobLeaf calldata leaf,
        uint256 index,
        bytes32[] calldata proof
    ) external {
        if (header.hubWallet != receipt.hubWallet) {
            revert FraudProofsNotSameSigner(header.hubWallet, receipt.hubWallet);
        }
        if (leaf.jobId != receipt.jobId) revert FraudProofsNotSameJob();
        bool same = leaf.resultHash == receipt.resultHash && leaf.fuelUsed == receipt.fuelUsed
            && leaf.charged == receipt.charged;
        if (same) revert FraudProofsNoContradiction();
        SETTLEMENT.requireLeaf(header, leaf, index, proof);
        _requireOperator(receipt.hubWallet, Types.hash(receipt), operatorSig);

        // The buyer paid one of the two charges; what a batch did not declare it cannot have paid.
        uint256 charged = Math.min(Math.max(receipt.charged, leaf.charged), header.totalCharged);
        _punishLeaf(receipt, charged * (1 + PENALTY));
    }

    /// @inheritdoc IFraudProofs
    function withdrawBounty() external {
        uint256 amount = bountyOf[msg.sender];
        if (amount == 0) revert FraudProofsNothingToPay();

        bountyOf[msg.sender] = 0;
        emit BountyWithdrawn(msg.sender, amount);
        TOKEN.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IFraudProofs
    function setSlashableAbi(uint32 abiVersion, bool slashable) external {
        if (msg.sender != dao) revert FraudProofsNotDao(msg.sender);
        _setSlashableAbi(abiVersion, slashable);
    }

    function _setSlashableAbi(uint32 abiVersion, bool slashable) private {
        isSlashableAbi[abiVersion] = slashable;
        emit SlashableAbiSet(abiVersion, slashable);
    }

    function _punishLeaf(HubReceipt calldata receipt, uint256 loss) private {
        address hub = receipt.hubWallet;
        bytes32 key = _punishOnce(keccak256(abi.encode("E4", hub, receipt.jobId)));
        (uint256 toVictim, uint256 bounty) =
            HUBS.punish(hub, Reason.LeafContradictsReceipt, key, receipt.buyer, loss);
        if (toVictim > 0) SETTLEMENT.bookRefund(hub, receipt.buyer, receipt.jobId, toVictim.toUint128());
        _reward(hub, key, bounty);
    }

    function _punishOnce(bytes32 key) private returns (bytes32) {
        if (isPunished[key]) revert FraudProofsAlreadyPunished(key);
        isPunished[key] = true;
        return key;
    }

    /// A pull credit: a reporter that cannot be paid must not be able to keep a proof from counting.
    function _reward(address culprit, bytes32 key, uint256 bounty) private {
        bountyOf[msg.sender] += bounty;
        emit FraudProved(culprit, key, msg.sender, bounty);
    }

    function _requireMiner(address miner, bytes32 structHash, bytes calldata signature) private view {
        address signer = _signerOf(structHash, signature);
        if (MINERS.keyOwner(signer) != miner) revert FraudProofsUnknownSigner(miner, signer);
    }

    function _requireOperator(address hub, bytes32 structHash, bytes calldata signature) private view {
        address signer = _signerOf(structHash, signature);
        if (!HUBS.wasOperator(hub, signer)) revert FraudProofsUnknownSigner(hub, signer);
    }

    /// The domain is the settlement's for everything that is signed, whoever checks it.
    function _signerOf(bytes32 structHash, bytes calldata signature) private view returns (address) {
        return ECDSA.recoverCalldata(SETTLEMENT.digestOf(structHash), signature);
    }

    function _requireDeterministic(uint8 status) private pure {
        if (status > Types.DETERMINISTIC_STATUS_MAX) revert FraudProofsNotDeterministic(status);
    }
}
