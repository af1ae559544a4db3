//! The bytes of files: how they are shared, copied, grown and cut.

use std::sync::Arc;

use super::{Inode, Kind, Tree};
use crate::abi::Errno;

/// A file's bytes.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// The job's input as it came, shared with the host.
    Input(Arc<[u8]>),
    /// The guest's own.
    Own(Vec<u8>),
}

/// Capacity that a cut file may keep beyond twice its length.
const SPARE_BYTES_MAX: usize = 4096;

impl Content {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Input(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }

    /// Makes the bytes up to `len` the guest's own, zeros where there were none.
    fn resize(&mut self, len: usize) {
        let mut own = match std::mem::replace(self, Self::Own(Vec::new())) {
            Self::Input(bytes) => {
                let mut own = Vec::with_capacity(len);
                own.extend_from_slice(bytes.get(..len).unwrap_or(&bytes));
                own
            }
            Self::Own(own) => own,
        };

        own.resize(len, 0);
        // A thousand files, grown to the cap and cut one after the other, would otherwise hold a
        // thousand times the cap.
        if own.capacity() / 2 > len + SPARE_BYTES_MAX {
            own.shrink_to(len);
        }
        *self = Self::Own(own);
    }
}

impl Tree {
    /// The bytes of a file.
    pub(crate) fn bytes(&self, inode: Inode) -> Result<&[u8], Errno> {
        match &self.node(inode)?.kind {
            Kind::File(content) => Ok(content.bytes()),
            Kind::Directory { .. } => Err(Errno::BadDescriptor),
        }
    }

    /// How many bytes the tree itself moves if `len` bytes are written at `offset`: the zeros of
    /// a gap, and the copy of an input that changes for the first time.
    pub(crate) fn write_cost(&self, inode: Inode, offset: u64, len: u64) -> Result<u64, Errno> {
        if len == 0 {
            return Ok(0);
        }
        let end = offset.checked_add(len).ok_or(Errno::NoSpace)?;
        let size = self.bytes(inode)?.len() as u64;
        self.check_growth(end.saturating_sub(size))?;
        Ok(offset.saturating_sub(size) + self.copy_cost(inode, size)?)
    }

    /// Makes the file long enough and lends the `len` bytes at `offset` for filling.
    pub(crate) fn write_place(
        &mut self,
        inode: Inode,
        offset: u64,
        len: u64,
    ) -> Result<&mut [u8], Errno> {
        if len == 0 {
            return Ok(&mut []);
        }
        let end = offset.checked_add(len).ok_or(Errno::NoSpace)?;
        let size = self.bytes(inode)?.len() as u64;
        self.resize(inode, end.max(size))?;
        match &mut self.node_mut(inode)?.kind {
            // Both ends fit a usize: the file is that long now.
            Kind::File(Content::Own(own)) => own.get_mut(offset as usize..end as usize),
            Kind::File(Content::Input(_)) | Kind::Directory { .. } => None,
        }
        .ok_or(Errno::BadDescriptor)
    }

    /// How many bytes the tree itself moves to give a file a new length.
    pub(crate) fn resize_cost(&self, inode: Inode, len: u64) -> Result<u64, Errno> {
        let size = self.bytes(inode)?.len() as u64;
        let growth = len.saturating_sub(size);
        self.check_growth(growth)?;
        Ok(growth + self.copy_cost(inode, size.min(len))?)
    }

    /// Cuts a file, or fills it up with zeros.
    pub(crate) fn resize(&mut self, inode: Inode, len: u64) -> Result<(), Errno> {
        let size = self.bytes(inode)?.len() as u64;
        self.check_growth(len.saturating_sub(size))?;
        let len_here = usize::try_from(len).map_err(|_| Errno::NoSpace)?;

        self.bytes = self.bytes + len - size;
        if let Kind::File(content) = &mut self.node_mut(inode)?.kind {
            content.resize(len_here);
        }
        Ok(())
    }

    fn copy_cost(&self, inode: Inode, len: u64) -> Result<u64, Errno> {
        let is_input = matches!(&self.node(inode)?.kind, Kind::File(Content::Input(_)));
        Ok(if is_input { len } else { 0 })
    }

    fn check_growth(&self, growth: u64) -> Result<(), Errno> {
        let total = self.bytes.checked_add(growth).ok_or(Errno::NoSpace)?;
        if total <= self.bytes_max {
            Ok(())
        } else {
            Err(Errno::NoSpace)
        }
    }
}
