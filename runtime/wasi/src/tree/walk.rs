//! Where a path leads.

use super::{Inode, Kind, Tree};
use crate::abi::Errno;
use crate::path::Path;

/// The end of a path.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The directory that holds the last name, or the one that the path ends in.
    pub(crate) parent: Inode,
    /// The last name; none if the path ends in `.` or `..`.
    pub(crate) name: Option<Box<str>>,
    /// What is there, if anything is.
    pub(crate) inode: Option<Inode>,
    /// Whether a trailing slash demands a directory. What is there is one then.
    pub(crate) demands_directory: bool,
}

impl Place {
    /// What is there.
    pub(crate) fn found(&self) -> Result<Inode, Errno> {
        self.inode.ok_or(Errno::NoEntry)
    }
}

/// The directories from one up to the root.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WayUp {
    /// How many there are, without the root.
    pub(crate) directories: u64,
    /// Whether the node that is to move is among them.
    pub(crate) meets_moved: bool,
}

impl Tree {
    /// Follows a path from the directory `start`, and never above it.
    pub(crate) fn walk(&self, start: Inode, path: &Path) -> Result<Place, Errno> {
        let demands_directory = path.demands_directory();
        let mut trail = Vec::new();
        let mut here = start;
        let mut parts = path.parts().peekable();
        while let Some(part) = parts.next() {
            match part {
                "." => {}
                ".." => here = trail.pop().ok_or(Errno::NotPermitted)?,
                name => {
                    let inode = self.child(here, name)?;
                    let is_last = parts.peek().is_none();
                    let needs_directory = !is_last || demands_directory;
                    if needs_directory && inode.is_some_and(|inode| !self.is_directory(inode)) {
                        return Err(Errno::NotDirectory);
                    }
                    if is_last {
                        let name = Some(name.into());
                        return Ok(Place {
                            parent: here,
                            name,
                            inode,
                            demands_directory,
                        });
                    }
                    trail.push(here);
                    here = inode.ok_or(Errno::NoEntry)?;
                }
            }
        }
        Ok(Place {
            parent: here,
            name: None,
            inode: Some(here),
            demands_directory,
        })
    }

    /// Follows the parents of `directory` up to the root, if the moved node is a directory too and
    /// so could be among them.
    pub(crate) fn way_up(&self, moved: Inode, mut directory: Inode) -> WayUp {
        let mut way = WayUp::default();
        if !self.is_directory(moved) {
            return way;
        }
        // The root is its own parent, and no other directory is among its own ancestors.
        loop {
            way.meets_moved |= directory == moved;
            match self.node(directory).map(|node| &node.kind) {
                Ok(Kind::Directory { parent, .. }) if *parent != directory => directory = *parent,
                _ => return way,
            }
            way.directories += 1;
        }
    }

    fn child(&self, directory: Inode, name: &str) -> Result<Option<Inode>, Errno> {
        match &self.node(directory)?.kind {
            Kind::Directory { entries, .. } => Ok(entries.get(name)),
            Kind::File(_) => Err(Errno::NotDirectory),
        }
    }
}
