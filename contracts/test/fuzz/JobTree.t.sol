// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {JobTree} from "../../src/lib/JobTree.sol";
import {Test} from "../base/Test.sol";

contract JobTreeTest is Test {
    uint256 private constant LEAVES_MAX = 40;

    function testFuzz_Verify_AcceptsEveryLeafAtItsPlaceOnly(uint256 count, uint256 index, uint256 wrong)
        public
        view
    {
        count = bound(count, 1, LEAVES_MAX);
        index = bound(index, 0, count - 1);
        bytes32[] memory proof = proofOf(count, index);
        bytes32 root = JobTree.rootOf(leavesOf(count));

        assertTrue(this.verify(root, leafAt(index), index, count, proof), "accepted at its place");
        wrong = bound(wrong, 0, LEAVES_MAX + 5);
        if (wrong != index) {
            assertTrue(!this.verify(root, leafAt(index), wrong, count, proof), "refused elsewhere");
        }
    }

    function testFuzz_Verify_RefusesAProofThatIsTooLongOrTooShort(uint256 count, uint256 index) public view {
        count = bound(count, 2, LEAVES_MAX);
        index = bound(index, 0, count - 1);
        bytes32[] memory proof = proofOf(count, index);
        bytes32 root = JobTree.rootOf(leavesOf(count));

        bytes32[] memory longer = new bytes32[](proof.length + 1);
        bytes32[] memory shorter = new bytes32[](proof.length - 1);
        for (uint256 i = 0; i < proof.length; i++) {
            longer[i] = proof[i];
            if (i < shorter.length) shorter[i] = proof[i];
        }
        assertTrue(!this.verify(root, leafAt(index), index, count, longer), "too long");
        assertTrue(!this.verify(root, leafAt(index), index, count, shorter), "too short");
    }

    function testFuzz_Verify_RefusesAnInnerNodeAsALeaf(uint256 count) public view {
        count = bound(count, 4, LEAVES_MAX);
        bytes32 root = JobTree.rootOf(leavesOf(count));
        bytes32 inner = JobTree.join(leafAt(0), leafAt(1));
        bytes32[] memory proof = proofOf(count, 0);
        bytes32[] memory upper = new bytes32[](proof.length - 1);
        for (uint256 i = 0; i < upper.length; i++) {
            upper[i] = proof[i + 1];
        }
        // It would pass with half the leaves, but the header fixes how many there are.
        assertTrue(!this.verify(root, inner, 0, count, upper), "inner node");
    }

    function test_Verify_NothingIsInAnEmptyTree() public view {
        assertTrue(!this.verify(0, 0, 0, 0, new bytes32[](0)), "empty");
        assertEq(JobTree.rootOf(new bytes32[](0)), bytes32(0), "root");
    }

    function verify(bytes32 root, bytes32 leaf, uint256 index, uint256 count, bytes32[] calldata proof)
        external
        pure
        returns (bool)
    {
        return JobTree.verify(root, leaf, index, count, proof);
    }

    function leafAt(uint256 index) private pure returns (bytes32) {
        return keccak256(abi.encode("leaf", index));
    }

    function leavesOf(uint256 count) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; i++) {
            leaves[i] = leafAt(i);
        }
    }

    /// Built level by level, without the library.
    function proofOf(uint256 count, uint256 index) private pure returns (bytes32[] memory proof) {
        bytes32[] memory level = leavesOf(count);
        bytes32[] memory found = new bytes32[](16);
        uint256 used = 0;
        while (level.length > 1) {
            uint256 sibling = index ^ 1;
            if (sibling < level.length) found[used++] = level[sibling];
            bytes32[] memory next = new bytes32[]((level.length + 1) / 2);
            for (uint256 i = 0; i < next.length; i++) {
                bool pair = 2 * i + 1 < level.length;
                next[i] = pair ? keccak256(bytes.concat(level[2 * i], level[2 * i + 1])) : level[2 * i];
            }
            level = next;
            index /= 2;
        }
        proof = new bytes32[](used);
        for (uint256 i = 0; i < used; i++) {
            proof[i] = found[i];
        }
    }
}
