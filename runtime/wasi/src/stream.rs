//! Reading, writing, and the place in between.

use crate::abi::{Errno, FDFLAG_APPEND};
use crate::call::{Buffers, Call, Stop};
use crate::descriptors::{Descriptor, OpenFile};
use crate::memory::GuestMemory;
use crate::tree::{Content, Inode, lengthen};
use crate::wasi::{Ended, Wasi};

impl Wasi {
    pub(crate) fn fd_read<M: GuestMemory>(&mut self, call: &mut Call<'_, M>) -> Result<(), Stop> {
        let (fd, count_at) = (call.u32(0), call.u32(3));
        call.check(count_at, 4, 4)?;
        let buffers = call.buffers(call.u32(1), call.u32(2))?;

        let (content, offset) = match self.descriptors.get(fd)? {
            Descriptor::Stdin { .. } => (&self.stdin, self.stdin_offset),
            Descriptor::File(file) if file.can_read => {
                (self.tree.content(file.inode)?, file.offset)
            }
            _ => return Err(Errno::BadDescriptor.into()),
        };
        let moved = read(call, buffers, content, offset, count_at)?;

        let moved = u64::from(moved);
        match self.descriptors.get_mut(fd)? {
            Descriptor::File(file) => file.offset = file.offset.saturating_add(moved),
            _ => self.stdin_offset = self.stdin_offset.saturating_add(moved),
        }
        Ok(())
    }

    pub(crate) fn fd_pread<M: GuestMemory>(&mut self, call: &mut Call<'_, M>) -> Result<(), Stop> {
        let (fd, offset, count_at) = (call.u32(0), call.u64(3), call.u32(4));
        call.check(count_at, 4, 4)?;
        let buffers = call.buffers(call.u32(1), call.u32(2))?;

        let file = self.seekable(fd)?;
        if !file.can_read {
            return Err(Errno::BadDescriptor.into());
        }
        read(
            call,
            buffers,
            self.tree.content(file.inode)?,
            offset,
            count_at,
        )
        .map(|_| ())
    }

    pub(crate) fn fd_write<M: GuestMemory>(&mut self, call: &mut Call<'_, M>) -> Result<(), Stop> {
        let (fd, count_at) = (call.u32(0), call.u32(3));
        call.check(count_at, 4, 4)?;
        let buffers = call.buffers(call.u32(1), call.u32(2))?;

        let descriptor = self.descriptors.get(fd)?;
        let size = buffers.size()?;
        match descriptor {
            Descriptor::Stdout { .. } => {
                call.pay(u64::from(size), 0)?;
                call.gather(buffers, [self.output_place(size)?])?;
            }
            Descriptor::Stderr { .. } => {
                call.pay(u64::from(size), 0)?;
                call.gather(buffers, [self.log_place(size)?])?;
            }
            Descriptor::File(file) if file.can_write => {
                let is_append = u32::from(file.flags) & FDFLAG_APPEND != 0;
                let end = self.tree.content(file.inode)?.len();
                let offset = if is_append { end } else { file.offset };
                self.write(call, buffers, file.inode, offset)?;
                // Writing nothing does nothing, not even move to the end.
                if size > 0
                    && let Descriptor::File(file) = self.descriptors.get_mut(fd)?
                {
                    file.offset = offset.saturating_add(u64::from(size));
                }
            }
            _ => return Err(Errno::BadDescriptor.into()),
        }
        call.write_u32(count_at, size)
    }

    pub(crate) fn fd_pwrite<M: GuestMemory>(&mut self, call: &mut Call<'_, M>) -> Result<(), Stop> {
        let (fd, offset, count_at) = (call.u32(0), call.u64(3), call.u32(4));
        call.check(count_at, 4, 4)?;
        let buffers = call.buffers(call.u32(1), call.u32(2))?;

        let file = self.seekable(fd)?;
        if !file.can_write {
            return Err(Errno::BadDescriptor.into());
        }
        let size = buffers.size()?;
        self.write(call, buffers, file.inode, offset)?;
        call.write_u32(count_at, size)
    }

    pub(crate) fn fd_seek<M: GuestMemory>(&mut self, call: &mut Call<'_, M>) -> Result<(), Stop> {
        let (fd, delta, whence, at) = (call.u32(0), call.u64(1) as i64, call.u32(2), call.u32(3));
        call.check(at, 8, 8)?;
        call.pay(0, 0)?;

        if 2 < whence {
            return Err(Errno::Invalid.into());
        }
        let file = self.seekable(fd)?;
        let base = match whence {
            0 => 0,
            1 => file.offset,
            _ => self.tree.content(file.inode)?.len(),
        };
        // Positions stay within an i64, as every libc keeps them.
        let offset = base
            .checked_add_signed(delta)
            .filter(|offset| i64::try_from(*offset).is_ok())
            .ok_or(Errno::Invalid)?;
        if let Descriptor::File(file) = self.descriptors.get_mut(fd)? {
            file.offset = offset;
        }
        call.write(at, &offset.to_le_bytes())
    }

    pub(crate) fn fd_tell<M: GuestMemory>(&mut self, call: &mut Call<'_, M>) -> Result<(), Stop> {
        let (fd, at) = (call.u32(0), call.u32(1));
        call.check(at, 8, 8)?;
        call.pay(0, 0)?;

        let offset = self.seekable(fd)?.offset;
        call.write(at, &offset.to_le_bytes())
    }

    /// The regular file behind a descriptor. A stream is told apart from what is no file at all.
    fn seekable(&self, fd: u32) -> Result<OpenFile, Errno> {
        match self.descriptors.get(fd)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Directory { .. } => Err(Errno::BadDescriptor),
            _ => Err(Errno::NotSeekable),
        }
    }

    /// Makes room in the output for `size` bytes, and lends it for filling.
    fn output_place(&mut self, size: u32) -> Result<&mut [u8], Stop> {
        let end = (self.stdout.len() as u64).saturating_add(u64::from(size));
        // Not cut and not an error number: half an output would be a wrong answer that looks
        // like a right one.
        if self.limits.output_bytes_max < end {
            return Err(Ended::Fault.into());
        }
        let max = self.limits.output_bytes_max;
        Ok(lengthen(&mut self.stdout, size as usize, max)?)
    }

    /// Writes all buffers into a file, or nothing.
    fn write<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
        buffers: Buffers,
        inode: Inode,
        offset: u64,
    ) -> Result<(), Stop> {
        let size = u64::from(buffers.size()?);
        if size == 0 {
            return Ok(());
        }
        let cost = self.tree.write_cost(inode, offset, size)?;
        call.pay(size.saturating_add(cost), 0)?;
        call.gather(buffers, self.tree.write_place(inode, offset, size)?)
    }
}

/// Fills the buffers with what `content` has from `offset` on, and tells the guest how much.
fn read<M: GuestMemory>(
    call: &mut Call<'_, M>,
    buffers: Buffers,
    content: &Content,
    offset: u64,
    count_at: u32,
) -> Result<u32, Stop> {
    let size = u64::from(buffers.size()?);
    let end = content.len().min(offset.saturating_add(size));
    call.pay(end.saturating_sub(offset), 0)?;

    let moved = call.scatter(buffers, content.pieces(offset, end))?;
    call.write_u32(count_at, moved)?;
    Ok(moved)
}
