// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IHubRegistry, Params, Phase} from "./IHubRegistry.sol";
import {IHubWallet, Ledger} from "./IHubWallet.sol";

/// @title One hub's money
/// @notice The code that every hub's clone runs. All immutables belong to the implementation, so they are the same
/// for all hubs; a clone has only its own ledger. It has no initializer: a fresh clone is an empty ledger.
contract HubWallet is IHubWallet {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;

    /// @notice An armed withdrawal that never expires could be fired in the moment a fraud comes out.
    uint40 public constant WITHDRAWAL_VALID = 7 days;

    IERC20 public immutable TOKEN;
    IHubRegistry public immutable REGISTRY;
    address public immutable SETTLEMENT;
    uint40 private immutable CHALLENGE_WINDOW;
    uint40 private immutable WITHDRAW_DELAY;
    uint8 private immutable LEVERAGE;

    uint128 public frozen;
    uint128 private _owed;
    uint128 private _held;
    uint128 private _free;
    uint128 public openExposure;
    uint128 public promised;
    uint128 private _withdrawAmount;
    uint40 private _withdrawReadyAt;

    /// Days since 1970 of the oldest and the newest bucket that may hold money. They are never further apart than
    /// the longest challenge window, 14 days, and one more for rounding up.
    uint32 private _oldestDay;
    uint32 private _newestDay;

    /// What becomes free at the start of each day.
    mapping(uint256 day => uint128 amount) private _bucket;

    modifier onlySettlement() {
        if (msg.sender != SETTLEMENT) revert HubWalletNotSettlement(msg.sender);
        _;
    }

    modifier onlyRegistry() {
        if (msg.sender != address(REGISTRY)) revert HubWalletNotRegistry(msg.sender);
        _;
    }

    modifier onlyOwner() {
        address owner = REGISTRY.ownerOf(address(this));
        if (msg.sender != owner) revert HubWalletNotOwner(msg.sender, owner);
        _;
    }

    constructor(IERC20 token, IHubRegistry registry, address settlement) {
        Params memory rules = registry.params();
        TOKEN = token;
        REGISTRY = registry;
        SETTLEMENT = settlement;
        CHALLENGE_WINDOW = rules.challengeWindow;
        WITHDRAW_DELAY = rules.withdrawDelay;
        LEVERAGE = rules.leverage;
    }

    /// @inheritdoc IHubWallet
    function sync() external returns (uint256 received) {
        return _sync();
    }

    /// @inheritdoc IHubWallet
    function requestWithdraw(uint128 amount) external onlyOwner {
        _fold();
        if (amount > _free) revert HubWalletStakeFrozen(_free, amount);

        bool idle = _requireMayWithdraw();
        _withdrawAmount = amount;
        _withdrawReadyAt = uint40(block.timestamp) + (idle ? 0 : WITHDRAW_DELAY);
        emit WithdrawRequested(amount, _withdrawReadyAt);
    }

    /// @inheritdoc IHubWallet
    function executeWithdraw() external onlyOwner {
        uint128 amount = _withdrawAmount;
        uint256 readyAt = _withdrawReadyAt;
        if (readyAt == 0) revert HubWalletNothingRequested();
        if (block.timestamp < readyAt) revert HubWalletWithdrawalNotReady(readyAt);
        uint256 expiresAt = readyAt + WITHDRAWAL_VALID;
        if (block.timestamp >= expiresAt) revert HubWalletWithdrawalExpired(expiresAt);
        _requireMayWithdraw();

        _fold();
        if (amount > _free) revert HubWalletStakeFrozen(_free, amount);
        uint256 left = uint256(_held) + _free - amount;
        if (left < promised) revert HubWalletPromisesExceedFunds(promised, left);

        _withdrawAmount = 0;
        _withdrawReadyAt = 0;
        _free -= amount;
        emit Withdrawn(msg.sender, amount);
        TOKEN.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IHubWallet
    function bookBatch(uint128 exposure, uint128 share, uint128 fee) external onlySettlement {
        uint256 open = uint256(openExposure) + exposure;
        uint256 limit = uint256(frozen) * LEVERAGE;
        if (open > limit) revert HubWalletExposureExceedsFreeze(open, limit);
        // Promises add up and are covered when they are made; no later promise can eat an earlier one's money.
        uint256 promises = uint256(promised) + share + fee;
        // Money that came by a bare transfer counts, but is only looked for when it is needed.
        if (promises > uint256(_held) + _free) _sync();
        uint256 funds = uint256(_held) + _free;
        if (promises > funds) revert HubWalletPromisesExceedFunds(promises, funds);

        openExposure = open.toUint128();
        promised = promises.toUint128();
    }

    /// @inheritdoc IHubWallet
    function finalizeBatch(uint128 exposure, uint128 share, uint128 fee, address treasury)
        external
        onlySettlement
    {
        openExposure -= exposure;
        promised -= share + fee;

        // Held first, then free. Both together cover all promises at any time, so the stake is never needed here.
        _fold();
        uint128 due = share + fee;
        uint128 fromHeld = due < _held ? due : _held;
        _takeHeld(fromHeld);
        _free -= due - fromHeld;
        _owed += share;
        if (fee > 0) TOKEN.safeTransfer(treasury, fee);
    }

    /// @inheritdoc IHubWallet
    function releaseBatch(uint128 exposure, uint128 share, uint128 fee) external onlySettlement {
        openExposure -= exposure;
        promised -= share + fee;
    }

    /// @inheritdoc IHubWallet
    function payMiner(address to, uint128 amount, uint128 alreadyPaid) external onlySettlement {
        uint256 leaving = uint256(amount) + alreadyPaid;
        if (leaving > _owed) revert HubWalletAmountExceedsAvailable(leaving, _owed);

        _owed -= uint128(leaving);
        if (alreadyPaid > 0) _free += alreadyPaid;
        if (amount > 0) TOKEN.safeTransfer(to, amount);
    }

    /// @inheritdoc IHubWallet
    function payDebt(address to, uint128 amount, bool fromStake)
        external
        onlySettlement
        returns (uint128 paid)
    {
        _fold();
        uint256 unpromised = Math.saturatingSub(uint256(_held) + _free, promised);
        uint128 fromFunds = Math.min(amount, unpromised).toUint128();
        // Free money first here: what is held may still be needed for the buyers it came from.
        uint128 fromFree = fromFunds < _free ? fromFunds : _free;
        _free -= fromFree;
        _takeHeld(fromFunds - fromFree);
        paid = fromFunds;

        uint128 stakePart = amount - paid < frozen ? amount - paid : frozen;
        if (fromStake && stakePart > 0) {
            frozen -= stakePart;
            paid += stakePart;
            // The registry has to hear of a debt that only the stake could pay.
            REGISTRY.reportInsolvency(stakePart);
        }
        if (paid > 0) TOKEN.safeTransfer(to, paid);
    }

    /// @inheritdoc IHubWallet
    function freeze(uint128 amount) external onlyRegistry {
        frozen += amount;
    }

    /// @inheritdoc IHubWallet
    function thaw() external onlyRegistry returns (uint128 amount) {
        amount = frozen;
        frozen = 0;
        _free += amount;
    }

    /// @inheritdoc IHubWallet
    function seize(address to, uint128 amount) external onlyRegistry {
        frozen -= amount;
        if (amount > 0) TOKEN.safeTransfer(to, amount);
    }

    /// @inheritdoc IHubWallet
    function bookFree(uint128 amount) external onlyRegistry {
        _free += amount;
    }

    /// @inheritdoc IHubWallet
    function ledger() external view returns (Ledger memory now_) {
        now_ = Ledger({frozen: frozen, held: _held, owed: _owed, free: _free});
        if (_held == 0) return now_;

        uint256 last = Math.min(block.timestamp / 1 days, _newestDay);
        for (uint256 day = _oldestDay; day <= last; day++) {
            now_.held -= _bucket[day];
            now_.free += _bucket[day];
        }
    }

    /// @inheritdoc IHubWallet
    function withdrawal() external view returns (uint128 amount, uint40 readyAt, uint40 expiresAt) {
        amount = _withdrawAmount;
        readyAt = _withdrawReadyAt;
        expiresAt = readyAt == 0 ? 0 : readyAt + WITHDRAWAL_VALID;
    }

    function _sync() private returns (uint256 received) {
        _fold();
        uint256 booked = uint256(frozen) + _owed + _held + _free;
        received = TOKEN.balanceOf(address(this)) - booked;
        if (received == 0) return 0;

        uint256 releaseDay = _releaseDay();
        uint128 amount = received.toUint128();
        if (_held == 0) _oldestDay = releaseDay.toUint32();
        _newestDay = releaseDay.toUint32();
        _bucket[releaseDay] += amount;
        _held += amount;
        emit Received(received, releaseDay * 1 days);
    }

    /// Moves every bucket whose day has come from held to free: at most 15 turns, as the buckets' span is bounded.
    function _fold() private {
        if (_held == 0) return;
        uint256 today = block.timestamp / 1 days;
        if (today < _oldestDay) return;

        uint256 last = Math.min(today, _newestDay);
        uint128 matured = 0;
        for (uint256 day = _oldestDay; day <= last; day++) {
            matured += _bucket[day];
            delete _bucket[day];
        }
        _oldestDay = (last + 1).toUint32();
        _held -= matured;
        _free += matured;
    }

    /// Takes from the oldest buckets. The caller has checked that `amount` is held.
    function _takeHeld(uint128 amount) private {
        _held -= amount;
        for (uint256 day = _oldestDay; amount > 0; day++) {
            uint128 part = _bucket[day] < amount ? _bucket[day] : amount;
            if (part > 0) _bucket[day] -= part;
            amount -= part;
        }
    }

    /// Whether the hub has no business that a withdrawal could harm; reverts where the owner may not withdraw.
    function _requireMayWithdraw() private view returns (bool idle) {
        Phase phase = REGISTRY.phaseOf(address(this));
        idle = phase == Phase.Created || phase == Phase.Retired;
        if (!idle && phase != Phase.Active) revert HubWalletWrongPhase(uint8(phase));
    }

    /// Rounded up to a whole day, so that the window is never cut short.
    function _releaseDay() private view returns (uint256) {
        return Math.ceilDiv(block.timestamp + CHALLENGE_WINDOW, 1 days);
    }
}
