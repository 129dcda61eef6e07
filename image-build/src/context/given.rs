//! The files of a context that is no directory of this machine: where they come from, and how they become a tree.

use std::{io::Read, sync::Arc};

use image_core::{
    Ctx,
    hasher::Sha256,
    observer::{Outcome, TaskKind},
};
use image_overlay::{Entry, EntryKind, FileTree, LayerPath, Metadata, NodeId, NodeRef};
use rustix::fs::{FileType, RawMode};

use super::{ContextFile, ContextTree, ModePolicy, Unread, open::belongs};
use crate::{
    error::{Error, Result},
    files::FileFacts,
    ignore::{Ignore, Verdict},
};

/// The mode of a directory that nothing names.
const IMPLIED_MODE: u32 = 0o755;

/// Where the files of a build context come from, where they are no directory: an archive, memory, a commit.
///
/// [`BuildContext::from_source`](super::BuildContext::from_source) makes a context of one. The context asks for the files
/// once, applies its ignore file and its modes, and opens those that a build needs. What is built has the same digests and keys
/// as from a directory with the same files.
///
/// The files hold still for as long as the source is there. The suite `context_conformance` (feature `conformance`)
/// tells whether an implementation keeps this contract. One reports its own errors by
/// [`Error::external`].
pub trait ContextSource: Send + Sync {
    /// What it is called in progress and errors. Builds from sources of one name are compared with each other.
    fn name(&self) -> String;

    /// Tells of every file once, and ends with the first error that `found` gives back.
    ///
    /// Directories may be left out where there is something in them: they have mode 0755 then. A hard link comes
    /// behind the file that it names. Owners do not count. Paths may come in any other order.
    ///
    /// # Errors
    /// Where the files cannot be listed, or `ctx` is cancelled.
    fn list(&self, found: &mut dyn FnMut(SourceEntry) -> Result<()>, ctx: &Ctx) -> Result<()>;

    /// Opens a regular file by its path; `None` where there is none. Several threads may call it. Whether a link is followed is
    /// the source's matter: builds ask for none.
    ///
    /// # Errors
    /// Where the file cannot be read.
    fn open(&self, path: &LayerPath) -> Result<Option<Box<dyn Read + Send>>>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<S: ContextSource + ?Sized> ContextSource for $pointer {
            fn name(&self) -> String {
                (**self).name()
            }

            fn list(&self, found: &mut dyn FnMut(SourceEntry) -> Result<()>, ctx: &Ctx) -> Result<()> {
                (**self).list(found, ctx)
            }

            fn open(&self, path: &LayerPath) -> Result<Option<Box<dyn Read + Send>>> {
                (**self).open(path)
            }
        }
    )+};
}

forward!(&S, Box<S>, Arc<S>);

/// A file of a [`ContextSource`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceEntry {
    /// Its path from the context's root, its kind and its attributes.
    pub entry: Entry,
    /// The SHA-256 of a regular file's content, where it is known without reading the file. It is believed.
    pub sha256: Option<[u8; 32]>,
}

impl SourceEntry {
    /// A file whose content is to be read.
    #[must_use]
    pub fn new(entry: Entry) -> Self {
        Self { entry, sha256: None }
    }

    /// A file of this content.
    #[must_use]
    pub fn with_sha256(self, sha256: [u8; 32]) -> Self {
        Self { sha256: Some(sha256), ..self }
    }
}

/// Lists the files of a source, but for those that `ignore` leaves out.
pub(super) fn list(source: &dyn ContextSource, ignore: &Ignore, modes: ModePolicy, ctx: &Ctx) -> Result<ContextTree> {
    let task = ctx.begin(TaskKind::Fingerprint, &format!("list {}", source.name()), None);
    let mut tree = ContextTree::new();
    let mut add = |file: SourceEntry| {
        ctx.check()?;
        let SourceEntry { mut entry, sha256 } = file;
        let kind = file_type(&entry.kind);
        entry.metadata.mode = modes.mode(kind.as_raw_mode() | (entry.metadata.mode & 0o7777) as RawMode);
        entry.metadata.xattrs.retain(|name, _| belongs(name));
        let content = match entry.kind {
            EntryKind::File { size } => Some(content(size, sha256, &mut entry.metadata)),
            _ => None,
        };
        place(&mut tree, entry, content).map(drop)
    };
    source.list(&mut add, ctx)?;
    prune(&mut tree, ignore);
    task.end(Outcome::Done);
    Ok(tree)
}

fn file_type(kind: &EntryKind) -> FileType {
    match kind {
        EntryKind::Directory => FileType::Directory,
        EntryKind::File { .. } | EntryKind::HardLink { .. } => FileType::RegularFile,
        EntryKind::Symlink { .. } => FileType::Symlink,
        EntryKind::CharDevice { .. } => FileType::CharacterDevice,
        EntryKind::BlockDevice { .. } => FileType::BlockDevice,
        EntryKind::Fifo => FileType::Fifo,
    }
}

/// What is known of a file's content. Its extended attributes are kept with it, as those of a directory's files are.
fn content(size: u64, sha256: Option<[u8; 32]>, metadata: &mut Metadata) -> ContextFile {
    let xattrs = std::mem::take(&mut metadata.xattrs);
    let xattrs = (!xattrs.is_empty()).then(|| Box::new(xattrs));
    let facts = sha256.map(|sha256| FileFacts { xattrs: xattrs.clone(), ..FileFacts::plain(size, sha256) });
    ContextFile::given(xattrs, facts)
}

/// Puts a file into a tree. No link is followed, and no directory replaced by what is none.
pub(super) fn place<C: Clone>(tree: &mut FileTree<C>, entry: Entry, content: Option<C>) -> Result<NodeId> {
    let Entry { path, kind, metadata, .. } = entry;
    let refuse = |reason| Err(Error::ContextEntry { path: path.to_string(), reason });
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        let root = tree.root().id();
        if !kind.is_directory() {
            return refuse("the root is no directory");
        }
        // Its mode is nobody's: what is copied is in it.
        let mut own = Metadata::new(IMPLIED_MODE);
        own.xattrs = metadata.xattrs;
        tree.set_metadata(root, own);
        return Ok(root);
    };
    let mut directory = tree.root().id();
    for name in parent.components() {
        directory = match tree.node(directory).child(name) {
            Some(node) if node.is_directory() => node.id(),
            Some(_) => return refuse("what it is in is no directory"),
            None => tree.insert(directory, name, EntryKind::Directory, Metadata::new(IMPLIED_MODE), None),
        };
    }
    let standing = tree.node(directory).child(name);
    if !kind.is_directory() && standing.is_some_and(|node| node.children().next().is_some()) {
        return refuse("it is a directory with files in it already");
    }
    let EntryKind::HardLink { target } = kind else { return Ok(tree.insert(directory, name, kind, metadata, content)) };
    match tree.get(&target).filter(|node| !node.is_directory()).map(NodeRef::id) {
        Some(target) => Ok(tree.link(directory, name, target)),
        None => refuse("it is a hard link to what is no file of the context"),
    }
}

/// Takes out what an ignore file leaves out. A directory that is left out stays while it holds what is not.
fn prune(tree: &mut ContextTree, ignore: &Ignore) {
    if ignore.is_empty() {
        return;
    }
    let mut todo = vec![(tree.root().id(), Vec::new(), Verdict::default())];
    let (mut gone, mut emptied) = (Vec::new(), Vec::new());
    while let Some((directory, path, verdict)) = todo.pop() {
        for node in tree.node(directory).children() {
            let mut path = path.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(node.name());
            let verdict = ignore.verdict(verdict, &path);
            if verdict.is_excluded() && (!node.is_directory() || ignore.may_skip(verdict, &path)) {
                gone.push(node.id());
                continue;
            }
            if verdict.is_excluded() {
                emptied.push(node.id());
            }
            if node.is_directory() {
                todo.push((node.id(), path, verdict));
            }
        }
    }
    gone.into_iter().for_each(|id| tree.remove(id));
    // Those in a directory come behind it.
    for id in emptied.into_iter().rev() {
        if tree.node(id).children().next().is_none() {
            tree.remove(id);
        }
    }
}

/// Reads and hashes files.
pub(super) fn fingerprint(source: &dyn ContextSource, todo: &[Unread<'_>], ctx: &Ctx) -> Result<()> {
    let bytes = todo.iter().map(|(node, _)| node.kind().size()).sum();
    let task = ctx.begin(TaskKind::Fingerprint, &format!("{} files of {}", todo.len(), source.name()), Some(bytes));
    let mut buffer = vec![0; 256 << 10];
    for (node, content) in todo {
        let path = node.path();
        let mut file = open(source, &path)?;
        let (mut hasher, mut size) = (Sha256::default(), 0);
        loop {
            ctx.check()?;
            let failed = |e| Error::io("read", path_of(source, &path), e);
            let n = super::open::read_in(&mut file, &mut buffer).map_err(failed)?;
            if n == 0 {
                break;
            }
            hasher.update(buffer.get(..n).unwrap_or_default());
            size += n as u64;
        }
        if size != node.kind().size() {
            return Err(Error::changed(path_of(source, &path)));
        }
        task.advance(size, 1);
        let facts = FileFacts { xattrs: content.xattrs.clone(), ..FileFacts::plain(size, hasher.finish()) };
        drop(content.facts.set(Box::new(facts)));
    }
    task.end(Outcome::Done);
    Ok(())
}

/// Opens a file that was listed.
pub(super) fn open(source: &dyn ContextSource, path: &LayerPath) -> Result<Box<dyn Read + Send>> {
    source.open(path)?.ok_or_else(|| Error::changed(path_of(source, path)))
}

fn path_of(source: &dyn ContextSource, path: &LayerPath) -> String {
    format!("{}{path}", source.name())
}
