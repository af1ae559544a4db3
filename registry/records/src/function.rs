//! Published names: `name@version` → module, signed by the author.

use std::fmt;
use std::str::FromStr;

use crate::eip712::{Domain, FunctionEntry};
use crate::id::BlobHash;
use crate::sign::{Keypair, Signature, SignatureError, Signed};
use alloy_primitives::Address;

/// Bytes of a function's name.
pub const NAME_BYTES_MAX: usize = 64;
/// Bytes of a function's version.
pub const VERSION_BYTES_MAX: usize = 32;

/// Text that cannot name a function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Not lower-case letters, digits and hyphens, starting with a letter, 64 bytes at most.
    #[error(
        "a function's name is made of a-z, 0-9 and '-', starts with a letter and has at most \
         {NAME_BYTES_MAX} bytes"
    )]
    Name,
    /// Not three numbers.
    #[error("a function's version is three numbers like 1.0.2")]
    Version,
}

/// `name@version`. Versions are three numbers and compare as numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionName {
    name: String,
    version: (u32, u32, u32),
}

impl FunctionName {
    /// Checks both parts.
    pub fn new(name: &str, version: &str) -> Result<Self, NameError> {
        if !is_name(name) {
            return Err(NameError::Name);
        }
        Ok(Self {
            name: name.to_owned(),
            version: parse_version(version)?,
        })
    }

    /// The name without its version.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version's text.
    #[must_use]
    pub fn version(&self) -> String {
        let (major, minor, patch) = self.version;
        format!("{major}.{minor}.{patch}")
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version())
    }
}

impl FromStr for FunctionName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (name, version) = text.split_once('@').ok_or(NameError::Version)?;
        Self::new(name, version)
    }
}

/// Whether `text` can be a function's name.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= NAME_BYTES_MAX
        && text.bytes().all(allowed)
        && text.starts_with(|first: char| first.is_ascii_lowercase())
}

fn parse_version(text: &str) -> Result<(u32, u32, u32), NameError> {
    let number = |part: Option<&str>| -> Result<u32, NameError> {
        let part = part.ok_or(NameError::Version)?;
        let plain = part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'));
        if !plain || text.len() > VERSION_BYTES_MAX {
            return Err(NameError::Version);
        }
        part.parse().map_err(|_| NameError::Version)
    };

    let mut parts = text.split('.');
    let version = (
        number(parts.next())?,
        number(parts.next())?,
        number(parts.next())?,
    );
    if parts.next().is_some() {
        return Err(NameError::Version);
    }
    Ok(version)
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionRecord {
    /// The published name.
    pub function: FunctionName,
    /// The module's hash.
    pub module: BlobHash,
    /// The module's size, so that nobody starts a transfer that cannot be.
    pub module_bytes: u64,
    /// Who publishes it; later versions must come from the same key.
    pub author: Address,
}

/// A record with the author's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedFunction {
    /// What is said.
    pub record: FunctionRecord,
    /// The author's word.
    pub signature: Signature,
}

impl FunctionRecord {
    /// The signed form. Names belong to no chain, so the domain is empty.
    #[must_use]
    pub fn sign(self, author: &Keypair) -> SignedFunction {
        let signature = author.sign(Domain::default().digest(&self.entry()));
        SignedFunction {
            record: self,
            signature,
        }
    }

    fn entry(&self) -> FunctionEntry {
        FunctionEntry {
            name: self.function.name().to_owned(),
            version: self.function.version(),
            moduleHash: self.module.0,
            moduleBytes: self.module_bytes,
            author: self.author,
        }
    }
}

impl SignedFunction {
    /// Fails unless the author named in the record signed it.
    pub fn check(&self) -> Result<(), SignatureError> {
        let digest = Domain::default().digest(&self.record.entry());
        self.signature.check(digest, self.record.author)
    }
}

impl<C> minicbor::Encode<C> for SignedFunction {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let signed = Signed {
            record: self.record.entry(),
            signature: self.signature,
        };
        signed.encode(e, ctx)
    }
}

impl<'b, C> minicbor::Decode<'b, C> for SignedFunction {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let Signed { record, signature } = Signed::<FunctionEntry>::decode(d, ctx)?;
        let function = FunctionName::new(&record.name, &record.version)
            .map_err(|_| minicbor::decode::Error::message("malformed function name"))?;
        let record = FunctionRecord {
            function,
            module: BlobHash(record.moduleHash),
            module_bytes: record.moduleBytes,
            author: record.author,
        };
        Ok(Self { record, signature })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, good: bool) {
        assert_eq!(text.parse::<FunctionName>().is_ok(), good, "{text}");
    }

    #[test]
    fn names_are_plain_and_versions_are_numbers() {
        check("wordcount@1.0.0", true);
        check("a-b-2@0.10.3", true);
        check("wordcount", false);
        check("Wordcount@1.0.0", false);
        check("2a@1.0.0", false);
        check("a/b@1.0.0", false);
        check("@1.0.0", false);
        check("a@1.0", false);
        check("a@1.0.0.0", false);
        check("a@01.0.0", false);
        check("a@1.0.0-beta", false);
        check("a@99999999999.0.0", false);
        check(&format!("{}@1.0.0", "a".repeat(65)), false);
    }

    #[test]
    fn versions_compare_as_numbers() {
        let of = |text: &str| text.parse::<FunctionName>().expect("well formed");
        assert!(of("a@1.10.0") > of("a@1.9.0"));
    }

    #[test]
    fn a_record_with_another_module_is_not_signed() {
        let author = Keypair::from_bytes([3; 32]).expect("a valid key");
        let record = FunctionRecord {
            function: "f@1.0.0".parse().expect("well formed"),
            module: BlobHash::of(b"module"),
            module_bytes: 6,
            author: author.address(),
        };
        let mut signed = record.sign(&author);
        assert_eq!(signed.check(), Ok(()));

        let bytes = minicbor::to_vec(&signed).expect("memory does not fail");
        assert_eq!(
            minicbor::decode::<SignedFunction>(&bytes).expect("ours"),
            signed
        );

        signed.record.module = BlobHash::of(b"another");
        assert!(signed.check().is_err());
    }
}
