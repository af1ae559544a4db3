//! Keys and signatures: secp256k1 over EIP-712 digests, as Ethereum checks them.

use std::fmt;

use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::SolStruct;
use k256::ecdsa::{RecoveryId, SigningKey, VerifyingKey};

use crate::eip712::Domain;
use crate::id::parse_hex;

/// Bytes that are not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a secp256k1 secret key: expected 32 bytes in hexadecimal, not zero")]
pub struct KeyError;

/// A signature that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The bytes do not have the form r ‖ s ‖ v, or s is in the upper half (malleable, EIP-2).
    #[error("malformed signature: expected 65 bytes r‖s‖v with s in the lower half")]
    Malformed,
    /// A good signature of somebody else.
    #[error("signed by {found}, expected {expected}")]
    WrongSigner {
        /// Who should have signed.
        expected: Address,
        /// Who signed.
        found: Address,
    },
}

/// A party's secret key. Its debug form shows the address only.
#[derive(Clone)]
pub struct Keypair {
    key: SigningKey,
    address: Address,
}

impl fmt::Debug for Keypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keypair({})", self.address)
    }
}

impl Keypair {
    /// The key with these secret bytes.
    pub fn from_bytes(secret: [u8; 32]) -> Result<Self, KeyError> {
        let key = SigningKey::from_bytes(&secret.into()).map_err(|_| KeyError)?;
        let address = address_of(key.verifying_key());
        Ok(Self { key, address })
    }

    /// The key with these secret bytes in hexadecimal.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(parse_hex(text.trim()).ok_or(KeyError)?)
    }

    /// The secret bytes, for writing the key file.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.key.to_bytes().into()
    }

    /// The address that Ethereum knows this key by.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// Signs a digest. Deterministic (RFC 6979), so the same record has the same signature.
    #[must_use]
    pub fn sign(&self, digest: B256) -> Signature {
        let (signature, recovery) = self
            .key
            .sign_prehash_recoverable(digest.as_slice())
            .expect("a 32-byte digest can always be signed");
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = 27 + recovery.to_byte();
        Signature(bytes)
    }

    /// Signs a record in a domain.
    #[must_use]
    pub fn sign_record<T: SolStruct>(&self, domain: &Domain, record: T) -> Signed<T> {
        let signature = self.sign(domain.digest(&record));
        Signed { record, signature }
    }
}

/// r ‖ s ‖ v, with v 27 or 28 and s in the lower half.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; 65]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_hex(text).map(Self).ok_or(SignatureError::Malformed)
    }
}

impl Signature {
    /// The address that signed `digest`.
    pub fn recover(&self, digest: B256) -> Result<Address, SignatureError> {
        let malformed = SignatureError::Malformed;
        let id = match self.0[64] {
            27 => RecoveryId::new(false, false),
            28 => RecoveryId::new(true, false),
            _ => return Err(malformed),
        };
        let signature = k256::ecdsa::Signature::from_slice(&self.0[..64])
            .map_err(|_| SignatureError::Malformed)?;
        if signature.normalize_s().is_some() {
            return Err(malformed);
        }
        let key = VerifyingKey::recover_from_prehash(digest.as_slice(), &signature, id)
            .map_err(|_| SignatureError::Malformed)?;
        Ok(address_of(&key))
    }

    /// Fails unless `signer` signed `digest`.
    pub fn check(&self, digest: B256, signer: Address) -> Result<(), SignatureError> {
        let found = self.recover(digest)?;
        if found == signer {
            return Ok(());
        }
        Err(SignatureError::WrongSigner {
            expected: signer,
            found,
        })
    }
}

/// A record together with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed<T> {
    /// What was said.
    pub record: T,
    /// Who said it.
    pub signature: Signature,
}

impl<T: SolStruct> Signed<T> {
    /// Fails unless `signer` signed this record in `domain`.
    pub fn check(&self, domain: &Domain, signer: Address) -> Result<(), SignatureError> {
        self.signature.check(domain.digest(&self.record), signer)
    }

    /// Who signed this record in `domain`.
    pub fn signer(&self, domain: &Domain) -> Result<Address, SignatureError> {
        self.signature.recover(domain.digest(&self.record))
    }
}

impl<C> minicbor::Encode<C> for Signature {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Signature {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        <[u8; 65]>::try_from(d.bytes()?)
            .map(Self)
            .map_err(|_| minicbor::decode::Error::message("a signature has 65 bytes"))
    }
}

impl<T: alloy_sol_types::SolValue, C> minicbor::Encode<C> for Signed<T> {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.bytes(&self.record.abi_encode())?;
        self.signature.encode(e, ctx)
    }
}

impl<'b, T, C> minicbor::Decode<'b, C> for Signed<T>
where
    T: alloy_sol_types::SolValue + From<<T::SolType as alloy_sol_types::SolType>::RustType>,
{
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        if d.array()? != Some(2) {
            return Err(minicbor::decode::Error::message(
                "a signed record has two parts",
            ));
        }
        let record = T::abi_decode_validate(d.bytes()?)
            .map_err(|_| minicbor::decode::Error::message("malformed signed record"))?;
        Ok(Self {
            record,
            signature: Signature::decode(d, ctx)?,
        })
    }
}

fn address_of(key: &VerifyingKey) -> Address {
    let point = key.to_encoded_point(false);
    Address::from_slice(&keccak256(&point.as_bytes()[1..])[12..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eip712::MinerCredit;

    fn key() -> Keypair {
        Keypair::from_bytes([7; 32]).expect("a valid key")
    }

    #[test]
    fn the_address_is_ethereums() {
        // The first account of every development chain.
        let secret = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        let key = Keypair::from_hex(secret).expect("a valid key");
        assert_eq!(
            key.address().to_string(),
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
        );
    }

    #[test]
    fn a_signature_names_its_signer() {
        let digest = B256::repeat_byte(9);
        let signature = key().sign(digest);
        assert_eq!(signature.recover(digest), Ok(key().address()));
        assert_ne!(signature.recover(B256::ZERO), Ok(key().address()));
    }

    #[test]
    fn a_mirrored_signature_is_refused() {
        let digest = B256::repeat_byte(9);
        let signature = key().sign(digest);
        let inner = k256::ecdsa::Signature::from_slice(&signature.0[..64]).expect("well formed");
        let (r, s) = inner.split_scalars();
        let mirrored = k256::ecdsa::Signature::from_scalars(r.to_bytes(), (-*s).to_bytes())
            .expect("the other half is a scalar too");
        let mut bytes = signature.0;
        bytes[..64].copy_from_slice(&mirrored.to_bytes());
        bytes[64] = if bytes[64] == 27 { 28 } else { 27 };
        assert_eq!(
            Signature(bytes).recover(digest),
            Err(SignatureError::Malformed)
        );
    }

    #[test]
    fn a_signed_record_survives_the_wire() {
        let credit = MinerCredit {
            cumulative: 5,
            epoch: 2,
            ..MinerCredit::default()
        };
        let signed = key().sign_record(&Domain::default(), credit);
        let bytes = minicbor::to_vec(&signed).expect("memory does not fail");
        let back: Signed<MinerCredit> = minicbor::decode(&bytes).expect("what we wrote");
        assert_eq!(back, signed);
        assert_eq!(back.check(&Domain::default(), key().address()), Ok(()));
    }

    #[test]
    fn garbage_is_no_signature() {
        for byte in 0..=255 {
            assert!(Signature([byte; 65]).recover(B256::ZERO).is_err() || byte == 27 || byte == 28);
        }
    }
}
