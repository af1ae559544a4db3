// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Phase} from "../../src/hub/IHubRegistry.sol";
import {BatchHeader, HubReceipt, JobLeaf, MinerCredit, Types} from "../../src/lib/Types.sol";
import {BatchState} from "../../src/pay/ISettlement.sol";
import {Ledger} from "../../src/hub/IHubWallet.sol";
import {System} from "../base/System.sol";

/// @notice Everybody at once: a buyer, a hub that may cheat, its miner, a stranger with proofs, the DAO and time.
/// Each action first looks whether it is allowed, so no call may ever revert; what it knows about the past is kept
/// here, to be compared with what the contracts say.
contract Handler is System {
    BatchHeader[] private headers;
    JobLeaf[] private leaves;
    MinerCredit[] private credits;

    /// The highest sum that the hub ever signed or committed for its miner.
    uint256 public promisedMost;
    uint256 public paidBefore;
    bool public paidFell;
    /// What moved the stake, seen from outside.
    uint256 public frozenIn;
    uint256 public frozenOut;
    uint256 public finalizedShares;
    uint256 public redeemed;
    bool public exposureExceeded;
    bool public lotChanged;
    uint256[] public lotAmounts;

    constructor() {
        setUp();
        register(50_000e18);
        frozenIn = 50_000e18;
    }

    function contracts() external view returns (address[5] memory) {
        return [address(hub), address(vault), address(frauds), address(miners), address(settlement)];
    }

    function everybody() external view returns (address[8] memory) {
        return [HOLDER, HUB_OWNER, BUYER, STRANGER, miner, otherMiner, address(timelock), DEPLOYER];
    }

    function theHub() external view returns (address) {
        return address(hub);
    }

    function system() external view returns (address, address, address, address, address) {
        return (address(snm), address(hubs), address(vault), address(settlement), miner);
    }

    function lotsSeen() external view returns (uint256) {
        return lotAmounts.length;
    }

    function payHub(uint256 amount) external {
        uint256 value = bound(amount, 1, 20_000e18);
        if (snm.balanceOf(BUYER) < value) return;
        vm.prank(BUYER);
        snm.transfer(address(hub), value);
    }

    function sync() external {
        hub.sync();
    }

    function wait(uint256 time) external {
        skip(bound(time, 1 hours, 2 days));
    }

    function topUp(uint256 amount) external {
        Phase now_ = phase();
        if (now_ == Phase.Created || now_ == Phase.Retired) return;
        uint128 more = uint128(bound(amount, 1e18, 1_000e18));
        if (snm.balanceOf(HUB_OWNER) < more) return;
        vm.startPrank(HUB_OWNER);
        snm.approve(address(hubs), more);
        hubs.topUpFreeze(address(hub), more);
        vm.stopPrank();
        frozenIn += more;
    }

    function commitBatch(uint256 charge, uint256 earned) external {
        if (!hubs.status(address(hub)).mayCommit) return;
        hub.sync();
        Ledger memory ledger = hub.ledger();
        uint256 funds = uint256(ledger.held) + ledger.free - hub.promised();
        uint256 room = uint256(hub.frozen()) * 3;
        // After a slash there may be more open than allowed; then even an empty batch is refused.
        if (room < hub.openExposure()) return;
        room -= hub.openExposure();
        uint128 charged = uint128(bound(charge, 0, min(room, funds)));
        // The fee is at most a twentieth of the charge.
        uint128 share = uint128(bound(earned, 0, min(room, funds - charged / 20)));

        uint128 before = settlement.chainOf(address(hub)).lastCum;
        uint64 epoch = settlement.chainOf(address(hub)).lastEpoch + 1;
        JobLeaf memory leaf = leafOf(keccak256(abi.encode(epoch)), charged);
        BatchHeader memory header = headerOf(epoch, leaf, before + share);
        commit(header);
        headers.push(header);
        leaves.push(leaf);
        remember(before + share);
        if (hub.openExposure() > uint256(hub.frozen()) * 3) exposureExceeded = true;
    }

    function finalize(uint256 which) external {
        if (headers.length == 0) return;
        BatchHeader memory header = headers[bound(which, 0, headers.length - 1)];
        (BatchState state, uint256 dueAt) = settlement.stateOf(header);
        if (state != BatchState.Committed || block.timestamp < dueAt) return;
        (Phase now_, uint40 since) = hubs.phaseAndSuspicion(address(hub));
        if (now_ == Phase.Suspected && dueAt > since) return;
        if (header.prevBatch != settlement.chainOf(address(hub)).lastFinalized) return;
        uint256 stakeBefore = hub.frozen();
        finalizedShares += settlement.batches(Types.hash(header)).share;
        settlement.finalizeBatch(header);
        frozenOut += stakeBefore - hub.frozen();
    }

    function claimMiner() external {
        uint256 cumulative = settlement.chainOf(address(hub)).payCum;
        bytes32 root = settlement.chainOf(address(hub)).payRoot;
        if (root != Types.payLeaf(miner, cumulative)) return;
        if (cumulative <= accounted()) return;
        settlement.claim(address(hub), miner, cumulative, none());
        watchPaid();
    }

    function signCredit(uint256 more) external {
        uint256 paid = settlement.paidTo(address(hub), miner).total;
        uint128 cumulative = uint128(paid + bound(more, 1, 2_000e18));
        MinerCredit memory credit =
            MinerCredit({hubWallet: address(hub), miner: miner, cumulative: cumulative, epoch: 0});
        settlement.requestCredit(credit, sign(OPERATOR_KEY, Types.hash(credit)));
        credits.push(credit);
        remember(cumulative);
    }

    function redeem(uint256 which) external {
        if (credits.length == 0) return;
        MinerCredit memory credit = credits[bound(which, 0, credits.length - 1)];
        (uint256 readyAt, uint256 stakeFrom) = settlement.creditReadyAt(Types.hash(credit));
        if (block.timestamp < readyAt) return;
        uint256 paid = settlement.paidTo(address(hub), miner).total;
        if (credit.cumulative <= paid) return;
        hub.sync();
        Ledger memory ledger = hub.ledger();
        bool funds = uint256(ledger.held) + ledger.free > hub.promised();
        bool stake = block.timestamp >= stakeFrom && ledger.frozen > 0;
        if (!funds && !stake) return;

        uint256 stakeBefore = hub.frozen();
        settlement.redeemCredit(credit);
        frozenOut += stakeBefore - hub.frozen();
        redeemed += settlement.paidTo(address(hub), miner).total - paid;
        watchPaid();
    }

    function contradict(uint256 which) external {
        if (headers.length == 0) return;
        uint256 i = bound(which, 0, headers.length - 1);
        if (frauds.isPunished(keccak256(abi.encode("E4", address(hub), leaves[i].jobId)))) return;
        uint256 stakeBefore = hub.frozen();
        proveContradiction(headers[i], leaves[i]);
        frozenOut += stakeBefore - hub.frozen();
        watchLots();
    }

    function equivocate(uint256 which) external {
        if (headers.length == 0) return;
        BatchHeader memory header = headers[bound(which, 0, headers.length - 1)];
        if (frauds.isPunished(keccak256(abi.encode("E2 batches", address(hub), header.epoch)))) return;
        BatchHeader memory twin = abi.decode(abi.encode(header), (BatchHeader));
        twin.daHash = keccak256("twin");
        bytes memory sigA = sign(OPERATOR_KEY, Types.hash(header));
        bytes memory sigB = sign(OPERATOR_KEY, Types.hash(twin));
        uint256 stakeBefore = hub.frozen();
        frauds.proveTwoBatches(header, sigA, twin, sigB);
        frozenOut += stakeBefore - hub.frozen();
        watchLots();
    }

    function releaseVoided(uint256 which) external {
        if (headers.length == 0) return;
        BatchHeader memory header = headers[bound(which, 0, headers.length - 1)];
        (BatchState state,) = settlement.stateOf(header);
        if (state == BatchState.Voided) settlement.releaseVoided(header);
    }

    function expropriate(uint256 amount) external {
        uint256 from = hubs.status(address(hub)).expropriableFrom;
        if (from == 0 || block.timestamp < from) return;
        uint128 most = uint128(min(hub.frozen(), hubs.expropriable()));
        uint128 taken = uint128(bound(amount, 0, most));
        asDao();
        hubs.expropriate(address(hub), taken);
        frozenOut += taken;
        watchLots();
    }

    function rehabilitate() external {
        Phase now_ = phase();
        bool fallen = now_ == Phase.Suspected || now_ == Phase.Punished;
        if (!fallen || hub.frozen() < MIN_FREEZE) return;
        asDao();
        hubs.rehabilitate(address(hub));
    }

    function suspectByVote() external {
        if (phase() != Phase.Active) return;
        asDao();
        try hubs.suspect(address(hub), keccak256("evidence")) {} catch {}
    }

    function restore(uint256 which) external {
        if (vault.lotCount() == 0) return;
        uint256 lotId = bound(which, 1, vault.lotCount());
        bool open = uint256(vault.lots(lotId).state) == 1 && block.timestamp < vault.lots(lotId).releaseAt;
        if (!open) return;
        asDao();
        vault.restore(lotId);
        frozenIn += vault.lots(lotId).amount;
    }

    function release(uint256 which) external {
        if (vault.lotCount() == 0) return;
        uint256 lotId = bound(which, 1, vault.lotCount());
        bool ripe = uint256(vault.lots(lotId).state) == 1 && block.timestamp >= vault.lots(lotId).releaseAt;
        if (ripe) vault.release(lotId);
    }

    function withdraw(uint256 amount) external {
        (, uint40 readyAt, uint40 expiresAt) = hub.withdrawal();
        if (phase() != Phase.Active) return;
        uint128 asked = uint128(bound(amount, 0, hub.ledger().free));
        vm.prank(HUB_OWNER);
        if (readyAt == 0 || block.timestamp >= expiresAt) {
            hub.requestWithdraw(asked);
            return;
        }
        try hub.executeWithdraw() {} catch {}
    }

    function accounted() private view returns (uint256) {
        return settlement.paidTo(address(hub), miner).total - settlement.paidTo(address(hub), miner).credited;
    }

    function remember(uint256 cumulative) private {
        if (cumulative > promisedMost) promisedMost = cumulative;
    }

    function watchPaid() private {
        uint256 paid = settlement.paidTo(address(hub), miner).total;
        if (paid < paidBefore) paidFell = true;
        paidBefore = paid;
    }

    function watchLots() private {
        while (lotAmounts.length < vault.lotCount()) {
            lotAmounts.push(vault.lots(lotAmounts.length + 1).amount);
        }
    }

    function min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}
