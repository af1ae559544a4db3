// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {IExpropriationVault} from "../dao/IExpropriationVault.sol";
import {IMinerRegistry, Miner} from "./IMinerRegistry.sol";

/// @title Which miners have a stake, and by which key each signs
/// @notice See `IMinerRegistry`.
contract MinerRegistry is IMinerRegistry {
    using SafeERC20 for IERC20;

    uint256 private constant BPS = 10_000;
    uint256 private constant JUROR_STAKES = 10;

    /// @notice A leave that stays armed for ever could be fired in the moment a lie comes out.
    uint40 public constant LEAVE_VALID = 7 days;

    IERC20 public immutable TOKEN;
    /// @notice The smallest stake of a miner. At least 1 SNM.
    uint128 public immutable minStake;
    /// @notice From asking to leave to getting the stake back. 7 to 30 days.
    uint40 public immutable thaw;
    /// @notice The part of a slash that goes to whoever proved the lie. At most 5,000.
    uint16 public immutable bountyBps;
    address private immutable DEPLOYER;

    address public fraudProofs;
    IExpropriationVault public vault;

    /// @notice The sum of all stakes.
    uint256 public totalStake;

    mapping(address miner => Miner) private _miners;
    mapping(address key => address miner) public keyOwner;

    modifier onlyJoined() {
        if (_miners[msg.sender].stake == 0) revert MinerRegistryNotJoined(msg.sender);
        _;
    }

    constructor(IERC20 token, uint128 minStake_, uint40 thaw_, uint16 bountyBps_) {
        _requireWithin("minStake", minStake_, 1e18, type(uint96).max);
        _requireWithin("thaw", thaw_, 7 days, 30 days);
        _requireWithin("bountyBps", bountyBps_, 0, 5_000);

        TOKEN = token;
        minStake = minStake_;
        thaw = thaw_;
        bountyBps = bountyBps_;
        DEPLOYER = msg.sender;
    }

    /// @inheritdoc IMinerRegistry
    function wire(address fraudProofs_, address vault_) external {
        if (msg.sender != DEPLOYER) revert MinerRegistryNotDeployer(msg.sender);
        if (fraudProofs != address(0)) revert MinerRegistryAlreadyWired();
        if (fraudProofs_ == address(0) || vault_ == address(0)) revert MinerRegistryZeroAddress();

        fraudProofs = fraudProofs_;
        vault = IExpropriationVault(vault_);
    }

    /// @inheritdoc IMinerRegistry
    function join(uint128 stake, address signingKey, address payout, uint32 caps) external {
        if (fraudProofs == address(0)) revert MinerRegistryNotWired();
        Miner storage miner = _miners[msg.sender];
        if (miner.stake != 0) revert MinerRegistryAlreadyJoined(msg.sender);
        if (stake < minStake) revert MinerRegistryStakeTooSmall(stake, minStake);
        if (payout == address(0)) revert MinerRegistryZeroAddress();

        _takeKey(signingKey);
        miner.payout = payout;
        miner.caps = caps;
        miner.signingKey = signingKey;
        miner.stake = stake;
        totalStake += stake;
        emit MinerJoined(msg.sender, signingKey, payout, stake, caps);
        TOKEN.safeTransferFrom(msg.sender, address(this), stake);
    }

    /// @inheritdoc IMinerRegistry
    function topUp(uint128 amount) external onlyJoined {
        if (amount == 0) revert MinerRegistryZeroAmount();

        _miners[msg.sender].stake += amount;
        totalStake += amount;
        emit MinerStakeChanged(msg.sender, _miners[msg.sender].stake);
        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IMinerRegistry
    function rotateKey(address signingKey) external onlyJoined {
        _takeKey(signingKey);
        _miners[msg.sender].signingKey = signingKey;
        emit MinerKeyRotated(msg.sender, signingKey);
    }

    /// @inheritdoc IMinerRegistry
    function setPayout(address payout) external onlyJoined {
        if (payout == address(0)) revert MinerRegistryZeroAddress();

        _miners[msg.sender].payout = payout;
        emit MinerPayoutChanged(msg.sender, payout);
    }

    /// @inheritdoc IMinerRegistry
    function requestLeave() external onlyJoined {
        uint40 leaveAt = uint40(block.timestamp) + thaw;
        _miners[msg.sender].leaveAt = leaveAt;
        emit MinerLeaveRequested(msg.sender, leaveAt);
    }

    /// @inheritdoc IMinerRegistry
    function cancelLeave() external onlyJoined {
        if (_miners[msg.sender].leaveAt == 0) revert MinerRegistryNotLeaving();

        _miners[msg.sender].leaveAt = 0;
        emit MinerLeaveCancelled(msg.sender);
    }

    /// @inheritdoc IMinerRegistry
    function finalizeLeave() external onlyJoined {
        Miner storage miner = _miners[msg.sender];
        if (miner.leaveAt == 0) revert MinerRegistryNotLeaving();
        if (block.timestamp < miner.leaveAt) revert MinerRegistryThawNotElapsed(miner.leaveAt);
        uint256 expiresAt = uint256(miner.leaveAt) + LEAVE_VALID;
        if (block.timestamp >= expiresAt) revert MinerRegistryLeaveExpired(expiresAt);

        uint128 stake = miner.stake;
        miner.stake = 0;
        miner.leaveAt = 0;
        totalStake -= stake;
        emit MinerLeft(msg.sender, stake);
        TOKEN.safeTransfer(msg.sender, stake);
    }

    /// @inheritdoc IMinerRegistry
    function slash(address miner, address reporter) external returns (uint256 amount, uint256 bounty) {
        if (msg.sender != fraudProofs) revert MinerRegistryNotFraudProofs(msg.sender);
        uint128 stake = _miners[miner].stake;
        if (stake == 0) revert MinerRegistryNotJoined(miner);

        _miners[miner].stake = 0;
        _miners[miner].leaveAt = 0;
        totalStake -= stake;
        amount = stake;
        bounty = amount * bountyBps / BPS;
        emit MinerSlashed(miner, amount, bounty, reporter);
        if (bounty > 0) TOKEN.safeTransfer(fraudProofs, bounty);
        TOKEN.safeTransfer(address(vault), amount - bounty);
        vault.open(miner, uint128(amount - bounty));
    }

    /// @inheritdoc IMinerRegistry
    function payoutOf(address miner) external view returns (address) {
        address payout = _miners[miner].payout;
        return payout == address(0) ? miner : payout;
    }

    /// @inheritdoc IMinerRegistry
    function tierOf(address miner) external view returns (uint8) {
        uint256 stake = _miners[miner].stake;
        if (stake < minStake) return 0;
        return stake < minStake * JUROR_STAKES ? 1 : 2;
    }

    /// @inheritdoc IMinerRegistry
    function stakeOf(address miner) external view returns (uint128) {
        return _miners[miner].stake;
    }

    /// @inheritdoc IMinerRegistry
    function miners(address miner) external view returns (Miner memory) {
        return _miners[miner];
    }

    function _takeKey(address key) private {
        if (key == address(0)) revert MinerRegistryZeroAddress();
        address owner = keyOwner[key];
        if (owner != address(0) && owner != msg.sender) revert MinerRegistryKeyTaken(key, owner);

        keyOwner[key] = msg.sender;
    }

    function _requireWithin(bytes32 name, uint256 value, uint256 min, uint256 max) private pure {
        if (value < min || value > max) revert MinerRegistryParamOutOfBounds(name, value, min, max);
    }
}
