//! A module that is metered and compiled, as bytes that can go to another process or to disk.
//!
//! Native code cannot be checked, only believed: so an [`Artifact`] exists only where this process
//! compiled it or where the bytes carry the MAC of a key that this process was given. Whoever holds
//! one may map it and jump into it.

use std::fs::File;

use haar_meter::GuestKind;
use haar_records::{B256, BlobHash, RunConfig, cbor};

use crate::prepare::pages_limit;
use crate::seal::{CodeKey, MAC_BYTES, Mac};

/// The most bytes of native code: several times as many as the largest metered module has.
pub const CODE_BYTES_MAX: usize = 256 << 20;
/// The most bytes of a header: the author's manifest and a few numbers.
pub const HEADER_BYTES_MAX: usize = haar_meter::limits::MANIFEST_BYTES_MAX as usize + (4 << 10);
/// The most bytes of a whole artifact.
pub const ARTIFACT_BYTES_MAX: usize = CODE_BYTES_MAX + HEADER_BYTES_MAX + FOOTER_BYTES;

/// Says what the bytes are. The number is the layout's version.
const MAGIC: [u8; 8] = *b"haarcod1";
/// The magic, the lengths of header and code, the MAC over all that stands before it.
const FOOTER_BYTES: usize = 8 + 8 + 8 + MAC_BYTES;
/// Pieces in which a file is read for its MAC.
const CHUNK_BYTES: usize = 128 << 10;

/// Everything that metered and compiled code depends on, but the engine.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, minicbor::Encode, minicbor::Decode,
)]
pub struct CodeId {
    /// The module as it was published.
    #[n(0)]
    pub module: BlobHash,
    /// The hash of the profile that it is metered for.
    #[cbor(n(1), with = "cbor::word")]
    pub profile: B256,
    /// Pages that the job may use.
    #[n(2)]
    pub pages_max: u32,
}

impl CodeId {
    /// What a job with this configuration runs, if its module has this hash.
    #[must_use]
    pub fn new(module: BlobHash, config: &RunConfig) -> Self {
        Self {
            module,
            profile: config.profile.hash(),
            pages_max: pages_limit(config),
        }
    }

    /// What a job with this configuration runs.
    #[must_use]
    pub fn of(module: &[u8], config: &RunConfig) -> Self {
        Self::new(BlobHash::of(module), config)
    }
}

/// Bytes that are no artifact, or none that this process may believe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// Cut short, or never an artifact.
    #[error("{bytes} bytes are no artifact; compile the module again")]
    NotAnArtifact {
        /// How many there are.
        bytes: u64,
    },
    /// More than anything here compiles to.
    #[error("an artifact of {bytes} bytes is larger than {ARTIFACT_BYTES_MAX}")]
    TooLarge {
        /// How many there are.
        bytes: u64,
    },
    /// Damaged, or written by somebody else.
    #[error("the artifact's seal is not of this key; compile the module again")]
    Unsealed,
    /// Sealed, and still not a header: another release wrote it.
    #[error("the artifact's header cannot be read; compile the module again")]
    Header,
    /// Sealed, but made for another profile than this release runs.
    #[error("the artifact was made for another profile")]
    OtherProfile,
    /// The file could not be read.
    #[error("the artifact could not be read: {reason}")]
    Io {
        /// What the system says.
        reason: String,
    },
    /// The engine refuses the code, or the machine has no memory for it.
    #[error("the engine does not load the artifact: {reason}")]
    Engine {
        /// What it says.
        reason: String,
    },
}

/// What a run needs to know of a metered module, beside its code.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub(crate) struct Header {
    #[n(0)]
    pub(crate) id: CodeId,
    /// A `GuestKind`: 0 command, 1 reactor.
    #[n(1)]
    kind: u8,
    #[n(2)]
    pub(crate) init_cost: u64,
    /// Pages that the memory can reach; `id.pages_max` is what was asked for.
    #[n(3)]
    pub(crate) pages_max: u32,
    #[n(4)]
    pub(crate) metered: BlobHash,
    #[n(5)]
    pub(crate) metered_bytes: u64,
    #[cbor(n(6), with = "minicbor::bytes")]
    pub(crate) manifest: Option<Vec<u8>>,
}

impl Header {
    pub(crate) fn new(id: CodeId, metered: &haar_meter::Metered) -> Self {
        Self {
            id,
            kind: match metered.kind {
                GuestKind::Command => 0,
                GuestKind::Reactor => 1,
            },
            init_cost: metered.init_cost,
            pages_max: metered.pages_max,
            metered: BlobHash::of(&metered.bytes),
            metered_bytes: metered.bytes.len() as u64,
            manifest: metered.manifest.clone(),
        }
    }

    pub(crate) fn kind(&self) -> GuestKind {
        match self.kind {
            0 => GuestKind::Command,
            _ => GuestKind::Reactor,
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let mut decoder = minicbor::Decoder::new(bytes);
        let header: Self = decoder.decode().map_err(|_| ArtifactError::Header)?;
        if decoder.position() != bytes.len() || header.kind > 1 {
            return Err(ArtifactError::Header);
        }
        Ok(header)
    }
}

/// A module that is metered and compiled, but not linked.
#[derive(Clone, PartialEq, Eq)]
pub struct Artifact {
    pub(crate) header: Header,
    /// Invariant: what this release's engine made, at most `CODE_BYTES_MAX`.
    pub(crate) code: Vec<u8>,
}

impl std::fmt::Debug for Artifact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Artifact")
            .field("header", &self.header)
            .field("code_bytes", &self.code.len())
            .finish()
    }
}

impl Artifact {
    /// What was compiled, and for whom.
    #[must_use]
    pub fn id(&self) -> CodeId {
        self.header.id
    }

    /// How the guest is entered.
    #[must_use]
    pub fn kind(&self) -> GuestKind {
        self.header.kind()
    }

    /// The hash of the metered module. Every miner's is the same.
    #[must_use]
    pub fn metered(&self) -> BlobHash {
        self.header.metered
    }

    /// Bytes of the metered module.
    #[must_use]
    pub fn metered_bytes(&self) -> u64 {
        self.header.metered_bytes
    }

    /// Bytes of native code.
    #[must_use]
    pub fn code_bytes(&self) -> usize {
        self.code.len()
    }

    /// The code, the header, and a footer that seals both with `key`.
    ///
    /// The code stands first, so that a file of these bytes can be mapped as it is.
    #[must_use]
    pub fn to_bytes(&self, key: &CodeKey) -> Vec<u8> {
        let header = minicbor::to_vec(&self.header).expect("memory does not fail");
        let mut bytes = Vec::with_capacity(self.code.len() + header.len() + FOOTER_BYTES);
        bytes.extend_from_slice(&self.code);
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&(self.code.len() as u64).to_le_bytes());
        let mut mac = key.mac();
        mac.update(&bytes);
        bytes.extend_from_slice(&mac.finish());
        bytes
    }

    /// Takes what [`Artifact::to_bytes`] gave, if `key` sealed it.
    pub fn from_bytes(mut bytes: Vec<u8>, key: &CodeKey) -> Result<Self, ArtifactError> {
        let layout = Layout::of(bytes.len() as u64, bytes.last_chunk())?;
        let sealed = bytes.len() - MAC_BYTES;
        let mut mac = key.mac();
        mac.update(bytes.get(..sealed).unwrap_or_default());
        layout.check(mac)?;

        let header = Header::decode(bytes.get(layout.header()).unwrap_or_default())?;
        bytes.truncate(layout.code);
        Ok(Self {
            header,
            code: bytes,
        })
    }
}

/// Reads a file of an artifact once, from its start to its end, and gives its header, if `key`
/// sealed every byte.
pub(crate) fn check_file(file: &File, key: &CodeKey) -> Result<Header, ArtifactError> {
    let io = |error: std::io::Error| ArtifactError::Io {
        reason: error.to_string(),
    };
    let bytes = file.metadata().map_err(io)?.len();
    let mut footer = None;
    if let Some(at) = bytes.checked_sub(FOOTER_BYTES as u64) {
        let mut read = [0; FOOTER_BYTES];
        read_at(file, &mut read, at).map_err(io)?;
        footer = Some(read);
    }
    let layout = Layout::of(bytes, footer.as_ref())?;

    let mut mac = key.mac();
    let mut header = Vec::with_capacity(layout.header);
    let mut chunk = vec![0; CHUNK_BYTES.min(layout.sealed())];
    let mut at = 0;
    while at < layout.sealed() {
        let len = chunk.len().min(layout.sealed() - at);
        let piece = chunk.get_mut(..len).unwrap_or_default();
        read_at(file, piece, at as u64).map_err(io)?;
        mac.update(piece);
        let skip = layout.code.saturating_sub(at).min(len);
        header.extend_from_slice(piece.get(skip..).unwrap_or_default());
        at += len;
    }
    layout.check(mac)?;
    header.truncate(layout.header);
    Header::decode(&header)
}

/// Reads without moving the file's position, which other processes may share.
#[cfg(unix)]
fn read_at(file: &File, to: &mut [u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, to, at)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, to: &mut [u8], at: u64) -> std::io::Result<()> {
    use std::io::{Read as _, Seek as _};
    file.seek(std::io::SeekFrom::Start(at))?;
    file.read_exact(to)
}

/// Where the parts of an artifact lie.
struct Layout {
    code: usize,
    header: usize,
    mac: [u8; MAC_BYTES],
}

impl Layout {
    fn of(bytes: u64, footer: Option<&[u8; FOOTER_BYTES]>) -> Result<Self, ArtifactError> {
        let none = ArtifactError::NotAnArtifact { bytes };
        if bytes > ARTIFACT_BYTES_MAX as u64 {
            return Err(ArtifactError::TooLarge { bytes });
        }
        let Some(([magic, header, code], mac)) = footer.map(|footer| {
            let (words, mac) = footer.split_at(FOOTER_BYTES - MAC_BYTES);
            let word = |index: usize| {
                let word = words.get(index * 8..).and_then(<[u8]>::first_chunk);
                u64::from_le_bytes(*word.unwrap_or(&[0; 8]))
            };
            ([word(0), word(1), word(2)], mac)
        }) else {
            return Err(none);
        };
        if magic != u64::from_le_bytes(MAGIC)
            || header > HEADER_BYTES_MAX as u64
            || code > CODE_BYTES_MAX as u64
            || header + code + FOOTER_BYTES as u64 != bytes
        {
            return Err(none);
        }
        Ok(Self {
            code: code as usize,
            header: header as usize,
            mac: mac.try_into().map_err(|_| none)?,
        })
    }

    fn header(&self) -> std::ops::Range<usize> {
        self.code..self.code + self.header
    }

    /// How many bytes the MAC covers: all before it.
    fn sealed(&self) -> usize {
        self.code + self.header + FOOTER_BYTES - MAC_BYTES
    }

    fn check(&self, mac: Mac) -> Result<(), ArtifactError> {
        if mac.is(&self.mac) {
            Ok(())
        } else {
            Err(ArtifactError::Unsealed)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::engine::compiling_engine;
    use crate::native;

    fn key() -> CodeKey {
        CodeKey::from_bytes([3; 32])
    }

    fn header() -> Header {
        Header {
            id: CodeId {
                module: BlobHash::of(b"module"),
                profile: B256::ZERO,
                pages_max: 3,
            },
            kind: 1,
            init_cost: 4,
            pages_max: 2,
            metered: BlobHash::of(b"metered"),
            metered_bytes: 7,
            manifest: Some(b"manifest".to_vec()),
        }
    }

    /// Seals any bytes as a header and any lengths, as nobody without the key can.
    fn sealed(code: &[u8], header: &[u8], lengths: [u64; 2]) -> Vec<u8> {
        let [header_len, code_len] = lengths.map(u64::to_le_bytes);
        let mut bytes = [code, header, &MAGIC, &header_len, &code_len].concat();
        let mut mac = key().mac();
        mac.update(&bytes);
        bytes.extend(mac.finish());
        bytes
    }

    #[test]
    fn an_artifact_comes_back_from_its_bytes() {
        for manifest in [None, Some(Vec::new()), Some(vec![1; 70_000])] {
            let artifact = Artifact {
                header: Header {
                    manifest,
                    ..header()
                },
                code: vec![9; 200_000],
            };
            let bytes = artifact.to_bytes(&key());
            assert_eq!(Artifact::from_bytes(bytes, &key()), Ok(artifact));
        }
    }

    #[test]
    fn a_sealed_header_is_still_read_with_care() {
        let good = minicbor::to_vec(header()).unwrap();
        let unknown = Header {
            kind: 2,
            ..header()
        };
        for bad in [
            Vec::new(),
            vec![0xff; 40],
            good[..good.len() - 1].to_vec(),
            [&good[..], &[0]].concat(),
            minicbor::to_vec(unknown).unwrap(),
        ] {
            let bytes = sealed(b"code", &bad, [bad.len() as u64, 4]);
            assert_eq!(
                Artifact::from_bytes(bytes, &key()),
                Err(ArtifactError::Header)
            );
        }
        let bytes = sealed(b"code", &good, [good.len() as u64, 4]);
        assert!(Artifact::from_bytes(bytes, &key()).is_ok());
    }

    #[test]
    fn lengths_that_do_not_add_up_are_refused() {
        let header = minicbor::to_vec(header()).unwrap();
        let len = header.len() as u64;
        for lengths in [
            [len, 5],
            [len, 3],
            [len - 1, 4],
            [u64::MAX, 4],
            [len, u64::MAX],
            [u64::MAX, u64::MAX],
            [len.wrapping_sub(u64::MAX), 4],
            [0, 0],
        ] {
            let bytes = sealed(b"code", &header, lengths);
            let error = Artifact::from_bytes(bytes, &key()).unwrap_err();
            assert!(
                matches!(error, ArtifactError::NotAnArtifact { .. }),
                "{lengths:?}"
            );
        }
    }

    #[test]
    fn the_engine_refuses_what_it_did_not_make() {
        let engine = compiling_engine(&haar_records::Profile::V1).unwrap();
        for code in [
            Vec::new(),
            vec![0; 100],
            b"\x7fELF".to_vec(),
            vec![0x7f; 5_000],
        ] {
            let artifact = Artifact {
                header: header(),
                code,
            };
            let error = native::load(&engine, &artifact).unwrap_err();
            assert!(matches!(error, ArtifactError::Engine { .. }), "{error}");
        }
    }
}
