//! What a descriptor is, and what can be said about it without moving bytes.

use crate::abi::{
    Errno, FD_READ, FD_WRITE, FDFLAG_APPEND, FDFLAG_DSYNC, FDFLAG_NONBLOCK, FDFLAG_RSYNC,
    FDFLAG_SYNC, FDFLAGS_ALL, FSTFLAG_ATIM, FSTFLAG_ATIM_NOW, FSTFLAG_MTIM, FSTFLAG_MTIM_NOW,
    FSTFLAGS_ALL, RIGHTS_DIRECTORY, RIGHTS_DIRECTORY_INHERITING, TYPE_DIRECTORY, TYPE_FILE,
    TYPE_UNKNOWN, fdstat, flags, put, rights,
};
use crate::call::{Call, Stop};
use crate::descriptors::{Descriptor, OpenFile};
use crate::memory::GuestMemory;
use crate::wasi::Wasi;

/// Setting times costs this much more.
pub(crate) const SET_TIMES_PRICE: u64 = 100;

/// The name of the only preopened directory.
const PREOPENED_NAME: &[u8] = b"/";

impl Wasi {
    pub(crate) fn fd_close<M: GuestMemory>(&mut self, call: &mut Call<'_, M>) -> Result<(), Stop> {
        call.pay(0, 0)?;

        let closed = self.descriptors.take(call.u32(0))?;
        self.release(closed);
        Ok(())
    }

    pub(crate) fn fd_renumber<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        let (from, to) = (call.u32(0), call.u32(1));
        call.pay(0, 0)?;

        self.descriptors.get(from)?;
        let replaced = self.descriptors.get(to)?;
        if from != to {
            let moved = self.descriptors.take(from)?;
            self.descriptors.put(to, moved);
            self.release(replaced);
        }
        Ok(())
    }

    /// Nothing to do: there is no disk behind the tree.
    pub(crate) fn fd_sync<M: GuestMemory>(&mut self, call: &mut Call<'_, M>) -> Result<(), Stop> {
        call.pay(0, 0)?;

        self.file(call.u32(0)).map(|_| ()).map_err(Stop::from)
    }

    pub(crate) fn fd_advise<M: GuestMemory>(&mut self, call: &mut Call<'_, M>) -> Result<(), Stop> {
        call.pay(0, 0)?;

        if 5 < call.u32(3) {
            return Err(Errno::Invalid.into());
        }
        self.file(call.u32(0)).map(|_| ()).map_err(Stop::from)
    }

    pub(crate) fn fd_allocate<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        call.pay(0, 0)?;

        self.file(call.u32(0))?;
        Err(Errno::NotSupported.into())
    }

    /// Standard streams are of unknown type: a terminal would make libc flush after each line,
    /// and programs write colours.
    pub(crate) fn fd_fdstat_get<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        let at = call.u32(1);
        call.check(at, 24, 8)?;
        call.pay(0, 0)?;

        let stat = match self.descriptors.get(call.u32(0))? {
            Descriptor::Stdin { flags } => fdstat(TYPE_UNKNOWN, flags, FD_READ, 0),
            Descriptor::Stdout { flags } | Descriptor::Stderr { flags } => {
                fdstat(TYPE_UNKNOWN, flags, FD_WRITE, 0)
            }
            Descriptor::File(file) => {
                let read = if file.can_read { FD_READ } else { 0 };
                let write = if file.can_write { FD_WRITE } else { 0 };
                fdstat(TYPE_FILE, file.flags, read | write, 0)
            }
            Descriptor::Directory { .. } => fdstat(
                TYPE_DIRECTORY,
                0,
                RIGHTS_DIRECTORY,
                RIGHTS_DIRECTORY_INHERITING,
            ),
        };
        call.write(at, &stat)
    }

    pub(crate) fn fd_fdstat_set_flags<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        call.pay(0, 0)?;

        let asked = flags(call.u32(1), FDFLAGS_ALL)?;
        let is_directory = matches!(
            self.descriptors.get(call.u32(0))?,
            Descriptor::Directory { .. }
        );
        if is_directory {
            return Err(Errno::BadDescriptor.into());
        }
        let kept = kept_flags(asked)?;
        match self.descriptors.get_mut(call.u32(0))? {
            Descriptor::Stdin { flags }
            | Descriptor::Stdout { flags }
            | Descriptor::Stderr { flags }
            | Descriptor::File(OpenFile { flags, .. }) => *flags = kept,
            Descriptor::Directory { .. } => {}
        }
        Ok(())
    }

    pub(crate) fn fd_fdstat_set_rights<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        call.pay(0, 0)?;

        rights(call.u64(1))?;
        rights(call.u64(2))?;
        self.descriptors.get(call.u32(0))?;
        Ok(())
    }

    pub(crate) fn fd_filestat_get<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        let at = call.u32(1);
        call.check(at, 64, 8)?;
        call.pay(0, 0)?;

        let stat = match self.descriptors.get(call.u32(0))?.inode() {
            Some(inode) => self.tree.stat(inode)?.to_bytes(),
            None => [0; 64],
        };
        call.write(at, &stat)
    }

    pub(crate) fn fd_filestat_set_size<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        let size = call.u64(1);
        call.pay(0, 0)?;

        let file = self.file(call.u32(0))?;
        if !file.can_write {
            return Err(Errno::BadDescriptor.into());
        }
        let cost = self.tree.resize_cost(file.inode, size)?;
        call.pay(cost, 0)?;
        self.tree.resize(file.inode, size)
    }

    pub(crate) fn fd_filestat_set_times<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        call.pay(0, SET_TIMES_PRICE)?;

        let (atim, mtim) = self.times(call.u64(1), call.u64(2), call.u32(3))?;
        let inode = self
            .descriptors
            .get(call.u32(0))?
            .inode()
            .ok_or(Errno::BadDescriptor)?;
        Ok(self.tree.set_times(inode, atim, mtim)?)
    }

    pub(crate) fn fd_prestat_get<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        let at = call.u32(1);
        call.check(at, 8, 4)?;
        call.pay(0, 0)?;

        match self.descriptors.get(call.u32(0))? {
            Descriptor::Directory {
                is_preopened: true, ..
            } => {
                let mut prestat = [0; 8];
                put(&mut prestat, 4, (PREOPENED_NAME.len() as u32).to_le_bytes());
                call.write(at, &prestat)
            }
            Descriptor::Directory { .. } => Err(Errno::NotSupported.into()),
            _ => Err(Errno::BadDescriptor.into()),
        }
    }

    pub(crate) fn fd_prestat_dir_name<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        let (at, len) = (call.u32(1), call.u32(2));
        call.check(at, u64::from(len), 1)?;
        call.pay(0, 0)?;

        match self.descriptors.get(call.u32(0)) {
            Ok(Descriptor::Directory {
                is_preopened: true, ..
            }) => {}
            Ok(Descriptor::Directory { .. }) => return Err(Errno::NotSupported.into()),
            Ok(_) | Err(_) => return Err(Errno::NotDirectory.into()),
        }
        if (len as usize) < PREOPENED_NAME.len() {
            return Err(Errno::NameTooLong.into());
        }
        call.pay(PREOPENED_NAME.len() as u64, 0)?;
        call.write(at, PREOPENED_NAME)
    }

    /// The regular file behind a descriptor; anything else is the wrong descriptor.
    fn file(&self, fd: u32) -> Result<OpenFile, Errno> {
        match self.descriptors.get(fd)? {
            Descriptor::File(file) => Ok(file),
            _ => Err(Errno::BadDescriptor),
        }
    }

    /// Lets go of what a closed descriptor stood for.
    fn release(&mut self, closed: Descriptor) {
        if let Some(inode) = closed.inode() {
            self.tree.release(inode);
        }
    }

    /// The times that a call asks to set. "Now" does not move the clock: nobody looked at it.
    pub(crate) fn times(
        &self,
        atim: u64,
        mtim: u64,
        given: u32,
    ) -> Result<(Option<u64>, Option<u64>), Errno> {
        let given = flags(given, FSTFLAGS_ALL)?;
        let now = self.clock.now_ns();
        let pick = |value, value_flag, now_flag| match (given & value_flag, given & now_flag) {
            (0, 0) => Ok(None),
            (_, 0) => Ok(Some(value)),
            (0, _) => Ok(Some(now)),
            (_, _) => Err(Errno::Invalid),
        };
        Ok((
            pick(atim, FSTFLAG_ATIM, FSTFLAG_ATIM_NOW)?,
            pick(mtim, FSTFLAG_MTIM, FSTFLAG_MTIM_NOW)?,
        ))
    }
}

/// The flags that a descriptor remembers. Those that promise a disk are refused.
pub(crate) fn kept_flags(asked: u32) -> Result<u16, Errno> {
    if asked & (FDFLAG_DSYNC | FDFLAG_RSYNC | FDFLAG_SYNC) != 0 {
        return Err(Errno::NotSupported);
    }
    Ok((asked & (FDFLAG_APPEND | FDFLAG_NONBLOCK)) as u16)
}
