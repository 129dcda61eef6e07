//! Content digests of a build context's files.

use std::{
    fs::File,
    io,
    os::fd::OwnedFd,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use image_core::{
    Ctx, Digest,
    hasher::Sha256,
    observer::{Outcome, Task, TaskKind},
};
use image_overlay::{NodeId, NodeRef};
use rustix::{fs::FileType, io::Errno};

use super::{
    BuildContext, ContextFile, Unread,
    open::{open_directory, open_in, read_in, xattrs},
    source::ContextFiles,
    status::Status,
};
use crate::{
    effect::{copy::Selection, select::Choice},
    error::{Error, Result},
    files::FileFacts,
    stat_cache::{Fact, StatCache},
};

/// How often a file that changes while it is read is read again.
const ATTEMPTS: usize = 3;

/// How many threads read at once.
const THREADS: usize = 8;

/// How many files a thread takes at a time: mostly those of one directory.
const BATCH: usize = 32;

/// The digest of some files of a context, and those files.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fingerprint {
    /// The digest of all of it: paths, kinds, modes, link targets, extended attributes and content, but no times.
    pub digest: Digest,
    /// The regular files among them, by path.
    pub files: Vec<FileFingerprint>,
}

/// The content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileFingerprint {
    /// The path in the context.
    pub path: Vec<u8>,
    sha256: [u8; 32],
}

impl BuildContext {
    /// The digest of what these sources select, each written as a source of COPY: a file, a directory with all in it,
    /// or a pattern of files. Files that `cache` knows are not read again; what was read is kept there.
    ///
    /// ```
    /// use image_build::{BuildContext, Ignore, StatCache};
    /// use image_core::Ctx;
    /// # let (dir, state) = (tempfile::tempdir()?, tempfile::tempdir()?);
    /// # let (dir, state) = (dir.path(), state.path());
    /// std::fs::write(dir.join("main.c"), "int main() {}")?;
    /// let context = BuildContext::open(dir, Ignore::default())?;
    /// let inputs = context.fingerprint(&["*.c"], &StatCache::open(state)?, &Ctx::default())?;
    /// assert_eq!(inputs.files[0].path, b"main.c");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::is_not_found`] for a source that is no pattern and selects nothing, [`Error::Changed`] for a file that
    /// does not hold still, [`Error::is_cancelled`], and where something cannot be read.
    pub fn fingerprint(&self, sources: &[impl AsRef<str>], cache: &StatCache, ctx: &Ctx) -> Result<Fingerprint> {
        let files = ContextFiles::new(self, "the context", cache, ctx)?;
        let sources = sources.iter().map(AsRef::as_ref).enumerate();
        let selection = Selection::new(&files, sources, &Choice::default(), ctx)?;
        selection.warn_of_unmatched(ctx);
        self.keep_stats(cache)?;
        std::thread::scope(|scope| {
            let files = scope.spawn(|| selection.files());
            let digest = selection.digest()?;
            let files = files.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            Ok(Fingerprint { digest, files })
        })
    }
}

impl FileFingerprint {
    pub(crate) fn new(path: Vec<u8>, sha256: [u8; 32]) -> Self {
        Self { path, sha256 }
    }

    /// The digest of the content.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::from_sha256(self.sha256)
    }
}

/// Reads and hashes files on several threads.
pub(super) fn files(context: &BuildContext, root: &OwnedFd, todo: &[Unread<'_>], ctx: &Ctx) -> Result<()> {
    let bytes = todo.iter().fold(0_u64, |sum, (node, _)| sum.saturating_add(node.kind().size()));
    let task =
        ctx.begin(TaskKind::Fingerprint, &format!("{} files of {}", todo.len(), context.path().display()), Some(bytes));
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    let work = || {
        let mut reader = Reader { context, root, task: &task, ctx, buffer: vec![0; 256 << 10], directory: None };
        while let Some(batch) = todo.get(next.fetch_add(BATCH, Ordering::Relaxed)..).filter(|rest| !rest.is_empty()) {
            for (node, content) in batch.iter().take(BATCH) {
                if let Err(error) = reader.read(*node, content) {
                    next.store(todo.len(), Ordering::Relaxed);
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    return;
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS).min(todo.len());
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    context.learn();
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => {
            task.end(Outcome::Done);
            Ok(())
        }
    }
}

/// Reads files one after the other.
struct Reader<'a> {
    context: &'a BuildContext,
    root: &'a OwnedFd,
    task: &'a Task<'a>,
    ctx: &'a Ctx,
    buffer: Vec<u8>,
    /// The directory of the last file.
    directory: Option<(NodeId, OwnedFd)>,
}

impl Reader<'_> {
    /// Finds out about one file; one that changes meanwhile is read again.
    fn read(&mut self, node: NodeRef<'_, ContextFile>, content: &ContextFile) -> Result<()> {
        let changed = || Error::changed(self.context.path_of(&node.path()));
        let failed = |e: Errno| Error::io("read", self.context.path_of(&node.path()), e.into());
        // At first it is taken to be as it was listed; that it was, its state afterwards tells.
        let mut expected = content.status;
        for _ in 0..ATTEMPTS {
            let mut file = self.open(node)?;
            let before = match expected.take() {
                Some(listed) => listed,
                None => status(&file).map_err(failed)?.ok_or_else(changed)?,
            };
            let is_as_listed = Some(before) == content.status;
            // Read before, but for its extended attributes.
            let known = content.fact.get().filter(|_| is_as_listed);
            let (size, sha256) = match known {
                Some(fact) => (before.size, fact.sha256),
                // What came in the place of a file may refuse to be read.
                None => match self.hash(node, &mut file, before.size) {
                    Err(_) if status(&file).is_ok_and(|status| status.is_none()) => return Err(changed()),
                    hashed => hashed?,
                },
            };
            let xattrs = xattrs(&file).map_err(failed)?;
            let after = status(&file).map_err(failed)?.ok_or_else(changed)?;
            if before != after || size != after.size {
                continue;
            }
            self.task.advance(size, 1);
            let facts =
                FileFacts { xattrs: (!xattrs.is_empty()).then(|| Box::new(xattrs)), ..FileFacts::plain(size, sha256) };
            if is_as_listed {
                let _ = content.fact.set(Fact { sha256, has_xattrs: facts.xattrs.is_some() });
            }
            if content.facts().is_none() {
                drop(content.facts.set(Box::new(facts)));
            }
            return Ok(());
        }
        Err(changed())
    }

    /// Opens a file through its directory, which is mostly that of the file before.
    fn open(&mut self, node: NodeRef<'_, ContextFile>) -> Result<File> {
        let parent = node.parent();
        let directory = match self.directory.take() {
            Some((id, directory)) if id == parent.id() => directory,
            _ => {
                let path = parent.path();
                let failed = |e: Errno| Error::io("open", self.context.path_of(&path), e.into());
                open_directory(self.root, &path).map_err(failed)?
            }
        };
        let (_, directory) = self.directory.insert((parent.id(), directory));
        let failed = |e: Errno| Error::io("read", self.context.path_of(&node.path()), e.into());
        open_in(directory, node.name()).map_err(failed)
    }

    /// Reads a file to its end, or to the size that it has.
    fn hash(&mut self, node: NodeRef<'_, ContextFile>, file: &mut File, expected: u64) -> Result<(u64, [u8; 32])> {
        let failed = |e: io::Error| Error::io("read", self.context.path_of(&node.path()), e);
        let (mut hasher, mut size) = (Sha256::default(), 0);
        loop {
            self.ctx.check()?;
            let n = read_in(file, &mut self.buffer).map_err(failed)?;
            hasher.update(&self.buffer[..n]);
            size += n as u64;
            // That nothing comes after it, its status tells.
            if n == 0 || size >= expected {
                return Ok((size, hasher.finish()));
            }
        }
    }
}

/// The state of a regular file; `None` for what is none.
fn status(file: &File) -> Result<Option<Status>, Errno> {
    let stat = rustix::fs::fstat(file)?;
    Ok((FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then(|| Status::of(&stat)))
}
