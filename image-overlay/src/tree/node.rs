//! Looking at one name of a tree.

use std::sync::Arc;

use super::{FileTree, Inode, InodeId, NodeId, nodes::Node};
use crate::{
    entry::{EntryKind, Metadata},
    path::LayerPath,
};

/// A name in a tree, with what it names.
#[derive(Debug)]
pub struct NodeRef<'a, C> {
    pub(super) tree: &'a FileTree<C>,
    pub(super) id: NodeId,
}

impl<C> Clone for NodeRef<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for NodeRef<'_, C> {}

impl<'a, C> NodeRef<'a, C> {
    /// The id, which outlives this borrow of the tree.
    #[must_use]
    pub fn id(self) -> NodeId {
        self.id
    }

    fn node(self) -> &'a Node<InodeId> {
        &self.tree.nodes[self.id]
    }

    fn inode(self) -> &'a Inode<C> {
        &self.tree.inodes[self.node().value.index()]
    }

    /// The last component of its path; empty for the root.
    #[must_use]
    pub fn name(self) -> &'a [u8] {
        self.tree.nodes.name(self.id)
    }

    /// The file it names: equal for hard links.
    #[must_use]
    pub fn inode_id(self) -> InodeId {
        self.node().value
    }

    /// Whether the file was ever given another name than this one.
    #[must_use]
    pub fn is_linked(self) -> bool {
        self.tree.linked.contains(&self.inode_id())
    }

    /// What kind of file it is; never [`EntryKind::HardLink`].
    #[must_use]
    pub fn kind(self) -> &'a EntryKind {
        &self.inode().kind
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(self) -> bool {
        *self.kind() == EntryKind::Directory
    }

    /// Mode, owner, time and extended attributes.
    #[must_use]
    pub fn metadata(self) -> Metadata {
        Metadata::clone(&self.inode().metadata).with_mtime(self.inode().mtime)
    }

    /// Mode, owner and extended attributes: all of its metadata but the time, which is 0 here.
    #[must_use]
    pub fn attributes(self) -> &'a Metadata {
        self.timeless_metadata()
    }

    /// Its metadata but for the time. What is equal is the same in all of the tree.
    pub(crate) fn timeless_metadata(self) -> &'a Arc<Metadata> {
        &self.inode().metadata
    }

    /// What is known of its content; `None` for all but regular files.
    #[must_use]
    pub fn content(self) -> Option<&'a C> {
        self.inode().content.as_ref()
    }

    /// The directory it is in; the root is in itself.
    #[must_use]
    pub fn parent(self) -> Self {
        self.tree.node(self.node().parent)
    }

    /// The name below it, if there is one.
    #[must_use]
    pub fn child(self, name: &[u8]) -> Option<Self> {
        let (_, id) = self.tree.nodes.place(self.id, name).ok()?;
        Some(self.tree.node(id))
    }

    /// The names in it, in bytewise order.
    pub fn children(self) -> impl Iterator<Item = Self> + use<'a, C> {
        let tree = self.tree;
        tree.nodes.children(self.id).map(move |id| tree.node(id))
    }

    /// Its path from the root.
    #[must_use]
    pub fn path(self) -> LayerPath {
        self.tree.nodes.path(self.id)
    }
}
