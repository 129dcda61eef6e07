//! Trees whose files can be read: what [`diff`](crate::diff()) compares and what a layer is packed from.

use std::io::Read;

use image_core::{Ctx, Timestamp};

use crate::{
    error::Result,
    tree::{FileTree, NodeId},
};

/// Opens a file of a tree.
pub type OpenFile<'s> = Box<dyn Fn(NodeId) -> Result<Box<dyn Read>> + 's>;

/// A tree of files, and how their content is read: by several threads.
///
/// [`DirSource`](crate::DirSource) is one of a directory, [`ImageSource`](crate::ImageSource) one of an image.
pub trait TreeSource: Sync {
    /// What the tree knows of a file's content.
    type Content;

    /// The tree. It does not change.
    fn tree(&self) -> &FileTree<Self::Content>;

    /// Makes regular files ready to be opened, once or often and in any order.
    ///
    /// # Errors
    /// Where content is missing or cannot be read. Opening fails for other files than those `wanted`.
    fn files<'s>(&'s self, wanted: &[NodeId], ctx: &'s Ctx) -> Result<OpenFile<'s>>;

    /// SHA-256 of a regular file's content, holes as zeros, where it is known without reading it.
    fn known_digest(&self, _file: NodeId) -> Option<[u8; 32]> {
        None
    }

    /// The inode behind a regular file; `None` where the tree is of no file system.
    fn inode(&self, _file: NodeId) -> Option<InodeState> {
        None
    }
}

/// An inode of a file system, as it was when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InodeState {
    /// The file system, and the inode in it.
    pub id: (u64, u64),
    /// When content or attributes changed last: nobody can set this time.
    pub changed: Timestamp,
}
