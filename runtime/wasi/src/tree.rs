//! The guest's files: a tree in memory that begins with the job's inputs.
//!
//! Inputs are shared with the host until the guest changes one; then that file is copied. There
//! are no links, so a path never leads back on itself and `..` is the way it came.

mod change;
mod content;
mod entries;
mod hash;
mod sizes;
mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::abi::{Errno, Filestat, TYPE_DIRECTORY, TYPE_FILE};
use crate::environment::{EnvironmentFault, NODES_MAX};
use crate::path::Path;
pub(crate) use content::{Content, NoMemory, lengthen};
use entries::Entries;
pub(crate) use walk::{Place, WayUp};

/// A node's number: given once, in order of creation, and never again.
pub(crate) type Inode = u64;

/// The root is the first path in byte order, so it comes first.
pub(crate) const ROOT: Inode = 1;

#[derive(Clone, Debug)]
struct Node {
    kind: Kind,
    atim: u64,
    mtim: u64,
    /// How many descriptors are open on it.
    opens: u32,
    /// Whether a name leads to it. Without one it lives until the last descriptor is closed.
    is_linked: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    File(Content),
    Directory { parent: Inode, entries: Entries },
}

impl Node {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            atim: 0,
            mtim: 0,
            opens: 0,
            is_linked: true,
        }
    }

    fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory { .. })
    }
}

/// All nodes, and how much they hold.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// Invariant: at most `NODES_MAX`, and `ROOT` is always there.
    nodes: BTreeMap<Inode, Node>,
    next: Inode,
    /// Invariant: the sum of all file sizes, at most `bytes_max`.
    bytes: u64,
    bytes_max: u64,
}

/// One line of a directory listing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    pub(crate) inode: Inode,
    pub(crate) filetype: u8,
}

impl Tree {
    /// Plants the inputs, in bytewise path order, with the directories that lead to them.
    pub(crate) fn new(
        files: BTreeMap<String, Arc<[u8]>>,
        bytes_max: u64,
    ) -> Result<Self, EnvironmentFault> {
        let root = Node::new(Kind::Directory {
            parent: ROOT,
            entries: Entries::default(),
        });
        let mut tree = Self {
            nodes: BTreeMap::from([(ROOT, root)]),
            next: ROOT + 1,
            bytes: 0,
            bytes_max,
        };

        // Every prefix of a path sorts before the path, so parents come first.
        let mut planned: BTreeMap<String, Option<Arc<[u8]>>> = BTreeMap::new();
        for (path, content) in files {
            let is_plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
            if !is_plain || Path::new(path.clone()).is_err() {
                return Err(EnvironmentFault::FilePath { path });
            }
            for (slash, _) in path.match_indices('/') {
                planned
                    .entry(path.get(..slash).unwrap_or_default().to_owned())
                    .or_insert(None);
                if NODES_MAX <= planned.len() {
                    return Err(EnvironmentFault::Files { bytes_max });
                }
            }
            planned.insert(path, Some(content));
            // The root is a node too.
            if NODES_MAX <= planned.len() {
                return Err(EnvironmentFault::Files { bytes_max });
            }
        }
        for (path, content) in planned {
            tree.plant(path, content)?;
        }
        Ok(tree)
    }

    fn plant(&mut self, path: String, content: Option<Arc<[u8]>>) -> Result<(), EnvironmentFault> {
        let full = EnvironmentFault::Files {
            bytes_max: self.bytes_max,
        };
        let found = Path::new(path.clone()).and_then(|path| self.walk(ROOT, &path));
        // The walk fails where another input's file stands in the way.
        let Ok(Place {
            parent,
            name: Some(name),
            ..
        }) = found
        else {
            return Err(EnvironmentFault::FilePath { path });
        };

        let kind = match content {
            None => Kind::Directory {
                parent,
                entries: Entries::default(),
            },
            Some(bytes) => {
                self.bytes = self.bytes.saturating_add(bytes.len() as u64);
                Kind::File(Content::Input(bytes))
            }
        };
        if self.bytes_max < self.bytes {
            return Err(full);
        }
        self.add(parent, &name, kind).map(|_| ()).map_err(|_| full)
    }

    fn node(&self, inode: Inode) -> Result<&Node, Errno> {
        // A descriptor keeps its node alive, so only a mistake of ours can miss.
        self.nodes.get(&inode).ok_or(Errno::BadDescriptor)
    }

    fn node_mut(&mut self, inode: Inode) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(&inode).ok_or(Errno::BadDescriptor)
    }

    pub(crate) fn is_directory(&self, inode: Inode) -> bool {
        self.node(inode).is_ok_and(Node::is_directory)
    }

    /// What `filestat` tells of a node.
    pub(crate) fn stat(&self, inode: Inode) -> Result<Filestat, Errno> {
        let node = self.node(inode)?;
        let (filetype, size) = match &node.kind {
            Kind::File(content) => (TYPE_FILE, content.len()),
            Kind::Directory { .. } => (TYPE_DIRECTORY, 0),
        };
        Ok(Filestat {
            inode,
            filetype,
            size,
            atim: node.atim,
            mtim: node.mtim,
        })
    }

    /// Sets the times that are given.
    pub(crate) fn set_times(
        &mut self,
        inode: Inode,
        atim: Option<u64>,
        mtim: Option<u64>,
    ) -> Result<(), Errno> {
        let node = self.node_mut(inode)?;
        node.atim = atim.unwrap_or(node.atim);
        node.mtim = mtim.unwrap_or(node.mtim);
        Ok(())
    }

    /// The listing of a directory from the entry at `index` on, `.` and `..` first.
    ///
    /// Both of these show the directory's own number: the parent's would tell a guest about a
    /// directory above the one it was given.
    pub(crate) fn entries(
        &self,
        inode: Inode,
        index: u64,
    ) -> Result<impl Iterator<Item = Entry<'_>>, Errno> {
        let Kind::Directory { entries, .. } = &self.node(inode)?.kind else {
            return Err(Errno::BadDescriptor);
        };
        // A cookie beyond every name is no more than past the end.
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let own = [".", ".."].map(|name| Entry {
            name,
            inode,
            filetype: TYPE_DIRECTORY,
        });
        let named = entries.from(index.saturating_sub(own.len())).iter();
        let named = named.map(|named| Entry {
            name: &named.name,
            inode: named.inode,
            filetype: if named.is_directory {
                TYPE_DIRECTORY
            } else {
                TYPE_FILE
            },
        });
        Ok(own.into_iter().skip(index).chain(named))
    }

    /// Notes that a descriptor was opened on a node.
    pub(crate) fn retain(&mut self, inode: Inode) {
        if let Some(node) = self.nodes.get_mut(&inode) {
            node.opens += 1;
        }
    }

    /// Notes that a descriptor was closed, and frees the node if nothing leads to it any more.
    pub(crate) fn release(&mut self, inode: Inode) {
        if let Some(node) = self.nodes.get_mut(&inode) {
            node.opens = node.opens.saturating_sub(1);
        }
        self.sweep(inode);
    }

    fn sweep(&mut self, inode: Inode) {
        let is_dead = self
            .nodes
            .get(&inode)
            .is_some_and(|node| node.opens == 0 && !node.is_linked);
        if !is_dead {
            return;
        }
        if let Some(Node {
            kind: Kind::File(content),
            ..
        }) = self.nodes.remove(&inode)
        {
            self.bytes -= content.len();
        }
    }
}
