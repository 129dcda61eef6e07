//! Trees whose files can be read: what [`diff`](crate::diff()) compares and what a layer is packed from.

use std::io::{ErrorKind, Read};

use image_core::{Ctx, Timestamp, hasher::Sha256};

use crate::{
    error::{Error, Result},
    tree::{FileTree, NodeId},
};

/// Opens a file of a tree.
pub type OpenFile<'s> = Box<dyn Fn(NodeId) -> Result<Box<dyn Read>> + 's>;

/// A tree of files, and how their content is read.
///
/// [`DirSource`](crate::DirSource) is one of a directory, [`ImageSource`](crate::ImageSource) one of an image.
pub trait TreeSource {
    /// What the tree knows of a file's content.
    type Content;

    /// The tree. It does not change.
    fn tree(&self) -> &FileTree<Self::Content>;

    /// Makes regular files ready to be opened, once or often and in any order.
    ///
    /// # Errors
    /// Where content is missing or cannot be read. Opening fails for other files than those `wanted`.
    fn files<'s>(&'s self, wanted: &[NodeId], ctx: &'s Ctx) -> Result<OpenFile<'s>>;

    /// SHA-256 of a regular file's content, holes as zeros.
    ///
    /// # Errors
    /// Where the content cannot be read.
    fn digest(&self, file: NodeId, ctx: &Ctx) -> Result<[u8; 32]> {
        hash(&mut *self.files(&[file], ctx)?(file)?, ctx)
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

/// SHA-256 of all that can be read.
pub(crate) fn hash(content: &mut dyn Read, ctx: &Ctx) -> Result<[u8; 32]> {
    let mut hasher = Sha256::default();
    let mut buffer = vec![0; 256 << 10];
    loop {
        ctx.check()?;
        match content.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::stream("read a file's content", error)),
        }
    }
}
