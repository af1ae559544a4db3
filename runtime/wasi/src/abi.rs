//! The numbers of WASI preview 1 that this table can answer with, and the layouts of its structs.
//!
//! Every layout is written whole, padding included, because a byte left as it was would carry the
//! guest's own history into its answer, and two hosts could leave different bytes.

/// What a call answers: 0, or why it did nothing.
///
/// Only the numbers that `haar-wasi/1` uses are listed; preview 1 has more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum Errno {
    /// The call did what it was asked.
    Success = 0,
    /// The descriptor is not open, or not for this.
    BadDescriptor = 8,
    /// The name is taken.
    Exists = 20,
    /// The path is not UTF-8.
    IllegalBytes = 25,
    /// A number or flag has no meaning here.
    Invalid = 28,
    /// The path names a directory, and a file was wanted.
    IsDirectory = 31,
    /// Every descriptor is in use.
    TooManyFiles = 33,
    /// A path, or a part of it, is too long, or a buffer is too short for a name.
    NameTooLong = 37,
    /// There is nothing of that name.
    NoEntry = 44,
    /// The tree is full.
    NoSpace = 51,
    /// A part of the path is not a directory.
    NotDirectory = 54,
    /// The directory still has entries.
    NotEmpty = 55,
    /// This version does not do that.
    NotSupported = 58,
    /// The path leads out of the directory it started from.
    NotPermitted = 63,
    /// The descriptor has no position.
    NotSeekable = 70,
}

impl Errno {
    /// The number that the guest sees.
    pub const fn code(self) -> u16 {
        self as u16
    }
}

/// The type of one parameter in the imported function's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// A 32-bit number: a descriptor, an address, a length, a flag set.
    I32,
    /// A 64-bit number: an offset, a time, a set of rights.
    I64,
}

pub(crate) const FD_READ: u64 = 1 << 1;
pub(crate) const FD_WRITE: u64 = 1 << 6;
/// Every right that preview 1 names; others are refused.
pub(crate) const RIGHTS_ALL: u64 = (1 << 30) - 1;
/// libc masks what it asks of `path_open` with these two, so they decide what a guest may do.
pub(crate) const RIGHTS_DIRECTORY: u64 = 0x07B7_FE00;
pub(crate) const RIGHTS_DIRECTORY_INHERITING: u64 = 0x0FF7_FFFF;

pub(crate) const FDFLAG_APPEND: u32 = 1;
pub(crate) const FDFLAG_DSYNC: u32 = 2;
pub(crate) const FDFLAG_NONBLOCK: u32 = 4;
pub(crate) const FDFLAG_RSYNC: u32 = 8;
pub(crate) const FDFLAG_SYNC: u32 = 16;
pub(crate) const FDFLAGS_ALL: u32 = 31;

pub(crate) const OFLAG_CREATE: u32 = 1;
pub(crate) const OFLAG_DIRECTORY: u32 = 2;
pub(crate) const OFLAG_EXCLUSIVE: u32 = 4;
pub(crate) const OFLAG_TRUNCATE: u32 = 8;
pub(crate) const OFLAGS_ALL: u32 = 15;

pub(crate) const LOOKUPFLAGS_ALL: u32 = 1;

pub(crate) const FSTFLAG_ATIM: u32 = 1;
pub(crate) const FSTFLAG_ATIM_NOW: u32 = 2;
pub(crate) const FSTFLAG_MTIM: u32 = 4;
pub(crate) const FSTFLAG_MTIM_NOW: u32 = 8;
pub(crate) const FSTFLAGS_ALL: u32 = 15;

pub(crate) const TYPE_UNKNOWN: u8 = 0;
pub(crate) const TYPE_DIRECTORY: u8 = 3;
pub(crate) const TYPE_FILE: u8 = 4;

/// Refuses every bit that `known` does not name.
pub(crate) fn flags(given: u32, known: u32) -> Result<u32, Errno> {
    if given & !known == 0 {
        Ok(given)
    } else {
        Err(Errno::Invalid)
    }
}

/// Refuses the rights that preview 1 does not name.
pub(crate) fn rights(given: u64) -> Result<u64, Errno> {
    if given & !RIGHTS_ALL == 0 {
        Ok(given)
    } else {
        Err(Errno::Invalid)
    }
}

/// Copies `value` into `bytes` at a constant place.
pub(crate) fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(to) = bytes.get_mut(at..at + N) {
        to.copy_from_slice(&value);
    }
}

/// Takes the value at a constant place of `bytes`.
pub(crate) fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..at + N)
        .and_then(|value| value.try_into().ok())
        .unwrap_or([0; N])
}

/// `fdstat`: what a descriptor is and may do.
pub(crate) fn fdstat(filetype: u8, flags: u16, base: u64, inheriting: u64) -> [u8; 24] {
    let mut bytes = [0; 24];
    put(&mut bytes, 0, [filetype]);
    put(&mut bytes, 2, flags.to_le_bytes());
    put(&mut bytes, 8, base.to_le_bytes());
    put(&mut bytes, 16, inheriting.to_le_bytes());
    bytes
}

/// What `filestat` tells of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filestat {
    pub(crate) inode: u64,
    pub(crate) filetype: u8,
    pub(crate) size: u64,
    pub(crate) atim: u64,
    pub(crate) mtim: u64,
}

impl Filestat {
    /// The struct as the guest reads it: device 1, one link, and a change time that stays 0.
    pub(crate) fn to_bytes(self) -> [u8; 64] {
        let mut bytes = [0; 64];
        put(&mut bytes, 0, 1u64.to_le_bytes());
        put(&mut bytes, 8, self.inode.to_le_bytes());
        put(&mut bytes, 16, [self.filetype]);
        put(&mut bytes, 24, 1u64.to_le_bytes());
        put(&mut bytes, 32, self.size.to_le_bytes());
        put(&mut bytes, 40, self.atim.to_le_bytes());
        put(&mut bytes, 48, self.mtim.to_le_bytes());
        bytes
    }
}

/// `dirent` without the name that follows it.
pub(crate) fn dirent(next: u64, inode: u64, name_len: u32, filetype: u8) -> [u8; 24] {
    let mut bytes = [0; 24];
    put(&mut bytes, 0, next.to_le_bytes());
    put(&mut bytes, 8, inode.to_le_bytes());
    put(&mut bytes, 16, name_len.to_le_bytes());
    put(&mut bytes, 20, [filetype]);
    bytes
}
