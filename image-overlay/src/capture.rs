//! The tree that an overlay mount shows, from its upper directory and the tree below it, without the mount.
//!
//! - `marks`: what the mount writes of its own into the upper directory;
//! - `merge`: how the one is laid over the other;
//! - `upper`: the upper directory, and what of the lower one it is about.

mod marks;
mod merge;
mod upper;

use std::io::Read;

use image_core::Ctx;

use self::merge::{merge, whole};
pub(crate) use self::upper::Over;
pub use self::upper::UpperDir;
use crate::{
    error::{Error, Result},
    overlayfs::OverlayXattrs,
    root::Root,
    scan::DirSource,
    source::{InodeState, OpenFile, TreeSource},
    tree::{FileTree, NodeId},
};

/// Which of the two trees has a file.
#[derive(Debug, Clone, Copy)]
enum Place {
    Lower(NodeId),
    Upper(NodeId),
}

/// What is known of a file's content: whether the upper directory has it or the tree below.
#[derive(Debug, Clone, Copy)]
pub struct CapturedContent(Place);

/// The tree of an overlay mount: an upper directory over a lower tree.
///
/// What was done through the mount is the [`diff`](crate::diff()) of the lower tree and this one. So a file that
/// was copied up and is the same still is no change, and one that is another is a change whatever its time and size.
/// The lower tree must be that of the mount's lower directories; it may be an image's, whose layers they are.
///
/// All of the mount's attributes are understood: whiteouts in both forms, opaque directories, directories that were
/// renamed with `redirect_dir`, and files whose content was not copied up with `metacopy`. They are no part of
/// the tree. Of the upper directory all is looked at, and no file is read.
///
/// The mount has to be gone, or nobody may write to it meanwhile.
///
/// ```
/// use image_core::{Ctx, MemoryBlobStore};
/// use image_overlay::{CapturedSource, DiffOptions, DirSource, OverlayXattrs, PackOptions, Root, diff};
/// let (lower, upper) = (tempfile::tempdir()?, tempfile::tempdir()?);
/// std::fs::write(lower.path().join("motd"), "hi\n")?;
/// std::fs::write(upper.path().join("motd"), "ho\n")?;
///
/// let ctx = Ctx::default();
/// let lower = DirSource::scan(Root::open(lower.path())?, &ctx)?;
/// let captured = CapturedSource::new(&lower, Root::open(upper.path())?, OverlayXattrs::Trusted, &ctx)?;
/// let changes = diff(&lower, &captured, &DiffOptions::default(), &ctx)?;
/// let lines: Vec<_> = changes.iter().map(|change| format!("{} {}", change.letter(), change.path())).collect();
/// assert_eq!(lines, ["C /", "C /motd"]);
/// let layer = changes.pack(&MemoryBlobStore::default(), PackOptions::default(), &ctx)?;
/// assert_eq!(layer.toc.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Spec
/// Linux, Documentation/filesystems/overlayfs.rst, § Upper and Lower to § Metadata only copy up.
#[derive(Debug)]
pub struct CapturedSource<'a, L: TreeSource> {
    lower: &'a L,
    upper: DirSource,
    tree: FileTree<CapturedContent>,
}

impl<'a, L: TreeSource> CapturedSource<'a, L> {
    /// Looks at all that is in an upper directory, and lays it over the lower tree.
    ///
    /// # Errors
    /// [`Error::Captured`] for what is said to come from where the lower tree has no such thing; otherwise
    /// as [`DirSource::scan`].
    pub fn new(lower: &'a L, upper: Root, xattrs: OverlayXattrs, ctx: &Ctx) -> Result<Self> {
        Self::over(lower, UpperDir::look(upper, xattrs, ctx)?, ctx)
    }

    /// Lays an upper directory that was looked at over the lower tree. Of a lower directory, [`UpperDir::scan_lower`] finds what
    /// is needed.
    ///
    /// # Errors
    /// [`Error::Captured`] for what is said to come from where the lower tree has no such thing.
    pub fn over(lower: &'a L, upper: UpperDir, ctx: &Ctx) -> Result<Self> {
        let UpperDir { source: upper, marks } = upper;
        let tree = merge(lower.tree(), upper.tree(), marks, ctx)?;
        Ok(Self { lower, upper, tree })
    }

    /// Takes a directory for what was once all of the lower tree, and was changed in place. No mark means anything in it.
    ///
    /// # Errors
    /// As [`DirSource::scan`].
    pub fn of_whole(lower: &'a L, changed: Root, ctx: &Ctx) -> Result<Self> {
        let upper = DirSource::scan(changed, ctx)?;
        let tree = whole(upper.tree(), ctx)?;
        Ok(Self { lower, upper, tree })
    }

    fn place(&self, file: NodeId) -> Option<Place> {
        self.tree.node(file).content().map(|content| content.0)
    }

    fn no_file(&self, node: NodeId) -> Error {
        Error::inapplicable(&self.tree.node(node).path(), "it is no regular file")
    }
}

impl<L: TreeSource> TreeSource for CapturedSource<'_, L> {
    type Content = CapturedContent;

    fn tree(&self) -> &FileTree<CapturedContent> {
        &self.tree
    }

    fn files<'s>(&'s self, wanted: &[NodeId], ctx: &'s Ctx) -> Result<OpenFile<'s>> {
        let (mut below, mut above) = (Vec::new(), Vec::new());
        for place in wanted.iter().filter_map(|file| self.place(*file)) {
            match place {
                Place::Lower(file) => below.push(file),
                Place::Upper(file) => above.push(file),
            }
        }
        let (lower, upper) = (self.lower.files(&below, ctx)?, self.upper.files(&above, ctx)?);
        Ok(Box::new(move |file| -> Result<Box<dyn Read>> {
            match self.place(file) {
                Some(Place::Lower(file)) => lower(file),
                Some(Place::Upper(file)) => upper(file),
                None => Err(self.no_file(file)),
            }
        }))
    }

    fn known_digest(&self, file: NodeId) -> Option<[u8; 32]> {
        match self.place(file)? {
            Place::Lower(file) => self.lower.known_digest(file),
            Place::Upper(file) => self.upper.known_digest(file),
        }
    }

    fn inode(&self, file: NodeId) -> Option<InodeState> {
        match self.place(file)? {
            Place::Lower(file) => self.lower.inode(file),
            Place::Upper(file) => self.upper.inode(file),
        }
    }
}
