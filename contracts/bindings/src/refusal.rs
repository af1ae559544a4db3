//! What a contract says when it says no, in words.
//!
//! A revert carries a selector and some words of data, and it may come from a contract behind the
//! one that was called. So every error of every contract of ours is known here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use alloy::dyn_abi::{DynSolType, DynSolValue, Specifier as _};
use alloy::json_abi::{Error, JsonAbi};
use alloy::primitives::{Bytes, U256};
use alloy::sol_types::{Panic, Revert, SolError};

use crate::contracts::ARTIFACTS;

static ERRORS: LazyLock<BTreeMap<[u8; 4], Error>> = LazyLock::new(|| {
    let abis = ARTIFACTS.iter().map(|artifact| {
        #[derive(serde::Deserialize)]
        struct Artifact {
            abi: JsonAbi,
        }
        let artifact: Artifact = serde_json::from_str(artifact).expect("committed artifacts parse");
        artifact.abi
    });
    let errors = abis.flat_map(|abi| abi.errors.into_values().flatten());
    errors.map(|error| (error.selector().0, error)).collect()
});

/// The names of `enum Phase`, in order.
const PHASES: [&str; 7] = [
    "None",
    "Created",
    "Active",
    "Suspected",
    "Punished",
    "Retiring",
    "Retired",
];

/// The names of `enum BatchState`, in order.
const BATCH_STATES: [&str; 4] = ["None", "Committed", "Finalized", "Voided"];

/// The names of `enum LotState`, in order.
const LOT_STATES: [&str; 4] = ["None", "Frozen", "Restored", "Released"];

/// A contract's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The bytes that came with the revert.
    pub data: Bytes,
}

impl Refusal {
    /// The error as a type, if it is this one.
    #[must_use]
    pub fn is<E: SolError>(&self) -> Option<E> {
        E::abi_decode_validate(&self.data).ok()
    }

    /// The name of the contract's error, if it is one of ours.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        self.error().map(|error| error.name.as_str())
    }

    fn error(&self) -> Option<&'static Error> {
        let selector: [u8; 4] = self.data.get(..4)?.try_into().ok()?;
        ERRORS.get(&selector)
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    /// `HubWallet: stake frozen (free 0, asked 5)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(error) = self.error() else {
            return match reason(&self.data) {
                Some(reason) => f.write_str(&reason),
                None if self.data.is_empty() => f.write_str("refused without a reason"),
                None => write!(f, "refused with {}", self.data),
            };
        };
        f.write_str(&spoken(&error.name))?;

        let types: Option<Vec<DynSolType>> = error
            .inputs
            .iter()
            .map(|input| input.resolve().ok())
            .collect();
        let values = types
            .map(DynSolType::Tuple)
            .and_then(|all| all.abi_decode_params(&self.data[4..]).ok());
        let Some(DynSolValue::Tuple(values)) = values else {
            return Ok(());
        };
        for (at, (input, value)) in error.inputs.iter().zip(&values).enumerate() {
            let opening = if at == 0 { " (" } else { ", " };
            let kind = input
                .internal_type
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            write!(f, "{opening}{} {}", lower(&input.name), shown(&kind, value))?;
        }
        if values.is_empty() {
            Ok(())
        } else {
            f.write_str(")")
        }
    }
}

/// The reason in Solidity's own two errors, `Error(string)` and `Panic(uint256)`.
pub(crate) fn reason(data: &[u8]) -> Option<String> {
    let text = Revert::abi_decode_validate(data).map(|revert| revert.reason);
    text.or_else(|_| Panic::abi_decode_validate(data).map(|panic| panic.to_string()))
        .ok()
}

/// The contracts whose names their errors begin with.
const CONTRACTS: [&str; 9] = [
    "HubRegistry",
    "HubWallet",
    "MinerRegistry",
    "Settlement",
    "FraudProofs",
    "ExpropriationVault",
    "Governor",
    "Timelock",
    "ERC20",
];

fn spoken(name: &str) -> String {
    for contract in CONTRACTS {
        if let Some(rest) = name.strip_prefix(contract)
            && !rest.is_empty()
        {
            return format!("{contract}: {}", lower(rest));
        }
    }
    lower(name)
}

/// `readyAt` → `ready at`.
fn lower(camel: &str) -> String {
    let mut words = String::new();
    for letter in camel.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

fn shown(kind: &str, value: &DynSolValue) -> String {
    let name = |names: &[&'static str], index: U256| {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        names
            .get(index)
            .map_or_else(|| "unknown".to_owned(), ToString::to_string)
    };
    match value {
        DynSolValue::Uint(index, _) if kind.ends_with(".Phase") || kind == "enum Phase" => {
            name(&PHASES, *index)
        }
        DynSolValue::Uint(index, _) if kind.ends_with("BatchState") => name(&BATCH_STATES, *index),
        DynSolValue::Uint(index, _) if kind.ends_with("LotState") => name(&LOT_STATES, *index),
        DynSolValue::Uint(number, _) => number.to_string(),
        DynSolValue::Int(number, _) => number.to_string(),
        DynSolValue::Bool(truth) => truth.to_string(),
        DynSolValue::Address(address) => address.to_string(),
        DynSolValue::String(text) => text.clone(),
        DynSolValue::Bytes(bytes) => Bytes::copy_from_slice(bytes).to_string(),
        DynSolValue::FixedBytes(word, _) => word.to_string(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;

    use super::*;
    use crate::contracts::{hubs, wallet};

    #[track_caller]
    fn check(data: impl Into<Bytes>, expected: &str) {
        assert_eq!(Refusal { data: data.into() }.to_string(), expected);
    }

    #[test]
    fn errors_of_the_contracts_are_words() {
        let error = wallet::HubWallet::HubWalletStakeFrozen {
            free: U256::ZERO,
            asked: U256::from(5),
        };
        check(
            error.abi_encode(),
            "HubWallet: stake frozen (free 0, asked 5)",
        );
        let error = hubs::HubRegistry::HubRegistryNotActive {
            hub: Address::ZERO,
            phase: 3,
        };
        check(
            error.abi_encode(),
            "HubRegistry: not active (hub 0x0000000000000000000000000000000000000000, phase Suspected)",
        );
    }

    #[test]
    fn anything_else_is_shown_as_it_is() {
        check(Vec::new(), "refused without a reason");
        check(vec![1, 2, 3, 4, 5], "refused with 0x0102030405");
        check(Revert::from("no").abi_encode(), "no");
    }

    #[test]
    fn cut_off_data_still_has_a_name() {
        let error = wallet::HubWallet::HubWalletStakeFrozen {
            free: U256::ZERO,
            asked: U256::from(5),
        };
        let refusal = Refusal {
            data: error.abi_encode()[..20].to_vec().into(),
        };
        assert_eq!(refusal.name(), Some("HubWalletStakeFrozen"));
        assert_eq!(refusal.to_string(), "HubWallet: stake frozen");
    }
}
