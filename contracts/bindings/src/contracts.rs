//! The contracts as Rust types, made from the committed artifacts.
//!
//! One module each, because several artifacts name the same structs.

macro_rules! contract {
    ($(#[$doc:meta])* $module:ident, $name:ident, $path:literal) => {
        $(#[$doc])*
        #[allow(missing_docs, clippy::all, clippy::pedantic, rust_2018_idioms)]
        pub mod $module {
            alloy::sol!(
                #[derive(Debug, PartialEq, Eq)]
                $name,
                $path
            );
        }
    };
}

contract!(
    /// The token.
    snm, SNM, "abi/SNM.json"
);
contract!(
    /// OpenZeppelin's timelock: what the DAO decided waits here, and it is the DAO to all others.
    timelock, TimelockController, "abi/TimelockController.json"
);
contract!(
    /// The votes.
    governor, DaoGovernor, "abi/DaoGovernor.json"
);
contract!(
    /// Which hubs exist, and where each of them stands.
    hubs, HubRegistry, "abi/HubRegistry.json"
);
contract!(
    /// One hub's money.
    wallet, HubWallet, "abi/HubWallet.json"
);
contract!(
    /// Which miners have a stake.
    miners, MinerRegistry, "abi/MinerRegistry.json"
);
contract!(
    /// What hubs owe their miners.
    settlement, Settlement, "abi/Settlement.json"
);
contract!(
    /// The proofs that a hub or a miner lied.
    frauds, FraudProofs, "abi/FraudProofs.json"
);
contract!(
    /// Where taken stakes lie still.
    vault, ExpropriationVault, "abi/ExpropriationVault.json"
);

/// The artifacts, for the names of their errors.
pub(crate) const ARTIFACTS: [&str; 9] = [
    include_str!("../abi/SNM.json"),
    include_str!("../abi/TimelockController.json"),
    include_str!("../abi/DaoGovernor.json"),
    include_str!("../abi/HubRegistry.json"),
    include_str!("../abi/HubWallet.json"),
    include_str!("../abi/MinerRegistry.json"),
    include_str!("../abi/Settlement.json"),
    include_str!("../abi/FraudProofs.json"),
    include_str!("../abi/ExpropriationVault.json"),
];
