// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ExpropriationVault} from "../../src/dao/ExpropriationVault.sol";
import {IExpropriationVault} from "../../src/dao/IExpropriationVault.sol";
import {IHubRegistry} from "../../src/hub/IHubRegistry.sol";
import {IHubWallet, Ledger} from "../../src/hub/IHubWallet.sol";
import {BatchHeader, JobLeaf, Types} from "../../src/lib/Types.sol";
import {FraudProofs} from "../../src/pay/FraudProofs.sol";
import {IFraudProofs} from "../../src/pay/IFraudProofs.sol";
import {ISettlement} from "../../src/pay/ISettlement.sol";
import {Settlement} from "../../src/pay/Settlement.sol";
import {System} from "../base/System.sol";

contract HubWalletTest is System {
    function test_Sync_HoldsMoneyForTheWholeWindow() public {
        register(MIN_FREEZE);
        uint256 from = vm.getBlockTimestamp();
        pay(100e18);
        uint256 releaseAt = (from + 24 hours + 1 days - 1) / 1 days * 1 days;
        vm.warp(releaseAt - 1);
        assertEq(hub.ledger().held, 100e18, "held");
        vm.warp(releaseAt);
        assertEq(hub.ledger().free, 100e18, "free");
        assertEq(hub.sync(), 0, "nothing new");
    }

    /// Money of many days, some of it spent meanwhile, becomes free on exactly its day.
    function testFuzz_Sync_EachPaymentMaturesOnItsOwnDay(uint256 seed) public {
        register(MIN_FREEZE);
        uint256 clock = vm.getBlockTimestamp();
        uint256[12] memory amounts;
        uint256[12] memory dueAt;
        for (uint256 i = 0; i < 12; i++) {
            seed = uint256(keccak256(abi.encode(seed)));
            amounts[i] = seed % 1_000e18 + 1;
            dueAt[i] = (clock + 24 hours + 1 days - 1) / 1 days * 1 days;
            pay(amounts[i]);
            clock += (seed >> 128) % 2 days;
            vm.warp(clock);

            uint256 free = 0;
            uint256 all = 0;
            for (uint256 j = 0; j <= i; j++) {
                all += amounts[j];
                if (dueAt[j] <= clock) free += amounts[j];
            }
            Ledger memory ledger = hub.ledger();
            assertEq(ledger.free, free, "free");
            assertEq(ledger.held, all - free, "held");
        }
    }

    function test_PayMiner_RevertIf_TheRootPromisesMoreThanTheBatch() public {
        register(MIN_FREEZE);
        pay(100e18);
        BatchHeader memory header = headerOf(1, leafOf(bytes32(uint256(1)), 0), 10e18);
        header.payRoot = Types.payLeaf(miner, 11e18);
        commit(header);
        skip(24 hours);
        settlement.finalizeBatch(header);
        vm.expectRevert(
            abi.encodeWithSelector(IHubWallet.HubWalletAmountExceedsAvailable.selector, 11e18, 10e18)
        );
        settlement.claim(address(hub), miner, 11e18, none());
    }

    function test_RefundVoided_ReachesTheStakeOnlyAfterTheExitThaw() public {
        register(MIN_FREEZE);
        // Charged through a channel that has not paid out yet: the wallet itself has no money.
        JobLeaf memory leaf = leafOf(bytes32(uint256(1)), 5_000e18);
        give(address(hub), 25e18);
        BatchHeader memory header = headerOf(1, leaf, 0);
        commit(header);
        BatchHeader memory twin = headerOf(1, leaf, 0);
        twin.prevBatch = keccak256("elsewhere");
        frauds.proveTwoBatches(
            header, sign(OPERATOR_KEY, Types.hash(header)), twin, sign(OPERATOR_KEY, Types.hash(twin))
        );
        uint256 voidedAt = vm.getBlockTimestamp();

        uint256 before = snm.balanceOf(BUYER);
        settlement.refundVoided(header, leaf, 0, none());
        assertEq(snm.balanceOf(BUYER) - before, 25e18, "what there is");
        vm.warp(voidedAt + 21 days - 1);
        vm.expectRevert(ISettlement.SettlementNothingToPay.selector);
        settlement.refundVoided(header, leaf, 0, none());
        vm.warp(voidedAt + 21 days);
        settlement.refundVoided(header, leaf, 0, none());
        assertEq(snm.balanceOf(BUYER) - before, 5_000e18, "all of it");
        assertEq(hub.frozen(), 9_000e18 - 4_975e18, "from the stake");
    }

    function test_RefundVoided_NeverPaysMoreThanTheBatchDeclared() public {
        register(MIN_FREEZE);
        pay(1_000e18);
        JobLeaf memory leaf = leafOf(bytes32(uint256(1)), 900e18);
        BatchHeader memory header = headerOf(1, leaf, 0);
        header.totalCharged = 100e18;
        commit(header);
        BatchHeader memory twin = abi.decode(abi.encode(header), (BatchHeader));
        twin.daHash = keccak256("twin");
        frauds.proveTwoBatches(
            header, sign(OPERATOR_KEY, Types.hash(header)), twin, sign(OPERATOR_KEY, Types.hash(twin))
        );
        uint256 before = snm.balanceOf(BUYER);
        settlement.refundVoided(header, leaf, 0, none());
        assertEq(snm.balanceOf(BUYER) - before, 100e18, "declared");
        vm.expectRevert(ISettlement.SettlementNothingToPay.selector);
        settlement.refundVoided(header, leaf, 0, none());
    }

    function test_RefundVoided_CountsWhatAProofHasPaid() public {
        register(MIN_FREEZE);
        pay(1_000e18);
        JobLeaf memory leaf = leafOf(bytes32(uint256(1)), 100e18);
        BatchHeader memory header = headerOf(1, leaf, 0);
        commit(header);
        proveContradiction(header, leaf);
        BatchHeader memory twin = abi.decode(abi.encode(header), (BatchHeader));
        twin.daHash = keccak256("twin");
        frauds.proveTwoBatches(
            header, sign(OPERATOR_KEY, Types.hash(header)), twin, sign(OPERATOR_KEY, Types.hash(twin))
        );
        vm.expectRevert(ISettlement.SettlementNothingToPay.selector);
        settlement.refundVoided(header, leaf, 0, none());
    }

    function test_Created_OwnerTakesEverythingAtOnce() public {
        pay(10e18);
        skip(3 days);
        vm.startPrank(HUB_OWNER);
        hub.requestWithdraw(10e18);
        hub.executeWithdraw();
        vm.stopPrank();
        assertEq(snm.balanceOf(address(hub)), 0, "empty");
    }

    function test_Constructors_RevertIf_AnAddressIsZero() public {
        vm.expectRevert(IExpropriationVault.ExpropriationVaultZeroAddress.selector);
        new ExpropriationVault(snm, address(0), address(1), hubs, address(miners));
        vm.expectRevert(IExpropriationVault.ExpropriationVaultZeroAddress.selector);
        new ExpropriationVault(snm, address(1), address(1), hubs, address(0));
        vm.expectRevert(ISettlement.SettlementZeroAddress.selector);
        new Settlement(hubs, miners, address(0));
        vm.expectRevert(IFraudProofs.FraudProofsZeroAddress.selector);
        new FraudProofs(snm, address(0), settlement, hubs, miners, new uint32[](0));
        vm.prank(HUB_OWNER);
        vm.expectRevert(IHubRegistry.HubRegistryZeroAddress.selector);
        hubs.setOperator(address(hub), address(0));
    }
}
