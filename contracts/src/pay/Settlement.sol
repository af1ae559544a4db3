// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IHubRegistry, Params, Phase} from "../hub/IHubRegistry.sol";
import {IHubWallet} from "../hub/IHubWallet.sol";
import {JobTree} from "../lib/JobTree.sol";
import {BatchHeader, JobLeaf, MinerCredit, Types} from "../lib/Types.sol";
import {IMinerRegistry} from "../miner/IMinerRegistry.sol";
import {Batch, BatchState, Chain, Claim, ISettlement, Paid} from "./ISettlement.sol";

/// @title What hubs owe their miners
/// @notice See `ISettlement`.
contract Settlement is ISettlement, EIP712 {
    using SafeCast for uint256;

    uint256 private constant BPS = 10_000;

    IHubRegistry public immutable HUBS;
    IMinerRegistry public immutable MINERS;
    address public immutable treasury;
    uint40 public immutable challengeWindow;
    uint40 private immutable EXIT_THAW;
    uint16 private immutable FEE_BPS;

    mapping(bytes32 batchId => Batch) private _batches;
    mapping(address hub => Chain) private _chains;
    /// The first void epoch of each cut in a hub's chain.
    mapping(address hub => mapping(uint256 generation => uint64 epoch)) private _cutAt;
    mapping(address hub => mapping(address miner => Paid)) private _paid;
    mapping(address hub => mapping(bytes32 jobId => uint128)) private _refunded;
    mapping(bytes32 batchId => uint128) private _refundedOfBatch;
    mapping(bytes32 creditId => uint40) private _creditRequestedAt;

    modifier onlyFraudProofs() {
        if (msg.sender != HUBS.fraudProofs()) revert SettlementNotFraudProofs(msg.sender);
        _;
    }

    constructor(IHubRegistry hubs, IMinerRegistry miners, address treasury_) EIP712("Haar Settlement", "1") {
        if (treasury_ == address(0)) revert SettlementZeroAddress();
        Params memory rules = hubs.params();
        HUBS = hubs;
        MINERS = miners;
        treasury = treasury_;
        challengeWindow = rules.challengeWindow;
        EXIT_THAW = rules.exitThaw;
        FEE_BPS = rules.protocolFeeBps;
    }

    /// @inheritdoc ISettlement
    function commitBatch(BatchHeader calldata header, bytes calldata operatorSig)
        external
        returns (bytes32 batchId)
    {
        batchId = Types.hash(header);
        address operator = HUBS.committerOf(header.hubWallet);
        address signer = _signerOf(batchId, operatorSig);
        if (signer != operator) revert SettlementInvalidSignature(operator, signer);
        if (header.jobs == 0) revert SettlementEmptyBatch();

        uint128 share = _extendChain(header, batchId);
        IHubWallet(header.hubWallet).bookBatch(_exposureOf(header, share), share, _feeOf(header));
        _emitCommitted(header, batchId);
    }

    /// @inheritdoc ISettlement
    function finalizeBatch(BatchHeader calldata header) external {
        bytes32 batchId = Types.hash(header);
        address hub = header.hubWallet;
        Batch storage batch = _requireState(header, batchId, BatchState.Committed);
        uint256 dueAt = batch.dueAt;
        if (block.timestamp < dueAt) revert SettlementBatchNotFinal(dueAt);
        // Only what was final before the suspicion is beyond doubt. The rest waits for the DAO's decision.
        (Phase phase, uint40 since) = HUBS.phaseAndSuspicion(hub);
        if (phase == Phase.Suspected && dueAt > since) revert SettlementHubSuspected(hub, since);
        Chain storage chain = _chains[hub];
        if (header.prevBatch != chain.lastFinalized) {
            revert SettlementWrongPredecessor(header.prevBatch, chain.lastFinalized);
        }

        batch.state = BatchState.Finalized;
        chain.lastFinalized = batchId;
        chain.payRoot = header.payRoot;
        chain.payCum = header.minerTotalCum;
        emit BatchFinalized(hub, batchId);
        uint128 share = batch.share;
        IHubWallet(hub).finalizeBatch(_exposureOf(header, share), share, _feeOf(header), treasury);
    }

    /// @inheritdoc ISettlement
    function claim(address hub, address miner, uint256 cumulative, bytes32[] calldata proof) external {
        if (!_claim(hub, miner, cumulative, proof)) {
            Paid storage paid = _paid[hub][miner];
            revert SettlementAmountNotIncreasing(cumulative, paid.total - paid.credited);
        }
    }

    /// @inheritdoc ISettlement
    function claimMany(address hub, Claim[] calldata claims) external {
        for (uint256 i = 0; i < claims.length; i++) {
            Claim calldata line = claims[i];
            _claim(hub, line.miner, line.cumulative, line.proof);
        }
    }

    /// @inheritdoc ISettlement
    function requestCredit(MinerCredit calldata credit, bytes calldata operatorSig)
        external
        returns (bytes32 creditId)
    {
        creditId = Types.hash(credit);
        _requireOperator(credit.hubWallet, creditId, operatorSig);
        uint256 paid = _paid[credit.hubWallet][credit.miner].total;
        if (credit.cumulative <= paid) revert SettlementAmountNotIncreasing(credit.cumulative, paid);

        // A second request must not put off the first one's delay.
        if (_creditRequestedAt[creditId] == 0) {
            _creditRequestedAt[creditId] = uint40(block.timestamp);
            emit CreditRequested(credit.hubWallet, credit.miner, creditId, credit.cumulative);
        }
    }

    /// @inheritdoc ISettlement
    function redeemCredit(MinerCredit calldata credit) external {
        bytes32 creditId = Types.hash(credit);
        (uint256 readyAt, uint256 stakeFrom) = creditReadyAt(creditId);
        if (readyAt == 0) revert SettlementCreditUnknown(creditId);
        if (block.timestamp < readyAt) revert SettlementWindowOpen(readyAt);
        Paid storage paid = _paid[credit.hubWallet][credit.miner];
        if (credit.cumulative <= paid.total) {
            revert SettlementAmountNotIncreasing(credit.cumulative, paid.total);
        }

        uint128 due = credit.cumulative - paid.total;
        address payout = MINERS.payoutOf(credit.miner);
        IHubWallet(credit.hubWallet).sync();
        uint128 amount = IHubWallet(credit.hubWallet).payDebt(payout, due, block.timestamp >= stakeFrom);
        if (amount == 0) revert SettlementNothingToPay();
        paid.total += amount;
        paid.credited += amount;
        emit CreditRedeemed(credit.hubWallet, credit.miner, creditId, amount);
        emit MinerPaid(credit.hubWallet, credit.miner, amount, paid.total);
    }

    /// @inheritdoc ISettlement
    function refundVoided(
        BatchHeader calldata header,
        JobLeaf calldata leaf,
        uint256 index,
        bytes32[] calldata proof
    ) external {
        bytes32 batchId = Types.hash(header);
        _release(header, batchId);
        requireLeaf(header, leaf, index, proof);

        address hub = header.hubWallet;
        uint256 due = Math.saturatingSub(leaf.charged, _refunded[hub][leaf.jobId]);
        // Leaves that add up to more than the batch declared were never covered by its exposure.
        due = Math.min(due, header.totalCharged - _refundedOfBatch[batchId]);
        if (due == 0) revert SettlementNothingToPay();

        bool fromStake = block.timestamp >= _batches[batchId].dueAt;
        uint128 amount = IHubWallet(hub).payDebt(leaf.buyer, due.toUint128(), fromStake);
        if (amount == 0) revert SettlementNothingToPay();
        _refundedOfBatch[batchId] += amount;
        _bookRefund(hub, leaf.buyer, leaf.jobId, amount);
    }

    /// @inheritdoc ISettlement
    function releaseVoided(BatchHeader calldata header) external {
        _release(header, Types.hash(header));
    }

    /// @inheritdoc ISettlement
    function cut(BatchHeader calldata header) external onlyFraudProofs {
        bytes32 batchId = Types.hash(header);
        Batch storage batch = _batches[batchId];
        if (_stateOf(header, batch) != BatchState.Committed) return;

        // An older cut of this generation can only have been later in the chain: what it voids is not Committed.
        address hub = header.hubWallet;
        Chain storage chain = _chains[hub];
        _cutAt[hub][chain.generation] = header.epoch;
        chain.broken = true;
        chain.lastBatch = header.prevBatch;
        chain.lastCum = header.minerTotalCum - batch.share;
        emit BatchVoided(hub, batchId, header.epoch);
        _release(header, batchId);
    }

    /// @inheritdoc ISettlement
    function bookRefund(address hub, address buyer, bytes32 jobId, uint128 amount) external onlyFraudProofs {
        _bookRefund(hub, buyer, jobId, amount);
    }

    /// @inheritdoc ISettlement
    function batches(bytes32 batchId) external view returns (Batch memory) {
        return _batches[batchId];
    }

    /// @inheritdoc ISettlement
    function stateOf(BatchHeader calldata header) external view returns (BatchState state, uint256 dueAt) {
        Batch storage batch = _batches[Types.hash(header)];
        return (_stateOf(header, batch), batch.dueAt);
    }

    /// @inheritdoc ISettlement
    function chainOf(address hub) external view returns (Chain memory) {
        return _chains[hub];
    }

    /// @inheritdoc ISettlement
    function paidTo(address hub, address miner) external view returns (Paid memory) {
        return _paid[hub][miner];
    }

    /// @inheritdoc ISettlement
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc ISettlement
    function digestOf(bytes32 structHash) external view returns (bytes32) {
        return _hashTypedDataV4(structHash);
    }

    /// @inheritdoc ISettlement
    function creditReadyAt(bytes32 creditId) public view returns (uint256 readyAt, uint256 stakeFrom) {
        uint256 requestedAt = _creditRequestedAt[creditId];
        if (requestedAt == 0) return (0, 0);
        return (requestedAt + challengeWindow, requestedAt + EXIT_THAW);
    }

    /// @inheritdoc ISettlement
    function requireLeaf(
        BatchHeader calldata header,
        JobLeaf calldata leaf,
        uint256 index,
        bytes32[] calldata proof
    ) public view {
        bool known = _batches[Types.hash(header)].state != BatchState.None;
        if (!known) revert SettlementWrongBatchState(BatchState.None, BatchState.Committed);
        bool proved = JobTree.verify(header.jobsRoot, Types.hash(leaf), index, header.jobs, proof);
        if (!proved) revert SettlementInvalidProof();
    }

    function _bookRefund(address hub, address buyer, bytes32 jobId, uint128 amount) private {
        _refunded[hub][jobId] += amount;
        emit BuyerRefunded(hub, buyer, jobId, amount);
    }

    function _requireOperator(address hub, bytes32 structHash, bytes calldata signature) private view {
        address signer = _signerOf(structHash, signature);
        if (!HUBS.wasOperator(hub, signer)) revert SettlementUnknownSigner(hub, signer);
    }

    function _signerOf(bytes32 structHash, bytes calldata signature) private view returns (address) {
        return ECDSA.recoverCalldata(_hashTypedDataV4(structHash), signature);
    }

    /// Puts the batch at the tip of its hub's chain and returns what it adds to the miners' earnings.
    function _extendChain(BatchHeader calldata header, bytes32 batchId) private returns (uint128 share) {
        Chain storage chain = _chains[header.hubWallet];
        if (header.epoch <= chain.lastEpoch) {
            revert SettlementStaleEpoch(header.epoch, uint256(chain.lastEpoch) + 1);
        }
        if (header.prevBatch != chain.lastBatch) {
            revert SettlementWrongPredecessor(header.prevBatch, chain.lastBatch);
        }
        uint128 before = chain.lastCum;
        if (header.minerTotalCum < before) revert SettlementTotalFalls(header.minerTotalCum, before);

        if (chain.broken) {
            chain.generation += 1;
            chain.broken = false;
        }
        share = header.minerTotalCum - before;
        chain.lastBatch = batchId;
        chain.lastCum = header.minerTotalCum;
        chain.lastEpoch = header.epoch;
        _batches[batchId] = Batch({
            share: share,
            dueAt: uint40(block.timestamp) + challengeWindow,
            generation: chain.generation,
            state: BatchState.Committed
        });
    }

    /// Returns false when the miner has had all of it already.
    function _claim(address hub, address miner, uint256 cumulative, bytes32[] calldata proof)
        private
        returns (bool)
    {
        bool proved =
            MerkleProof.verifyCalldata(proof, _chains[hub].payRoot, Types.payLeaf(miner, cumulative));
        if (!proved) revert SettlementInvalidProof();

        Paid memory paid = _paid[hub][miner];
        uint128 accounted = paid.total - paid.credited;
        uint128 earned = cumulative.toUint128();
        if (earned <= accounted) return false;

        // A credit may have paid part of it already. Then the batch's money for that part is the hub's again.
        uint128 alreadyPaid = earned - accounted < paid.credited ? earned - accounted : paid.credited;
        uint128 amount = earned - accounted - alreadyPaid;
        paid.total += amount;
        paid.credited -= alreadyPaid;
        _paid[hub][miner] = paid;
        emit MinerPaid(hub, miner, amount, paid.total);
        IHubWallet(hub).payMiner(MINERS.payoutOf(miner), amount, alreadyPaid);
        return true;
    }

    /// Takes a void batch's promises back, once.
    function _release(BatchHeader calldata header, bytes32 batchId) private {
        Batch storage batch = _requireState(header, batchId, BatchState.Voided);
        if (batch.state == BatchState.Voided) return;

        batch.state = BatchState.Voided;
        batch.dueAt = uint40(block.timestamp) + EXIT_THAW;
        uint128 share = batch.share;
        IHubWallet(header.hubWallet).releaseBatch(_exposureOf(header, share), share, _feeOf(header));
    }

    function _emitCommitted(BatchHeader calldata header, bytes32 batchId) private {
        emit BatchCommitted(
            header.hubWallet,
            batchId,
            header.epoch,
            header.jobsRoot,
            header.payRoot,
            header.daHash,
            header.jobs,
            header.totalCharged,
            header.minerTotalCum
        );
    }

    function _requireState(BatchHeader calldata header, bytes32 batchId, BatchState want)
        private
        view
        returns (Batch storage batch)
    {
        batch = _batches[batchId];
        BatchState have = _stateOf(header, batch);
        if (have != want) revert SettlementWrongBatchState(have, want);
    }

    /// The turns of the loop are the cuts since this batch. After a cut only a rehabilitated hub commits again, so
    /// there is at most one per vote of the DAO.
    function _stateOf(BatchHeader calldata header, Batch storage batch) private view returns (BatchState) {
        if (batch.state != BatchState.Committed) return batch.state;

        address hub = header.hubWallet;
        Chain storage chain = _chains[hub];
        uint256 end = uint256(chain.generation) + (chain.broken ? 1 : 0);
        for (uint256 generation = batch.generation; generation < end; generation++) {
            if (header.epoch >= _cutAt[hub][generation]) return BatchState.Voided;
        }
        return BatchState.Committed;
    }

    /// What the hub could lose its buyers or miners with this batch.
    function _exposureOf(BatchHeader calldata header, uint128 share) private pure returns (uint128) {
        return header.totalCharged > share ? header.totalCharged : share;
    }

    function _feeOf(BatchHeader calldata header) private view returns (uint128) {
        return (uint256(header.totalCharged) * FEE_BPS / BPS).toUint128();
    }
}
