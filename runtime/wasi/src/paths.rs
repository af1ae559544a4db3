//! The calls that name a node by its path.

use crate::abi::{Errno, LOOKUPFLAGS_ALL, flags};
use crate::call::{Call, Stop};
use crate::memory::GuestMemory;
use crate::path::RawPath;
use crate::stat::SET_TIMES_PRICE;
use crate::tree::Place;
use crate::wasi::Wasi;

/// Opening or changing the tree.
pub(crate) const CHANGE_PRICE: u64 = 200;
/// Looking at a node.
const LOOK_PRICE: u64 = 100;
/// Each step of a walk.
pub(crate) const COMPONENT_PRICE: u64 = 50;
/// Each step of either walk when a node moves.
const RENAME_COMPONENT_PRICE: u64 = 100;

/// Checks and reads the path whose address and length are the arguments at `index` and after.
pub(crate) fn path_argument<M: GuestMemory>(
    call: &Call<'_, M>,
    index: usize,
) -> Result<RawPath, Stop> {
    let (at, len) = (call.u32(index), call.u32(index + 1));
    call.check(at, u64::from(len), 1)?;
    RawPath::read(call, at, len)
}

impl Wasi {
    pub(crate) fn path_create_directory<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        let place = self.place(call, 0, 1, CHANGE_PRICE)?;
        self.tree.create_directory(&place)?;
        Ok(())
    }

    pub(crate) fn path_remove_directory<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        let place = self.place(call, 0, 1, CHANGE_PRICE)?;
        Ok(self.tree.remove_directory(&place)?)
    }

    pub(crate) fn path_unlink_file<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        let place = self.place(call, 0, 1, CHANGE_PRICE)?;
        Ok(self.tree.unlink(&place)?)
    }

    pub(crate) fn path_rename<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        let (old, new) = (path_argument(call, 1)?, path_argument(call, 4)?);
        let components = old.components() + new.components();
        call.pay(
            old.len() + new.len(),
            CHANGE_PRICE + RENAME_COMPONENT_PRICE * components,
        )?;

        let old_start = self.descriptors.directory(call.u32(0))?;
        let new_start = self.descriptors.directory(call.u32(3))?;
        let from = self.tree.walk(old_start, &old.parse()?)?;
        let to = self.tree.walk(new_start, &new.parse()?)?;
        // Whether a directory would move into itself is only seen on the way up from there.
        let way = self.tree.way_up(from.found()?, to.parent);
        call.pay(0, COMPONENT_PRICE * way.directories)?;
        Ok(self.tree.rename(&from, &to, way)?)
    }

    pub(crate) fn path_filestat_get<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        let at = call.u32(4);
        call.check(at, 64, 8)?;
        let path = path_argument(call, 2)?;
        call.pay(path.len(), LOOK_PRICE + COMPONENT_PRICE * path.components())?;

        flags(call.u32(1), LOOKUPFLAGS_ALL)?;
        let inode = self.walk(call.u32(0), path)?.found()?;
        let stat = self.tree.stat(inode)?;
        call.write(at, &stat.to_bytes())
    }

    pub(crate) fn path_filestat_set_times<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        let path = path_argument(call, 2)?;
        call.pay(
            path.len(),
            SET_TIMES_PRICE + COMPONENT_PRICE * path.components(),
        )?;

        flags(call.u32(1), LOOKUPFLAGS_ALL)?;
        let (atim, mtim) = self.times(call.u64(4), call.u64(5), call.u32(6))?;
        let inode = self.walk(call.u32(0), path)?.found()?;
        Ok(self.tree.set_times(inode, atim, mtim)?)
    }

    /// Links would let two names, or none, lead to a node by roads that a receipt cannot show.
    pub(crate) fn path_link<M: GuestMemory>(&mut self, call: &mut Call<'_, M>) -> Result<(), Stop> {
        call.check(call.u32(2), call.u64(3), 1)?;
        call.check(call.u32(5), call.u64(6), 1)?;
        call.pay(0, 0)?;

        flags(call.u32(1), LOOKUPFLAGS_ALL)?;
        Err(Errno::NotSupported.into())
    }

    pub(crate) fn path_symlink<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        call.check(call.u32(0), call.u64(1), 1)?;
        call.check(call.u32(3), call.u64(4), 1)?;
        call.pay(0, 0)?;

        Err(Errno::NotSupported.into())
    }

    /// Nothing is a link, so whatever is there is not one.
    pub(crate) fn path_readlink<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        call.check(call.u32(3), call.u64(4), 1)?;
        call.check(call.u32(5), 4, 4)?;
        self.place(call, 0, 1, 0)?.found()?;
        Err(Errno::Invalid.into())
    }

    /// Checks, pays for and follows the path at argument `path_index`, from the directory at
    /// argument `fd_index`. For calls that have no flag and no other pointer left to check.
    fn place<M: GuestMemory>(
        &self,
        call: &mut Call<'_, M>,
        fd_index: usize,
        path_index: usize,
        price: u64,
    ) -> Result<Place, Stop> {
        let path = path_argument(call, path_index)?;
        call.pay(path.len(), price + COMPONENT_PRICE * path.components())?;
        Ok(self.walk(call.u32(fd_index), path)?)
    }

    fn walk(&self, fd: u32, path: RawPath) -> Result<Place, Errno> {
        let start = self.descriptors.directory(fd)?;
        self.tree.walk(start, &path.parse()?)
    }
}
