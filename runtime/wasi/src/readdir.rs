//! Listing a directory.

use crate::abi::{Errno, dirent};
use crate::call::{Call, Stop};
use crate::descriptors::Descriptor;
use crate::memory::GuestMemory;
use crate::wasi::Wasi;

/// Each entry that is written, even in part.
const ENTRY_PRICE: u64 = 50;
const DIRENT_BYTES: u64 = 24;

impl Wasi {
    /// Entries are cut at the buffer's end: a guest sees by a full buffer that there is more.
    pub(crate) fn fd_readdir<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        let (at, len, cookie, used_at) = (call.u32(1), call.u32(2), call.u64(3), call.u32(4));
        call.check(at, u64::from(len), 1)?;
        call.check(used_at, 4, 4)?;
        call.pay(0, 0)?;

        let Descriptor::Directory { inode, .. } = self.descriptors.get(call.u32(0))? else {
            return Err(Errno::BadDescriptor.into());
        };
        let (mut used, mut count) = (0, 0);
        for entry in self.tree.entries(inode, cookie)? {
            if used == u64::from(len) {
                break;
            }
            used = u64::from(len).min(used + DIRENT_BYTES + entry.name.len() as u64);
            count += 1;
        }
        call.pay(used, count * ENTRY_PRICE)?;

        let mut left = used as usize;
        let mut to = at;
        let entries = self.tree.entries(inode, cookie)?.take(count as usize);
        for (index, entry) in entries.enumerate() {
            let next = cookie.saturating_add(index as u64 + 1);
            let name = entry.name.as_bytes();
            let head = dirent(next, entry.inode, name.len() as u32, entry.filetype);
            for part in [&head[..], name] {
                let part = part.get(..left).unwrap_or(part);
                call.write(to, part)?;
                to = to.wrapping_add(part.len() as u32);
                left -= part.len();
            }
        }
        call.write_u32(used_at, used as u32)
    }
}
