// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";

import {IExpropriationVault, LotState} from "../../src/dao/IExpropriationVault.sol";
import {IHubRegistry, Phase} from "../../src/hub/IHubRegistry.sol";
import {BatchHeader, JobLeaf} from "../../src/lib/Types.sol";
import {System} from "../base/System.sol";

contract DaoTest is System {
    uint128 private constant STAKE = 100_000e18;
    bytes32 private constant EVIDENCE = keccak256("evidence");

    function setUp() public override {
        super.setUp();
        register(STAKE);
        pay(10_000e18);
        vm.prank(HOLDER);
        snm.delegate(HOLDER);
        skip(1);
    }

    function test_Expropriate_FromTheVoteToTheFrozenLot() public {
        JobLeaf memory leaf = leafOf(bytes32(uint256(1)), 1_000e18);
        BatchHeader memory header = headerOf(1, leaf, 0);
        commit(header);
        proveContradiction(header, leaf);

        vote(address(hubs), abi.encodeCall(IHubRegistry.expropriate, (address(hub), 10_000e18)));

        assertPhase(Phase.Punished, "phase");
        uint256 releaseAt = block.timestamp + 120 days;
        assertEq(vault.lotCount(), 2, "the slash and the expropriation");
        assertEq(vault.lots(2).amount, 10_000e18, "amount");
        assertEq(vault.lots(2).from, address(hub), "from");
        assertEq(vault.lots(2).releaseAt, releaseAt, "release");
        assertEq(snm.balanceOf(address(vault)), vault.totalLocked(), "backed");
        assertEq(snm.getVotes(address(vault)), 0, "the vault does not vote");
    }

    function test_Expropriate_RevertIf_NeitherProofNorVote() public {
        vm.expectRevert(abi.encodeWithSelector(IHubRegistry.HubRegistryNotDao.selector, address(this)));
        hubs.expropriate(address(hub), 1);
        vm.expectRevert(abi.encodeWithSelector(IHubRegistry.HubRegistryNotDao.selector, address(this)));
        hubs.suspect(address(hub), EVIDENCE);
        vm.expectRevert(abi.encodeWithSelector(IHubRegistry.HubRegistryNotDao.selector, address(this)));
        hubs.blacklist(address(hub), EVIDENCE);
        vm.expectRevert(abi.encodeWithSelector(IHubRegistry.HubRegistryNotDao.selector, address(this)));
        hubs.rehabilitate(address(hub));
        asDao();
        vm.expectRevert(
            abi.encodeWithSelector(IHubRegistry.HubRegistryWrongPhase.selector, Phase.Active, Phase.Suspected)
        );
        hubs.expropriate(address(hub), 1);
    }

    function test_Expropriate_AtTMinus1_T() public {
        suspect();
        uint256 ripeAt = block.timestamp + 3 days;
        skip(3 days - 1);
        asDao();
        vm.expectRevert(abi.encodeWithSelector(IHubRegistry.HubRegistrySuspicionTooYoung.selector, ripeAt));
        hubs.expropriate(address(hub), 1e18);
        asDao();
        vm.expectRevert(abi.encodeWithSelector(IHubRegistry.HubRegistrySuspicionTooYoung.selector, ripeAt));
        hubs.blacklist(address(hub), EVIDENCE);
        skip(1);
        asDao();
        hubs.expropriate(address(hub), 1e18);
    }

    function test_Expropriate_RevertIf_MoreThanAFifthOfAllStakesIn30Days() public {
        address second = createHub(BUYER, operator);
        vm.startPrank(BUYER);
        snm.approve(address(hubs), STAKE);
        hubs.register(second, STAKE);
        vm.stopPrank();
        suspect();
        skip(3 days);

        assertEq(hubs.expropriable(), 40_000e18, "a fifth of 200,000");
        asDao();
        vm.expectRevert(
            abi.encodeWithSelector(IHubRegistry.HubRegistryRateLimited.selector, 40_000e18 + 1, 40_000e18)
        );
        hubs.expropriate(address(hub), 40_000e18 + 1);
        asDao();
        hubs.expropriate(address(hub), 25_000e18);
        assertEq(hubs.expropriable(), 15_000e18, "what is left of the window");
        asDao();
        hubs.expropriate(address(hub), 15_000e18);
        assertEq(hubs.expropriable(), 0, "used up");
        skip(30 days + 1);
        assertEq(hubs.expropriable(), 32_000e18, "a fifth of the 160,000 that are left");
    }

    function test_Expropriate_TheOnlyHubOfTheSmallestSize() public {
        address small = createHub(BUYER, operator);
        vm.startPrank(BUYER);
        snm.approve(address(hubs), MIN_FREEZE);
        hubs.register(small, MIN_FREEZE);
        vm.stopPrank();
        vm.startPrank(HUB_OWNER);
        hubs.requestExit(address(hub));
        skip(21 days);
        hubs.finalizeExit(address(hub));
        vm.stopPrank();
        assertEq(hubs.totalFrozen(), MIN_FREEZE, "one small hub");

        asDao();
        hubs.suspect(small, EVIDENCE);
        skip(3 days);
        asDao();
        hubs.expropriate(small, MIN_FREEZE);
    }

    function test_Expropriate_RevertIf_MoreThanTheStake() public {
        suspect();
        skip(3 days);
        asDao();
        vm.expectRevert(
            abi.encodeWithSelector(IHubRegistry.HubRegistryAmountExceedsFreeze.selector, STAKE + 1, STAKE)
        );
        hubs.expropriate(address(hub), STAKE + 1);
    }

    function test_Expropriate_FundsUnspendableUntilT() public {
        uint256 lotId = takeLot();
        uint256 releaseAt = vault.lots(lotId).releaseAt;
        vm.warp(releaseAt - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IExpropriationVault.ExpropriationVaultFrozen.selector, releaseAt)
        );
        vault.release(lotId);
        vm.warp(releaseAt);
        asDao();
        vm.expectRevert(
            abi.encodeWithSelector(IExpropriationVault.ExpropriationVaultThawed.selector, releaseAt)
        );
        vault.restore(lotId);
        vault.release(lotId);
        assertEq(snm.balanceOf(address(timelock)), 10_000e18, "treasury");
        vm.expectRevert(
            abi.encodeWithSelector(
                IExpropriationVault.ExpropriationVaultWrongState.selector, lotId, LotState.Released
            )
        );
        vault.release(lotId);
    }

    function test_Punished_MayLeaveButNotGoOn() public {
        takeLot();
        vm.startPrank(HUB_OWNER);
        hubs.requestExit(address(hub));
        vm.expectRevert(abi.encodeWithSelector(IHubRegistry.HubRegistryTainted.selector, address(hub)));
        hubs.cancelExit(address(hub));
        vm.stopPrank();
    }

    function test_Restore_GivesTheStakeBack() public {
        uint256 lotId = takeLot();
        vm.expectRevert(
            abi.encodeWithSelector(IExpropriationVault.ExpropriationVaultNotDao.selector, address(this))
        );
        vault.restore(lotId);
        asDao();
        vault.restore(lotId);
        assertEq(hub.frozen(), STAKE, "stake");
        asDao();
        hubs.rehabilitate(address(hub));
        assertPhase(Phase.Active, "phase");
        assertEq(hubs.totalFrozen(), STAKE, "total");
    }

    function test_Restore_AfterTheHubLeft_BecomesFree() public {
        uint256 lotId = takeLot();
        vm.prank(HUB_OWNER);
        hubs.requestExit(address(hub));
        skip(21 days);
        hubs.finalizeExit(address(hub));
        asDao();
        vault.restore(lotId);
        assertEq(hub.ledger().free, STAKE + 10_000e18, "all of it");
        assertEq(hub.frozen(), 0, "nothing is frozen");
        assertEq(hubs.totalFrozen(), 0, "total");
    }

    function test_Open_RevertIf_NotARegistry() public {
        vm.expectRevert(
            abi.encodeWithSelector(IExpropriationVault.ExpropriationVaultNotRegistry.selector, address(this))
        );
        vault.open(address(hub), 1);
        vm.prank(address(hubs));
        vm.expectRevert(abi.encodeWithSelector(IExpropriationVault.ExpropriationVaultUnbacked.selector, 0, 1));
        vault.open(address(hub), 1);
    }

    function test_Suspect_LapsesByItself() public {
        suspect();
        assertPhase(Phase.Suspected, "suspected");
        skip(9 days - 1);
        assertPhase(Phase.Suspected, "still");
        skip(1);
        assertPhase(Phase.Active, "lapsed");
        commit(headerOf(1, leafOf(bytes32(uint256(1)), 1e18), 0));
    }

    function test_Suspect_RevertIf_AgainWithin30Days() public {
        suspect();
        uint256 next = block.timestamp + 30 days;
        skip(9 days);
        asDao();
        vm.expectRevert(abi.encodeWithSelector(IHubRegistry.HubRegistryFlaggedRecently.selector, next));
        hubs.suspect(address(hub), EVIDENCE);
        vm.warp(next);
        suspect();
    }

    function test_Blacklist_LastsUntilRehabilitation() public {
        suspect();
        skip(3 days);
        asDao();
        hubs.blacklist(address(hub), EVIDENCE);
        skip(300 days);
        assertPhase(Phase.Suspected, "does not lapse");
        assertTrue(hubs.status(address(hub)).blacklisted, "blacklisted");
        asDao();
        hubs.rehabilitate(address(hub));
        assertPhase(Phase.Active, "active");
        assertTrue(!hubs.status(address(hub)).blacklisted, "cleared");
    }

    function test_Exit_StandsStillWhileSuspected() public {
        vm.prank(HUB_OWNER);
        hubs.requestExit(address(hub));
        uint256 readyAt = block.timestamp + 21 days;
        skip(20 days);
        suspect();
        skip(9 days);
        assertPhase(Phase.Retiring, "lapsed into where it was");
        vm.expectRevert(
            abi.encodeWithSelector(IHubRegistry.HubRegistryThawNotElapsed.selector, readyAt + 9 days)
        );
        hubs.finalizeExit(address(hub));
        skip(1 days);
        hubs.finalizeExit(address(hub));
        assertPhase(Phase.Retired, "left");
    }

    function test_Vote_BorrowedTokensDoNotCount() public {
        (address[] memory targets, uint256[] memory values, bytes[] memory calls) =
            proposalOf(address(hubs), abi.encodeCall(IHubRegistry.suspect, (address(hub), EVIDENCE)));
        vm.prank(HOLDER);
        uint256 id = governor.propose(targets, values, calls, "suspect");
        skip(1 days + 1);
        // Bought after the snapshot.
        give(STRANGER, 100_000_000e18);
        vm.startPrank(STRANGER);
        snm.delegate(STRANGER);
        governor.castVote(id, 0);
        vm.stopPrank();
        (uint256 against,,) = governor.proposalVotes(id);
        assertEq(against, 0, "no weight");
    }

    function test_Vote_NobodyGovernsTheTimelockBesideTheGovernor() public view {
        assertTrue(!timelock.hasRole(timelock.DEFAULT_ADMIN_ROLE(), DEPLOYER), "the deployer renounced");
        assertTrue(timelock.hasRole(timelock.PROPOSER_ROLE(), address(governor)), "the governor proposes");
        assertTrue(!timelock.hasRole(timelock.PROPOSER_ROLE(), DEPLOYER), "the deployer does not");
        assertEq(governor.proposalThreshold(), SUPPLY / 1_000, "threshold");
    }

    function suspect() private {
        asDao();
        hubs.suspect(address(hub), EVIDENCE);
    }

    function takeLot() private returns (uint256) {
        suspect();
        skip(3 days);
        asDao();
        return hubs.expropriate(address(hub), 10_000e18);
    }

    /// A whole cycle of the DAO: a day, five days, two days.
    function vote(address target, bytes memory call) private {
        (address[] memory targets, uint256[] memory values, bytes[] memory calls) = proposalOf(target, call);
        vm.prank(HOLDER);
        uint256 id = governor.propose(targets, values, calls, "why");
        skip(1 days + 1);
        vm.prank(HOLDER);
        governor.castVote(id, 1);
        skip(5 days);
        assertEq(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Succeeded), "succeeded");
        governor.queue(targets, values, calls, keccak256("why"));
        skip(2 days);
        governor.execute(targets, values, calls, keccak256("why"));
    }

    function proposalOf(address target, bytes memory call)
        private
        pure
        returns (address[] memory targets, uint256[] memory values, bytes[] memory calls)
    {
        targets = new address[](1);
        values = new uint256[](1);
        calls = new bytes[](1);
        targets[0] = target;
        calls[0] = call;
    }
}
