//! The build context: the files that COPY takes, of a directory or from elsewhere.

#[cfg(feature = "conformance")]
pub mod conformance;
mod content;
mod fingerprint;
mod given;
mod memory;
mod mode;
mod open;
pub(crate) mod source;
pub(crate) mod status;
mod tally;
mod tar;
mod walk;

use std::{
    ffi::OsString,
    fmt,
    io::Read,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use image_core::{Ctx, Timestamp};
use image_overlay::{FileTree, LayerPath, NodeRef};
use rustix::{
    fs::{FileType, Mode, OFlags},
    io::Errno,
};

pub use fingerprint::{FileFingerprint, Fingerprint};
pub use given::{ContextSource, SourceEntry};
pub use memory::MemoryContext;
pub use mode::ModePolicy;
pub use tar::TarContext;

use crate::{
    error::{Error, Result},
    files::{FileFacts, Xattrs},
    ignore::Ignore,
    stat_cache::{Fact, Loaded, StatCache},
};
use open::open_beneath;
use status::{Status, TreeRoot};

/// Files that can be copied into an image: those of a directory, or of another [`ContextSource`].
///
/// A directory is opened once; everything in it is reached through that handle, no symlink leads out of it,
/// and what `.dockerignore` excludes is not seen at all. It is listed when something is first
/// copied from it, and a file is read only when it is copied: open the directory anew to see it as it is later.
///
/// Files belong to user and group 0 in an image, whoever owns them here, as with Docker.
#[derive(Debug)]
pub struct BuildContext {
    path: PathBuf,
    files: Files,
    ignore: Ignore,
    modes: ModePolicy,
    listed: OnceLock<Listed>,
    /// Held by who lists it or reads its files, which takes all threads there are.
    reading: Mutex<()>,
}

/// Where the files are.
enum Files {
    /// In this directory.
    Directory(OwnedFd),
    /// Elsewhere.
    Given(Box<dyn ContextSource>),
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(root) => f.debug_tuple("Directory").field(root).finish(),
            Self::Given(source) => f.debug_tuple("Given").field(&source.name()).finish(),
        }
    }
}

/// The files of a build context.
pub(crate) type ContextTree = FileTree<ContextFile>;

/// A regular file that is to be read.
type Unread<'t> = (NodeRef<'t, ContextFile>, &'t ContextFile);

/// What was found when a context was listed.
#[derive(Debug)]
struct Listed {
    tree: ContextTree,
    /// Whether all that a copy needs to know of the files is known, and none is there that cannot be copied.
    is_known: bool,
    /// What is to be kept for later builds; `None` for files that are in no directory, and where nothing is kept.
    stats: Option<Stats>,
}

/// What a directory's list is kept by.
#[derive(Debug)]
struct Stats {
    root: TreeRoot,
    /// When it was listed, as the file system tells the time.
    begun: Timestamp,
    /// Whether more is known of the files than was then.
    learned: AtomicBool,
}

/// What is known of a regular file of the context.
#[derive(Debug, Clone, Default)]
pub(crate) struct ContextFile {
    /// What it was like when it was listed; `None` for a file that is in no directory.
    status: Option<Status>,
    /// The extended attributes of a file that is in no directory.
    xattrs: Option<Box<Xattrs>>,
    /// What its content is in that state.
    fact: OnceLock<Fact>,
    /// What was found when it was read, where its fact does not tell all of it: most files have neither extended
    /// attributes nor changes since they were listed, and there are many.
    facts: OnceLock<Box<FileFacts>>,
}

impl ContextFile {
    /// A file that is in no directory, with what is known of it.
    fn given(xattrs: Option<Box<Xattrs>>, facts: Option<FileFacts>) -> Self {
        let facts = facts.map(|facts| OnceLock::from(Box::new(facts))).unwrap_or_default();
        Self { xattrs, facts, ..Self::default() }
    }

    /// What its content is, and in which state.
    fn known(&self) -> Option<(&Status, &Fact)> {
        Some((self.status.as_ref()?, self.fact.get()?))
    }

    /// Takes what is known of the same file in the same state.
    fn take(&self, other: Self) {
        if let Some(fact) = other.fact.into_inner() {
            let _ = self.fact.set(fact);
        }
        if let Some(facts) = other.facts.into_inner() {
            drop(self.facts.set(facts));
        }
    }

    /// Whether all that a copy needs to know of it is known.
    fn is_read(&self) -> bool {
        self.facts.get().is_some() || self.fact.get().is_some_and(|fact| !fact.has_xattrs)
    }

    /// All that a copy needs to know of it; `None` for a file that was not read yet.
    fn facts(&self) -> Option<FileFacts> {
        if let Some(facts) = self.facts.get() {
            return Some(FileFacts::clone(facts));
        }
        let fact = self.fact.get().filter(|fact| !fact.has_xattrs)?;
        Some(FileFacts::plain(self.status?.size, fact.sha256))
    }
}

impl BuildContext {
    /// Opens a directory; `ignore` says which of its files are not part of the context.
    ///
    /// # Errors
    /// [`Error::is_not_found`], [`Error::is_denied`], or where it is no directory.
    pub fn open(path: impl Into<PathBuf>, ignore: Ignore) -> Result<Self> {
        let path = path.into();
        let root = rustix::fs::open(&path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| Error::io("open the build context", &path, e.into()))?;
        Ok(Self::new(path, Files::Directory(root), ignore))
    }

    /// The files of a source; `ignore` says which of them are not part of the context.
    #[must_use]
    pub fn from_source(source: impl ContextSource + 'static, ignore: Ignore) -> Self {
        let path = PathBuf::from(source.name());
        Self::new(path, Files::Given(Box::new(source)), ignore)
    }

    fn new(path: PathBuf, files: Files, ignore: Ignore) -> Self {
        Self { path, files, ignore, modes: ModePolicy::default(), listed: OnceLock::new(), reading: Mutex::default() }
    }

    /// With modes of files as this policy has them.
    #[must_use]
    pub fn with_modes(self, modes: ModePolicy) -> Self {
        Self { modes, ..self }
    }

    /// The path that it was opened by, or the name of its source.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path from the root of the file system, without links, as far as the system tells; else that it was opened by.
    pub(crate) fn real_path(&self) -> PathBuf {
        let Files::Directory(directory) = &self.files else { return self.path.clone() };
        let link = format!("/proc/self/fd/{}", directory.as_raw_fd());
        let path = rustix::fs::readlink(link, Vec::new())
            .ok()
            .map(|path| PathBuf::from(OsString::from_vec(path.into_bytes())));
        path.filter(|path| path.is_absolute()).unwrap_or_else(|| self.path.clone())
    }

    /// What of it is left out.
    pub(crate) fn ignore(&self) -> &Ignore {
        &self.ignore
    }

    /// Waits until nobody else finds out about its files: then that is known already.
    fn reading(&self) -> MutexGuard<'_, ()> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists the files, once. What `known` knows of them need not be read. Where it knows nothing and all of the files are
    /// wanted, they are read as they are found.
    pub(crate) fn list(&self, known: Option<&StatCache>, wants_all: bool, ctx: &Ctx) -> Result<&ContextTree> {
        let _reading = self.reading();
        if let Some(listed) = self.listed.get() {
            return Ok(&listed.tree);
        }
        let listed = match &self.files {
            Files::Directory(directory) => {
                let failed = |e: Errno| Error::io("list", &self.path, e.into());
                let root = TreeRoot::of(directory).map_err(failed)?;
                let loaded = known.map_or_else(|| Ok(Loaded::nothing()), |known| known.load(&root))?;
                let reads = wants_all && loaded.is_empty();
                let (tree, is_known) = walk::list(self, directory, &loaded, reads, ctx)?;
                let stats = known.map(|_| Stats { root, begun: loaded.begun, learned: AtomicBool::new(reads) });
                Listed { tree, is_known, stats }
            }
            Files::Given(source) => {
                let tree = given::list(source, &self.ignore, self.modes, ctx)?;
                Listed { tree, is_known: false, stats: None }
            }
        };
        Ok(&self.listed.get_or_init(|| listed).tree)
    }

    /// Whether listing it told all that a copy needs to know.
    fn is_known(&self) -> bool {
        self.listed.get().is_some_and(|listed| listed.is_known)
    }

    /// Makes sure of the facts of these regular files.
    fn read_facts(&self, files: &[NodeRef<'_, ContextFile>], ctx: &Ctx) -> Result<()> {
        let _reading = self.reading();
        let files = files.iter().filter_map(|node| Some((node.inode_id(), *node, node.content()?)));
        let mut todo: Vec<_> = files.filter(|(.., content)| !content.is_read()).collect();
        if todo.is_empty() {
            return Ok(());
        }
        // Each once, as they were listed: as they are likely to lie on a disk.
        todo.sort_unstable_by_key(|(inode, ..)| *inode);
        todo.dedup_by_key(|(inode, ..)| *inode);
        let todo: Vec<_> = todo.into_iter().map(|(_, node, content)| (node, content)).collect();
        match &self.files {
            Files::Directory(root) => fingerprint::files(self, root, &todo, ctx),
            Files::Given(source) => given::fingerprint(source, &todo, ctx),
        }
    }

    /// Keeps what was found out about files, for who lists them next.
    pub(crate) fn keep_stats(&self, cache: &StatCache) -> Result<()> {
        let Some(Listed { tree, stats: Some(stats), .. }) = self.listed.get() else { return Ok(()) };
        if !stats.learned.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let files = tree.walk(tree.root()).filter_map(NodeRef::content).filter_map(ContextFile::known);
        cache.save(&stats.root, stats.begun, files.collect())
    }

    /// Notes that more is known of the files.
    fn learn(&self) {
        if let Some(Listed { stats: Some(stats), .. }) = self.listed.get() {
            stats.learned.store(true, Ordering::Relaxed);
        }
    }

    /// Opens a regular file of the context, by its path without symlinks.
    pub(crate) fn open_file(&self, path: &LayerPath) -> Result<Box<dyn Read + Send>> {
        let root = match &self.files {
            Files::Directory(root) => root,
            Files::Given(source) => return given::open(source, path),
        };
        let failed = |e: Errno| Error::io("read", self.path_of(path), e.into());
        let file = open_beneath(root, path).map_err(failed)?;
        let stat = rustix::fs::fstat(&file).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::changed(self.path_of(path)));
        }
        Ok(Box::new(file))
    }

    /// The path of a file of the context, for errors.
    pub(crate) fn path_of(&self, path: &LayerPath) -> PathBuf {
        self.path_of_bytes(path.as_bytes())
    }

    fn path_of_bytes(&self, path: &[u8]) -> PathBuf {
        self.path.join(std::ffi::OsStr::from_bytes(path))
    }
}
