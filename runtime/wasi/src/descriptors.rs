//! The guest's open descriptors.

use crate::abi::{Errno, FDFLAG_APPEND};
use crate::environment::DESCRIPTORS_MAX;
use crate::tree::Inode;

/// An open regular file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenFile {
    pub(crate) inode: Inode,
    pub(crate) offset: u64,
    pub(crate) can_read: bool,
    pub(crate) can_write: bool,
    pub(crate) flags: u16,
}

/// What a number stands for. The kind moves with `fd_renumber`, so nothing asks for number 0, 1
/// or 2.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Descriptor {
    Stdin { flags: u16 },
    Stdout { flags: u16 },
    Stderr { flags: u16 },
    File(OpenFile),
    Directory { inode: Inode, is_preopened: bool },
}

impl Descriptor {
    /// The node that must live as long as the descriptor is open.
    pub(crate) fn inode(self) -> Option<Inode> {
        match self {
            Self::File(OpenFile { inode, .. }) | Self::Directory { inode, .. } => Some(inode),
            Self::Stdin { .. } | Self::Stdout { .. } | Self::Stderr { .. } => None,
        }
    }
}

/// The table of open descriptors.
#[derive(Clone, Debug)]
pub(crate) struct Descriptors {
    /// Invariant: at most `DESCRIPTORS_MAX` slots.
    slots: Vec<Option<Descriptor>>,
}

impl Descriptors {
    /// The standard three, and the root as the only preopened directory.
    pub(crate) fn new(root: Inode) -> Self {
        let append = FDFLAG_APPEND as u16;
        Self {
            slots: vec![
                Some(Descriptor::Stdin { flags: 0 }),
                Some(Descriptor::Stdout { flags: append }),
                Some(Descriptor::Stderr { flags: append }),
                Some(Descriptor::Directory {
                    inode: root,
                    is_preopened: true,
                }),
            ],
        }
    }

    pub(crate) fn get(&self, fd: u32) -> Result<Descriptor, Errno> {
        self.slots
            .get(fd as usize)
            .copied()
            .flatten()
            .ok_or(Errno::BadDescriptor)
    }

    pub(crate) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.slots
            .get_mut(fd as usize)
            .and_then(Option::as_mut)
            .ok_or(Errno::BadDescriptor)
    }

    /// The directory from which a path starts.
    pub(crate) fn directory(&self, fd: u32) -> Result<Inode, Errno> {
        match self.get(fd)? {
            Descriptor::Directory { inode, .. } => Ok(inode),
            _ => Err(Errno::NotDirectory),
        }
    }

    /// The smallest number that is not in use.
    pub(crate) fn free(&self) -> Result<u32, Errno> {
        let number = self
            .slots
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.slots.len());
        if number < DESCRIPTORS_MAX {
            Ok(number as u32)
        } else {
            Err(Errno::TooManyFiles)
        }
    }

    /// Opens a number that `free` gave.
    pub(crate) fn put(&mut self, fd: u32, descriptor: Descriptor) {
        let number = fd as usize;
        if number == self.slots.len() && number < DESCRIPTORS_MAX {
            self.slots.push(Some(descriptor));
        } else if let Some(slot) = self.slots.get_mut(number) {
            *slot = Some(descriptor);
        }
    }

    /// Closes a number and returns what it stood for.
    pub(crate) fn take(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        self.slots
            .get_mut(fd as usize)
            .and_then(Option::take)
            .ok_or(Errno::BadDescriptor)
    }
}
