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
        Parts(self.bytes.as_deref().unwrap_or_default()).count() as u64
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
        if Parts(text.as_bytes()).any(|part| NAME_BYTES_MAX < part.len()) {
            return Err(Errno::NameTooLong);
        }
        Ok(Self { text })
    }

    /// The parts in order; repeated slashes count as one.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        // A slash is a character of its own, so what stands between two is text.
        Parts(self.text.as_bytes()).map(|part| str::from_utf8(part).unwrap_or_default())
    }

    /// Whether a trailing slash demands a directory.
    pub(crate) fn demands_directory(&self) -> bool {
        self.text.ends_with('/')
    }
}

/// What stands between slashes.
///
/// Byte by byte, because a path may be all slashes: four thousand of them are one part, and must
/// not take longer than they cost.
struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.0.iter().position(|byte| *byte != b'/')?;
        let rest = self.0.get(start..)?;
        let len = rest.iter().position(|byte| *byte == b'/');
        let (part, rest) = rest.split_at(len.unwrap_or(rest.len()));
        self.0 = rest;
        Some(part)
    }
}
