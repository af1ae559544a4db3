//! Translates between our names for peers and blobs and iroh's.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use haar_records::wire::Provider;
use haar_records::{BlobHash, EndpointId};
use iroh::address_lookup::memory::MemoryLookup;
use iroh::{EndpointAddr, PublicKey};
use iroh_blobs::Hash;

use crate::limits::{ADDRESSES_MAX, LEARNED_MAX};

/// A provider that cannot be connected to, whatever it has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadProvider {
    /// The endpoint id is not an ed25519 public key.
    #[error("{endpoint} is not a public key")]
    NotAKey {
        /// What it is.
        endpoint: EndpointId,
    },
    /// More addresses than a peer can have.
    #[error("{endpoint} claims {count} addresses, more than {ADDRESSES_MAX}")]
    TooManyAddresses {
        /// Whose.
        endpoint: EndpointId,
        /// How many.
        count: usize,
    },
    /// Text that is not `ip:port`.
    #[error("an address of {endpoint} is not ip:port")]
    BadAddress {
        /// Whose.
        endpoint: EndpointId,
    },
}

/// The peers whose addresses we know.
#[derive(Debug, Default)]
pub(crate) struct AddressBook {
    lookup: MemoryLookup,
    /// Invariant: at most [`LEARNED_MAX`], the longest known in front, each once.
    order: Mutex<VecDeque<PublicKey>>,
}

impl AddressBook {
    /// What iroh asks; it shares the book's memory.
    pub(crate) fn lookup(&self) -> MemoryLookup {
        self.lookup.clone()
    }

    /// Remembers where a peer listens, instead of what was known before.
    pub(crate) fn learn(&self, provider: &Provider) -> Result<(), BadProvider> {
        let address = endpoint_addr(provider)?;
        let key = address.id;

        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        // Replaced and not merged: merged addresses would grow without end.
        let known = self.lookup.set_endpoint_info(address).is_some();
        if !known {
            order.push_back(key);
        }
        if order.len() > LEARNED_MAX
            && let Some(oldest) = order.pop_front()
        {
            self.lookup.remove_endpoint_info(oldest);
        }
        Ok(())
    }
}

/// Where to dial a provider.
pub(crate) fn endpoint_addr(provider: &Provider) -> Result<EndpointAddr, BadProvider> {
    let endpoint = provider.endpoint;
    let key = PublicKey::from_bytes(endpoint.as_bytes())
        .map_err(|_| BadProvider::NotAKey { endpoint })?;
    let count = provider.addresses.len();
    if count > ADDRESSES_MAX {
        return Err(BadProvider::TooManyAddresses { endpoint, count });
    }
    provider
        .addresses
        .iter()
        .try_fold(EndpointAddr::new(key), |address, text| {
            let socket = text
                .parse::<SocketAddr>()
                .map_err(|_| BadProvider::BadAddress { endpoint })?;
            Ok(address.with_ip_addr(socket))
        })
}

/// How others can reach the endpoint at this address.
pub(crate) fn provider(address: &EndpointAddr) -> Provider {
    Provider {
        endpoint: endpoint_id(address.id),
        addresses: address
            .ip_addrs()
            .take(ADDRESSES_MAX)
            .map(ToString::to_string)
            .collect(),
    }
}

pub(crate) fn endpoint_id(key: PublicKey) -> EndpointId {
    EndpointId::from(*key.as_bytes())
}

pub(crate) fn iroh_hash(hash: BlobHash) -> Hash {
    Hash::from_bytes(*hash.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u16) -> EndpointId {
        let mut secret = [1; 32];
        secret[..2].copy_from_slice(&number.to_be_bytes());
        endpoint_id(iroh::SecretKey::from_bytes(&secret).public())
    }

    #[track_caller]
    fn check(addresses: &[&str], is_good: bool) {
        let addresses = addresses.iter().map(ToString::to_string).collect();
        let provider = Provider {
            endpoint: key(0),
            addresses,
        };
        assert_eq!(endpoint_addr(&provider).is_ok(), is_good, "{provider:?}");
    }

    #[test]
    fn an_address_is_ip_and_port() {
        check(&[], true);
        check(&["127.0.0.1:1", "[::1]:2"], true);
        check(&["127.0.0.1"], false);
        check(&["localhost:1"], false);
        check(&["127.0.0.1:65536"], false);
        check(&["127.0.0.1:1"; ADDRESSES_MAX + 1], false);
    }

    #[test]
    fn the_longest_known_peer_is_forgotten_first() {
        let book = AddressBook::default();
        let learned = LEARNED_MAX as u16 + 1;
        for number in 0..learned {
            let addresses = vec!["127.0.0.1:1".to_owned()];
            book.learn(&Provider {
                endpoint: key(number),
                addresses,
            })
            .expect("a good provider");
        }

        let knows = |number: u16| {
            let key = PublicKey::from_bytes(key(number).as_bytes()).expect("a key");
            book.lookup().get_endpoint_info(key).is_some()
        };
        assert!(!knows(0));
        assert!(knows(1));
        assert!(knows(learned - 1));
    }
}
