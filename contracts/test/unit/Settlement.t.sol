// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IHubRegistry, Phase} from "../../src/hub/IHubRegistry.sol";
import {IHubWallet, Ledger} from "../../src/hub/IHubWallet.sol";
import {BatchHeader, JobLeaf, MinerCredit, Types} from "../../src/lib/Types.sol";
import {BatchState, Claim, ISettlement} from "../../src/pay/ISettlement.sol";
import {System} from "../base/System.sol";

contract SettlementTest is System {
    uint128 private constant CHARGE = 1_000e18;
    uint128 private constant EARNED = 700e18;

    JobLeaf private leaf;

    function setUp() public override {
        super.setUp();
        register(MIN_FREEZE);
        pay(10_000e18);
        leaf = leafOf(bytes32(uint256(1)), CHARGE);
    }

    function test_Batch_IsCommittedFinalizedAndClaimed() public {
        BatchHeader memory header = headerOf(1, leaf, EARNED);
        commit(header);
        skip(24 hours);
        settlement.finalizeBatch(header);
        settlement.claim(address(hub), miner, EARNED, none());

        assertEq(snm.balanceOf(miner), 1_000e18 + EARNED, "miner");
        assertEq(snm.balanceOf(address(timelock)), CHARGE * 50 / 10_000, "treasury");
        Ledger memory ledger = hub.ledger();
        assertEq(ledger.owed, 0, "owed");
        assertEq(ledger.frozen, MIN_FREEZE, "frozen");
        assertEq(hub.openExposure(), 0, "exposure");
        assertEq(hub.promised(), 0, "promised");
    }

    function test_Claim_PaysOnlyTheDifference() public {
        settle(1, EARNED);
        settlement.claim(address(hub), miner, EARNED, none());
        settle(2, EARNED + 5e18);
        settlement.claim(address(hub), miner, EARNED + 5e18, none());

        assertEq(snm.balanceOf(miner), 1_000e18 + EARNED + 5e18, "miner");
        assertEq(settlement.paidTo(address(hub), miner).total, EARNED + 5e18, "paid");
    }

    function test_Claim_SkipsEpochsThatWereNeverClaimed() public {
        settle(1, EARNED);
        settle(2, EARNED * 2);
        settle(3, EARNED * 3);
        settlement.claim(address(hub), miner, EARNED * 3, none());
        assertEq(snm.balanceOf(miner), 1_000e18 + EARNED * 3, "miner");
    }

    function test_Claim_RevertIf_ClaimedTwice() public {
        settle(1, EARNED);
        settlement.claim(address(hub), miner, EARNED, none());
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.SettlementAmountNotIncreasing.selector, EARNED, EARNED)
        );
        settlement.claim(address(hub), miner, EARNED, none());
    }

    function test_Claim_RevertIf_NotInTheRoot() public {
        settle(1, EARNED);
        vm.expectRevert(ISettlement.SettlementInvalidProof.selector);
        settlement.claim(address(hub), miner, EARNED + 1, none());
    }

    function test_Claim_GoesToThePayoutAddress() public {
        join(miner, 100e18);
        vm.prank(miner);
        miners.setPayout(STRANGER);
        settle(1, EARNED);
        settlement.claim(address(hub), miner, EARNED, none());
        assertEq(snm.balanceOf(STRANGER), EARNED, "payout address");
    }

    function test_ClaimMany_PassesOverThosePaidAlready() public {
        BatchHeader memory header = headerOf(1, leaf, EARNED);
        bytes32 a = Types.payLeaf(miner, 300e18);
        bytes32 b = Types.payLeaf(otherMiner, 400e18);
        header.payRoot = a < b ? keccak256(bytes.concat(a, b)) : keccak256(bytes.concat(b, a));
        commit(header);
        skip(24 hours);
        settlement.finalizeBatch(header);

        Claim[] memory claims = new Claim[](2);
        claims[0] = Claim({miner: miner, cumulative: 300e18, proof: one(b)});
        claims[1] = Claim({miner: otherMiner, cumulative: 400e18, proof: one(a)});
        settlement.claim(address(hub), miner, 300e18, one(b));
        settlement.claimMany(address(hub), claims);
        assertEq(snm.balanceOf(miner), 1_300e18, "miner");
        assertEq(snm.balanceOf(otherMiner), 1_400e18, "other miner");
    }

    function test_CommitBatch_RevertIf_NotSignedByTheOperator() public {
        BatchHeader memory header = headerOf(1, leaf, EARNED);
        bytes memory sig = sign(MINER_KEY, Types.hash(header));
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.SettlementInvalidSignature.selector, operator, miner)
        );
        settlement.commitBatch(header, sig);
    }

    function test_CommitBatch_RevertIf_Empty() public {
        BatchHeader memory header = headerOf(1, leaf, EARNED);
        header.jobs = 0;
        expectCommitRevert(header, abi.encodeWithSelector(ISettlement.SettlementEmptyBatch.selector));
    }

    function test_CommitBatch_RevertIf_EpochIsStale() public {
        commit(headerOf(5, leaf, EARNED));
        expectCommitRevert(
            headerOf(5, leaf, EARNED), abi.encodeWithSelector(ISettlement.SettlementStaleEpoch.selector, 5, 6)
        );
    }

    function test_CommitBatch_RevertIf_ChainIsForked() public {
        commit(headerOf(1, leaf, EARNED));
        BatchHeader memory header = headerOf(2, leaf, EARNED);
        bytes32 tip = header.prevBatch;
        header.prevBatch = 0;
        expectCommitRevert(
            header, abi.encodeWithSelector(ISettlement.SettlementWrongPredecessor.selector, bytes32(0), tip)
        );
    }

    function test_CommitBatch_RevertIf_EarningsFall() public {
        commit(headerOf(1, leaf, EARNED));
        expectCommitRevert(
            headerOf(2, leaf, EARNED - 1),
            abi.encodeWithSelector(ISettlement.SettlementTotalFalls.selector, EARNED - 1, EARNED)
        );
    }

    function test_CommitBatch_RevertIf_ExposureExceedsThreeStakes() public {
        pay(100_000e18);
        commit(headerOf(1, leafOf(bytes32(uint256(1)), 3 * MIN_FREEZE), 0));
        expectCommitRevert(
            headerOf(2, leafOf(bytes32(uint256(2)), 1), 0),
            abi.encodeWithSelector(
                IHubWallet.HubWalletExposureExceedsFreeze.selector, 3 * MIN_FREEZE + 1, 3 * MIN_FREEZE
            )
        );
    }

    function test_CommitBatch_RevertIf_MinersArePromisedMoreThanThereIs() public {
        expectCommitRevert(
            headerOf(1, leafOf(bytes32(uint256(1)), 0), 10_001e18),
            abi.encodeWithSelector(IHubWallet.HubWalletPromisesExceedFunds.selector, 10_001e18, 10_000e18)
        );
    }

    function test_CommitBatch_CountsMoneyThatNobodyBookedYet() public {
        vm.prank(BUYER);
        snm.transfer(address(hub), 5_000e18);
        commit(headerOf(1, leafOf(bytes32(uint256(1)), 0), 15_000e18));
        assertEq(hub.promised(), 15_000e18, "promised");
    }

    function test_FinalizeBatch_AtTMinus1_T() public {
        BatchHeader memory header = headerOf(1, leaf, EARNED);
        commit(header);
        uint256 dueAt = block.timestamp + 24 hours;
        skip(24 hours - 1);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.SettlementBatchNotFinal.selector, dueAt));
        settlement.finalizeBatch(header);
        skip(1);
        settlement.finalizeBatch(header);
    }

    function test_FinalizeBatch_RevertIf_Twice() public {
        BatchHeader memory header = settle(1, EARNED);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISettlement.SettlementWrongBatchState.selector, BatchState.Finalized, BatchState.Committed
            )
        );
        settlement.finalizeBatch(header);
    }

    function test_FinalizeBatch_RevertIf_PredecessorIsOpen() public {
        BatchHeader memory first = headerOf(1, leaf, EARNED);
        commit(first);
        BatchHeader memory second = headerOf(2, leaf, EARNED);
        commit(second);
        skip(24 hours);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISettlement.SettlementWrongPredecessor.selector, second.prevBatch, bytes32(0)
            )
        );
        settlement.finalizeBatch(second);
        settlement.finalizeBatch(first);
        settlement.finalizeBatch(second);
    }

    function test_FinalizeBatch_WhileSuspectedOnlyIf_FinalBefore() public {
        BatchHeader memory early = headerOf(1, leaf, EARNED);
        commit(early);
        skip(24 hours);
        BatchHeader memory late = headerOf(2, leaf, EARNED * 2);
        commit(late);
        proveContradiction(early, leaf);
        uint256 since = vm.getBlockTimestamp();
        skip(24 hours);

        settlement.finalizeBatch(early);
        settlement.claim(address(hub), miner, EARNED, none());
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.SettlementHubSuspected.selector, address(hub), since)
        );
        settlement.finalizeBatch(late);

        give(HUB_OWNER, MIN_FREEZE);
        vm.startPrank(HUB_OWNER);
        snm.approve(address(hubs), MIN_FREEZE);
        hubs.topUpFreeze(address(hub), MIN_FREEZE);
        vm.stopPrank();
        asDao();
        hubs.rehabilitate(address(hub));
        settlement.finalizeBatch(late);
    }

    function test_Credit_PaysAMinerThatNoBatchNames() public {
        MinerCredit memory credit = creditOf(EARNED);
        requestCredit(credit);
        skip(24 hours - 1);
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.SettlementWindowOpen.selector, block.timestamp + 1)
        );
        settlement.redeemCredit(credit);
        skip(1);
        settlement.redeemCredit(credit);
        assertEq(snm.balanceOf(miner), 1_000e18 + EARNED, "miner");
        assertEq(hub.frozen(), MIN_FREEZE, "stake");
    }

    function test_Credit_IsNotPaidAgainByABatch() public {
        MinerCredit memory credit = creditOf(EARNED);
        requestCredit(credit);
        skip(24 hours);
        settlement.redeemCredit(credit);
        settle(1, EARNED + 1e18);
        settlement.claim(address(hub), miner, EARNED + 1e18, none());

        assertEq(snm.balanceOf(miner), 1_001e18 + EARNED, "miner");
        assertEq(hub.ledger().owed, 0, "nothing stays owed for ever");
        assertEq(settlement.paidTo(address(hub), miner).credited, 0, "credited");
    }

    function test_Credit_LeavesPromisedMoneyAlone() public {
        commit(headerOf(1, leafOf(bytes32(uint256(1)), 0), 9_000e18));
        MinerCredit memory credit = creditOf(2_000e18);
        requestCredit(credit);
        skip(24 hours);
        settlement.redeemCredit(credit);
        assertEq(settlement.paidTo(address(hub), miner).total, 1_000e18, "as far as unpromised money goes");
    }

    function test_Credit_ReachesTheStakeOnlyAfterTheExitThaw() public {
        MinerCredit memory credit = creditOf(12_000e18);
        requestCredit(credit);
        uint256 requestedAt = block.timestamp;
        skip(24 hours);
        settlement.redeemCredit(credit);
        vm.expectRevert(ISettlement.SettlementNothingToPay.selector);
        settlement.redeemCredit(credit);
        assertEq(hub.frozen(), MIN_FREEZE, "stake");

        vm.warp(requestedAt + 21 days);
        settlement.redeemCredit(credit);
        assertEq(hub.frozen(), MIN_FREEZE - 2_000e18, "stake");
        assertPhase(Phase.Suspected, "an insolvent hub is suspected");
    }

    function test_RequestCredit_RevertIf_NotSignedByTheHub() public {
        MinerCredit memory credit = creditOf(EARNED);
        bytes memory sig = sign(MINER_KEY, Types.hash(credit));
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.SettlementUnknownSigner.selector, address(hub), miner)
        );
        settlement.requestCredit(credit, sig);
    }

    function test_RequestCredit_RevertIf_PaidAlready() public {
        settle(1, EARNED);
        settlement.claim(address(hub), miner, EARNED, none());
        MinerCredit memory credit = creditOf(EARNED);
        bytes memory sig = sign(OPERATOR_KEY, Types.hash(credit));
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.SettlementAmountNotIncreasing.selector, EARNED, EARNED)
        );
        settlement.requestCredit(credit, sig);
    }

    function test_RedeemCredit_RevertIf_NotRequested() public {
        MinerCredit memory credit = creditOf(EARNED);
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.SettlementCreditUnknown.selector, Types.hash(credit))
        );
        settlement.redeemCredit(credit);
    }

    function test_RedeemCredit_RevertIf_ABatchPaidItMeanwhile() public {
        MinerCredit memory credit = creditOf(EARNED);
        requestCredit(credit);
        settle(1, EARNED);
        settlement.claim(address(hub), miner, EARNED, none());
        vm.expectRevert(
            abi.encodeWithSelector(ISettlement.SettlementAmountNotIncreasing.selector, EARNED, EARNED)
        );
        settlement.redeemCredit(credit);
    }

    function test_Cut_RevertIf_NotFraudProofs() public {
        BatchHeader memory header = headerOf(1, leaf, EARNED);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.SettlementNotFraudProofs.selector, address(this)));
        settlement.cut(header);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.SettlementNotFraudProofs.selector, address(this)));
        settlement.bookRefund(address(hub), BUYER, leaf.jobId, 1);
    }

    function test_Void_CutsTheChainAndRefundsTheBuyer() public {
        BatchHeader memory first = headerOf(1, leaf, EARNED);
        commit(first);
        BatchHeader memory second = headerOf(2, leafOf(bytes32(uint256(2)), CHARGE), EARNED * 2);
        commit(second);
        BatchHeader memory third = headerOf(3, leafOf(bytes32(uint256(3)), CHARGE), EARNED * 3);
        commit(third);
        voidByTwin(second);

        assertState(first, BatchState.Committed, "the first stays");
        assertState(second, BatchState.Voided, "the second is void");
        assertState(third, BatchState.Voided, "the third contains the second");
        settlement.releaseVoided(third);
        assertEq(hub.openExposure(), CHARGE, "only the first is open");

        uint256 before = snm.balanceOf(BUYER);
        settlement.refundVoided(third, leafOf(bytes32(uint256(3)), CHARGE), 0, none());
        assertEq(snm.balanceOf(BUYER), before + CHARGE, "refund");
        vm.expectRevert(ISettlement.SettlementNothingToPay.selector);
        settlement.refundVoided(third, leafOf(bytes32(uint256(3)), CHARGE), 0, none());
    }

    function test_RefundVoided_RevertIf_TheBatchStands() public {
        BatchHeader memory header = headerOf(1, leaf, EARNED);
        commit(header);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISettlement.SettlementWrongBatchState.selector, BatchState.Committed, BatchState.Voided
            )
        );
        settlement.refundVoided(header, leaf, 0, none());
    }

    function test_RequireLeaf_RevertIf_TheBatchIsUnknownOrTheLeafIsNotInIt() public {
        BatchHeader memory header = headerOf(1, leaf, EARNED);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISettlement.SettlementWrongBatchState.selector, BatchState.None, BatchState.Committed
            )
        );
        settlement.requireLeaf(header, leaf, 0, none());
        commit(header);
        settlement.requireLeaf(header, leaf, 0, none());
        vm.expectRevert(ISettlement.SettlementInvalidProof.selector);
        settlement.requireLeaf(header, leaf, 1, none());
    }

    function test_Void_TheChainGoesOnAfterRehabilitation() public {
        BatchHeader memory first = headerOf(1, leaf, EARNED);
        commit(first);
        BatchHeader memory second = headerOf(2, leaf, EARNED * 2);
        commit(second);
        BatchHeader memory third = headerOf(3, leaf, EARNED * 3);
        commit(third);
        voidByTwin(second);
        rehabilitate();

        BatchHeader memory next = headerOf(4, leaf, EARNED * 2);
        assertEq(next.prevBatch, Types.hash(first), "the chain goes on where it was cut");
        commit(next);
        skip(24 hours);
        settlement.finalizeBatch(first);
        settlement.finalizeBatch(next);
        assertState(second, BatchState.Voided, "what was void stays void");
        assertState(third, BatchState.Voided, "and so does what nobody has released yet");
        settlement.claim(address(hub), miner, EARNED * 2, none());
    }

    function voidByTwin(BatchHeader memory header) private {
        BatchHeader memory twin = abi.decode(abi.encode(header), (BatchHeader));
        twin.daHash = keccak256("another file");
        bytes memory sigA = sign(OPERATOR_KEY, Types.hash(header));
        bytes memory sigB = sign(OPERATOR_KEY, Types.hash(twin));
        frauds.proveTwoBatches(header, sigA, twin, sigB);
    }

    function rehabilitate() private {
        vm.startPrank(HUB_OWNER);
        snm.approve(address(hubs), MIN_FREEZE);
        hubs.topUpFreeze(address(hub), MIN_FREEZE);
        vm.stopPrank();
        asDao();
        hubs.rehabilitate(address(hub));
    }

    function settle(uint64 epoch, uint128 cumulative) private returns (BatchHeader memory header) {
        header = headerOf(epoch, leaf, cumulative);
        commit(header);
        skip(24 hours);
        settlement.finalizeBatch(header);
    }

    function creditOf(uint128 cumulative) private view returns (MinerCredit memory) {
        return MinerCredit({hubWallet: address(hub), miner: miner, cumulative: cumulative, epoch: 1});
    }

    function requestCredit(MinerCredit memory credit) private {
        settlement.requestCredit(credit, sign(OPERATOR_KEY, Types.hash(credit)));
    }

    function expectCommitRevert(BatchHeader memory header, bytes memory reason) private {
        bytes memory sig = sign(OPERATOR_KEY, Types.hash(header));
        vm.expectRevert(reason);
        settlement.commitBatch(header, sig);
    }

    function assertState(BatchHeader memory header, BatchState want, string memory what) private view {
        (BatchState have,) = settlement.stateOf(header);
        assertEq(uint256(have), uint256(want), what);
    }

    function one(bytes32 sibling) private pure returns (bytes32[] memory proof) {
        proof = new bytes32[](1);
        proof[0] = sibling;
    }
}
