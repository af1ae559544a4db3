//! `path_open`.

use crate::abi::{
    Errno, FD_READ, FD_WRITE, FDFLAGS_ALL, LOOKUPFLAGS_ALL, OFLAG_CREATE, OFLAG_DIRECTORY,
    OFLAG_EXCLUSIVE, OFLAG_TRUNCATE, OFLAGS_ALL, flags, rights,
};
use crate::call::{Call, Stop};
use crate::descriptors::{Descriptor, OpenFile};
use crate::memory::GuestMemory;
use crate::paths::{CHANGE_PRICE, COMPONENT_PRICE, path_argument};
use crate::stat::kept_flags;
use crate::tree::{Inode, Place};
use crate::wasi::Wasi;

/// What the guest asked for, once its numbers made sense.
#[derive(Clone, Copy, Debug)]
struct Wish {
    may_create: bool,
    must_create: bool,
    truncates: bool,
    wants_directory: bool,
    can_read: bool,
    can_write: bool,
    flags: u16,
}

impl Wish {
    fn parse(oflags: u32, base: u64, inheriting: u64, fdflags: u32) -> Result<Self, Errno> {
        let oflags = flags(oflags, OFLAGS_ALL)?;
        let base = rights(base)?;
        rights(inheriting)?;
        let fdflags = flags(fdflags, FDFLAGS_ALL)?;

        let wants_directory = oflags & OFLAG_DIRECTORY != 0;
        if wants_directory && oflags != OFLAG_DIRECTORY {
            return Err(Errno::Invalid);
        }
        let may_create = oflags & OFLAG_CREATE != 0;
        Ok(Self {
            may_create,
            must_create: may_create && oflags & OFLAG_EXCLUSIVE != 0,
            truncates: oflags & OFLAG_TRUNCATE != 0,
            wants_directory,
            can_read: base & FD_READ != 0,
            can_write: base & FD_WRITE != 0,
            flags: kept_flags(fdflags)?,
        })
    }
}

impl Wasi {
    pub(crate) fn path_open<M: GuestMemory>(&mut self, call: &mut Call<'_, M>) -> Result<(), Stop> {
        let opened_at = call.u32(8);
        call.check(opened_at, 4, 4)?;
        let path = path_argument(call, 2)?;
        call.pay(
            path.len(),
            CHANGE_PRICE + COMPONENT_PRICE * path.components(),
        )?;

        flags(call.u32(1), LOOKUPFLAGS_ALL)?;
        let wish = Wish::parse(call.u32(4), call.u64(5), call.u64(6), call.u32(7))?;
        let start = self.descriptors.directory(call.u32(0))?;
        let place = self.tree.walk(start, &path.parse()?)?;
        let found = self.suitable(&place, wish)?;
        let fd = self.descriptors.free()?;

        let inode = match found {
            Some(inode) => {
                if wish.truncates {
                    let cost = self.tree.resize_cost(inode, 0)?;
                    call.pay(cost, 0)?;
                    self.tree.resize(inode, 0)?;
                }
                inode
            }
            None => self.tree.create_file(&place)?,
        };
        self.tree.retain(inode);
        self.descriptors.put(fd, self.descriptor(inode, wish));
        call.write_u32(opened_at, fd)
    }

    /// What is there and may be opened so; nothing if a file is to be made.
    fn suitable(&self, place: &Place, wish: Wish) -> Result<Option<Inode>, Errno> {
        let Some(inode) = place.inode else {
            return match (wish.may_create, place.demands_directory) {
                (true, true) => Err(Errno::IsDirectory),
                (true, false) => Ok(None),
                (false, _) => Err(Errno::NoEntry),
            };
        };

        if wish.must_create {
            return Err(Errno::Exists);
        }
        let is_directory = self.tree.is_directory(inode);
        if is_directory && (wish.can_write || wish.truncates || wish.may_create) {
            return Err(Errno::IsDirectory);
        }
        if !is_directory && wish.wants_directory {
            return Err(Errno::NotDirectory);
        }
        Ok(Some(inode))
    }

    fn descriptor(&self, inode: Inode, wish: Wish) -> Descriptor {
        if self.tree.is_directory(inode) {
            return Descriptor::Directory {
                inode,
                is_preopened: false,
            };
        }
        let Wish {
            can_read,
            can_write,
            flags,
            ..
        } = wish;
        Descriptor::File(OpenFile {
            inode,
            offset: 0,
            can_read,
            can_write,
            flags,
        })
    }
}
