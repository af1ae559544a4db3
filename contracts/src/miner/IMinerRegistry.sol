// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @notice One miner. A stake of 0 means that it is not joined.
struct Miner {
    address payout;
    uint40 leaveAt;
    uint32 caps;
    address signingKey;
    uint128 stake;
}

/// @title Which miners have a stake, and by which key each signs
/// @notice A miner that signs two outcomes for one spec loses its stake. Leaving takes a thaw, so a receipt can be
/// proved false while the stake is still there.
interface IMinerRegistry {
    error MinerRegistryNotDeployer(address caller);
    error MinerRegistryAlreadyWired();
    error MinerRegistryNotWired();
    error MinerRegistryZeroAddress();
    error MinerRegistryParamOutOfBounds(bytes32 name, uint256 value, uint256 min, uint256 max);
    error MinerRegistryNotFraudProofs(address caller);
    error MinerRegistryStakeTooSmall(uint256 have, uint256 min);
    error MinerRegistryAlreadyJoined(address miner);
    error MinerRegistryNotJoined(address miner);
    error MinerRegistryKeyTaken(address key, address owner);
    error MinerRegistryNotLeaving();
    error MinerRegistryThawNotElapsed(uint256 readyAt);
    error MinerRegistryLeaveExpired(uint256 expiredAt);
    error MinerRegistryZeroAmount();

    event MinerJoined(
        address indexed miner, address indexed signingKey, address indexed payout, uint256 stake, uint32 caps
    );
    event MinerKeyRotated(address indexed miner, address indexed signingKey);
    event MinerPayoutChanged(address indexed miner, address indexed payout);
    event MinerStakeChanged(address indexed miner, uint256 stake);
    event MinerLeaveRequested(address indexed miner, uint256 readyAt);
    event MinerLeaveCancelled(address indexed miner);
    event MinerLeft(address indexed miner, uint256 stake);
    event MinerSlashed(address indexed miner, uint256 amount, uint256 bounty, address indexed reporter);

    /// @notice Names the contracts that were deployed after this one. Once, by the deployer.
    function wire(address fraudProofs_, address vault_) external;

    /// @notice Joins with a stake, which the caller approves to this contract first. The key must never have
    /// belonged to another miner.
    function join(uint128 stake, address signingKey, address payout, uint32 caps) external;

    /// @notice Adds to the stake.
    function topUp(uint128 amount) external;

    /// @notice Signs with another key from now on. The old one still counts as evidence, for ever.
    function rotateKey(address signingKey) external;

    /// @notice Sends earnings elsewhere from now on.
    function setPayout(address payout) external;

    /// @notice Starts to leave. The stake can still be slashed until the thaw is over.
    function requestLeave() external;

    /// @notice Stays after all.
    function cancelLeave() external;

    /// @notice Takes the stake back after the thaw, within seven days; later it has to be requested again.
    function finalizeLeave() external;

    /// @notice Fraud proofs only: takes the whole stake; the bounty goes to the caller, the rest to the vault.
    function slash(address miner, address reporter) external returns (uint256 amount, uint256 bounty);

    /// @notice Where a miner wants its earnings: its own address unless it said otherwise.
    function payoutOf(address miner) external view returns (address);

    /// @notice The miner that a key belongs to. Never cleared: otherwise a rotation would launder evidence.
    function keyOwner(address key) external view returns (address);

    /// @notice 0 without a stake, 1 from the smallest stake, 2 from ten times that (may serve as juror).
    function tierOf(address miner) external view returns (uint8);

    function stakeOf(address miner) external view returns (uint128);
    function miners(address miner) external view returns (Miner memory);
    function fraudProofs() external view returns (address);
}
