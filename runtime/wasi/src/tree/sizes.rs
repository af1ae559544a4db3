//! How long files are: what a change of length costs, whether it fits, and the change itself.

use super::content::{Content, Pages};
use super::{Inode, Kind, Tree};
use crate::abi::Errno;
use crate::call::Stop;

impl Tree {
    /// The bytes of a file.
    pub(crate) fn content(&self, inode: Inode) -> Result<&Content, Errno> {
        match &self.node(inode)?.kind {
            Kind::File(content) => Ok(content),
            Kind::Directory { .. } => Err(Errno::BadDescriptor),
        }
    }

    /// How many bytes the tree itself moves if `len` bytes are written at `offset`: the zeros of
    /// a gap, and the copy of an input that changes for the first time.
    pub(crate) fn write_cost(&self, inode: Inode, offset: u64, len: u64) -> Result<u64, Errno> {
        let end = offset.checked_add(len).ok_or(Errno::NoSpace)?;
        let size = self.content(inode)?.len();
        self.check_growth(end.saturating_sub(size))?;
        // The check keeps both within the cap on all bytes, so the sum fits.
        Ok(offset.saturating_sub(size) + self.copy_cost(inode, size)?)
    }

    /// Makes the file long enough and lends the `len` bytes at `offset` for filling.
    pub(crate) fn write_place(
        &mut self,
        inode: Inode,
        offset: u64,
        len: u64,
    ) -> Result<impl Iterator<Item = &mut [u8]>, Stop> {
        let end = offset.checked_add(len).ok_or(Errno::NoSpace)?;
        let size = self.content(inode)?.len();
        let pages = self.resized(inode, end.max(size))?;
        // Both ends fit a usize: the file is that long now.
        Ok(pages.pieces_mut(offset as usize, end as usize))
    }

    /// How many bytes the tree itself moves to give a file a new length.
    pub(crate) fn resize_cost(&self, inode: Inode, len: u64) -> Result<u64, Errno> {
        let size = self.content(inode)?.len();
        let growth = len.saturating_sub(size);
        self.check_growth(growth)?;
        Ok(growth + self.copy_cost(inode, size.min(len))?)
    }

    /// Cuts a file, or fills it up with zeros.
    pub(crate) fn resize(&mut self, inode: Inode, len: u64) -> Result<(), Stop> {
        self.resized(inode, len).map(drop)
    }

    fn resized(&mut self, inode: Inode, len: u64) -> Result<&mut Pages, Stop> {
        let size = self.content(inode)?.len();
        self.check_growth(len.saturating_sub(size))?;
        let len_here = usize::try_from(len).map_err(|_| Errno::NoSpace)?;

        self.bytes = self.bytes + len - size;
        match &mut self.node_mut(inode)?.kind {
            Kind::File(content) => Ok(content.resize(len_here)?),
            Kind::Directory { .. } => Err(Errno::BadDescriptor.into()),
        }
    }

    fn copy_cost(&self, inode: Inode, len: u64) -> Result<u64, Errno> {
        let is_input = matches!(self.content(inode)?, Content::Input(_));
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
