//! Where the files of a COPY come from: the build context, or the root file system of an image or stage.

use std::{collections::BTreeMap, io::Read, path::Path};

use image_core::{Ctx, hasher::Sha256};
use image_overlay::{Content, FileTree, NodeRef};

use crate::error::Result;

/// Extended attributes by full name.
pub(crate) type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// What is known of a regular file's content once it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileFacts {
    /// The size, in bytes.
    pub(crate) size: u64,
    /// The SHA-256 of the content; of a file that is kept with holes, of its data alone.
    pub(crate) sha256: [u8; 32],
    /// What tells where the data lies in a file that is kept with holes: two may have the same data in other places.
    pub(crate) holes: Option<[u8; 32]>,
    /// Extended attributes that belong to the file, where the tree's metadata do not have them.
    pub(crate) xattrs: Option<Box<Xattrs>>,
}

impl FileFacts {
    /// Those of a file without holes and extended attributes.
    pub(crate) fn plain(size: u64, sha256: [u8; 32]) -> Self {
        Self { size, sha256, holes: None, xattrs: None }
    }

    /// Those of a file in a layer.
    pub(crate) fn of_content(content: &Content) -> Self {
        let holes = content.sparse.as_deref().map(|segments| {
            let mut hasher = Sha256::default();
            for segment in segments {
                hasher.update(&segment.offset.to_le_bytes());
                hasher.update(&segment.length.to_le_bytes());
            }
            hasher.finish()
        });
        Self { holes, ..Self::plain(content.size, content.sha256) }
    }
}

/// A tree of files that can be copied into an image.
///
/// The order of calls: [`SourceFiles::tree`], then [`SourceFiles::fingerprint`] for the regular files
/// chosen unless it [`is_known`](SourceFiles::is_known), then [`SourceFiles::facts`] of those; to copy them, [`SourceFiles::fetch`] and the
/// [`Fetched`]'s `open`.
pub(crate) trait SourceFiles {
    /// What the tree knows of a file's content.
    type Content;

    /// The tree.
    fn tree(&self) -> &FileTree<Self::Content>;

    /// Whether all files of the tree may be copied, and the facts of all regular ones are known: then there is nothing to
    /// make sure of.
    fn is_known(&self) -> bool {
        false
    }

    /// Makes sure of the facts of these regular files.
    fn fingerprint(&self, files: &[NodeRef<'_, Self::Content>], ctx: &Ctx) -> Result<()>;

    /// The facts of a regular file that was fingerprinted.
    fn facts(&self, file: NodeRef<'_, Self::Content>) -> Result<FileFacts>;

    /// Makes these regular files' bytes readable in any order; temporary files go into `directory`.
    fn fetch<'a>(
        &'a self,
        files: &[NodeRef<'_, Self::Content>],
        directory: &Path,
        ctx: &Ctx,
    ) -> Result<Box<dyn Fetched<Self::Content> + 'a>>;

    /// Whether a copy keeps the owner that the tree says, or is root's.
    fn keeps_owner(&self) -> bool;

    /// The name of the tree in errors: `the build context`, `stage build`.
    fn name(&self) -> &str;

    /// Whether an ignore file keeps what is at this path out of the tree.
    fn is_ignored(&self, path: &[u8]) -> bool;
}

/// Files whose bytes can be read.
pub(crate) trait Fetched<C> {
    /// Reads a file.
    fn open(&self, file: NodeRef<'_, C>) -> Result<Box<dyn Read>>;
}
