//! Paths as a guest writes them. Their form is judged here; where they lead is the tree's matter.

use crate::abi::Errno;
use crate::call::{Call, Stop};
use crate::environment::{NAME_BYTES_MAX, PATH_BYTES_MAX};
use crate::memory::GuestMemory;

/// The bytes of a path argument, read but not judged: the call must be paid for first.
#[derive(Debug)]
pub(crate) struct RawPath {
    /// `None` if the guest named more than a path may have; then nothing was read.
    bytes: Option<Vec<u8>>,
}

impl RawPath {
    /// Reads the path. The range must have been checked.
    pub(crate) fn read<M: GuestMemory>(
        call: &Call<'_, M>,
        at: u32,
        len: u32,
    ) -> Result<Self, Stop> {
        if PATH_BYTES_MAX < len as usize {
            return Ok(Self { bytes: None });
        }
        let mut bytes = vec![0; len as usize];
        call.read(at, &mut bytes)?;
        Ok(Self { bytes: Some(bytes) })
    }

    /// What reading it moved.
    pub(crate) fn len(&self) -> u64 {
        self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)
    }

    /// How many steps the walk can have.
    pub(crate) fn components(&self) -> u64 {
        let bytes = self.bytes.as_deref().unwrap_or_default();
        bytes
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty())
            .count() as u64
    }

    /// The path, if it has the form of one.
    pub(crate) fn parse(self) -> Result<Path, Errno> {
        let bytes = self.bytes.ok_or(Errno::NameTooLong)?;
        let text = String::from_utf8(bytes).map_err(|_| Errno::IllegalBytes)?;
        Path::new(text)
    }
}

/// A relative path: not empty, without NUL, no part too long.
#[derive(Debug)]
pub(crate) struct Path {
    text: String,
}

impl Path {
    pub(crate) fn new(text: String) -> Result<Self, Errno> {
        if text.is_empty() {
            return Err(Errno::NoEntry);
        }
        if PATH_BYTES_MAX < text.len() {
            return Err(Errno::NameTooLong);
        }
        if text.contains('\0') {
            return Err(Errno::Invalid);
        }
        if text.starts_with('/') {
            return Err(Errno::NotPermitted);
        }
        if text.split('/').any(|part| NAME_BYTES_MAX < part.len()) {
            return Err(Errno::NameTooLong);
        }
        Ok(Self { text })
    }

    /// The parts in order; repeated slashes count as one.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        self.text.split('/').filter(|part| !part.is_empty())
    }

    /// Whether a trailing slash demands a directory.
    pub(crate) fn demands_directory(&self) -> bool {
        self.text.ends_with('/')
    }
}
