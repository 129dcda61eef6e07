//! Content digests of a build context's files.

use std::{
    fs::File,
    os::fd::OwnedFd,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use image_core::{
    Ctx, Digest,
    observer::{Outcome, TaskKind},
    parallel,
};
use image_overlay::{NodeId, NodeRef};
use rustix::io::Errno;

use super::{
    BuildContext, ContextFile, Unread,
    content::{ContentReader, regular},
    open::{open_directory, open_in},
    source::ContextFiles,
    status::Status,
    tally::Tally,
};
use crate::{
    effect::{copy::Selection, select::Choice},
    error::{Error, Result},
    stat_cache::StatCache,
};

/// How often a file that changes while it is read is read again.
const ATTEMPTS: usize = 3;

/// How many files a thread takes at a time: mostly those of one directory.
const BATCH: usize = 32;

/// What some files of a context come to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fingerprint {
    /// The digest of all of it: paths, kinds, modes, link targets, extended attributes and content, but no times.
    pub digest: Digest,
    /// How many of them are regular files, each name counted once.
    pub file_count: usize,
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
    /// or a pattern of files. Files that `cache` knows are not read again; what was read is kept there,
    /// if the context was first listed with a cache. Without one, all are read.
    ///
    /// ```
    /// use image_build::{BuildContext, Ignore, StatCache};
    /// use image_core::Ctx;
    /// # let (dir, state) = (tempfile::tempdir()?, tempfile::tempdir()?);
    /// # let (dir, state) = (dir.path(), state.path());
    /// std::fs::write(dir.join("main.c"), "int main() {}")?;
    /// let context = BuildContext::open(dir, Ignore::default())?;
    /// let inputs = context.fingerprint(&["*.c"], Some(&StatCache::open(state)?), &Ctx::default())?;
    /// assert_eq!(inputs.file_count, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::is_not_found`] for a source that is no pattern and selects nothing, [`Error::Changed`] for a file that
    /// does not hold still, [`Error::is_cancelled`], and where something cannot be read.
    pub fn fingerprint(
        &self,
        sources: &[impl AsRef<str>],
        cache: Option<&StatCache>,
        ctx: &Ctx,
    ) -> Result<Fingerprint> {
        self.with_selection(sources, cache, ctx, |selection| {
            let (digest, file_count) = selection.fingerprint()?;
            Ok(Fingerprint { digest, file_count })
        })
    }

    /// The content of each regular file that these sources select, as [`fingerprint`](Self::fingerprint) takes them, in
    /// bytewise order of their paths; a file of several names is in it under each. It is read once for this and all
    /// fingerprints of this context.
    ///
    /// # Errors
    /// As [`fingerprint`](Self::fingerprint).
    pub fn file_fingerprints(
        &self,
        sources: &[impl AsRef<str>],
        cache: Option<&StatCache>,
        ctx: &Ctx,
    ) -> Result<Vec<FileFingerprint>> {
        self.with_selection(sources, cache, ctx, |selection| selection.files())
    }

    /// Makes something of what sources select, and keeps meanwhile what was found out about files.
    fn with_selection<T>(
        &self,
        sources: &[impl AsRef<str>],
        cache: Option<&StatCache>,
        ctx: &Ctx,
        make: impl FnOnce(&Selection<'_, ContextFiles<'_>>) -> Result<T>,
    ) -> Result<T> {
        let sources = || sources.iter().map(AsRef::as_ref);
        let wants_all = Choice::default().wants_all(sources());
        let files = ContextFiles::new(self, "the context", cache, wants_all, ctx)?;
        let selection = Selection::new(&files, sources().enumerate(), &Choice::default(), ctx)?;
        selection.warn_of_unmatched(ctx);
        std::thread::scope(|scope| {
            let kept = cache.map(|cache| scope.spawn(|| self.keep_stats(cache)));
            let made = make(&selection)?;
            kept.map_or(Ok(()), |kept| kept.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))?;
            Ok(made)
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
        let (contents, tally) = (ContentReader::new(ctx), Tally::new(&task));
        let mut reader = Reader { context, root, contents, tally, directory: None };
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
    let threads = parallel::threads().get().min(todo.len());
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

/// Reads files of a tree one after the other.
struct Reader<'a> {
    context: &'a BuildContext,
    root: &'a OwnedFd,
    contents: ContentReader<'a>,
    tally: Tally<'a>,
    /// The directory of the last file.
    directory: Option<(NodeId, OwnedFd)>,
}

impl Reader<'_> {
    /// Finds out about one file; one that changes meanwhile is read again.
    fn read(&mut self, node: NodeRef<'_, ContextFile>, content: &ContextFile) -> Result<()> {
        let context = self.context;
        let path = || context.path_of(&node.path());
        // At first it is taken to be as it was listed; that it was, its state afterwards tells.
        let mut expected = content.status;
        for _ in 0..ATTEMPTS {
            let mut file = self.open(node)?;
            let before = match expected.take() {
                Some(listed) => listed,
                None => {
                    let stat = regular(&file).map_err(|e| Error::io("read", path(), e.into()))?;
                    Status::of(&stat.ok_or_else(|| Error::changed(path()))?)
                }
            };
            let is_as_listed = Some(before) == content.status;
            // Read before, but for its extended attributes.
            let known = content.fact.get().filter(|_| is_as_listed);
            let Some(found) = self.contents.read(&mut file, &before, known, path)? else { continue };
            self.tally.add(before.size, 1);
            if is_as_listed {
                let _ = content.fact.set(found.fact);
            }
            if !content.is_read() {
                drop(content.facts.set(found.facts(before.size)));
            }
            return Ok(());
        }
        Err(Error::changed(path()))
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
}
