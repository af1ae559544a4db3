// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {JobTree} from "../../src/lib/JobTree.sol";
import {BatchHeader, HubReceipt, JobLeaf, Types} from "../../src/lib/Types.sol";
import {System} from "../base/System.sol";

/// @notice Whole transactions, calldata and the 21,000 included. The numbers are kept in snapshots/ and forge fails
/// when one changes. "Next" is a batch or claim after the first one, when the slots are no longer zero.
contract GasTest is System {
    uint256 private constant DEPTH = 14;

    function test_Gas_HubAndBatches() public {
        vm.prank(BUYER);
        address fresh = hubs.createHub(operator, bytes32(0));
        vm.snapshotGasLastCall("haar", "createHub");
        vm.startPrank(BUYER);
        snm.approve(address(hubs), MIN_FREEZE);
        hubs.register(fresh, MIN_FREEZE);
        vm.snapshotGasLastCall("haar", "register");
        vm.stopPrank();

        register(100_000e18);
        pay(10_000e18);
        runEpoch(1, "first");
        runEpoch(2, "next");
    }

    function test_Gas_LeafContradictsReceipt() public {
        register(100_000e18);
        pay(10_000e18);
        JobLeaf memory leaf = leafOf(bytes32(uint256(1)), 10e18);
        BatchHeader memory header = headerOf(1, leaf, 5e18);
        bytes32[] memory proof = deepProof();
        header.jobs = uint32(1 << DEPTH);
        header.jobsRoot = climb(Types.hash(leaf), proof, false);
        commit(header);
        HubReceipt memory receipt = receiptOf(leaf);
        receipt.charged -= 1;
        bytes memory sig = sign(OPERATOR_KEY, Types.hash(receipt));
        vm.prank(STRANGER);
        frauds.proveLeafContradictsReceipt(receipt, sig, header, leaf, 0, proof);
        vm.snapshotGasLastCall("haar", "proveLeafContradictsReceipt");
    }

    function runEpoch(uint64 epoch, string memory label) private {
        JobLeaf memory leaf = leafOf(bytes32(uint256(epoch)), 100e18);
        uint128 cumulative = 70e18 * uint128(epoch);
        BatchHeader memory header = headerOf(epoch, leaf, cumulative);
        bytes32[] memory proof = deepProof();
        header.payRoot = climb(Types.payLeaf(miner, cumulative), proof, true);
        bytes memory sig = sign(OPERATOR_KEY, Types.hash(header));
        settlement.commitBatch(header, sig);
        vm.snapshotGasLastCall("haar", string.concat("commitBatch ", label));
        skip(24 hours);
        settlement.finalizeBatch(header);
        vm.snapshotGasLastCall("haar", string.concat("finalizeBatch ", label));
        settlement.claim(address(hub), miner, cumulative, proof);
        vm.snapshotGasLastCall("haar", string.concat("claim depth 14 ", label));
    }

    function deepProof() private pure returns (bytes32[] memory proof) {
        proof = new bytes32[](DEPTH);
        for (uint256 i = 0; i < DEPTH; i++) {
            proof[i] = keccak256(abi.encode("sibling", i));
        }
    }

    function climb(bytes32 node, bytes32[] memory proof, bool sorted) private pure returns (bytes32) {
        for (uint256 i = 0; i < proof.length; i++) {
            bool swap = sorted && proof[i] < node;
            node = swap ? JobTree.join(proof[i], node) : JobTree.join(node, proof[i]);
        }
        return node;
    }
}
