// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {IHubRegistry, Phase} from "../hub/IHubRegistry.sol";
import {IExpropriationVault, Lot, LotState} from "./IExpropriationVault.sol";

/// @title Where taken stakes lie still
/// @notice See `IExpropriationVault`.
contract ExpropriationVault is IExpropriationVault {
    using SafeERC20 for IERC20;

    /// @notice Nobody can shorten it, the DAO least of all.
    uint40 public constant DAO_FREEZE = 120 days;

    IERC20 public immutable TOKEN;
    IHubRegistry public immutable HUBS;
    address public immutable MINERS;
    address public immutable dao;
    address public immutable treasury;

    uint256 public lotCount;
    uint256 public totalLocked;
    mapping(uint256 lotId => Lot) private _lots;

    constructor(IERC20 token, address dao_, address treasury_, IHubRegistry hubs, address miners) {
        bool missing = dao_ == address(0) || treasury_ == address(0);
        if (missing || address(hubs) == address(0) || miners == address(0)) {
            revert ExpropriationVaultZeroAddress();
        }

        TOKEN = token;
        dao = dao_;
        treasury = treasury_;
        HUBS = hubs;
        MINERS = miners;
    }

    /// @inheritdoc IExpropriationVault
    function open(address from, uint128 amount) external returns (uint256 lotId) {
        bool known = msg.sender == address(HUBS) || msg.sender == MINERS;
        if (!known) revert ExpropriationVaultNotRegistry(msg.sender);
        uint256 locked = totalLocked + amount;
        uint256 balance = TOKEN.balanceOf(address(this));
        if (balance < locked) revert ExpropriationVaultUnbacked(balance, locked);

        lotId = ++lotCount;
        totalLocked = locked;
        uint40 releaseAt = uint40(block.timestamp) + DAO_FREEZE;
        _lots[lotId] = Lot({from: from, releaseAt: releaseAt, state: LotState.Frozen, amount: amount});
        emit Expropriated(lotId, from, amount, releaseAt);
    }

    /// @inheritdoc IExpropriationVault
    function restore(uint256 lotId) external {
        if (msg.sender != dao) revert ExpropriationVaultNotDao(msg.sender);
        Lot storage lot = _requireFrozen(lotId);
        if (block.timestamp >= lot.releaseAt) revert ExpropriationVaultThawed(lot.releaseAt);

        lot.state = LotState.Restored;
        totalLocked -= lot.amount;
        emit LotRestored(lotId, lot.from, lot.amount);
        TOKEN.safeTransfer(lot.from, lot.amount);
        bool isHub = HUBS.phaseOf(lot.from) != Phase.None;
        if (isHub) HUBS.bookRestored(lot.from, lot.amount);
    }

    /// @inheritdoc IExpropriationVault
    function release(uint256 lotId) external {
        Lot storage lot = _requireFrozen(lotId);
        if (block.timestamp < lot.releaseAt) revert ExpropriationVaultFrozen(lot.releaseAt);

        lot.state = LotState.Released;
        totalLocked -= lot.amount;
        emit LotReleased(lotId, treasury, lot.amount);
        TOKEN.safeTransfer(treasury, lot.amount);
    }

    /// @inheritdoc IExpropriationVault
    function lots(uint256 lotId) external view returns (Lot memory) {
        return _lots[lotId];
    }

    function _requireFrozen(uint256 lotId) private view returns (Lot storage lot) {
        lot = _lots[lotId];
        if (lot.state != LotState.Frozen) revert ExpropriationVaultWrongState(lotId, lot.state);
    }
}
