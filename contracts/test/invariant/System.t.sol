// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {SNM} from "../../src/SNM.sol";
import {ExpropriationVault} from "../../src/dao/ExpropriationVault.sol";
import {Lot} from "../../src/dao/IExpropriationVault.sol";
import {HubRegistry} from "../../src/hub/HubRegistry.sol";
import {HubWallet} from "../../src/hub/HubWallet.sol";
import {Ledger} from "../../src/hub/IHubWallet.sol";
import {Settlement} from "../../src/pay/Settlement.sol";
import {Test} from "../base/Test.sol";
import {Handler} from "./Handler.sol";

/// @notice What must be true after every call of everybody. The numbers are those of the design's list.
contract SystemInvariants is Test {
    Handler private handler;
    SNM private snm;
    HubRegistry private hubs;
    ExpropriationVault private vault;
    Settlement private settlement;
    HubWallet private hub;
    address private miner;

    function setUp() public {
        handler = new Handler();
        (address a, address b, address c, address d, address e) = handler.system();
        snm = SNM(a);
        hubs = HubRegistry(b);
        vault = ExpropriationVault(c);
        settlement = Settlement(d);
        miner = e;
        hub = HubWallet(handler.theHub());
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[19] memory actions = [
            Handler.payHub.selector,
            Handler.sync.selector,
            Handler.wait.selector,
            Handler.wait.selector,
            Handler.topUp.selector,
            Handler.commitBatch.selector,
            Handler.commitBatch.selector,
            Handler.finalize.selector,
            Handler.claimMiner.selector,
            Handler.signCredit.selector,
            Handler.redeem.selector,
            Handler.contradict.selector,
            Handler.equivocate.selector,
            Handler.releaseVoided.selector,
            Handler.expropriate.selector,
            Handler.rehabilitate.selector,
            Handler.suspectByVote.selector,
            Handler.restore.selector,
            Handler.withdraw.selector
        ];
        bytes4[] memory selectors = new bytes4[](actions.length);
        for (uint256 i = 0; i < actions.length; i++) {
            selectors[i] = actions[i];
        }
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector({addr: address(handler), selectors: selectors});
    }

    /// I1: the four parts of the ledger are all there, and after `sync` nothing else is.
    function invariant_TheLedgerIsBacked() public {
        assertLe(booked(), snm.balanceOf(address(hub)), "backed");
        hub.sync();
        assertEq(booked(), snm.balanceOf(address(hub)), "complete after sync");
    }

    /// I2: no SNM appears or disappears.
    function invariant_TheSupplyIsConserved() public view {
        uint256 sum = 0;
        address[5] memory contracts = handler.contracts();
        for (uint256 i = 0; i < contracts.length; i++) {
            sum += snm.balanceOf(contracts[i]);
        }
        address[8] memory people = handler.everybody();
        for (uint256 i = 0; i < people.length; i++) {
            sum += snm.balanceOf(people[i]);
        }
        assertEq(sum, snm.totalSupply(), "supply");
    }

    /// I3: what a miner has had only grows, and never beyond what the hub signed.
    function invariant_PaidOnlyGrowsUpToWhatWasSigned() public view {
        assertTrue(!handler.paidFell(), "paid fell");
        assertLe(settlement.paidTo(address(hub), miner).total, handler.promisedMost(), "signed");
    }

    /// I4: all payments come out of finalized shares and redeemed credits.
    function invariant_PaymentsAreCoveredByBatchesAndCredits() public view {
        uint256 paid = settlement.paidTo(address(hub), miner).total;
        assertLe(paid, handler.finalizedShares() + handler.redeemed(), "covered");
    }

    /// I6: the stake changes by top-up, slash, insolvency, expropriation and restoration only.
    function invariant_StakeNeverShrinksOtherwise() public view {
        assertEq(hub.frozen() + handler.frozenOut(), handler.frozenIn(), "stake");
        assertEq(hubs.totalFrozen(), hub.frozen(), "total");
    }

    /// I8: a commit never leaves more open than three stakes.
    function invariant_OpenExposureIsCoveredByStake() public view {
        assertTrue(!handler.exposureExceeded(), "exposure");
    }

    /// I12: a lot keeps its amount and its date, and the vault can pay all of them.
    function invariant_LotsStayAsTheyWere() public view {
        for (uint256 i = 0; i < handler.lotsSeen(); i++) {
            Lot memory lot = vault.lots(i + 1);
            assertEq(lot.amount, handler.lotAmounts(i), "amount");
        }
        assertLe(vault.totalLocked(), snm.balanceOf(address(vault)), "backed");
    }

    /// What open batches promise is always there, so every batch that is not void can become final.
    function invariant_PromisesAreCovered() public view {
        Ledger memory ledger = hub.ledger();
        assertLe(hub.promised(), uint256(ledger.held) + ledger.free, "promised");
    }

    function booked() private view returns (uint256) {
        Ledger memory ledger = hub.ledger();
        return uint256(ledger.frozen) + ledger.held + ledger.owed + ledger.free;
    }
}
