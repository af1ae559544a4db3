// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @notice The four parts of a hub's money. Their sum never exceeds the wallet's balance.
struct Ledger {
    /// The stake.
    uint128 frozen;
    /// Revenue whose challenge window is still open.
    uint128 held;
    /// Finalized earnings that miners have not yet claimed.
    uint128 owed;
    /// The rest.
    uint128 free;
}

/// @title One hub's money
/// @notice A clone per hub. It knows what the money is for; who may do what is decided by the registry, and what
/// is owed by the settlement. Nobody is ever paid by an allowance: money leaves by a call of this contract only.
interface IHubWallet {
    error HubWalletNotSettlement(address caller);
    error HubWalletNotRegistry(address caller);
    error HubWalletNotOwner(address caller, address owner);
    error HubWalletExposureExceedsFreeze(uint256 open, uint256 limit);
    error HubWalletPromisesExceedFunds(uint256 promised, uint256 funds);
    error HubWalletAmountExceedsAvailable(uint256 want, uint256 have);
    error HubWalletStakeFrozen(uint256 free, uint256 asked);
    error HubWalletWithdrawalNotReady(uint256 readyAt);
    error HubWalletWithdrawalExpired(uint256 expiredAt);
    error HubWalletNothingRequested();
    error HubWalletWrongPhase(uint8 phase);

    event Received(uint256 amount, uint256 releaseAt);
    event WithdrawRequested(uint256 amount, uint256 readyAt);
    event Withdrawn(address indexed to, uint256 amount);

    /// @notice Books money that came by a bare transfer into `held`. Anybody may call it.
    function sync() external returns (uint256 received);

    /// @notice Owner only: asks for free money. Executable after the withdraw delay, for seven days.
    function requestWithdraw(uint128 amount) external;

    /// @notice Owner only: takes what `requestWithdraw` asked for.
    function executeWithdraw() external;

    /// @notice Settlement only: promises `share` to miners and `fee` to the treasury.
    function bookBatch(uint128 exposure, uint128 share, uint128 fee) external;

    /// @notice Settlement only: a batch is final. The miners' share becomes owed, the fee is paid.
    function finalizeBatch(uint128 exposure, uint128 share, uint128 fee, address treasury) external;

    /// @notice Settlement only: a batch is void; its promises are taken back.
    function releaseBatch(uint128 exposure, uint128 share, uint128 fee) external;

    /// @notice Settlement only: pays finalized earnings, and frees what an earlier credit has already paid.
    function payMiner(address to, uint128 amount, uint128 alreadyPaid) external;

    /// @notice Settlement only: pays a debt outside of batches, as far as the unpromised money goes, and the stake
    /// too if `fromStake`.
    /// @return paid at most `amount`
    function payDebt(address to, uint128 amount, bool fromStake) external returns (uint128 paid);

    /// @notice Registry only: books a stake that has just arrived.
    function freeze(uint128 amount) external;

    /// @notice Registry only: the hub has left, its stake becomes free.
    function thaw() external returns (uint128 amount);

    /// @notice Registry only: sends part of the stake away.
    function seize(address to, uint128 amount) external;

    /// @notice Registry only: books free money that has come back from the vault after the hub left.
    function bookFree(uint128 amount) external;

    /// @notice The four parts as of now.
    function ledger() external view returns (Ledger memory);

    function frozen() external view returns (uint128);

    /// @notice Declared value of batches that are not yet final.
    function openExposure() external view returns (uint128);

    /// @notice Miners' shares and fees of batches that are not yet final.
    function promised() external view returns (uint128);

    /// @notice The open withdrawal. Executable from `readyAt` until `expiresAt`.
    function withdrawal() external view returns (uint128 amount, uint40 readyAt, uint40 expiresAt);
}
