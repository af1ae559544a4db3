// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IMinerRegistry} from "../../src/miner/IMinerRegistry.sol";
import {MinerRegistry} from "../../src/miner/MinerRegistry.sol";
import {System} from "../base/System.sol";

contract MinerRegistryTest is System {
    function test_Join_TakesTheStakeAndTheKey() public {
        join(miner, 100e18);
        assertEq(miners.stakeOf(miner), 100e18, "stake");
        assertEq(miners.keyOwner(miner), miner, "key");
        assertEq(miners.tierOf(miner), 1, "tier");
        vm.startPrank(miner);
        snm.approve(address(miners), 900e18);
        miners.topUp(900e18);
        vm.stopPrank();
        assertEq(miners.tierOf(miner), 2, "a juror's stake");
        assertEq(miners.tierOf(STRANGER), 0, "no stake");
        assertEq(miners.totalStake(), 1_000e18, "total");
    }

    function test_Join_RevertIf_TooSmallTwiceOrWithoutPayout() public {
        vm.startPrank(miner);
        vm.expectRevert(
            abi.encodeWithSelector(IMinerRegistry.MinerRegistryStakeTooSmall.selector, 100e18 - 1, 100e18)
        );
        miners.join(100e18 - 1, miner, miner, 0);
        vm.expectRevert(IMinerRegistry.MinerRegistryZeroAddress.selector);
        miners.join(100e18, miner, address(0), 0);
        vm.expectRevert(IMinerRegistry.MinerRegistryZeroAddress.selector);
        miners.join(100e18, address(0), miner, 0);
        vm.stopPrank();
        join(miner, 100e18);
        vm.prank(miner);
        vm.expectRevert(abi.encodeWithSelector(IMinerRegistry.MinerRegistryAlreadyJoined.selector, miner));
        miners.join(100e18, miner, miner, 0);
    }

    function test_Key_BelongsToOneMinerForEver() public {
        join(miner, 100e18);
        vm.prank(miner);
        miners.rotateKey(STRANGER);
        vm.startPrank(otherMiner);
        snm.approve(address(miners), 100e18);
        vm.expectRevert(abi.encodeWithSelector(IMinerRegistry.MinerRegistryKeyTaken.selector, miner, miner));
        miners.join(100e18, miner, otherMiner, 0);
        vm.stopPrank();
        assertEq(miners.keyOwner(miner), miner, "the rotated key is remembered");
    }

    function test_Leave_ExpiresAndCanBeCancelled() public {
        join(miner, 100e18);
        vm.startPrank(miner);
        miners.requestLeave();
        skip(21 days);
        vm.expectRevert(
            abi.encodeWithSelector(IMinerRegistry.MinerRegistryLeaveExpired.selector, block.timestamp)
        );
        miners.finalizeLeave();
        miners.cancelLeave();
        vm.expectRevert(IMinerRegistry.MinerRegistryNotLeaving.selector);
        miners.cancelLeave();
        vm.stopPrank();
    }

    function test_EveryEntry_NamesItsCaller() public {
        bytes memory notJoined =
            abi.encodeWithSelector(IMinerRegistry.MinerRegistryNotJoined.selector, address(this));
        vm.expectRevert(notJoined);
        miners.topUp(1);
        vm.expectRevert(notJoined);
        miners.rotateKey(STRANGER);
        vm.expectRevert(notJoined);
        miners.setPayout(STRANGER);
        vm.expectRevert(notJoined);
        miners.requestLeave();
        vm.expectRevert(
            abi.encodeWithSelector(IMinerRegistry.MinerRegistryNotFraudProofs.selector, address(this))
        );
        miners.slash(miner, address(this));
        vm.prank(address(frauds));
        vm.expectRevert(abi.encodeWithSelector(IMinerRegistry.MinerRegistryNotJoined.selector, miner));
        miners.slash(miner, address(this));
        vm.expectRevert(
            abi.encodeWithSelector(IMinerRegistry.MinerRegistryNotDeployer.selector, address(this))
        );
        miners.wire(address(1), address(1));
        vm.prank(DEPLOYER);
        vm.expectRevert(IMinerRegistry.MinerRegistryAlreadyWired.selector);
        miners.wire(address(1), address(1));
    }

    function test_Edges_ZeroAmountsAddressesAndBounds() public {
        join(miner, 100e18);
        vm.startPrank(miner);
        vm.expectRevert(IMinerRegistry.MinerRegistryZeroAmount.selector);
        miners.topUp(0);
        vm.expectRevert(IMinerRegistry.MinerRegistryZeroAddress.selector);
        miners.setPayout(address(0));
        vm.stopPrank();
        MinerRegistry fresh = new MinerRegistry(snm, 100e18, 14 days, 1_000);
        vm.expectRevert(IMinerRegistry.MinerRegistryNotWired.selector);
        fresh.join(100e18, miner, miner, 0);
        vm.expectRevert(IMinerRegistry.MinerRegistryZeroAddress.selector);
        fresh.wire(address(0), address(1));
        vm.expectRevert(
            abi.encodeWithSelector(
                IMinerRegistry.MinerRegistryParamOutOfBounds.selector,
                bytes32("thaw"),
                6 days,
                7 days,
                30 days
            )
        );
        new MinerRegistry(snm, 100e18, 6 days, 1_000);
    }
}
