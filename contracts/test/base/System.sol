// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";

import {SNM} from "../../src/SNM.sol";
import {DaoGovernor} from "../../src/dao/DaoGovernor.sol";
import {ExpropriationVault} from "../../src/dao/ExpropriationVault.sol";
import {HubRegistry} from "../../src/hub/HubRegistry.sol";
import {HubWallet} from "../../src/hub/HubWallet.sol";
import {IHubRegistry, Params, Phase} from "../../src/hub/IHubRegistry.sol";
import {Ledger} from "../../src/hub/IHubWallet.sol";
import {JobTree} from "../../src/lib/JobTree.sol";
import {
    BatchHeader,
    ExecutionReceipt,
    HubReceipt,
    JobLeaf,
    JobSpec,
    MinerCredit,
    Types
} from "../../src/lib/Types.sol";
import {MinerRegistry} from "../../src/miner/MinerRegistry.sol";
import {FraudProofs} from "../../src/pay/FraudProofs.sol";
import {Settlement} from "../../src/pay/Settlement.sol";
import {Test} from "./Test.sol";

/// @notice The whole system, deployed and wired in the documented order, with one hub, two miners and a buyer.
abstract contract System is Test {
    uint256 internal constant SUPPLY = 444_000_000e18;
    uint128 internal constant MIN_FREEZE = 10_000e18;
    uint32 internal constant ABI_VERSION = 1;
    uint256 internal constant OPERATOR_KEY = 0xA11CE;
    uint256 internal constant MINER_KEY = 0xB0B;
    uint256 internal constant OTHER_MINER_KEY = 0xC0C;

    address internal constant DEPLOYER = address(0xD0);
    address internal constant HOLDER = address(0xD1);
    address internal constant HUB_OWNER = address(0xD2);
    address internal constant BUYER = address(0xD3);
    address internal constant STRANGER = address(0xD4);

    SNM internal snm;
    TimelockController internal timelock;
    DaoGovernor internal governor;
    HubRegistry internal hubs;
    MinerRegistry internal miners;
    ExpropriationVault internal vault;
    Settlement internal settlement;
    FraudProofs internal frauds;

    HubWallet internal hub;
    address internal operator;
    address internal miner;
    address internal otherMiner;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        deploy();

        operator = vm.addr(OPERATOR_KEY);
        miner = vm.addr(MINER_KEY);
        otherMiner = vm.addr(OTHER_MINER_KEY);
        give(HUB_OWNER, 1_000_000e18);
        give(BUYER, 1_000_000e18);
        give(miner, 1_000e18);
        give(otherMiner, 1_000e18);
        hub = HubWallet(createHub(HUB_OWNER, operator));
    }

    /// The order of contracts/README.md.
    function deploy() private {
        vm.startPrank(DEPLOYER);
        snm = new SNM(HOLDER, SUPPLY);
        timelock = new TimelockController(2 days, new address[](0), new address[](1), DEPLOYER);
        governor = new DaoGovernor(snm, timelock);
        hubs = new HubRegistry(snm, address(timelock), rules());
        miners = new MinerRegistry(snm, 100e18, 14 days, 1_000);
        vault = new ExpropriationVault(snm, address(timelock), address(timelock), hubs, address(miners));
        settlement = new Settlement(hubs, miners, address(timelock));
        uint32[] memory slashable = new uint32[](1);
        slashable[0] = ABI_VERSION;
        frauds = new FraudProofs(snm, address(timelock), settlement, hubs, miners, slashable);
        HubWallet implementation = new HubWallet(snm, hubs, address(settlement));

        hubs.wire(address(implementation), address(settlement), address(frauds), address(vault));
        miners.wire(address(frauds), address(vault));
        timelock.grantRole(timelock.PROPOSER_ROLE(), address(governor));
        timelock.grantRole(timelock.CANCELLER_ROLE(), address(governor));
        timelock.renounceRole(timelock.DEFAULT_ADMIN_ROLE(), DEPLOYER);
        vm.stopPrank();
    }

    function rules() internal pure virtual returns (Params memory) {
        return Params({
            minFreeze: MIN_FREEZE,
            leverage: 3,
            challengeWindow: 24 hours,
            withdrawDelay: 48 hours,
            exitThaw: 21 days,
            minSuspicion: 3 days,
            suspectMax: 9 days,
            operatorDelay: 48 hours,
            slashBps: 1_000,
            bountyBps: 1_000,
            protocolFeeBps: 50,
            penalty: 1
        });
    }

    function give(address to, uint256 amount) internal {
        vm.prank(HOLDER);
        snm.transfer(to, amount);
    }

    function createHub(address owner, address operator_) internal returns (address) {
        vm.prank(owner);
        return hubs.createHub(operator_, bytes32(0));
    }

    /// Makes the hub Active with this stake.
    function register(uint128 stake) internal {
        vm.startPrank(HUB_OWNER);
        snm.approve(address(hubs), stake);
        hubs.register(address(hub), stake);
        vm.stopPrank();
    }

    /// Money for the hub by a bare transfer, as x402 `exact` sends it.
    function pay(uint256 amount) internal {
        vm.prank(BUYER);
        snm.transfer(address(hub), amount);
        hub.sync();
    }

    function join(address miner_, uint128 stake) internal {
        vm.startPrank(miner_);
        snm.approve(address(miners), stake);
        miners.join(stake, miner_, miner_, 0);
        vm.stopPrank();
    }

    function skip(uint256 time) internal {
        vm.warp(block.timestamp + time);
    }

    function asDao() internal {
        vm.prank(address(timelock));
    }

    function phase() internal view returns (Phase) {
        return hubs.phaseOf(address(hub));
    }

    function assertPhase(Phase want, string memory what) internal view {
        assertEq(uint256(phase()), uint256(want), what);
    }

    // --- records and signatures

    function sign(uint256 key, bytes32 structHash) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, settlement.digestOf(structHash));
        return abi.encodePacked(r, s, v);
    }

    function leafOf(bytes32 jobId, uint128 charged) internal pure returns (JobLeaf memory) {
        return JobLeaf({
            jobId: jobId,
            specHash: keccak256("spec"),
            buyer: BUYER,
            channelId: 0,
            resultHash: keccak256("right"),
            fuelUsed: 1_000,
            charged: charged,
            minersHash: keccak256("miners")
        });
    }

    /// A batch of one job and one miner, on top of the hub's chain.
    function headerOf(uint64 epoch, JobLeaf memory leaf, uint128 minerTotalCum)
        internal
        view
        returns (BatchHeader memory)
    {
        return BatchHeader({
            hubWallet: address(hub),
            epoch: epoch,
            prevBatch: settlement.chainOf(address(hub)).lastBatch,
            jobsRoot: Types.hash(leaf),
            payRoot: Types.payLeaf(miner, minerTotalCum),
            daHash: keccak256("file"),
            jobs: 1,
            totalCharged: leaf.charged,
            minerTotalCum: minerTotalCum
        });
    }

    function commit(BatchHeader memory header) internal {
        settlement.commitBatch(header, sign(OPERATOR_KEY, Types.hash(header)));
    }

    function receiptOf(JobLeaf memory leaf) internal view returns (HubReceipt memory) {
        return HubReceipt({
            jobId: leaf.jobId,
            specHash: leaf.specHash,
            buyer: leaf.buyer,
            hubWallet: address(hub),
            resultHash: leaf.resultHash,
            fuelUsed: leaf.fuelUsed,
            charged: leaf.charged,
            receiptsHash: keccak256("receipts"),
            paymentRef: 0,
            completedAt: uint64(block.timestamp)
        });
    }

    function none() internal pure returns (bytes32[] memory) {
        return new bytes32[](0);
    }

    /// Proves an E4 against the hub: it signed another result than it settled.
    function proveContradiction(BatchHeader memory header, JobLeaf memory leaf) internal {
        HubReceipt memory receipt = receiptOf(leaf);
        receipt.resultHash = keccak256("wrong");
        bytes memory sig = sign(OPERATOR_KEY, Types.hash(receipt));
        vm.prank(STRANGER);
        frauds.proveLeafContradictsReceipt(receipt, sig, header, leaf, 0, none());
    }
}
