// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {HubRegistry} from "../../src/hub/HubRegistry.sol";
import {HubWallet} from "../../src/hub/HubWallet.sol";
import {HubStatus, IHubRegistry, Params, Phase, Reason} from "../../src/hub/IHubRegistry.sol";
import {IHubWallet} from "../../src/hub/IHubWallet.sol";
import {BatchHeader, JobLeaf} from "../../src/lib/Types.sol";
import {System} from "../base/System.sol";

contract HubRegistryTest is System {
    function test_CreateHub_HasThePredictedAddress() public {
        address predicted = hubs.predictHub(STRANGER, "salt");
        vm.prank(STRANGER);
        assertEq(hubs.createHub(operator, "salt"), predicted, "address");
        assertEq(uint256(hubs.phaseOf(predicted)), uint256(Phase.Created), "phase");
    }

    function test_CreateHub_RevertIf_OperatorIsZero() public {
        vm.expectRevert(IHubRegistry.HubRegistryZeroAddress.selector);
        hubs.createHub(address(0), 0);
    }

    function test_Register_MakesTheHubActive() public {
        register(MIN_FREEZE);
        assertPhase(Phase.Active, "phase");
        assertTrue(hubs.isActive(address(hub)), "active");
        assertEq(hub.frozen(), MIN_FREEZE, "stake");
        assertEq(hubs.totalFrozen(), MIN_FREEZE, "total");
        HubStatus memory status = hubs.status(address(hub));
        assertTrue(status.mayBePaid && status.mayCommit, "may be paid and pay");
    }

    function test_Register_RevertIf_TheStakeIsTooSmall() public {
        vm.prank(HUB_OWNER);
        vm.expectRevert(
            abi.encodeWithSelector(
                IHubRegistry.HubRegistryFreezeTooSmall.selector, MIN_FREEZE - 1, MIN_FREEZE
            )
        );
        hubs.register(address(hub), MIN_FREEZE - 1);
    }

    function test_RegisterWithPermit_NeedsNoApproval() public {
        (address owner, address mine, uint8 v, bytes32 r, bytes32 s) = permitted();
        vm.prank(owner);
        hubs.registerWithPermit(mine, MIN_FREEZE, type(uint256).max, v, r, s);
        assertTrue(hubs.isActive(mine), "active");
    }

    function test_RegisterWithPermit_SurvivesAFrontRunPermit() public {
        (address owner, address mine, uint8 v, bytes32 r, bytes32 s) = permitted();
        snm.permit(owner, address(hubs), MIN_FREEZE, type(uint256).max, v, r, s);
        vm.prank(owner);
        hubs.registerWithPermit(mine, MIN_FREEZE, type(uint256).max, v, r, s);
        assertTrue(hubs.isActive(mine), "active");
    }

    function test_SetOperator_AtTMinus1_T() public {
        register(MIN_FREEZE);
        vm.startPrank(HUB_OWNER);
        hubs.setOperator(address(hub), STRANGER);
        uint256 readyAt = block.timestamp + 48 hours;
        skip(48 hours - 1);
        vm.expectRevert(abi.encodeWithSelector(IHubRegistry.HubRegistryOperatorNotReady.selector, readyAt));
        hubs.activateOperator(address(hub));
        assertEq(hubs.operatorOf(address(hub)), operator, "the old one signs meanwhile");
        skip(1);
        hubs.activateOperator(address(hub));
        vm.stopPrank();
        assertEq(hubs.committerOf(address(hub)), STRANGER, "the new one");
        assertTrue(hubs.wasOperator(address(hub), operator), "the old one is remembered");
    }

    function test_Leave_AtTMinus1_T() public {
        register(MIN_FREEZE);
        vm.prank(HUB_OWNER);
        hubs.requestExit(address(hub));
        uint256 readyAt = block.timestamp + 21 days;
        assertEq(hubs.status(address(hub)).exitFinalFrom, readyAt, "status says when");
        skip(21 days - 1);
        vm.expectRevert(abi.encodeWithSelector(IHubRegistry.HubRegistryThawNotElapsed.selector, readyAt));
        hubs.finalizeExit(address(hub));
        skip(1);
        hubs.finalizeExit(address(hub));
        assertPhase(Phase.Retired, "phase");
    }

    function test_Leave_ReturnsTheWholeStake() public {
        uint256 before = snm.balanceOf(HUB_OWNER);
        register(MIN_FREEZE);
        vm.startPrank(HUB_OWNER);
        hubs.requestExit(address(hub));
        skip(21 days);
        hubs.finalizeExit(address(hub));
        hub.requestWithdraw(MIN_FREEZE);
        hub.executeWithdraw();
        vm.stopPrank();
        assertEq(snm.balanceOf(HUB_OWNER), before, "nobody kept anything");
    }

    function test_Leave_RevertIf_BatchesAreOpen() public {
        register(MIN_FREEZE);
        JobLeaf memory leaf = leafOf(bytes32(uint256(1)), 10e18);
        pay(10e18);
        vm.prank(HUB_OWNER);
        hubs.requestExit(address(hub));
        BatchHeader memory header = headerOf(1, leaf, 5e18);
        commit(header);
        skip(21 days);
        vm.expectRevert(abi.encodeWithSelector(IHubRegistry.HubRegistryOpenBatches.selector, 10e18));
        hubs.finalizeExit(address(hub));
        settlement.finalizeBatch(header);
        hubs.finalizeExit(address(hub));
        settlement.claim(address(hub), miner, 5e18, none());
    }

    function test_CancelExit_GoesOn() public {
        register(MIN_FREEZE);
        vm.startPrank(HUB_OWNER);
        hubs.requestExit(address(hub));
        hubs.cancelExit(address(hub));
        vm.stopPrank();
        assertPhase(Phase.Active, "phase");
    }

    function test_CancelExit_RevertIf_TheHubWasCaught() public {
        register(MIN_FREEZE * 2);
        JobLeaf memory leaf = leafOf(bytes32(uint256(1)), 10e18);
        pay(10e18);
        BatchHeader memory header = headerOf(1, leaf, 5e18);
        commit(header);
        proveContradiction(header, leaf);

        uint256 ripeAt = block.timestamp + 9 days;
        vm.startPrank(HUB_OWNER);
        vm.expectRevert(abi.encodeWithSelector(IHubRegistry.HubRegistrySuspicionTooYoung.selector, ripeAt));
        hubs.requestExit(address(hub));
        skip(9 days);
        hubs.requestExit(address(hub));
        vm.expectRevert(abi.encodeWithSelector(IHubRegistry.HubRegistryTainted.selector, address(hub)));
        hubs.cancelExit(address(hub));
        vm.stopPrank();
        assertTrue(!hubs.status(address(hub)).mayCommit, "a caught hub commits nothing more");
        vm.expectRevert(
            abi.encodeWithSelector(IHubRegistry.HubRegistryNotActive.selector, address(hub), Phase.Retiring)
        );
        hubs.committerOf(address(hub));
    }

    function test_TopUpFreeze_RevertIf_NotYetRegistered() public {
        vm.prank(HUB_OWNER);
        vm.expectRevert(
            abi.encodeWithSelector(IHubRegistry.HubRegistryWrongPhase.selector, Phase.Created, Phase.Active)
        );
        hubs.topUpFreeze(address(hub), 1);
    }

    function test_EveryTransition_IsReachableByItsCallerOnly() public {
        bytes memory notOwner =
            abi.encodeWithSelector(IHubRegistry.HubRegistryNotOwner.selector, address(this), HUB_OWNER);
        vm.expectRevert(notOwner);
        hubs.register(address(hub), MIN_FREEZE);
        vm.expectRevert(notOwner);
        hubs.topUpFreeze(address(hub), 1);
        vm.expectRevert(notOwner);
        hubs.setOperator(address(hub), STRANGER);
        vm.expectRevert(notOwner);
        hubs.activateOperator(address(hub));
        vm.expectRevert(notOwner);
        hubs.requestExit(address(hub));
        vm.expectRevert(notOwner);
        hubs.cancelExit(address(hub));
        vm.expectRevert(
            abi.encodeWithSelector(IHubRegistry.HubRegistryNotFraudProofs.selector, address(this))
        );
        hubs.punish(address(hub), Reason.HubEquivocation, 0, address(0), 0);
        vm.expectRevert(abi.encodeWithSelector(IHubRegistry.HubRegistryNotHubWallet.selector, address(this)));
        hubs.reportInsolvency(1);
        vm.expectRevert(abi.encodeWithSelector(IHubRegistry.HubRegistryNotVault.selector, address(this)));
        hubs.bookRestored(address(hub), 1);
        vm.expectRevert(abi.encodeWithSelector(IHubRegistry.HubRegistryNotDeployer.selector, address(this)));
        hubs.wire(address(1), address(1), address(1), address(1));
        vm.prank(DEPLOYER);
        vm.expectRevert(IHubRegistry.HubRegistryAlreadyWired.selector);
        hubs.wire(address(1), address(1), address(1), address(1));
    }

    function test_Constructor_RevertIf_AParameterIsOutOfBounds() public {
        Params memory p = rules();
        p.minFreeze = 1e18 - 1;
        expectOutOfBounds(p, "minFreeze", p.minFreeze, 1e18, type(uint96).max);
        p = rules();
        p.leverage = 11;
        expectOutOfBounds(p, "leverage", 11, 1, 10);
        p = rules();
        p.challengeWindow = 1 hours;
        expectOutOfBounds(p, "challengeWindow", 1 hours, 2 hours, 14 days);
        p = rules();
        p.withdrawDelay = 23 hours;
        expectOutOfBounds(p, "withdrawDelay", 23 hours, 24 hours, 30 days);
        p = rules();
        p.exitThaw = 10 days;
        expectOutOfBounds(p, "exitThaw", 10 days, 11 days, 60 days);
        p = rules();
        p.minSuspicion = 10 days;
        expectOutOfBounds(p, "minSuspicion", 10 days, 1 days, 9 days);
        p = rules();
        p.suspectMax = 2 days;
        expectOutOfBounds(p, "suspectMax", 2 days, 3 days, 30 days);
        p = rules();
        p.operatorDelay = 1 hours;
        expectOutOfBounds(p, "operatorDelay", 1 hours, 24 hours, 30 days);
        p = rules();
        p.slashBps = 99;
        expectOutOfBounds(p, "slashBps", 99, 100, 10_000);
        p = rules();
        p.bountyBps = 5_001;
        expectOutOfBounds(p, "bountyBps", 5_001, 0, 5_000);
        p = rules();
        p.protocolFeeBps = 501;
        expectOutOfBounds(p, "protocolFeeBps", 501, 0, 500);
        p = rules();
        p.penalty = 2;
        expectOutOfBounds(p, "penalty", 2, 0, 1);
        vm.expectRevert(IHubRegistry.HubRegistryZeroAddress.selector);
        new HubRegistry(snm, address(0), rules());
    }

    function test_CreateHub_RevertIf_NotWired() public {
        HubRegistry fresh = new HubRegistry(snm, address(timelock), rules());
        vm.expectRevert(IHubRegistry.HubRegistryNotWired.selector);
        fresh.createHub(operator, 0);
        vm.expectRevert(IHubRegistry.HubRegistryZeroAddress.selector);
        fresh.wire(address(1), address(1), address(0), address(1));
    }

    function expectOutOfBounds(Params memory p, bytes32 name, uint256 value, uint256 min, uint256 max)
        private
    {
        vm.expectRevert(
            abi.encodeWithSelector(IHubRegistry.HubRegistryParamOutOfBounds.selector, name, value, min, max)
        );
        new HubRegistry(snm, address(timelock), p);
    }

    function permitted() private returns (address owner, address mine, uint8 v, bytes32 r, bytes32 s) {
        owner = otherMiner;
        give(owner, MIN_FREEZE);
        mine = createHub(owner, operator);
        bytes32 permit = keccak256(
            abi.encode(
                keccak256(
                    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
                ),
                owner,
                address(hubs),
                uint256(MIN_FREEZE),
                uint256(0),
                type(uint256).max
            )
        );
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", snm.DOMAIN_SEPARATOR(), permit));
        (v, r, s) = vm.sign(OTHER_MINER_KEY, digest);
    }
}
