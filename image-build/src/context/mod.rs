//! The build context: the directory that COPY takes files from.

mod fingerprint;
mod mode;
mod open;
pub(crate) mod source;
pub(crate) mod status;
mod walk;

use std::{
    ffi::OsString,
    fs::File,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use image_core::{Ctx, Timestamp};
use image_overlay::{FileTree, LayerPath, NodeRef};
use rustix::{
    fs::{FileType, Mode, OFlags, Stat},
    io::Errno,
};

pub use fingerprint::{FileFingerprint, Fingerprint};
pub use mode::ModePolicy;

use crate::{
    error::{Error, Result},
    files::FileFacts,
    ignore::Ignore,
    stat_cache::{Fact, StatCache},
};
use open::{open_beneath, open_directory};
use status::{Status, TreeRoot};

/// A directory whose files can be copied into an image.
///
/// It is opened once; everything in it is reached through that handle, no symlink leads out of it,
/// and what `.dockerignore` excludes is not seen at all. It is listed when something is first
/// copied from it, and a file is read only when it is copied: open the directory anew to see it as it is later.
///
/// Files belong to user and group 0 in an image, whoever owns them here, as with Docker.
#[derive(Debug)]
pub struct BuildContext {
    path: PathBuf,
    root: OwnedFd,
    ignore: Ignore,
    modes: ModePolicy,
    listed: OnceLock<Listed>,
}

/// The files of a build context.
pub(crate) type ContextTree = FileTree<ContextFile>;

/// What was found when a context was listed.
#[derive(Debug)]
struct Listed {
    tree: ContextTree,
    root: TreeRoot,
    /// When, as the file system tells the time.
    begun: Timestamp,
    /// Whether more is known of the files than was then.
    learned: AtomicBool,
}

/// What is known of a regular file of the context.
#[derive(Debug)]
pub(crate) struct ContextFile {
    /// What it was like when it was listed.
    status: Status,
    /// What its content is in that state.
    fact: OnceLock<Fact>,
    /// What was found when it was read.
    facts: OnceLock<FileFacts>,
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
        Ok(Self { path, root, ignore, modes: ModePolicy::default(), listed: OnceLock::new() })
    }

    /// With modes of files as this policy has them.
    #[must_use]
    pub fn with_modes(self, modes: ModePolicy) -> Self {
        Self { modes, ..self }
    }

    /// The path that it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path from the root of the file system, without links, as far as the system tells; else that it was opened by.
    pub(crate) fn real_path(&self) -> PathBuf {
        let link = format!("/proc/self/fd/{}", self.root.as_raw_fd());
        let path = rustix::fs::readlink(link, Vec::new())
            .ok()
            .map(|path| PathBuf::from(OsString::from_vec(path.into_bytes())));
        path.filter(|path| path.is_absolute()).unwrap_or_else(|| self.path.clone())
    }

    /// What of it is left out.
    pub(crate) fn ignore(&self) -> &Ignore {
        &self.ignore
    }

    /// Lists the files, once. What `known` knows of them need not be read.
    pub(crate) fn list(&self, known: &StatCache, ctx: &Ctx) -> Result<&ContextTree> {
        if let Some(listed) = self.listed.get() {
            return Ok(&listed.tree);
        }
        let failed = |e: Errno| Error::io("list", &self.path, e.into());
        let root = TreeRoot::of(&self.root).map_err(failed)?;
        let known = known.load(&root)?;
        let tree = walk::list(self, &known, ctx)?;
        let listed = Listed { tree, root, begun: known.begun, learned: AtomicBool::new(false) };
        Ok(&self.listed.get_or_init(|| listed).tree)
    }

    /// Keeps what was found out about files, for who lists them next.
    pub(crate) fn keep_stats(&self, cache: &StatCache) -> Result<()> {
        let Some(listed) = self.listed.get() else { return Ok(()) };
        if !listed.learned.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let known = |node: NodeRef<'_, ContextFile>| {
            let file = node.content()?;
            Some((file.status, *file.fact.get()?))
        };
        cache.save(&listed.root, listed.begun, listed.tree.walk(listed.tree.root()).filter_map(known).collect())
    }

    /// Notes that more is known of the files.
    fn learn(&self) {
        if let Some(listed) = self.listed.get() {
            listed.learned.store(true, Ordering::Relaxed);
        }
    }

    /// Opens a regular file below the context, by its path without symlinks.
    pub(crate) fn open_file(&self, path: &LayerPath) -> Result<(File, Stat)> {
        let failed = |e: Errno| Error::io("read", self.path_of(path), e.into());
        let file = open_beneath(&self.root, path).map_err(failed)?;
        let stat = rustix::fs::fstat(&file).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::changed(self.path_of(path)));
        }
        Ok((file, stat))
    }

    /// Opens a directory below the context, by its path without symlinks.
    fn open_directory(&self, path: &LayerPath) -> Result<OwnedFd> {
        open_directory(&self.root, path).map_err(|e| Error::io("open", self.path_of(path), e.into()))
    }

    /// The path of a file of the context, for errors.
    pub(crate) fn path_of(&self, path: &LayerPath) -> PathBuf {
        self.path_of_bytes(path.as_bytes())
    }

    fn path_of_bytes(&self, path: &[u8]) -> PathBuf {
        self.path.join(std::ffi::OsStr::from_bytes(path))
    }
}
