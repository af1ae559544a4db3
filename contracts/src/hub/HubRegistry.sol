// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {RateLimiter} from "@openzeppelin/contracts/utils/RateLimiter.sol";

import {IExpropriationVault} from "../dao/IExpropriationVault.sol";
import {HubStatus, IHubRegistry, Params, Phase, Reason} from "./IHubRegistry.sol";
import {IHubWallet} from "./IHubWallet.sol";

/// @title Which hubs exist, and where each of them stands
/// @notice See `IHubRegistry`.
contract HubRegistry is IHubRegistry {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;
    using RateLimiter for RateLimiter.SlidingWindow;

    struct Hub {
        address owner;
        Phase phase;
        uint40 suspectedAt;
        /// Zero while Suspected: the suspicion does not end by itself.
        uint40 suspectUntil;
        address operator;
        uint40 exitReadyAt;
        uint40 flaggedAt;
        bool blacklisted;
        /// Suspected by proof, debt or blacklist and not rehabilitated since: such a hub may leave, not trade.
        bool tainted;
        address nextOperator;
        uint40 operatorReadyAt;
    }

    uint256 private constant BPS = 10_000;

    /// @notice The DAO may suspect one hub at most once in this time: a vote must not be a permanent lock.
    uint40 public constant FLAG_INTERVAL = 30 days;

    /// @notice Expropriations are counted over this sliding time.
    uint48 public constant RATE_WINDOW = 30 days;

    /// @notice The part of all stakes that the DAO may expropriate within `RATE_WINDOW`.
    uint256 public constant RATE_BPS = 2_000;

    /// @notice At least this part of a slash stays locked in the vault. A hub that reports itself through an
    /// accomplice loses it, so a fraud is never a shortcut around the exit thaw.
    uint256 public constant VAULT_BPS_MIN = 2_000;

    IERC20 public immutable TOKEN;
    address public immutable dao;
    address private immutable DEPLOYER;

    address public walletImplementation;
    address public settlement;
    address public fraudProofs;
    IExpropriationVault public vault;

    /// @notice The sum of all stakes.
    uint256 public totalFrozen;

    Params private _params;
    RateLimiter.SlidingWindow private _expropriated;
    mapping(address hub => Hub) private _hubs;
    mapping(address hub => mapping(address key => bool)) public wasOperator;

    modifier onlyDao() {
        if (msg.sender != dao) revert HubRegistryNotDao(msg.sender);
        _;
    }

    modifier onlyOwner(address hub) {
        address owner = _hubs[hub].owner;
        if (msg.sender != owner) revert HubRegistryNotOwner(msg.sender, owner);
        _;
    }

    constructor(IERC20 token, address dao_, Params memory rules) {
        if (dao_ == address(0)) revert HubRegistryZeroAddress();
        _requireWithin("minFreeze", rules.minFreeze, 1e18, type(uint96).max);
        _requireWithin("leverage", rules.leverage, 1, 10);
        _requireWithin("challengeWindow", rules.challengeWindow, 2 hours, 14 days);
        _requireWithin("withdrawDelay", rules.withdrawDelay, rules.challengeWindow, 30 days);
        _requireWithin("minSuspicion", rules.minSuspicion, 1 days, 9 days);
        _requireWithin("suspectMax", rules.suspectMax, rules.minSuspicion, 30 days);
        uint256 thawMin = uint256(rules.challengeWindow) + rules.suspectMax + 1 days;
        _requireWithin("exitThaw", rules.exitThaw, thawMin, 60 days);
        _requireWithin("operatorDelay", rules.operatorDelay, rules.challengeWindow, 30 days);
        _requireWithin("slashBps", rules.slashBps, 100, BPS);
        _requireWithin("bountyBps", rules.bountyBps, 0, 5_000);
        _requireWithin("protocolFeeBps", rules.protocolFeeBps, 0, 500);
        _requireWithin("penalty", rules.penalty, 0, 1);

        TOKEN = token;
        dao = dao_;
        DEPLOYER = msg.sender;
        _params = rules;
    }

    /// @inheritdoc IHubRegistry
    function wire(address walletImplementation_, address settlement_, address fraudProofs_, address vault_)
        external
    {
        if (msg.sender != DEPLOYER) revert HubRegistryNotDeployer(msg.sender);
        if (settlement != address(0)) revert HubRegistryAlreadyWired();
        bool missing = walletImplementation_ == address(0) || settlement_ == address(0);
        if (missing || fraudProofs_ == address(0) || vault_ == address(0)) revert HubRegistryZeroAddress();

        walletImplementation = walletImplementation_;
        settlement = settlement_;
        fraudProofs = fraudProofs_;
        vault = IExpropriationVault(vault_);
    }

    /// @inheritdoc IHubRegistry
    function createHub(address operator, bytes32 salt) external returns (address hub) {
        if (walletImplementation == address(0)) revert HubRegistryNotWired();
        if (operator == address(0)) revert HubRegistryZeroAddress();

        hub = Clones.cloneDeterministic(walletImplementation, _salt(msg.sender, salt));
        Hub storage record = _hubs[hub];
        record.owner = msg.sender;
        record.operator = operator;
        wasOperator[hub][operator] = true;
        record.phase = Phase.Created;
        emit HubCreated(hub, msg.sender, operator);
    }

    /// @inheritdoc IHubRegistry
    function register(address hub, uint128 freeze) external {
        _register(hub, freeze);
    }

    /// @inheritdoc IHubRegistry
    function registerWithPermit(address hub, uint128 freeze, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
    {
        // Somebody may have submitted the same permit first. Then the allowance is there, and that is all we need.
        try IERC20Permit(address(TOKEN)).permit(msg.sender, address(this), freeze, deadline, v, r, s) {}
            catch {}
        _register(hub, freeze);
    }

    /// @inheritdoc IHubRegistry
    function topUpFreeze(address hub, uint128 amount) external onlyOwner(hub) {
        Phase phase = _lapse(hub);
        bool staked = phase == Phase.Active || phase == Phase.Suspected || phase == Phase.Punished
            || phase == Phase.Retiring;
        if (!staked) revert HubRegistryWrongPhase(phase, Phase.Active);

        _freeze(hub, amount);
    }

    /// @inheritdoc IHubRegistry
    function setOperator(address hub, address operator) external onlyOwner(hub) {
        if (operator == address(0)) revert HubRegistryZeroAddress();
        Hub storage record = _hubs[hub];
        record.nextOperator = operator;
        record.operatorReadyAt = uint40(block.timestamp) + _params.operatorDelay;
        emit OperatorProposed(hub, operator, record.operatorReadyAt);
    }

    /// @inheritdoc IHubRegistry
    function activateOperator(address hub) external onlyOwner(hub) {
        Hub storage record = _hubs[hub];
        address next = record.nextOperator;
        bool ready = next != address(0) && block.timestamp >= record.operatorReadyAt;
        if (!ready) revert HubRegistryOperatorNotReady(record.operatorReadyAt);

        record.operator = next;
        record.nextOperator = address(0);
        record.operatorReadyAt = 0;
        wasOperator[hub][next] = true;
        emit OperatorChanged(hub, next);
    }

    /// @inheritdoc IHubRegistry
    function requestExit(address hub) external onlyOwner(hub) {
        Phase phase = _lapse(hub);
        Hub storage record = _hubs[hub];
        if (phase == Phase.Suspected) {
            // The DAO has had a full suspicion to act in. After that the money must not be stuck for ever.
            uint256 ripeAt = uint256(record.suspectedAt) + _params.suspectMax;
            if (block.timestamp < ripeAt) revert HubRegistrySuspicionTooYoung(ripeAt);
        } else if (phase != Phase.Active && phase != Phase.Punished) {
            revert HubRegistryWrongPhase(phase, Phase.Active);
        }

        record.exitReadyAt = uint40(block.timestamp) + _params.exitThaw;
        record.suspectedAt = 0;
        record.suspectUntil = 0;
        _enter(hub, Phase.Retiring, Reason.None, bytes32(0));
        emit ExitRequested(hub, record.exitReadyAt);
    }

    /// @inheritdoc IHubRegistry
    function cancelExit(address hub) external onlyOwner(hub) {
        _requirePhase(hub, Phase.Retiring);
        if (_hubs[hub].tainted) revert HubRegistryTainted(hub);
        _requireMinFreeze(hub);

        _hubs[hub].exitReadyAt = 0;
        _enter(hub, Phase.Active, Reason.None, bytes32(0));
        emit ExitCancelled(hub);
    }

    /// @inheritdoc IHubRegistry
    function finalizeExit(address hub) external {
        _requirePhase(hub, Phase.Retiring);
        uint256 readyAt = _hubs[hub].exitReadyAt;
        if (block.timestamp < readyAt) revert HubRegistryThawNotElapsed(readyAt);
        uint256 open = IHubWallet(hub).openExposure();
        if (open > 0) revert HubRegistryOpenBatches(open);

        _hubs[hub].exitReadyAt = 0;
        _enter(hub, Phase.Retired, Reason.None, bytes32(0));
        totalFrozen -= IHubWallet(hub).thaw();
        emit FreezeChanged(hub, 0);
        emit ExitFinalized(hub);
    }

    /// @inheritdoc IHubRegistry
    function suspect(address hub, bytes32 evidence) external onlyDao {
        Phase phase = _lapse(hub);
        if (phase != Phase.Active && phase != Phase.Retiring) {
            revert HubRegistryWrongPhase(phase, Phase.Active);
        }
        Hub storage record = _hubs[hub];
        uint256 nextFlagAt = uint256(record.flaggedAt) + FLAG_INTERVAL;
        if (record.flaggedAt != 0 && block.timestamp < nextFlagAt) {
            revert HubRegistryFlaggedRecently(nextFlagAt);
        }

        record.flaggedAt = uint40(block.timestamp);
        record.suspectedAt = uint40(block.timestamp);
        record.suspectUntil = uint40(block.timestamp) + _params.suspectMax;
        _enter(hub, Phase.Suspected, Reason.DaoVote, evidence);
        emit HubFlagged(hub, msg.sender, evidence, record.suspectUntil);
    }

    /// @inheritdoc IHubRegistry
    function blacklist(address hub, bytes32 evidence) external onlyDao {
        _requireRipeSuspicion(hub, false);

        Hub storage record = _hubs[hub];
        record.blacklisted = true;
        record.tainted = true;
        record.suspectUntil = 0;
        emit HubBlacklisted(hub, evidence);
    }

    /// @inheritdoc IHubRegistry
    function expropriate(address hub, uint128 amount) external onlyDao returns (uint256 lotId) {
        _requireRipeSuspicion(hub, true);
        uint256 frozen = IHubWallet(hub).frozen();
        if (amount > frozen) revert HubRegistryAmountExceedsFreeze(amount, frozen);
        uint256 available = expropriable();
        if (amount > available) revert HubRegistryRateLimited(amount, available);

        _expropriated.updateSettings(RATE_WINDOW, type(uint208).max);
        _expropriated.consume(0, amount);
        _hubs[hub].tainted = true;
        _hubs[hub].suspectUntil = 0;
        _hubs[hub].exitReadyAt = 0;
        if (_hubs[hub].phase != Phase.Punished) _enter(hub, Phase.Punished, Reason.DaoVote, bytes32(0));
        lotId = _seizeIntoVault(hub, amount);
        emit FreezeChanged(hub, frozen - amount);
        emit HubExpropriated(hub, amount, lotId);
    }

    /// @inheritdoc IHubRegistry
    function rehabilitate(address hub) external onlyDao {
        Phase phase = _lapse(hub);
        bool fallen = phase == Phase.Suspected || phase == Phase.Punished || phase == Phase.Retiring;
        if (!fallen) revert HubRegistryWrongPhase(phase, Phase.Suspected);

        Hub storage record = _hubs[hub];
        record.blacklisted = false;
        record.tainted = false;
        if (phase != Phase.Retiring) _endSuspicion(hub);
        if (record.phase == Phase.Active) _requireMinFreeze(hub);
        emit HubRehabilitated(hub);
    }

    /// @inheritdoc IHubRegistry
    function punish(address hub, Reason reason, bytes32 evidence, address victim, uint256 loss)
        external
        returns (uint256 toVictim, uint256 bounty)
    {
        if (msg.sender != fraudProofs) revert HubRegistryNotFraudProofs(msg.sender);
        _suspectByFact(hub, reason, evidence);

        uint256 frozen = IHubWallet(hub).frozen();
        uint256 toVault;
        (toVictim, bounty, toVault) = _split(frozen, victim == address(0) ? 0 : loss);

        IHubWallet(hub).seize(victim, toVictim.toUint128());
        IHubWallet(hub).seize(fraudProofs, bounty.toUint128());
        totalFrozen -= toVictim + bounty;
        if (toVault > 0) _seizeIntoVault(hub, toVault.toUint128());
        _emitSlashed(hub, toVictim, bounty, toVault, reason, evidence);
    }

    /// @inheritdoc IHubRegistry
    function reportInsolvency(uint128 fromStake) external {
        if (_hubs[msg.sender].phase == Phase.None) revert HubRegistryNotHubWallet(msg.sender);

        totalFrozen -= fromStake;
        emit FreezeChanged(msg.sender, IHubWallet(msg.sender).frozen());
        _suspectByFact(msg.sender, Reason.Insolvent, bytes32(0));
    }

    /// @inheritdoc IHubRegistry
    function bookRestored(address hub, uint128 amount) external {
        if (msg.sender != address(vault)) revert HubRegistryNotVault(msg.sender);

        if (_hubs[hub].phase == Phase.Retired) {
            IHubWallet(hub).bookFree(amount);
            return;
        }
        IHubWallet(hub).freeze(amount);
        totalFrozen += amount;
        emit FreezeChanged(hub, IHubWallet(hub).frozen());
    }

    /// @inheritdoc IHubRegistry
    function committerOf(address hub) external view returns (address operator) {
        Phase phase = phaseOf(hub);
        Hub storage record = _hubs[hub];
        bool mayCommit = phase == Phase.Active || (phase == Phase.Retiring && !record.tainted);
        if (!mayCommit) revert HubRegistryNotActive(hub, phase);
        return record.operator;
    }

    /// @inheritdoc IHubRegistry
    function phaseAndSuspicion(address hub) external view returns (Phase phase, uint40 suspectedAt) {
        phase = phaseOf(hub);
        suspectedAt = phase == Phase.Suspected ? _hubs[hub].suspectedAt : 0;
    }

    /// @inheritdoc IHubRegistry
    function isActive(address hub) external view returns (bool) {
        return phaseOf(hub) == Phase.Active;
    }

    /// @inheritdoc IHubRegistry
    function ownerOf(address hub) external view returns (address) {
        return _hubs[hub].owner;
    }

    /// @inheritdoc IHubRegistry
    function operatorOf(address hub) external view returns (address) {
        return _hubs[hub].operator;
    }

    /// @inheritdoc IHubRegistry
    function params() external view returns (Params memory) {
        return _params;
    }

    /// @inheritdoc IHubRegistry
    function status(address hub) external view returns (HubStatus memory now_) {
        Hub storage record = _hubs[hub];
        Phase phase = phaseOf(hub);
        now_.phase = phase;
        now_.blacklisted = record.blacklisted;
        now_.mayBePaid = phase == Phase.Active;
        now_.mayCommit = phase == Phase.Active || (phase == Phase.Retiring && !record.tainted);
        if (phase == Phase.Suspected) {
            now_.suspicionEndsAt = record.suspectUntil;
            now_.expropriableFrom = record.suspectedAt + _params.minSuspicion;
            now_.exitRequestableFrom = record.suspectedAt + _params.suspectMax;
        }
        if (phase == Phase.Punished) now_.expropriableFrom = record.suspectedAt + _params.minSuspicion;
        if (phase == Phase.Active || phase == Phase.Punished) {
            now_.exitRequestableFrom = uint40(block.timestamp);
        }
        if (phase == Phase.Retiring) now_.exitFinalFrom = record.exitReadyAt;
    }

    /// @inheritdoc IHubRegistry
    function predictHub(address owner, bytes32 salt) external view returns (address) {
        return Clones.predictDeterministicAddress(walletImplementation, _salt(owner, salt));
    }

    /// @inheritdoc IHubRegistry
    function phaseOf(address hub) public view returns (Phase) {
        Hub storage record = _hubs[hub];
        bool lapsed = record.phase == Phase.Suspected && record.suspectUntil != 0
            && block.timestamp >= record.suspectUntil;
        if (!lapsed) return record.phase;
        return record.exitReadyAt == 0 ? Phase.Active : Phase.Retiring;
    }

    /// @inheritdoc IHubRegistry
    /// @dev The limit is a fifth of what was frozen before the window's expropriations, but never less than one
    /// `minFreeze`: with fewer than five hubs of the smallest size, a fifth of everything would be less than any
    /// hub's stake, and the only hub of a young system could not be expropriated whatever it did.
    function expropriable() public view returns (uint256) {
        uint256 used = _expropriated.used(0);
        uint256 limit = Math.max((totalFrozen + used) * RATE_BPS / BPS, _params.minFreeze);
        return Math.saturatingSub(limit, used);
    }

    function _register(address hub, uint128 freeze) private onlyOwner(hub) {
        _requirePhase(hub, Phase.Created);
        if (freeze < _params.minFreeze) revert HubRegistryFreezeTooSmall(freeze, _params.minFreeze);

        _enter(hub, Phase.Active, Reason.None, bytes32(0));
        _freeze(hub, freeze);
        emit HubRegistered(hub, freeze);
    }

    function _freeze(address hub, uint128 amount) private {
        totalFrozen += amount;
        IHubWallet(hub).freeze(amount);
        emit FreezeChanged(hub, IHubWallet(hub).frozen());
        TOKEN.safeTransferFrom(msg.sender, hub, amount);
    }

    function _seizeIntoVault(address hub, uint128 amount) private returns (uint256 lotId) {
        totalFrozen -= amount;
        IHubWallet(hub).seize(address(vault), amount);
        lotId = vault.open(hub, amount);
    }

    /// What one proven fraud costs: the fixed part of the stake, or more if the victim's loss needs more.
    function _split(uint256 frozen, uint256 loss)
        private
        view
        returns (uint256 toVictim, uint256 bounty, uint256 toVault)
    {
        uint256 victimBpsMax = BPS - VAULT_BPS_MIN - _params.bountyBps;
        uint256 fixedPart = Math.mulDiv(frozen, _params.slashBps, BPS);
        uint256 lossPart = Math.ceilDiv(Math.min(loss, frozen) * BPS, victimBpsMax);
        uint256 amount = Math.min(Math.max(fixedPart, lossPart), frozen);

        toVictim = Math.min(loss, amount * victimBpsMax / BPS);
        bounty = amount * _params.bountyBps / BPS;
        toVault = amount - toVictim - bounty;
    }

    function _emitSlashed(
        address hub,
        uint256 toVictim,
        uint256 bounty,
        uint256 toVault,
        Reason reason,
        bytes32 evidence
    ) private {
        emit FreezeChanged(hub, IHubWallet(hub).frozen());
        emit HubSlashed(hub, toVictim + bounty + toVault, toVictim, bounty, toVault, reason, evidence);
    }

    /// A proof or an unpaid debt suspects at once and does not lapse.
    function _suspectByFact(address hub, Reason reason, bytes32 evidence) private {
        Phase phase = _lapse(hub);
        Hub storage record = _hubs[hub];
        if (phase == Phase.None || phase == Phase.Created) revert HubRegistryWrongPhase(phase, Phase.Active);
        if (phase == Phase.Retired) return;

        record.tainted = true;
        record.suspectUntil = 0;
        if (phase == Phase.Active || phase == Phase.Retiring) {
            record.suspectedAt = uint40(block.timestamp);
            _enter(hub, Phase.Suspected, reason, evidence);
        }
    }

    /// Makes a suspicion that has ended by itself visible in storage.
    function _lapse(address hub) private returns (Phase phase) {
        phase = phaseOf(hub);
        if (phase != _hubs[hub].phase) _endSuspicion(hub);
    }

    /// Back to where the hub was, with the exit clock moved on by the time it stood still.
    function _endSuspicion(address hub) private {
        Hub storage record = _hubs[hub];
        uint256 end =
            record.suspectUntil == 0 ? block.timestamp : Math.min(record.suspectUntil, block.timestamp);
        uint40 suspectedFor = (end - record.suspectedAt).toUint40();
        record.suspectedAt = 0;
        record.suspectUntil = 0;
        if (record.exitReadyAt == 0) {
            _enter(hub, Phase.Active, Reason.None, bytes32(0));
        } else {
            record.exitReadyAt += suspectedFor;
            _enter(hub, Phase.Retiring, Reason.None, bytes32(0));
        }
    }

    function _enter(address hub, Phase to, Reason reason, bytes32 evidence) private {
        emit HubPhaseChanged(hub, _hubs[hub].phase, to, reason, evidence);
        _hubs[hub].phase = to;
    }

    function _requirePhase(address hub, Phase want) private {
        Phase have = _lapse(hub);
        if (have != want) revert HubRegistryWrongPhase(have, want);
    }

    function _requireMinFreeze(address hub) private view {
        uint256 frozen = IHubWallet(hub).frozen();
        if (frozen < _params.minFreeze) revert HubRegistryFreezeTooSmall(frozen, _params.minFreeze);
    }

    /// A hub is Suspected long enough, or already Punished where that may be repeated.
    function _requireRipeSuspicion(address hub, bool orPunished) private {
        Phase phase = _lapse(hub);
        bool expected = phase == Phase.Suspected || (orPunished && phase == Phase.Punished);
        if (!expected) revert HubRegistryWrongPhase(phase, Phase.Suspected);
        uint256 ripeAt = uint256(_hubs[hub].suspectedAt) + _params.minSuspicion;
        if (block.timestamp < ripeAt) revert HubRegistrySuspicionTooYoung(ripeAt);
    }

    function _requireWithin(bytes32 name, uint256 value, uint256 min, uint256 max) private pure {
        if (value < min || value > max) revert HubRegistryParamOutOfBounds(name, value, min, max);
    }

    function _salt(address owner, bytes32 salt) private pure returns (bytes32) {
        return keccak256(abi.encode(owner, salt));
    }
}
