// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @notice What became of a lot.
enum LotState {
    None,
    Frozen,
    Restored,
    Released
}

/// @notice One sum taken from one hub or miner.
struct Lot {
    address from;
    uint40 releaseAt;
    LotState state;
    uint128 amount;
}

/// @title Where taken stakes lie still
/// @notice Whatever the DAO expropriates, and what is left of a slash after the victims, cannot be spent by
/// anybody for 120 days: a DAO that expropriates for gain pays with the price of its own token meanwhile. Until
/// then the only way out is back. The vault delegates to nobody, so its SNM never votes.
interface IExpropriationVault {
    error ExpropriationVaultNotRegistry(address caller);
    error ExpropriationVaultNotDao(address caller);
    error ExpropriationVaultZeroAddress();
    error ExpropriationVaultUnbacked(uint256 balance, uint256 lots);
    error ExpropriationVaultFrozen(uint256 releaseAt);
    error ExpropriationVaultThawed(uint256 releaseAt);
    error ExpropriationVaultWrongState(uint256 lotId, LotState state);

    event Expropriated(uint256 indexed lotId, address indexed from, uint256 amount, uint256 releaseAt);
    event LotRestored(uint256 indexed lotId, address indexed to, uint256 amount);
    event LotReleased(uint256 indexed lotId, address indexed to, uint256 amount);

    /// @notice A registry only: opens a lot for `amount` that it has just sent here.
    function open(address from, uint128 amount) external returns (uint256 lotId);

    /// @notice DAO only, before `releaseAt`: gives a lot back to the hub or miner that it was taken from.
    function restore(uint256 lotId) external;

    /// @notice From `releaseAt` on, anybody: sends a lot to the treasury.
    function release(uint256 lotId) external;

    function lots(uint256 lotId) external view returns (Lot memory);

    /// @notice Lots have the numbers 1 to `lotCount`.
    function lotCount() external view returns (uint256);

    /// @notice The sum of all frozen lots.
    function totalLocked() external view returns (uint256);
}
