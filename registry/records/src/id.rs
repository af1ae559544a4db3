//! Names of things: 32-byte hashes and 20-byte addresses, each a type of its own.
//!
//! A job's id and a module's hash are both 32 bytes; mixing them up must not compile.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::{Address, B256};

/// Text that is not the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a {kind}: expected {bytes} bytes in hexadecimal")]
pub struct ParseIdError {
    kind: &'static str,
    text: String,
    bytes: usize,
}

/// The longest text that an error repeats; what a stranger sends must not fill a log.
const ECHO_CHARS_MAX: usize = 80;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $bytes:literal, $word:literal, prefix $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl $name {
            /// The raw bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; $bytes] {
                self.0.as_ref()
            }

            /// The first four bytes, for logs and for people.
            #[must_use]
            pub fn short(&self) -> String {
                self.as_bytes()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
            }
        }

        impl From<[u8; $bytes]> for $name {
            fn from(bytes: [u8; $bytes]) -> Self {
                Self(<$inner>::from(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse_hex::<$bytes>(text).map(Self::from).ok_or_else(|| ParseIdError {
                    kind: $word,
                    text: text.chars().take(ECHO_CHARS_MAX).collect(),
                    bytes: $bytes,
                })
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(self.as_bytes())?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(
                d: &mut minicbor::Decoder<'b>,
                _: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                let bytes = <[u8; $bytes]>::try_from(d.bytes()?)
                    .map_err(|_| minicbor::decode::Error::message(concat!("bad ", $word)))?;
                Ok(Self::from(bytes))
            }
        }
    };
}

id!(
    /// BLAKE3 of a blob's bytes: a module, an input or an output.
    BlobHash, B256, 32, "blob hash", prefix ""
);
id!(
    /// EIP-712 hash of a spec: names exactly one deterministic computation.
    SpecHash, B256, 32, "spec hash", prefix "0x"
);
id!(
    /// EIP-712 digest of a buyer's order of one spec.
    JobId, B256, 32, "job id", prefix "0x"
);
id!(
    /// The ed25519 key by which the swarm knows a party.
    EndpointId, B256, 32, "endpoint id", prefix ""
);
id!(
    /// The address of the key that signs a miner's receipts.
    MinerId, Address, 20, "miner id", prefix "0x"
);
id!(
    /// The address of a hub's wallet contract.
    HubId, Address, 20, "hub wallet address", prefix "0x"
);
id!(
    /// The address that a buyer pays and signs orders with.
    BuyerId, Address, 20, "buyer address", prefix "0x"
);

impl BlobHash {
    /// The name of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from(*blake3::hash(bytes).as_bytes())
    }
}

/// Reads exactly `N` bytes of hexadecimal, with or without `0x`.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        let id = JobId::from([0xab; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.short(), "abababab");
    }

    #[test]
    fn a_long_wrong_text_is_not_repeated_in_full() {
        let error = "é"
            .repeat(500)
            .parse::<BlobHash>()
            .expect_err("not hexadecimal");
        assert!(error.to_string().chars().count() < 200);
    }

    #[test]
    fn blob_names_are_blake3() {
        assert_eq!(
            BlobHash::of(b"").to_string(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
    }
}
