// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @notice Where a hub stands. `None → Created → Active ⇄ Suspected → Punished`, and out by
/// `Retiring → Retired`.
enum Phase {
    None,
    Created,
    Active,
    Suspected,
    Punished,
    Retiring,
    Retired
}

/// @notice Why a hub was suspected or slashed. `None` accompanies the changes that the owner asked for.
enum Reason {
    None,
    DaoVote,
    HubEquivocation,
    LeafContradictsReceipt,
    Insolvent
}

/// @notice The rules of one registry. They never change: new rules are a new registry, and hubs move by the
/// ordinary exit. The bounds are checked at deployment.
struct Params {
    /// The smallest stake of an Active hub, in SNM wei. At least 1 SNM.
    uint128 minFreeze;
    /// Open, unfinalized value may be at most this many times the stake. 1 to 10.
    uint8 leverage;
    /// How long a batch can be challenged before it pays, in seconds. 2 hours to 14 days.
    uint40 challengeWindow;
    /// From asking for a withdrawal to getting it. `challengeWindow` to 30 days.
    uint40 withdrawDelay;
    /// From asking to leave to getting the stake back. `challengeWindow` + `suspectMax` + 1 day to 60 days.
    uint40 exitThaw;
    /// How long a hub is suspected before the DAO may blacklist or expropriate it. 1 to 9 days.
    uint40 minSuspicion;
    /// How long a suspicion by vote lasts when nothing follows. `minSuspicion` to 30 days.
    uint40 suspectMax;
    /// From naming a new operator key to using it. `challengeWindow` to 30 days.
    uint40 operatorDelay;
    /// The part of the stake that one proven fraud costs. 100 to 10,000 hundredths of a percent.
    uint16 slashBps;
    /// The part of a slash that goes to whoever proved the fraud. At most 5,000.
    uint16 bountyBps;
    /// The part of all charges that goes to the treasury. At most 500.
    uint16 protocolFeeBps;
    /// A cheated buyer gets the charge back and this many times the charge on top. 0 or 1.
    uint8 penalty;
}

/// @notice What can be done with a hub, and from when. A time of 0 means: not in this phase.
struct HubStatus {
    Phase phase;
    bool blacklisted;
    bool mayBePaid;
    bool mayCommit;
    uint40 suspicionEndsAt;
    uint40 expropriableFrom;
    uint40 exitRequestableFrom;
    uint40 exitFinalFrom;
}

/// @title Which hubs exist, and where each of them stands
/// @notice Makes one wallet per hub at an address that proves its origin, keeps the phases, and is the only
/// contract that can take from a stake. It never holds money.
interface IHubRegistry {
    error HubRegistryNotDeployer(address caller);
    error HubRegistryAlreadyWired();
    error HubRegistryNotWired();
    error HubRegistryParamOutOfBounds(bytes32 name, uint256 value, uint256 min, uint256 max);
    error HubRegistryZeroAddress();
    error HubRegistryNotOwner(address caller, address owner);
    error HubRegistryNotDao(address caller);
    error HubRegistryNotFraudProofs(address caller);
    error HubRegistryNotVault(address caller);
    error HubRegistryNotHubWallet(address caller);
    error HubRegistryNotActive(address hub, Phase phase);
    error HubRegistryWrongPhase(Phase have, Phase want);
    error HubRegistryFreezeTooSmall(uint256 have, uint256 min);
    error HubRegistryThawNotElapsed(uint256 readyAt);
    error HubRegistryOperatorNotReady(uint256 readyAt);
    error HubRegistryOpenBatches(uint256 openExposure);
    error HubRegistrySuspicionTooYoung(uint256 ripeAt);
    error HubRegistryFlaggedRecently(uint256 nextFlagAt);
    error HubRegistryTainted(address hub);
    error HubRegistryAmountExceedsFreeze(uint256 asked, uint256 frozen);
    error HubRegistryRateLimited(uint256 asked, uint256 available);

    event HubCreated(address indexed wallet, address indexed owner, address indexed operator);
    event HubRegistered(address indexed wallet, uint256 frozen);
    event HubPhaseChanged(address indexed wallet, Phase from, Phase to, Reason reason, bytes32 evidence);
    event FreezeChanged(address indexed wallet, uint256 frozen);
    event HubSlashed(
        address indexed wallet,
        uint256 amount,
        uint256 toVictim,
        uint256 bounty,
        uint256 toVault,
        Reason reason,
        bytes32 evidence
    );
    event HubFlagged(address indexed wallet, address indexed by, bytes32 evidence, uint256 until);
    event HubBlacklisted(address indexed wallet, bytes32 evidence);
    event HubRehabilitated(address indexed wallet);
    event HubExpropriated(address indexed wallet, uint256 amount, uint256 indexed lotId);
    event OperatorProposed(address indexed wallet, address indexed operator, uint256 readyAt);
    event OperatorChanged(address indexed wallet, address indexed operator);
    event ExitRequested(address indexed wallet, uint256 readyAt);
    event ExitCancelled(address indexed wallet);
    event ExitFinalized(address indexed wallet);

    /// @notice Names the contracts that were deployed after this one. Once, by the deployer.
    function wire(address walletImplementation, address settlement_, address fraudProofs_, address vault_)
        external;

    /// @notice Makes the wallet of a new hub that the caller owns. `operator` signs for it.
    function createHub(address operator, bytes32 salt) external returns (address hub);

    /// @notice Freezes `freeze` SNM of the owner and makes the hub Active. The owner approves this contract first.
    function register(address hub, uint128 freeze) external;

    /// @notice `register` with an ERC-2612 permit in place of the approval.
    function registerWithPermit(address hub, uint128 freeze, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external;

    /// @notice Adds to the stake.
    function topUpFreeze(address hub, uint128 amount) external;

    /// @notice Names the next operator key. It signs after the operator delay, once `activateOperator` is called.
    function setOperator(address hub, address operator) external;

    /// @notice Lets the operator key named by `setOperator` sign from now on.
    function activateOperator(address hub) external;

    /// @notice Starts to leave. An Active hub may any time, a Suspected one once a full suspicion has passed
    /// without an expropriation, a Punished one any time.
    function requestExit(address hub) external;

    /// @notice Stays after all.
    function cancelExit(address hub) external;

    /// @notice Ends the exit: all that is left of the stake becomes free. Anybody may call it.
    function finalizeExit(address hub) external;

    /// @notice DAO only: suspects a hub for `suspectMax`. At most once in 30 days.
    function suspect(address hub, bytes32 evidence) external;

    /// @notice DAO only: a hub that has been Suspected long enough stays so until it is rehabilitated.
    function blacklist(address hub, bytes32 evidence) external;

    /// @notice DAO only: moves at most the stake of a long enough Suspected hub into the vault.
    function expropriate(address hub, uint128 amount) external returns (uint256 lotId);

    /// @notice DAO only: makes a Suspected or Punished hub whole again, all timers included.
    function rehabilitate(address hub) external;

    /// @notice Fraud proofs only: takes the price of one proven fraud from the stake and suspects the hub.
    /// @param victim who was cheated, or zero
    /// @param loss what the victim should get
    /// @return toVictim what the victim got
    /// @return bounty what was sent to the caller for whoever proved it
    function punish(address hub, Reason reason, bytes32 evidence, address victim, uint256 loss)
        external
        returns (uint256 toVictim, uint256 bounty);

    /// @notice The hub's wallet only: its stake had to pay a debt, so it shrank and the hub is Suspected.
    function reportInsolvency(uint128 fromStake) external;

    /// @notice Vault only: `amount` has been returned to the wallet.
    function bookRestored(address hub, uint128 amount) external;

    /// @notice The operator whose signature commits a batch now; reverts when the hub may not commit.
    function committerOf(address hub) external view returns (address operator);

    /// @notice Whether `key` is or was this hub's operator. Never forgotten: evidence outlives a rotated key.
    function wasOperator(address hub, address key) external view returns (bool);

    /// @notice Where the hub stands and since when it is suspected (0: it is not).
    function phaseAndSuspicion(address hub) external view returns (Phase phase, uint40 suspectedAt);

    function phaseOf(address hub) external view returns (Phase);
    function isActive(address hub) external view returns (bool);
    function ownerOf(address hub) external view returns (address);
    function operatorOf(address hub) external view returns (address);
    function status(address hub) external view returns (HubStatus memory);
    function params() external view returns (Params memory);
    function settlement() external view returns (address);
    function fraudProofs() external view returns (address);
    function dao() external view returns (address);

    /// @notice The address that `createHub` will give.
    function predictHub(address owner, bytes32 salt) external view returns (address);

    /// @notice How much the DAO may expropriate now.
    function expropriable() external view returns (uint256);
}
