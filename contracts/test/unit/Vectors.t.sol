// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import {IHubRegistry} from "../../src/hub/IHubRegistry.sol";
import {JobTree} from "../../src/lib/JobTree.sol";
import {
    Assignment,
    BatchHeader,
    ExecutionReceipt,
    HubReceipt,
    JobLeaf,
    JobOrder,
    JobSpec,
    MinerCredit,
    RunConfig,
    SealSet,
    SealedReceipt,
    Types
} from "../../src/lib/Types.sol";
import {Settlement} from "../../src/pay/Settlement.sol";
import {System} from "../base/System.sol";

/// @notice Compares the hashes made here with those that Rust wrote down.
contract VectorsTest is System {
    string private constant RECORDS = "../vectors/eip712.json";
    string private constant TREES = "../vectors/trees.json";

    string private json;

    function test_Records_HashAsInRust() public {
        json = vm.readFile(RECORDS);
        address verifier = vm.parseJsonAddress(json, ".verifyingContract");
        vm.chainId(vm.parseJsonUint(json, ".chainId"));
        // The separator is rebuilt when the code runs at another address, as it must for a copied deployment.
        vm.etch(verifier, address(settlement).code);
        bytes32 separator = vm.parseJsonBytes32(json, ".domainSeparator");
        assertEq(Settlement(verifier).domainSeparator(), separator, "domain separator");

        uint256 count = 0;
        for (; vm.keyExistsJson(json, caseAt(count, "")); count++) {
            string memory kind = vm.parseJsonString(json, caseAt(count, ".type"));
            (bool known, bytes32 structHash) = hashOf(kind, caseAt(count, ".fields"));
            if (!known) continue;
            assertEq(structHash, vm.parseJsonBytes32(json, caseAt(count, ".structHash")), kind);
            bytes32 digest = Settlement(verifier).digestOf(structHash);
            assertEq(digest, vm.parseJsonBytes32(json, caseAt(count, ".digest")), kind);
        }
        assertLe(10, count, "cases");
    }

    function test_JobLeaves_HashAsInRust() public {
        json = vm.readFile(TREES);
        for (uint256 i = 0; vm.keyExistsJson(json, item(".jobLeaves", i, "")); i++) {
            bytes32 hash = Types.hash(jobLeaf(item(".jobLeaves", i, ".fields")));
            assertEq(hash, vm.parseJsonBytes32(json, item(".jobLeaves", i, ".hash")), "job leaf");
        }
    }

    function test_JobTrees_AcceptEveryProofFromRust() public {
        json = vm.readFile(TREES);
        for (uint256 i = 0; vm.keyExistsJson(json, item(".jobTrees", i, "")); i++) {
            string memory tree = item(".jobTrees", i, "");
            bytes32 root = vm.parseJsonBytes32(json, string.concat(tree, ".root"));
            bytes32[] memory leaves = vm.parseJsonBytes32Array(json, string.concat(tree, ".leaves"));
            for (uint256 p = 0; vm.keyExistsJson(json, item(string.concat(tree, ".proofs"), p, "")); p++) {
                string memory proof = item(string.concat(tree, ".proofs"), p, "");
                uint256 index = vm.parseJsonUint(json, string.concat(proof, ".index"));
                bytes32[] memory siblings = vm.parseJsonBytes32Array(json, string.concat(proof, ".siblings"));
                assertTrue(this.verify(root, leaves[index], index, leaves.length, siblings), "job proof");
            }
            // Last, because it overwrites the leaves.
            assertEq(JobTree.rootOf(leaves), root, "job root");
        }
    }

    function test_PayTrees_AcceptEveryProofFromRust() public {
        json = vm.readFile(TREES);
        for (uint256 i = 0; vm.keyExistsJson(json, item(".payTrees", i, "")); i++) {
            string memory tree = item(".payTrees", i, "");
            bytes32 root = vm.parseJsonBytes32(json, string.concat(tree, ".root"));
            for (uint256 p = 0; vm.keyExistsJson(json, item(string.concat(tree, ".proofs"), p, "")); p++) {
                string memory proof = item(string.concat(tree, ".proofs"), p, "");
                address who = vm.parseJsonAddress(json, string.concat(proof, ".miner"));
                bytes32[] memory siblings = vm.parseJsonBytes32Array(json, string.concat(proof, ".siblings"));
                bytes32 leaf = Types.payLeaf(who, cumulativeOf(tree, who));
                assertTrue(MerkleProof.verify(siblings, root, leaf), "pay proof");
            }
        }
    }

    function verify(bytes32 root, bytes32 leaf, uint256 index, uint256 count, bytes32[] calldata siblings)
        external
        pure
        returns (bool)
    {
        return JobTree.verify(root, leaf, index, count, siblings);
    }

    function cumulativeOf(string memory tree, address who) private view returns (uint256) {
        for (uint256 i = 0;; i++) {
            string memory leaf = item(string.concat(tree, ".leaves"), i, "");
            if (vm.parseJsonAddress(json, string.concat(leaf, ".miner")) == who) {
                return vm.parseJsonUint(json, string.concat(leaf, ".cumulative"));
            }
        }
        revert("unreachable");
    }

    /// Types that never reach the chain are not known here.
    function hashOf(string memory kind, string memory f) private view returns (bool known, bytes32 hash) {
        bytes32 id = keccak256(bytes(kind));
        if (id == keccak256("JobSpec")) return (true, Types.hash(jobSpec(f)));
        if (id == keccak256("RunConfig")) return (true, Types.hash(runConfig(f)));
        if (id == keccak256("JobOrder")) return (true, Types.hash(jobOrder(f)));
        if (id == keccak256("Assignment")) return (true, Types.hash(assignment(f)));
        if (id == keccak256("SealedReceipt")) {
            return (true, Types.hash(SealedReceipt(b32(f, "jobId"), addr(f, "miner"), b32(f, "seal"))));
        }
        if (id == keccak256("SealSet")) {
            return (true, Types.hash(SealSet(b32(f, "jobId"), uint32(num(f, "round")), b32(f, "sealsHash"))));
        }
        if (id == keccak256("ExecutionReceipt")) return (true, Types.hash(executionReceipt(f)));
        if (id == keccak256("HubReceipt")) return (true, Types.hash(hubReceipt(f)));
        if (id == keccak256("MinerCredit")) return (true, Types.hash(minerCredit(f)));
        if (id == keccak256("BatchHeader")) return (true, Types.hash(batchHeader(f)));
        return (false, 0);
    }

    function jobSpec(string memory f) private view returns (JobSpec memory r) {
        r.moduleHash = b32(f, "moduleHash");
        r.inputHash = b32(f, "inputHash");
        r.configHash = b32(f, "configHash");
        r.fuelLimit = uint64(num(f, "fuelLimit"));
        r.abiVersion = uint32(num(f, "abiVersion"));
    }

    function runConfig(string memory f) private view returns (RunConfig memory r) {
        r.profileHash = b32(f, "profileHash");
        r.memoryPagesMax = uint32(num(f, "memoryPagesMax"));
        r.seed = b32(f, "seed");
        r.time = uint64(num(f, "time"));
        r.environmentHash = b32(f, "environmentHash");
    }

    function jobOrder(string memory f) private view returns (JobOrder memory r) {
        r.specHash = b32(f, "specHash");
        r.buyer = addr(f, "buyer");
        r.hubWallet = addr(f, "hubWallet");
        r.channelId = b32(f, "channelId");
        r.maxCharge = uint128(num(f, "maxCharge"));
        r.fuelPrice = uint64(num(f, "fuelPrice"));
        r.baseFee = uint128(num(f, "baseFee"));
        r.attempts = uint8(num(f, "attempts"));
        r.quorum = uint8(num(f, "quorum"));
        r.deadline = uint64(num(f, "deadline"));
        r.nonce = uint64(num(f, "nonce"));
    }

    function assignment(string memory f) private view returns (Assignment memory r) {
        r.jobId = b32(f, "jobId");
        r.specHash = b32(f, "specHash");
        r.miner = addr(f, "miner");
        r.hubWallet = addr(f, "hubWallet");
        r.attempt = uint32(num(f, "attempt"));
        r.deadline = uint64(num(f, "deadline"));
    }

    function executionReceipt(string memory f) private view returns (ExecutionReceipt memory r) {
        r.jobId = b32(f, "jobId");
        r.specHash = b32(f, "specHash");
        r.miner = addr(f, "miner");
        r.hubWallet = addr(f, "hubWallet");
        r.resultHash = b32(f, "resultHash");
        r.fuelUsed = uint64(num(f, "fuelUsed"));
        r.status = uint8(num(f, "status"));
        r.executedAt = uint64(num(f, "executedAt"));
    }

    function hubReceipt(string memory f) private view returns (HubReceipt memory r) {
        r.jobId = b32(f, "jobId");
        r.specHash = b32(f, "specHash");
        r.buyer = addr(f, "buyer");
        r.hubWallet = addr(f, "hubWallet");
        r.resultHash = b32(f, "resultHash");
        r.fuelUsed = uint64(num(f, "fuelUsed"));
        r.charged = uint128(num(f, "charged"));
        r.receiptsHash = b32(f, "receiptsHash");
        r.paymentRef = b32(f, "paymentRef");
        r.completedAt = uint64(num(f, "completedAt"));
    }

    function minerCredit(string memory f) private view returns (MinerCredit memory r) {
        r.hubWallet = addr(f, "hubWallet");
        r.miner = addr(f, "miner");
        r.cumulative = uint128(num(f, "cumulative"));
        r.epoch = uint64(num(f, "epoch"));
    }

    function batchHeader(string memory f) private view returns (BatchHeader memory r) {
        r.hubWallet = addr(f, "hubWallet");
        r.epoch = uint64(num(f, "epoch"));
        r.prevBatch = b32(f, "prevBatch");
        r.jobsRoot = b32(f, "jobsRoot");
        r.payRoot = b32(f, "payRoot");
        r.daHash = b32(f, "daHash");
        r.jobs = uint32(num(f, "jobs"));
        r.totalCharged = uint128(num(f, "totalCharged"));
        r.minerTotalCum = uint128(num(f, "minerTotalCum"));
    }

    function jobLeaf(string memory f) private view returns (JobLeaf memory r) {
        r.jobId = b32(f, "jobId");
        r.specHash = b32(f, "specHash");
        r.buyer = addr(f, "buyer");
        r.channelId = b32(f, "channelId");
        r.resultHash = b32(f, "resultHash");
        r.fuelUsed = uint64(num(f, "fuelUsed"));
        r.charged = uint128(num(f, "charged"));
        r.minersHash = b32(f, "minersHash");
    }

    function b32(string memory path, string memory field) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(path, ".", field));
    }

    function num(string memory path, string memory field) private view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(path, ".", field));
    }

    function addr(string memory path, string memory field) private view returns (address) {
        return vm.parseJsonAddress(json, string.concat(path, ".", field));
    }

    function caseAt(uint256 index, string memory rest) private pure returns (string memory) {
        return item(".cases", index, rest);
    }

    function item(string memory list, uint256 index, string memory rest)
        private
        pure
        returns (string memory)
    {
        return string.concat(list, "[", vm.toString(index), "]", rest);
    }
}
