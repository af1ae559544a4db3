//! The keys that say whose native code may be run.

use std::fs::File;
use std::io::Read;

use crate::artifact::CodeId;
use crate::engine::EngineId;

/// Bytes of a MAC.
pub(crate) const MAC_BYTES: usize = 32;
/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;

/// Seals artifacts: who knows it can make this process run any native code.
///
/// The owner of a cache keeps its key and gives a runner or a compiler the key of one entry only,
/// which opens nothing else.
#[derive(Clone)]
pub struct CodeKey([u8; KEY_BYTES]);

impl std::fmt::Debug for CodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeKey(…)")
    }
}

impl CodeKey {
    /// A new key, from the system's randomness.
    pub fn draw() -> std::io::Result<Self> {
        let mut bytes = [0; KEY_BYTES];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// A key from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for the one process that is to have it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; KEY_BYTES] {
        self.0
    }

    /// The key of one entry. It says nothing about this key or about another entry's, so a seal
    /// also says under which name the code was put away.
    #[must_use]
    pub fn of_entry(&self, engine: EngineId, id: CodeId) -> Self {
        let mut mac = self.mac();
        mac.update(engine.as_bytes());
        mac.update(id.module.as_bytes());
        mac.update(id.profile.as_slice());
        mac.update(&id.pages_max.to_le_bytes());
        Self(mac.finish())
    }

    pub(crate) fn mac(&self) -> Mac {
        Mac(blake3::Hasher::new_keyed(&self.0))
    }
}

/// A MAC under way.
pub(crate) struct Mac(blake3::Hasher);

impl Mac {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> [u8; MAC_BYTES] {
        *self.0.finalize().as_bytes()
    }

    /// Compares in constant time.
    pub(crate) fn is(self, expected: &[u8; MAC_BYTES]) -> bool {
        self.0.finalize() == *expected
    }
}
