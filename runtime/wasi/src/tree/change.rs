//! New nodes, names that move, and names that go.

use super::content::{Content, Pages};
use super::entries::{Entries, Named};
use super::{Inode, Kind, Node, Place, Tree, WayUp};
use crate::abi::Errno;
use crate::environment::NODES_MAX;

impl Tree {
    /// Makes an empty file where the path led to nothing.
    pub(crate) fn create_file(&mut self, place: &Place) -> Result<Inode, Errno> {
        let name = place.name.as_deref().ok_or(Errno::IsDirectory)?;
        self.add(
            place.parent,
            name,
            Kind::File(Content::Own(Pages::default())),
        )
    }

    /// Makes an empty directory where the path led to nothing.
    pub(crate) fn create_directory(&mut self, place: &Place) -> Result<Inode, Errno> {
        let (None, Some(name)) = (place.inode, place.name.as_deref()) else {
            return Err(Errno::Exists);
        };
        let kind = Kind::Directory {
            parent: place.parent,
            entries: Entries::default(),
        };
        self.add(place.parent, name, kind)
    }

    /// Takes a file's name away.
    pub(crate) fn unlink(&mut self, place: &Place) -> Result<(), Errno> {
        let inode = place.found()?;
        let name = place.name.as_deref().ok_or(Errno::IsDirectory)?;
        if self.is_directory(inode) {
            return Err(Errno::IsDirectory);
        }
        self.drop_name(place.parent, name)
    }

    /// Takes an empty directory's name away.
    pub(crate) fn remove_directory(&mut self, place: &Place) -> Result<(), Errno> {
        let name = place.name.as_deref().ok_or(Errno::Invalid)?;
        self.check_empty(place.found()?)?;
        self.drop_name(place.parent, name)
    }

    /// Moves a name, over another one if that may be replaced. `way` leads up from the new place.
    pub(crate) fn rename(&mut self, from: &Place, to: &Place, way: WayUp) -> Result<(), Errno> {
        let inode = from.found()?;
        let (Some(old_name), Some(new_name)) = (&from.name, &to.name) else {
            return Err(Errno::Invalid);
        };
        if to.inode == Some(inode) {
            return Ok(());
        }

        let is_directory = self.is_directory(inode);
        if way.meets_moved {
            return Err(Errno::Invalid);
        }
        if !is_directory && to.demands_directory {
            return Err(Errno::NotDirectory);
        }
        match to.inode {
            Some(replaced) if is_directory => self.check_empty(replaced)?,
            Some(replaced) if self.is_directory(replaced) => return Err(Errno::IsDirectory),
            Some(_) => {}
            None => self.check_alive(to.parent)?,
        }

        if to.inode.is_some() {
            self.drop_name(to.parent, new_name)?;
        }
        self.names(from.parent)?.remove(old_name);
        self.names(to.parent)?.insert(Named {
            name: new_name.clone(),
            inode,
            is_directory,
        });
        if let Kind::Directory { parent, .. } = &mut self.node_mut(inode)?.kind {
            *parent = to.parent;
        }
        Ok(())
    }

    pub(super) fn add(&mut self, parent: Inode, name: &str, kind: Kind) -> Result<Inode, Errno> {
        self.check_alive(parent)?;
        if NODES_MAX <= self.nodes.len() {
            return Err(Errno::NoSpace);
        }

        let (inode, node) = (self.next, Node::new(kind));
        self.names(parent)?.insert(Named {
            name: name.into(),
            inode,
            is_directory: node.is_directory(),
        });
        self.nodes.insert(inode, node);
        self.next += 1;
        Ok(inode)
    }

    /// A directory that was removed while it was open takes no new names: nothing could ever
    /// free them again.
    fn check_alive(&self, directory: Inode) -> Result<(), Errno> {
        if self.node(directory)?.is_linked {
            Ok(())
        } else {
            Err(Errno::NoEntry)
        }
    }

    fn check_empty(&self, directory: Inode) -> Result<(), Errno> {
        match &self.node(directory)?.kind {
            Kind::File(_) => Err(Errno::NotDirectory),
            Kind::Directory { entries, .. } if entries.is_empty() => Ok(()),
            Kind::Directory { .. } => Err(Errno::NotEmpty),
        }
    }

    fn names(&mut self, directory: Inode) -> Result<&mut Entries, Errno> {
        match &mut self.node_mut(directory)?.kind {
            Kind::Directory { entries, .. } => Ok(entries),
            Kind::File(_) => Err(Errno::NotDirectory),
        }
    }

    fn drop_name(&mut self, parent: Inode, name: &str) -> Result<(), Errno> {
        let inode = self
            .names(parent)?
            .remove(name)
            .ok_or(Errno::NoEntry)?
            .inode;
        self.node_mut(inode)?.is_linked = false;
        self.sweep(inode);
        Ok(())
    }
}
