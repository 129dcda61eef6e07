//! File trees in memory: many layers merged into one view, without extracting anything.
//!
//! A [`FileTree`] is generic over what it knows of a file's content: an [`ImageTree`](crate::ImageTree) knows the
//! layer and the place in it; a build context's tree knows how to open the file. So one set of
//! questions (look up a path through symlinks inside the root, list, walk) serves both.

mod children;
mod chunked;
mod map;
mod node;
mod nodes;
mod shared;

use std::{collections::HashSet, sync::Arc};

use image_core::Timestamp;

use self::{chunked::Chunked, nodes::Nodes, shared::Shared};
pub use self::{map::PathMap, node::NodeRef};
use crate::{
    entry::{EntryKind, Metadata},
    error::{Error, Result},
    path::{LayerPath, escape},
};

/// How many symlinks a lookup follows before it gives up, as the kernel does.
pub const MAX_SYMLINKS: usize = 40;

/// One name in a tree. Valid only for the tree that gave it, and until that name is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

/// The file that several names may share. Equal for hard links of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(u32);

#[derive(Debug, Clone)]
struct Inode<C> {
    kind: EntryKind,
    /// Without the time.
    metadata: Arc<Metadata>,
    mtime: Timestamp,
    content: Option<C>,
}

/// A tree of files whose content is known as `C`.
///
/// Base for [`ImageTree`](crate::ImageTree); the root always exists and is a directory. A clone takes little time and
/// memory: it shares with the tree whatever neither changes later.
#[derive(Debug, Clone)]
pub struct FileTree<C> {
    nodes: Nodes<InodeId>,
    inodes: Chunked<Inode<C>>,
    /// The files that were given several names.
    linked: HashSet<InodeId>,
    /// How many directories were made that nobody named.
    implied: usize,
    shared: Shared,
}

/// Whether a lookup follows a symlink that is the last component of a path.
/// Those before it are always followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Follow {
    /// Yes, to what it points at.
    Last,
    /// No: the answer is the symlink itself.
    NotLast,
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolved {
    /// The path without symlinks, `.` and `..`.
    pub path: LayerPath,
    /// What is there; `None` where the last components do not exist.
    pub node: Option<NodeId>,
}

impl<C> Default for FileTree<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> FileTree<C> {
    /// A tree of nothing but its root: a directory of mode 0755, owner 0:0 and time 0.
    #[must_use]
    pub fn new() -> Self {
        let mut shared = Shared::default();
        let (metadata, mtime) = shared.metadata(Metadata::new(0o755));
        let inode = Inode { kind: EntryKind::Directory, metadata, mtime, content: None };
        Self { nodes: Nodes::of(InodeId(0)), inodes: Chunked::of(inode), linked: HashSet::new(), implied: 0, shared }
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> NodeRef<'_, C> {
        self.node(NodeId(0))
    }

    /// The name with this id.
    #[must_use]
    pub fn node(&self, id: NodeId) -> NodeRef<'_, C> {
        NodeRef { tree: self, id }
    }

    /// What stands at exactly this path. No symlink is followed.
    #[must_use]
    pub fn get(&self, path: &LayerPath) -> Option<NodeRef<'_, C>> {
        path.components().try_fold(self.root(), |node, name| node.child(name))
    }

    /// What a path leads to, as under chroot: symlinks are followed, absolute ones from the root,
    /// and `..` of the root is the root.
    ///
    /// # Errors
    /// [`Error::TooManySymlinks`], naming the path.
    pub fn lookup(&self, path: &[u8], follow: Follow) -> Result<Option<NodeRef<'_, C>>> {
        Ok(self.resolve(path, follow)?.node.map(|id| self.node(id)))
    }

    /// Where a path leads, whether or not there is something: components that do not exist are
    /// taken as they are, and `..` takes back the one before.
    ///
    /// # Errors
    /// [`Error::TooManySymlinks`], naming the path.
    pub fn resolve(&self, path: &[u8], follow: Follow) -> Result<Resolved> {
        let mut todo: Vec<Vec<u8>> = components_reversed(path);
        let mut done: Vec<(Vec<u8>, Option<NodeId>)> = Vec::new();
        let mut hops = 0;
        while let Some(name) = todo.pop() {
            if name == b".." {
                done.pop();
                continue;
            }
            let here = done.last().map_or(Some(NodeId(0)), |(_, node)| *node);
            let node = here.and_then(|id| self.node(id).child(&name));
            if let Some(EntryKind::Symlink { target }) = node.map(|node| node.kind())
                && (follow == Follow::Last || !todo.is_empty())
            {
                hops += 1;
                if hops > MAX_SYMLINKS {
                    return Err(Error::TooManySymlinks { path: escape(path) });
                }
                if target.first() == Some(&b'/') {
                    done.clear();
                }
                todo.extend(components_reversed(target));
                continue;
            }
            done.push((name, node.map(|node| node.id)));
        }
        let node = done.last().map_or(Some(NodeId(0)), |(_, node)| *node);
        let names: Vec<Vec<u8>> = done.into_iter().map(|(name, _)| name).collect();
        let path = LayerPath::parse(&names.join(&b'/'))?;
        Ok(Resolved { path, node })
    }

    /// All names below and including `start`, a directory before its children, children by name.
    pub fn walk<'a>(&'a self, start: NodeRef<'a, C>) -> impl Iterator<Item = NodeRef<'a, C>> {
        self.nodes.walk(start.id).map(|id| self.node(id))
    }

    /// All names that the tree ever had, in the order in which they came; also those that were removed or replaced since.
    pub(crate) fn all_names(&self) -> impl Iterator<Item = NodeRef<'_, C>> {
        self.names_since(0)
    }

    /// Those of them that came when there had been so many.
    pub(crate) fn names_since(&self, count: usize) -> impl Iterator<Item = NodeRef<'_, C>> {
        (count..self.nodes.len()).map(|place| self.node(NodeId(index(place))))
    }

    /// How many they are.
    pub(crate) fn count_all_names(&self) -> usize {
        self.nodes.len()
    }

    /// Counts a directory that is made though nobody names it; how many there were by now.
    pub(crate) fn count_implied(&mut self) -> usize {
        self.implied += 1;
        self.implied
    }

    /// How many names the tree has, its root included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.walk(self.root()).count()
    }

    /// Whether there is nothing below the root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.root().children().next().is_none()
    }
}

impl<C: Clone> FileTree<C> {
    /// Adds a name for a new file, in place of what has that name now; a directory on a directory
    /// keeps its children and takes the new metadata.
    pub fn insert(
        &mut self,
        parent: NodeId,
        name: &[u8],
        kind: EntryKind,
        metadata: Metadata,
        content: Option<C>,
    ) -> NodeId {
        let place = self.nodes.place(parent, name);
        if let Ok((_, existing)) = place
            && kind == EntryKind::Directory
            && self.node(existing).is_directory()
        {
            self.set_metadata(existing, metadata);
            return existing;
        }
        let inode = InodeId(index(self.inodes.len()));
        let (metadata, mtime) = self.shared.metadata(metadata);
        self.inodes.push(Inode { kind, metadata, mtime, content });
        self.nodes.add(parent, name, place, inode)
    }

    /// Adds another name for the file that `target` names, in place of what has that name now.
    pub fn link(&mut self, parent: NodeId, name: &[u8], target: NodeId) -> NodeId {
        match self.nodes.place(parent, name) {
            Ok((_, existing)) if existing == target => existing,
            place => {
                let inode = self.nodes[target].value;
                self.linked.insert(inode);
                self.nodes.add(parent, name, place, inode)
            }
        }
    }

    /// Removes a name and all below it. The root stays, without its children.
    pub fn remove(&mut self, id: NodeId) {
        match id {
            NodeId(0) => self.nodes.clear(id),
            _ => self.nodes.remove(id),
        }
    }

    /// Whether a name is still there: neither it nor a directory above it was removed or replaced.
    pub(crate) fn is_attached(&self, id: NodeId) -> bool {
        let mut node = self.node(id);
        while node.id != NodeId(0) {
            if node.parent().child(node.name()).map(|child| child.id) != Some(node.id) {
                return false;
            }
            node = node.parent();
        }
        true
    }

    /// Gives a file other metadata, under all its names.
    pub fn set_metadata(&mut self, id: NodeId, metadata: Metadata) {
        let inode = self.nodes[id].value;
        let (metadata, mtime) = self.shared.metadata(metadata);
        let inode = &mut self.inodes[inode.index()];
        (inode.metadata, inode.mtime) = (metadata, mtime);
    }

    /// Gives a file other content, under all its names.
    pub fn set_content(&mut self, id: NodeId, content: C) {
        let inode = self.nodes[id].value;
        self.inodes[inode.index()].content = Some(content);
    }
}

impl NodeId {
    /// Its place among all names that the tree ever had.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl InodeId {
    /// Its place among all files that the tree ever had.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Trees are bounded by the limit on entries per layer and layers per image long before 2^32 names.
fn index(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// The components of a path, the last first; `.` is left out, `..` is not.
pub(crate) fn components_reversed(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|b| *b == b'/').filter(|name| !name.is_empty() && *name != b".").rev().map(<[u8]>::to_vec).collect()
}
