// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title A Merkle tree whose proofs prove a position
/// @notice The jobs of a batch form this tree. A sorted-pair tree proves membership but no index; here the
/// direction of every step follows from the leaf's index and the number of leaves, both of which the batch
/// header fixes, so a proof also says *where* a leaf stands and that two leaves are neighbours.
///
/// The tree, exactly:
/// 1. Level 0 is the list of leaf hashes, `Types.hash(JobLeaf)` = `keccak256(keccak256(abi.encode(leaf)))`, in
///    strictly increasing order of `jobId` (compared as big-endian numbers).
/// 2. The next level pairs neighbours from the left: `keccak256(left ‖ right)`, 32 bytes each, never sorted.
/// 3. A node without a right neighbour, at the end of a level of odd length, moves up unchanged. It is neither
///    duplicated nor hashed again.
/// 4. The root is the only node of the last level. One leaf: the root is that leaf's hash. No leaf: the root is
///    zero, and nothing can be proved.
///
/// A proof lists, from the bottom up, only the siblings that exist: a level on which the node moved up unchanged
/// adds nothing. A proof with a sibling too many or too few is invalid.
library JobTree {
    /// @notice Whether `leaf` stands at `index` of the tree with `leafCount` leaves and this `root`.
    function verify(bytes32 root, bytes32 leaf, uint256 index, uint256 leafCount, bytes32[] calldata siblings)
        internal
        pure
        returns (bool)
    {
        if (index >= leafCount) return false;

        bytes32 node = leaf;
        uint256 used = 0;
        for (uint256 width = leafCount; width > 1; width = (width + 1) / 2) {
            bool promoted = index == width - 1 && width % 2 == 1;
            if (!promoted) {
                if (used == siblings.length) return false;
                bytes32 sibling = siblings[used++];
                node = index % 2 == 0 ? join(node, sibling) : join(sibling, node);
            }
            index /= 2;
        }

        return used == siblings.length && node == root;
    }

    /// @notice The root over all leaves. For tests and tools; no contract builds a tree.
    function rootOf(bytes32[] memory level) internal pure returns (bytes32) {
        if (level.length == 0) return bytes32(0);

        uint256 width = level.length;
        while (width > 1) {
            for (uint256 i = 0; i < width / 2; i++) {
                level[i] = join(level[2 * i], level[2 * i + 1]);
            }
            if (width % 2 == 1) level[width / 2] = level[width - 1];
            width = (width + 1) / 2;
        }
        return level[0];
    }

    function join(bytes32 left, bytes32 right) internal pure returns (bytes32 node) {
        assembly ("memory-safe") {
            mstore(0x00, left)
            mstore(0x20, right)
            node := keccak256(0x00, 0x40)
        }
    }
}
