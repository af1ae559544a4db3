// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Phase} from "../../src/hub/IHubRegistry.sol";
import {BatchHeader, ExecutionReceipt, HubReceipt, JobLeaf, JobSpec, Types} from "../../src/lib/Types.sol";
import {IMinerRegistry} from "../../src/miner/IMinerRegistry.sol";
import {IFraudProofs} from "../../src/pay/IFraudProofs.sol";
import {BatchState, ISettlement} from "../../src/pay/ISettlement.sol";
import {System} from "../base/System.sol";

contract FraudProofsTest is System {
    uint128 private constant CHARGE = 1_000e18;

    JobLeaf private leaf;

    function setUp() public override {
        super.setUp();
        register(100_000e18);
        join(miner, 500e18);
        pay(10_000e18);
        leaf = leafOf(bytes32(uint256(1)), CHARGE);
    }

    // --- E1: a miner signs two outcomes of one spec

    function test_MinerEquivocation_CostsTheWholeStake() public {
        (ExecutionReceipt memory a, ExecutionReceipt memory b, JobSpec memory spec) = twoOutcomes();
        proveMiner(a, b, spec, "");

        assertEq(miners.stakeOf(miner), 0, "stake");
        assertEq(frauds.bountyOf(STRANGER), 50e18, "bounty");
        assertEq(vault.lots(1).amount, 450e18, "vault");
        vm.prank(STRANGER);
        frauds.withdrawBounty();
        assertEq(snm.balanceOf(STRANGER), 50e18, "reporter");
        assertEq(snm.balanceOf(address(frauds)), 0, "nothing else is there");
    }

    function test_MinerEquivocation_CountsByARotatedKey() public {
        vm.prank(miner);
        miners.rotateKey(STRANGER);
        (ExecutionReceipt memory a, ExecutionReceipt memory b, JobSpec memory spec) = twoOutcomes();
        proveMiner(a, b, spec, "");
        assertEq(miners.stakeOf(miner), 0, "stake");
    }

    function test_MinerEquivocation_CountsDuringTheThaw() public {
        vm.prank(miner);
        miners.requestLeave();
        skip(14 days);
        (ExecutionReceipt memory a, ExecutionReceipt memory b, JobSpec memory spec) = twoOutcomes();
        proveMiner(a, b, spec, "");
        assertEq(miners.stakeOf(miner), 0, "stake");
    }

    function test_MinerEquivocation_ForgetsALeaveInProgress() public {
        vm.prank(miner);
        miners.requestLeave();
        (ExecutionReceipt memory a, ExecutionReceipt memory b, JobSpec memory spec) = twoOutcomes();
        proveMiner(a, b, spec, "");
        give(miner, 100e18);
        join(miner, 100e18);
        skip(14 days);
        vm.prank(miner);
        vm.expectRevert(IMinerRegistry.MinerRegistryNotLeaving.selector);
        miners.finalizeLeave();
    }

    function test_MinerEquivocation_RevertIf_ProvedTwice() public {
        (ExecutionReceipt memory a, ExecutionReceipt memory b, JobSpec memory spec) = twoOutcomes();
        proveMiner(a, b, spec, "");
        give(miner, 100e18);
        join(miner, 100e18);
        bytes32 key = keccak256(abi.encode("E1", miner, Types.hash(spec)));
        proveMiner(a, b, spec, abi.encodeWithSelector(IFraudProofs.FraudProofsAlreadyPunished.selector, key));
    }

    function test_MinerEquivocation_RevertIf_TheOutcomesAgree() public {
        (ExecutionReceipt memory a, ExecutionReceipt memory b, JobSpec memory spec) = twoOutcomes();
        b.resultHash = a.resultHash;
        b.executedAt += 1;
        b.jobId = keccak256("another job");
        proveMiner(a, b, spec, abi.encodeWithSelector(IFraudProofs.FraudProofsNoContradiction.selector));
    }

    function test_MinerEquivocation_RevertIf_OneRunProvesNothing() public {
        (ExecutionReceipt memory a, ExecutionReceipt memory b, JobSpec memory spec) = twoOutcomes();
        for (uint8 status = 3; status < 6; status++) {
            b.status = status;
            bytes memory reason =
                abi.encodeWithSelector(IFraudProofs.FraudProofsNotDeterministic.selector, status);
            proveMiner(a, b, spec, reason);
        }
    }

    function test_MinerEquivocation_RevertIf_TheAbiIsNotTrusted() public {
        asDao();
        frauds.setSlashableAbi(ABI_VERSION, false);
        (ExecutionReceipt memory a, ExecutionReceipt memory b, JobSpec memory spec) = twoOutcomes();
        proveMiner(
            a, b, spec, abi.encodeWithSelector(IFraudProofs.FraudProofsAbiNotSlashable.selector, ABI_VERSION)
        );
    }

    function test_MinerEquivocation_RevertIf_TheSpecsDiffer() public {
        (ExecutionReceipt memory a, ExecutionReceipt memory b, JobSpec memory spec) = twoOutcomes();
        b.specHash = keccak256("another spec");
        proveMiner(a, b, spec, abi.encodeWithSelector(IFraudProofs.FraudProofsNotSameSpec.selector));
    }

    function test_MinerEquivocation_RevertIf_TwoMinersDisagree() public {
        (ExecutionReceipt memory a, ExecutionReceipt memory b, JobSpec memory spec) = twoOutcomes();
        b.miner = otherMiner;
        proveMiner(
            a,
            b,
            spec,
            abi.encodeWithSelector(IFraudProofs.FraudProofsNotSameSigner.selector, miner, otherMiner)
        );
    }

    function test_MinerEquivocation_RevertIf_AnotherSigned() public {
        (ExecutionReceipt memory a, ExecutionReceipt memory b, JobSpec memory spec) = twoOutcomes();
        bytes memory sigA = sign(MINER_KEY, Types.hash(a));
        bytes memory sigB = sign(OTHER_MINER_KEY, Types.hash(b));
        vm.expectRevert(
            abi.encodeWithSelector(IFraudProofs.FraudProofsUnknownSigner.selector, miner, otherMiner)
        );
        frauds.proveMinerEquivocation(a, sigA, b, sigB, spec);
    }

    function test_SetSlashableAbi_RevertIf_NotDao() public {
        vm.expectRevert(abi.encodeWithSelector(IFraudProofs.FraudProofsNotDao.selector, address(this)));
        frauds.setSlashableAbi(2, true);
    }

    // --- E2: a hub signs two things where there can be one

    function test_TwoBatches_SuspectTheHubAndVoidTheCommittedOne() public {
        BatchHeader memory a = headerOf(1, leaf, 700e18);
        commit(a);
        BatchHeader memory b = headerOf(1, leaf, 700e18);
        b.prevBatch = 0;
        b.payRoot = keccak256("other earnings");
        proveBatches(a, b, "");

        assertPhase(Phase.Suspected, "phase");
        assertEq(hub.openExposure(), 0, "the batch is void");
        assertEq(hub.frozen(), 90_000e18, "a tenth of the stake");
        assertEq(frauds.bountyOf(STRANGER), 1_000e18, "bounty");
        assertEq(vault.lots(1).amount, 9_000e18, "vault");
    }

    function test_TwoBatches_LeaveAFinalizedOneAlone() public {
        BatchHeader memory a = headerOf(1, leaf, 700e18);
        commit(a);
        skip(24 hours);
        settlement.finalizeBatch(a);
        BatchHeader memory b = abi.decode(abi.encode(a), (BatchHeader));
        b.payRoot = keccak256("other earnings");
        proveBatches(a, b, "");
        settlement.claim(address(hub), miner, 700e18, none());
    }

    function test_TwoBatches_RevertIf_ProvedTwice() public {
        BatchHeader memory a = headerOf(1, leaf, 700e18);
        BatchHeader memory b = headerOf(1, leaf, 800e18);
        proveBatches(a, b, "");
        bytes32 key = keccak256(abi.encode("E2 batches", address(hub), uint64(1)));
        proveBatches(b, a, abi.encodeWithSelector(IFraudProofs.FraudProofsAlreadyPunished.selector, key));
    }

    function test_TwoBatches_RevertIf_TheyAreOneOrOfTwoEpochsOrHubs() public {
        BatchHeader memory a = headerOf(1, leaf, 700e18);
        proveBatches(a, a, abi.encodeWithSelector(IFraudProofs.FraudProofsNoContradiction.selector));
        BatchHeader memory b = headerOf(2, leaf, 700e18);
        proveBatches(a, b, abi.encodeWithSelector(IFraudProofs.FraudProofsNotSameEpoch.selector, 1, 2));
        b.hubWallet = STRANGER;
        proveBatches(
            a,
            b,
            abi.encodeWithSelector(IFraudProofs.FraudProofsNotSameSigner.selector, address(hub), STRANGER)
        );
    }

    function test_TwoBatches_CountByARotatedOperatorKey() public {
        vm.prank(HUB_OWNER);
        hubs.setOperator(address(hub), otherMiner);
        skip(48 hours);
        vm.prank(HUB_OWNER);
        hubs.activateOperator(address(hub));

        proveBatches(headerOf(1, leaf, 700e18), headerOf(1, leaf, 800e18), "");
        assertPhase(Phase.Suspected, "phase");
    }

    function test_TwoReceipts_SuspectTheHub() public {
        HubReceipt memory a = receiptOf(leaf);
        HubReceipt memory b = receiptOf(leaf);
        b.charged += 1;
        proveReceipts(a, b, "");
        assertPhase(Phase.Suspected, "phase");
        assertEq(hub.frozen(), 90_000e18, "stake");
    }

    function test_TwoReceipts_RevertIf_OneIsOnlyTheOtherSignedAgain() public {
        HubReceipt memory a = receiptOf(leaf);
        HubReceipt memory b = receiptOf(leaf);
        b.completedAt += 60;
        b.receiptsHash = keccak256("one more receipt");
        proveReceipts(a, b, abi.encodeWithSelector(IFraudProofs.FraudProofsNoContradiction.selector));
    }

    function test_TwoReceipts_RevertIf_OfTwoJobs() public {
        HubReceipt memory b = receiptOf(leaf);
        b.jobId = keccak256("another job");
        proveReceipts(receiptOf(leaf), b, abi.encodeWithSelector(IFraudProofs.FraudProofsNotSameJob.selector));
    }

    // --- E4: a hub settles something else than it signed for

    function test_LeafContradictsReceipt_PaysTheBuyerTheReporterAndTheVault() public {
        BatchHeader memory header = headerOf(1, leaf, 700e18);
        commit(header);
        uint256 before = snm.balanceOf(BUYER);
        proveContradiction(header, leaf);

        // A tenth of the stake is 10,000; the buyer gets twice its charge of it.
        assertPhase(Phase.Suspected, "phase");
        assertEq(snm.balanceOf(BUYER) - before, 2 * CHARGE, "buyer");
        assertEq(frauds.bountyOf(STRANGER), 1_000e18, "bounty");
        assertEq(vault.lots(1).amount, 7_000e18, "vault");
        assertEq(hub.frozen(), 90_000e18, "stake");
    }

    function test_LeafContradictsReceipt_RefundsNoMoreThanTheBatchDeclared() public {
        BatchHeader memory header = headerOf(1, leaf, 700e18);
        header.totalCharged = 10e18;
        commit(header);
        uint256 before = snm.balanceOf(BUYER);
        proveContradiction(header, leaf);
        assertEq(snm.balanceOf(BUYER) - before, 20e18, "twice what was declared");
    }

    function test_LeafContradictsReceipt_CountsForResultFuelAndCharge() public {
        BatchHeader memory header = headerOf(1, leaf, 700e18);
        commit(header);
        HubReceipt memory receipt = receiptOf(leaf);
        proveLeaf(receipt, header, abi.encodeWithSelector(IFraudProofs.FraudProofsNoContradiction.selector));
        receipt.charged -= 1;
        proveLeaf(receipt, header, "");
        receipt = receiptOf(leaf);
        receipt.fuelUsed += 1;
        bytes32 key = keccak256(abi.encode("E4", address(hub), leaf.jobId));
        proveLeaf(
            receipt, header, abi.encodeWithSelector(IFraudProofs.FraudProofsAlreadyPunished.selector, key)
        );
    }

    function test_LeafContradictsReceipt_RevertIf_TheLeafIsNotInABatch() public {
        BatchHeader memory header = headerOf(1, leaf, 700e18);
        HubReceipt memory receipt = receiptOf(leaf);
        receipt.charged -= 1;
        bytes memory sig = sign(OPERATOR_KEY, Types.hash(receipt));
        vm.expectRevert(
            abi.encodeWithSelector(
                ISettlement.SettlementWrongBatchState.selector, BatchState.None, BatchState.Committed
            )
        );
        frauds.proveLeafContradictsReceipt(receipt, sig, header, leaf, 0, none());
    }

    function test_LeafContradictsReceipt_RevertIf_TheHubDidNotSign() public {
        BatchHeader memory header = headerOf(1, leaf, 700e18);
        commit(header);
        HubReceipt memory receipt = receiptOf(leaf);
        receipt.charged -= 1;
        bytes memory sig = sign(MINER_KEY, Types.hash(receipt));
        vm.expectRevert(
            abi.encodeWithSelector(IFraudProofs.FraudProofsUnknownSigner.selector, address(hub), miner)
        );
        frauds.proveLeafContradictsReceipt(receipt, sig, header, leaf, 0, none());
    }

    function test_LeafContradictsReceipt_RevertIf_OfTwoJobsOrHubs() public {
        BatchHeader memory header = headerOf(1, leaf, 700e18);
        commit(header);
        HubReceipt memory receipt = receiptOf(leaf);
        receipt.jobId = keccak256("another job");
        proveLeaf(receipt, header, abi.encodeWithSelector(IFraudProofs.FraudProofsNotSameJob.selector));
        receipt.hubWallet = STRANGER;
        proveLeaf(
            receipt,
            header,
            abi.encodeWithSelector(IFraudProofs.FraudProofsNotSameSigner.selector, address(hub), STRANGER)
        );
    }

    function testFuzz_LeafContradictsReceipt_AlwaysLocksAFifth(uint128 stake, uint128 charge) public {
        stake = uint128(bound(stake, 1, 900_000e18));
        charge = uint128(bound(charge, 0, 3 * (uint256(stake) + 100_000e18)));
        vm.startPrank(HUB_OWNER);
        snm.approve(address(hubs), stake);
        hubs.topUpFreeze(address(hub), stake);
        vm.stopPrank();
        give(address(hub), charge);
        leaf = leafOf(bytes32(uint256(1)), charge);
        BatchHeader memory header = headerOf(1, leaf, 0);
        commit(header);

        uint256 frozen = hub.frozen();
        proveContradiction(header, leaf);
        uint256 slashed = frozen - hub.frozen();
        assertLe(slashed * 2_000 / 10_000, vault.lots(1).amount, "the vault's part");
        assertLe(slashed, frozen, "never more than the stake");
        assertLe(frozen / 10, slashed, "never less than a tenth");
    }

    function test_WithdrawBounty_RevertIf_Nothing() public {
        vm.expectRevert(IFraudProofs.FraudProofsNothingToPay.selector);
        frauds.withdrawBounty();
    }

    function twoOutcomes()
        private
        view
        returns (ExecutionReceipt memory a, ExecutionReceipt memory b, JobSpec memory spec)
    {
        spec = JobSpec(keccak256("module"), keccak256("input"), keccak256("config"), 1_000_000, ABI_VERSION);
        a = ExecutionReceipt({
            jobId: keccak256("job"),
            specHash: Types.hash(spec),
            miner: miner,
            hubWallet: address(hub),
            resultHash: keccak256("right"),
            fuelUsed: 1_000,
            status: 0,
            executedAt: uint64(block.timestamp)
        });
        b = abi.decode(abi.encode(a), (ExecutionReceipt));
        b.resultHash = keccak256("wrong");
    }

    function proveMiner(
        ExecutionReceipt memory a,
        ExecutionReceipt memory b,
        JobSpec memory spec,
        bytes memory reason
    ) private {
        bytes memory sigA = sign(MINER_KEY, Types.hash(a));
        bytes memory sigB = sign(MINER_KEY, Types.hash(b));
        if (reason.length > 0) vm.expectRevert(reason);
        vm.prank(STRANGER);
        frauds.proveMinerEquivocation(a, sigA, b, sigB, spec);
    }

    function proveBatches(BatchHeader memory a, BatchHeader memory b, bytes memory reason) private {
        bytes memory sigA = sign(OPERATOR_KEY, Types.hash(a));
        bytes memory sigB = sign(OPERATOR_KEY, Types.hash(b));
        if (reason.length > 0) vm.expectRevert(reason);
        vm.prank(STRANGER);
        frauds.proveTwoBatches(a, sigA, b, sigB);
    }

    function proveReceipts(HubReceipt memory a, HubReceipt memory b, bytes memory reason) private {
        bytes memory sigA = sign(OPERATOR_KEY, Types.hash(a));
        bytes memory sigB = sign(OPERATOR_KEY, Types.hash(b));
        if (reason.length > 0) vm.expectRevert(reason);
        vm.prank(STRANGER);
        frauds.proveTwoReceipts(a, sigA, b, sigB);
    }

    function proveLeaf(HubReceipt memory receipt, BatchHeader memory header, bytes memory reason) private {
        bytes memory sig = sign(OPERATOR_KEY, Types.hash(receipt));
        if (reason.length > 0) vm.expectRevert(reason);
        vm.prank(STRANGER);
        frauds.proveLeafContradictsReceipt(receipt, sig, header, leaf, 0, none());
    }
}
