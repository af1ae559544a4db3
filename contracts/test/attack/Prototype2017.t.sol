// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {HubRegistry} from "../../src/hub/HubRegistry.sol";
import {HubWallet} from "../../src/hub/HubWallet.sol";
import {IHubRegistry, Phase} from "../../src/hub/IHubRegistry.sol";
import {IHubWallet} from "../../src/hub/IHubWallet.sol";
import {BatchHeader, JobLeaf, MinerCredit, Types} from "../../src/lib/Types.sol";
import {IMinerRegistry} from "../../src/miner/IMinerRegistry.sol";
import {ISettlement} from "../../src/pay/ISettlement.sol";
import {System} from "../base/System.sol";

/// @notice A token that answers false instead of reverting, as tokens of 2017 did.
contract FalseToken {
    function balanceOf(address) external pure returns (uint256) {
        return 1e30;
    }

    function transfer(address, uint256) external pure returns (bool) {
        return false;
    }

    function transferFrom(address, address, uint256) external pure returns (bool) {
        return false;
    }
}

/// @notice One test for each defect of the hub wallet of 2017 that could come back.
contract Prototype2017Test is System {
    // 1: it looked at its owner's balance instead of its own.
    function test_PayMiner_LooksOnlyAtTheHubWalletsOwnFunds() public {
        register(MIN_FREEZE);
        assertLe(900_000e18, snm.balanceOf(HUB_OWNER), "the owner is rich");
        BatchHeader memory header = headerOf(1, leafOf(bytes32(uint256(1)), 0), 1);
        bytes memory sig = sign(OPERATOR_KEY, Types.hash(header));
        vm.expectRevert(abi.encodeWithSelector(IHubWallet.HubWalletPromisesExceedFunds.selector, 1, 0));
        settlement.commitBatch(header, sig);
    }

    // 2: an allowance outlived the freeze.
    function test_Freeze_StopsEveryEarlierPromiseNotYetFinal() public {
        register(MIN_FREEZE);
        pay(1_000e18);
        JobLeaf memory leaf = leafOf(bytes32(uint256(1)), 1_000e18);
        BatchHeader memory header = headerOf(1, leaf, 700e18);
        commit(header);
        proveContradiction(header, leaf);
        skip(30 days);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISettlement.SettlementHubSuspected.selector, address(hub), block.timestamp - 30 days
            )
        );
        settlement.finalizeBatch(header);
        assertEq(snm.allowance(address(hub), miner), 0, "there never is an allowance");
    }

    // 3: two promises could name the same money.
    function testFuzz_Promises_NeverExceedFunds(uint128 funds, uint128 first, uint128 second) public {
        funds = uint128(bound(funds, 0, 30_000e18));
        first = uint128(bound(first, 0, 30_000e18));
        second = uint128(bound(second, 0, 30_000e18));
        register(MIN_FREEZE * 10);
        give(address(hub), funds);

        tryPromise(1, first);
        tryPromise(2, second);
        hub.sync();
        assertLe(hub.promised(), funds, "promises");
        assertTrue(first > funds || hub.promised() >= first, "the first one is kept");
    }

    // 4: the miner's wallet could be emptied in any phase.
    function test_MinerWithdraw_RevertIf_StakedOrThawing() public {
        join(miner, 100e18);
        vm.startPrank(miner);
        vm.expectRevert(IMinerRegistry.MinerRegistryNotLeaving.selector);
        miners.finalizeLeave();
        miners.requestLeave();
        uint256 readyAt = block.timestamp + 14 days;
        skip(14 days - 1);
        vm.expectRevert(abi.encodeWithSelector(IMinerRegistry.MinerRegistryThawNotElapsed.selector, readyAt));
        miners.finalizeLeave();
        skip(1);
        miners.finalizeLeave();
        assertEq(snm.balanceOf(miner), 1_000e18, "all of it");
        vm.stopPrank();
    }

    // 6: registration had never worked through the factory.
    function test_Register_EndToEnd_ThroughTheFactory() public {
        register(MIN_FREEZE);
        pay(10e18);
        commit(headerOf(1, leafOf(bytes32(uint256(1)), 10e18), 5e18));
    }

    // 9 and 12: a hub that froze nothing can neither pay nor be paid.
    function test_Created_CanNeitherPayNorBePaid() public {
        assertTrue(!hubs.status(address(hub)).mayBePaid, "may not be paid");
        BatchHeader memory header = headerOf(1, leafOf(bytes32(uint256(1)), 0), 0);
        bytes memory sig = sign(OPERATOR_KEY, Types.hash(header));
        vm.expectRevert(
            abi.encodeWithSelector(IHubRegistry.HubRegistryNotActive.selector, address(hub), Phase.Created)
        );
        settlement.commitBatch(header, sig);
    }

    // 11: victims got nothing.
    function test_Expropriate_PaysVictimsFirst() public {
        register(MIN_FREEZE);
        pay(1_000e18);
        JobLeaf memory leaf = leafOf(bytes32(uint256(1)), 1_000e18);
        BatchHeader memory header = headerOf(1, leaf, 0);
        commit(header);
        uint256 before = snm.balanceOf(BUYER);
        proveContradiction(header, leaf);
        assertEq(snm.balanceOf(BUYER) - before, 2_000e18, "twice the charge, before the DAO has met");
    }

    // 13: rehabilitation left a timer at 120 days.
    function test_Rehabilitate_RestoresAllParameters() public {
        register(MIN_FREEZE * 2);
        bytes32 before = keccak256(abi.encode(hubs.status(address(hub)), hubs.params()));
        asDao();
        hubs.suspect(address(hub), keccak256("evidence"));
        skip(3 days);
        asDao();
        hubs.blacklist(address(hub), keccak256("evidence"));
        asDao();
        hubs.rehabilitate(address(hub));
        vm.warp(1_800_000_000);
        assertEq(keccak256(abi.encode(hubs.status(address(hub)), hubs.params())), before, "as before");
    }

    // 14: a token that answered false counted as paid.
    function test_Pay_RevertIf_TokenReturnsFalse() public {
        FalseToken liar = new FalseToken();
        HubRegistry registry = new HubRegistry(IERC20(address(liar)), address(timelock), rules());
        HubWallet code = new HubWallet(IERC20(address(liar)), registry, address(this));
        registry.wire(address(code), address(this), address(this), address(vault));
        HubWallet wallet = HubWallet(registry.createHub(operator, 0));
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(liar)));
        registry.register(address(wallet), MIN_FREEZE);
        wallet.sync();
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(liar)));
        wallet.payDebt(miner, 1, false);
    }

    // 15 and 7: functions without a check of the caller, or with a wrong one.
    function test_Wallet_RevertIf_CalledByAStranger() public {
        bytes memory notSettlement =
            abi.encodeWithSelector(IHubWallet.HubWalletNotSettlement.selector, address(this));
        vm.expectRevert(notSettlement);
        hub.bookBatch(0, 0, 0);
        vm.expectRevert(notSettlement);
        hub.finalizeBatch(0, 0, 0, address(this));
        vm.expectRevert(notSettlement);
        hub.releaseBatch(0, 0, 0);
        vm.expectRevert(notSettlement);
        hub.payMiner(address(this), 1, 0);
        vm.expectRevert(notSettlement);
        hub.payDebt(address(this), 1, true);
        bytes memory notRegistry =
            abi.encodeWithSelector(IHubWallet.HubWalletNotRegistry.selector, address(this));
        vm.expectRevert(notRegistry);
        hub.freeze(1);
        vm.expectRevert(notRegistry);
        hub.thaw();
        vm.expectRevert(notRegistry);
        hub.seize(address(this), 1);
        vm.expectRevert(notRegistry);
        hub.bookFree(1);
        bytes memory notOwner =
            abi.encodeWithSelector(IHubWallet.HubWalletNotOwner.selector, address(this), HUB_OWNER);
        vm.expectRevert(notOwner);
        hub.requestWithdraw(1);
        vm.expectRevert(notOwner);
        hub.executeWithdraw();
    }

    // 16: money that nobody could ever reach. A caught hub that the DAO forgets about gets its rest back.
    function test_CaughtAndForgotten_TheRestIsReachable() public {
        register(MIN_FREEZE * 2);
        pay(1_000e18);
        JobLeaf memory leaf = leafOf(bytes32(uint256(1)), 1_000e18);
        BatchHeader memory header = headerOf(1, leaf, 700e18);
        commit(header);
        proveContradiction(header, leaf);
        skip(9 days);
        vm.prank(HUB_OWNER);
        hubs.requestExit(address(hub));
        settlement.finalizeBatch(header);
        settlement.claim(address(hub), miner, 700e18, none());
        skip(21 days);
        hubs.finalizeExit(address(hub));
        uint128 rest = hub.ledger().free;
        vm.startPrank(HUB_OWNER);
        hub.requestWithdraw(rest);
        hub.executeWithdraw();
        vm.stopPrank();
        assertEq(snm.balanceOf(address(hub)), 0, "the wallet is empty");
    }

    // --- later kinds of attack

    function test_Withdraw_RevertIf_ArmedForEver() public {
        register(MIN_FREEZE);
        pay(1_000e18);
        skip(3 days);
        vm.startPrank(HUB_OWNER);
        hub.requestWithdraw(1_000e18);
        skip(48 hours + 7 days);
        vm.expectRevert(
            abi.encodeWithSelector(IHubWallet.HubWalletWithdrawalExpired.selector, block.timestamp)
        );
        hub.executeWithdraw();
        vm.stopPrank();
    }

    function test_Withdraw_RevertIf_MinersWerePromisedTheMoney() public {
        register(MIN_FREEZE);
        pay(1_000e18);
        skip(3 days);
        vm.startPrank(HUB_OWNER);
        hub.requestWithdraw(1_000e18);
        skip(48 hours);
        vm.stopPrank();
        commit(headerOf(1, leafOf(bytes32(uint256(1)), 0), 400e18));
        vm.prank(HUB_OWNER);
        vm.expectRevert(abi.encodeWithSelector(IHubWallet.HubWalletPromisesExceedFunds.selector, 400e18, 0));
        hub.executeWithdraw();
    }

    function test_Withdraw_AtTMinus1_T() public {
        register(MIN_FREEZE);
        pay(1_000e18);
        vm.startPrank(HUB_OWNER);
        vm.expectRevert(abi.encodeWithSelector(IHubWallet.HubWalletStakeFrozen.selector, 0, 1));
        hub.requestWithdraw(1);
        vm.expectRevert(IHubWallet.HubWalletNothingRequested.selector);
        hub.executeWithdraw();
        skip(2 days);
        hub.requestWithdraw(1_000e18);
        uint256 readyAt = block.timestamp + 48 hours;
        skip(48 hours - 1);
        vm.expectRevert(abi.encodeWithSelector(IHubWallet.HubWalletWithdrawalNotReady.selector, readyAt));
        hub.executeWithdraw();
        skip(1);
        hub.executeWithdraw();
        vm.stopPrank();
    }

    function test_Withdraw_RevertIf_Suspected() public {
        register(MIN_FREEZE);
        pay(1_000e18);
        skip(2 days);
        vm.prank(HUB_OWNER);
        hub.requestWithdraw(1_000e18);
        skip(48 hours);
        asDao();
        hubs.suspect(address(hub), keccak256("evidence"));
        vm.prank(HUB_OWNER);
        vm.expectRevert(
            abi.encodeWithSelector(IHubWallet.HubWalletWrongPhase.selector, uint8(Phase.Suspected))
        );
        hub.executeWithdraw();
    }

    function test_Claim_ADustPaymentBurnsNothing() public {
        register(MIN_FREEZE);
        pay(1_000e18);
        MinerCredit memory credit = MinerCredit(address(hub), miner, 1_500e18, 1);
        settlement.requestCredit(credit, sign(OPERATOR_KEY, Types.hash(credit)));
        skip(24 hours);
        settlement.redeemCredit(credit);
        give(address(hub), 1);
        settlement.redeemCredit(credit);
        give(address(hub), 500e18 - 1);
        settlement.redeemCredit(credit);
        assertEq(snm.balanceOf(miner), 2_500e18, "the rest stayed claimable");
    }

    function test_Signature_RevertIf_ForAnotherChain() public {
        register(MIN_FREEZE);
        BatchHeader memory header = headerOf(1, leafOf(bytes32(uint256(1)), 0), 0);
        bytes memory sig = sign(OPERATOR_KEY, Types.hash(header));
        vm.chainId(1);
        (bool accepted, bytes memory reason) =
            address(settlement).call(abi.encodeCall(ISettlement.commitBatch, (header, sig)));
        assertTrue(!accepted, "refused");
        assertEq(bytes4(reason), ISettlement.SettlementInvalidSignature.selector, "because of the signer");
    }

    function test_Signature_RevertIf_Malleable() public {
        register(MIN_FREEZE);
        BatchHeader memory header = headerOf(1, leafOf(bytes32(uint256(1)), 0), 0);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(OPERATOR_KEY, settlement.digestOf(Types.hash(header)));
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        bytes32 highS = bytes32(order - uint256(s));
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureS.selector, highS));
        settlement.commitBatch(header, abi.encodePacked(r, highS, v == 27 ? uint8(28) : uint8(27)));
        bytes memory compact = abi.encodePacked(r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, 64));
        settlement.commitBatch(header, compact);
    }

    function tryPromise(uint64 epoch, uint128 more) private {
        uint128 before = settlement.chainOf(address(hub)).lastCum;
        BatchHeader memory header = headerOf(epoch, leafOf(bytes32(uint256(epoch)), 0), before + more);
        try settlement.commitBatch(header, sign(OPERATOR_KEY, Types.hash(header))) {} catch {}
    }
}
