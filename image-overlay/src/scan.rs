//! A directory as a tree whose files can be read.
//!
//! - `listing`: going through the directories, on several threads, and putting together what they hold.

mod listing;

use std::{
    cell::RefCell,
    fs::File,
    os::fd::{AsFd, OwnedFd},
};

use image_core::{Ctx, Timestamp};
use rustix::io::Errno;

use self::listing::{Extent, list};
use crate::{
    capture::Over,
    error::{Error, Result},
    known::KnownFiles,
    root::{FileId, Root, Status, open_file},
    source::{InodeState, OpenFile, TreeSource},
    tree::{FileTree, NodeId},
};

/// What a scan knows of a file's content: which inode has it.
#[derive(Debug, Clone, Copy)]
pub struct DirContent {
    id: FileId,
    changed: Timestamp,
}

/// A directory and all below it, as a layer could hold it, and its files to be read.
///
/// Hard links are kept. Links are never followed. Sockets, which no layer can hold, are left out with a notice,
/// and so are extended attributes of a [class](crate::XattrClass) other than content.
///
/// What changes while it is scanned is seen as it was before or after. A file that is replaced between
/// the scan and its being opened is an error; whoever wants one moment of the tree has it stand still.
///
/// ```
/// use image_core::Ctx;
/// use image_overlay::{DirSource, Root, TreeSource};
/// let dir = tempfile::tempdir()?;
/// std::fs::write(dir.path().join("motd"), "hi\n")?;
/// let scanned = DirSource::scan(Root::open(dir.path())?, &Ctx::default())?;
/// let file = scanned.tree().root().child(b"motd").expect("it was written above");
/// assert_eq!(file.kind().size(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DirSource {
    root: Root,
    tree: FileTree<DirContent>,
    known: KnownFiles,
}

impl DirSource {
    /// Looks at all that is below a root, without reading any file.
    ///
    /// # Errors
    /// A directory that cannot be read, or a path longer than a layer's may be.
    pub fn scan(root: Root, ctx: &Ctx) -> Result<Self> {
        Self::look(root, Sight::Plain, ctx)
    }

    /// Looks at all that is below a root of whose files something is known from before, without asking again for what they have.
    ///
    /// # Errors
    /// As [`DirSource::scan`].
    pub fn scan_known(root: Root, known: KnownFiles, ctx: &Ctx) -> Result<Self> {
        Ok(Self::look_at(Extent::All, root, Sight::Plain, known, ctx)?.0)
    }

    /// Looks at a tree that was unpacked with [`Ownership::Recorded`](crate::Ownership::Recorded): files are of the owners
    /// that are recorded of them, and where nothing is recorded, those of the caller are root's.
    ///
    /// Of links and special files owners cannot be recorded, so they are root's.
    ///
    /// # Errors
    /// As [`DirSource::scan`], and a record that tells no owner.
    pub fn scan_recorded(root: Root, ctx: &Ctx) -> Result<Self> {
        Self::look(root, Sight::Recorded, ctx)
    }

    /// Looks at all that is below a root, seeing it this way.
    pub(crate) fn look(root: Root, sight: Sight, ctx: &Ctx) -> Result<Self> {
        Ok(Self::look_at(Extent::All, root, sight, KnownFiles::default(), ctx)?.0)
    }

    /// Looks at as much of what is below a root as there are names for in what is laid over it. Gives with it the files that
    /// have several names, be these among what was looked at or not.
    pub(crate) fn look_beneath(over: &Over<'_>, root: Root, ctx: &Ctx) -> Result<(Self, Vec<NodeId>)> {
        Self::look_at(Extent::Beneath(over.top(), over), root, Sight::Plain, KnownFiles::default(), ctx)
    }

    fn look_at(
        extent: Extent<'_>,
        root: Root,
        sight: Sight,
        known: KnownFiles,
        ctx: &Ctx,
    ) -> Result<(Self, Vec<NodeId>)> {
        let (tree, linked) = list(&root, extent, sight, &known, ctx)?;
        Ok((Self { root, tree, known }, linked))
    }

    /// With what was known of its files before: those that are as they were need not be read.
    #[must_use]
    pub fn with_known(self, known: KnownFiles) -> Self {
        Self { known, ..self }
    }

    /// The root that was scanned.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The root, to be scanned again.
    pub(crate) fn into_root(self) -> Root {
        self.root
    }

    fn open(&self, file: NodeId, last: &RefCell<Option<(NodeId, OwnedFd)>>) -> Result<File> {
        let node = self.tree.node(file);
        let name_error = |e: Errno| Error::io("open", node.path().to_string(), e.into());
        let parent = node.parent();
        let mut last = last.borrow_mut();
        let (_, dir) = match last.take() {
            Some(open) if open.0 == parent.id() => last.insert(open),
            _ => last.insert((parent.id(), self.root.open_dir(&parent.path())?)),
        };
        let fd = open_file(dir.as_fd(), node.name()).map_err(name_error)?;
        let status = Status::of(&fd).map_err(name_error)?;
        if node.content().map(|content| content.id) != Some(status.id) {
            return Err(name_error(Errno::STALE));
        }
        Ok(fd.into())
    }
}

impl TreeSource for DirSource {
    type Content = DirContent;

    fn tree(&self) -> &FileTree<DirContent> {
        &self.tree
    }

    fn files<'s>(&'s self, _wanted: &[NodeId], _ctx: &'s Ctx) -> Result<OpenFile<'s>> {
        let last = RefCell::new(None);
        Ok(Box::new(move |file| Ok(Box::new(self.open(file, &last)?))))
    }

    fn known_digest(&self, file: NodeId) -> Option<[u8; 32]> {
        self.known.digest(self.inode(file)?, self.tree.node(file).kind().size())
    }

    fn inode(&self, file: NodeId) -> Option<InodeState> {
        let DirContent { id, changed } = self.tree.node(file).content()?;
        Some(InodeState::of(*id, *changed))
    }
}

impl InodeState {
    fn of(id: FileId, changed: Timestamp) -> Self {
        Self { id: (id.device, id.inode), changed }
    }
}

/// How a directory is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// As a tree.
    Plain,
    /// As a tree whose owners are recorded in extended attributes.
    Recorded,
    /// As a layer of an overlay mount: with the mount's own attributes; and what no layer can hold, but what
    /// hides what is below it, is a whiteout.
    Overlay,
}
