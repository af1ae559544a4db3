//! The ten funded accounts of a development chain.
//!
//! They are the accounts of the mnemonic `test test test test test test test test test test test
//! junk`, which every development chain uses, so that people and wallets recognise them. The keys
//! are public: never send anything of value to these addresses.

use alloy::primitives::{Address, U256};
use haar_records::Keypair;

/// How many accounts a fresh chain funds.
pub const ACCOUNTS: usize = 10;

/// What each of them owns at the start, in wei: 10,000 of the chain's own coin, for gas.
pub(super) const FUNDS: U256 = U256::from_limbs([1_864_712_049_423_024_128, 542, 0, 0]);

const KEYS: [&str; ACCOUNTS] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    "92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
    "4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    "dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
];

/// The key of account `index`, counted from 0; `None` beyond the last one.
#[must_use]
pub fn account(index: usize) -> Option<Keypair> {
    let secret = KEYS.get(index)?;
    Some(Keypair::from_hex(secret).expect("the table holds valid keys"))
}

/// The addresses of all accounts.
pub(super) fn addresses() -> impl Iterator<Item = Address> {
    (0..ACCOUNTS).filter_map(account).map(|key| key.address())
}

#[cfg(test)]
mod tests {
    use alloy::primitives::address;

    use super::*;

    #[test]
    fn the_accounts_are_those_that_people_know() {
        let all: Vec<Address> = addresses().collect();
        assert_eq!(all.len(), ACCOUNTS);
        assert_eq!(all[0], address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        assert_eq!(all[1], address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"));
        assert_eq!(all[9], address!("a0Ee7A142d267C1f36714E4a8F75612F20a79720"));
        assert!(account(ACCOUNTS).is_none());
    }

    #[test]
    fn the_funds_are_ten_thousand_coins() {
        assert_eq!(
            FUNDS,
            U256::from(10_000) * U256::from(10).pow(U256::from(18))
        );
    }
}
