//! The upper directory of an overlay mount, and what of the lower one it is about.

use image_core::Ctx;

use super::marks::Marks;
use crate::{
    diff::same_time,
    error::Result,
    overlayfs::OverlayXattrs,
    root::Root,
    scan::{DirContent, DirSource, Sight},
    source::TreeSource,
    tree::{FileTree, NodeRef},
};

/// The upper directory of an overlay mount, looked at.
#[derive(Debug)]
pub struct UpperDir {
    pub(super) source: DirSource,
    pub(super) marks: Marks,
}

impl UpperDir {
    /// Looks at all that is in an upper directory. No file is read.
    ///
    /// # Errors
    /// As [`DirSource::scan`].
    pub fn look(root: Root, xattrs: OverlayXattrs, ctx: &Ctx) -> Result<Self> {
        let source = DirSource::look(root, Sight::Overlay, ctx)?;
        Ok(Self { source, marks: Marks(xattrs) })
    }

    /// Looks at as much of the lower directory as [`CapturedSource::over`](super::CapturedSource::over) needs: what this
    /// one has names for, which takes time for what was changed and not for what is there.
    ///
    /// All of it is looked at where something was renamed from elsewhere in it (`redirect_dir`), and where a file that has
    /// several names may have been copied up without a change. The changes are those that a scan of all of it leads to.
    ///
    /// # Errors
    /// As [`DirSource::scan`].
    pub fn scan_lower(&self, lower: Root, ctx: &Ctx) -> Result<DirSource> {
        let over = Over { tree: self.source.tree(), marks: self.marks };
        let is_renamed = |node: NodeRef<'_, DirContent>| self.marks.origin(&node.metadata()).is_some();
        let hides_all = self.marks.is_opaque(over.top());
        if hides_all || over.tree.walk(over.top()).any(is_renamed) {
            return DirSource::scan(lower, ctx);
        }
        let (scanned, linked) = DirSource::look_beneath(&over, lower, ctx)?;
        // Of which name such a file goes on is decided among all of them.
        if linked.iter().any(|name| over.may_be_same(scanned.tree().node(*name))) {
            return DirSource::scan(scanned.into_root(), ctx);
        }
        Ok(scanned)
    }
}

/// What is laid over a directory.
pub(crate) struct Over<'a> {
    tree: &'a FileTree<DirContent>,
    marks: Marks,
}

impl<'a> Over<'a> {
    /// The directory itself.
    pub(crate) fn top(&self) -> NodeRef<'a, DirContent> {
        self.tree.root()
    }

    /// Whether a directory hides all that is in the one below, so that all that is gone.
    pub(crate) fn is_opaque(&self, dir: NodeRef<'_, DirContent>) -> bool {
        self.marks.is_opaque(dir)
    }

    /// Whether a file below may be the one that is laid over it.
    fn may_be_same(&self, below: NodeRef<'_, DirContent>) -> bool {
        let above = self.tree.get(&below.path());
        above.is_some_and(|above| {
            above.kind() == below.kind() && same_time(below.metadata().mtime, above.metadata().mtime)
        })
    }
}
