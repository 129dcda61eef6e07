//! Where builds keep what later builds can use again.

mod expire;
mod export;
mod layers;
mod selected;
#[cfg(target_os = "linux")]
mod snapshots;
mod steps;
mod trees;

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

pub use expire::{Removed, StateExpiry};
pub use export::CacheExport;
pub(crate) use layers::{LayerCheck, Trust};
pub use steps::LastStep;

use image_core::{BlobSource, DiffId, Digest, FsBlobStore};

use crate::{
    cache::{
        DirRecordStore, FileChanges,
        files::{Comparison, ListReader, ListWriter},
    },
    error::{Error, Result},
    miss::Listing,
    stat_cache::StatCache,
    temporary::{Temporary, TemporaryDirectory},
    turn::Turns,
};

/// The version of the directory's form.
const VERSION: &str = "image-build state 1\n";

/// The file that tells the version.
const VERSION_FILE: &str = "version";

/// A directory with the results of earlier builds: `blobs/` (layers), `verified/` (which of them were found whole),
/// `records/` (what they are the result of), `toc/` (their tables of contents), `selected/` (digests of what a COPY takes
/// from layers), `files/` (what a COPY took, to explain the next one), `stat/` (what is known of contexts' files),
/// `snapshots/` (layers in the form in which commands are run on them), `chains/` (when these served), `exec/` (what runs
/// commands keeps there) and `tmp/`.
///
/// Several processes may use it at once. Everything in it may be deleted while no build runs, at the
/// cost of work, never of correctness: what is damaged counts as absent. A build locks `lock` for as long as it runs, so
/// that [`BuildState::expire`] takes nothing away from it.
#[derive(Debug)]
pub struct BuildState {
    directory: PathBuf,
    blobs: Arc<FsBlobStore>,
    records: DirRecordStore,
    stats: StatCache,
    toc: PathBuf,
    selected: PathBuf,
    files: PathBuf,
    verified: PathBuf,
    chains: PathBuf,
    temporary: Temporary,
    /// Whose table of contents is being read off the layer.
    reading: Turns<DiffId>,
    /// The trees of bases that are in use.
    bases: trees::Bases,
    #[cfg(target_os = "linux")]
    snapshots: std::sync::OnceLock<image_overlay::Snapshots>,
}

impl BuildState {
    /// Opens the state in a directory, which is made where it is missing.
    ///
    /// # Errors
    /// Where it cannot be made, holds something else, or is of another version.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        let [toc, selected, files, verified, chains] =
            ["toc", "selected", "files", "verified", "chains"].map(|name| directory.join(name));
        fs::create_dir_all(&directory).map_err(|e| Error::io("create", &directory, e))?;
        check_version(&directory)?;
        for directory in [&toc, &selected, &files, &verified, &chains] {
            fs::create_dir_all(directory).map_err(|e| Error::io("create", directory, e))?;
        }
        let temporary = Temporary::open(directory.join("tmp"))?;
        let blobs = FsBlobStore::create(&directory)?;
        blobs.clean_stale_ingests()?;
        let records = DirRecordStore::open(directory.join("records"))?;
        let stats = StatCache::open(directory.join("stat"))?;
        Ok(Self {
            directory,
            blobs: Arc::new(blobs),
            records,
            stats,
            toc,
            selected,
            files,
            verified,
            chains,
            temporary,
            reading: Turns::default(),
            bases: trees::Bases::default(),
            #[cfg(target_os = "linux")]
            snapshots: std::sync::OnceLock::new(),
        })
    }

    /// Opens the state in a directory where a build has left one; `None` where none has.
    ///
    /// # Errors
    /// As [`BuildState::open`].
    pub fn find(directory: impl Into<PathBuf>) -> Result<Option<Self>> {
        let directory = directory.into();
        if directory.join(VERSION_FILE).is_file() { Self::open(directory).map(Some) } else { Ok(None) }
    }

    /// The lock of builds, which they share.
    fn lock_file(&self) -> Result<File> {
        let path = self.directory.join("lock");
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        opened.map_err(|e| Error::io("open", &path, e))
    }

    /// Keeps everything in its place until the file is dropped.
    pub(crate) fn in_use(&self) -> Result<File> {
        let file = self.lock_file()?;
        match file.lock_shared() {
            Err(e) if e.kind() != io::ErrorKind::Unsupported => Err(Error::io("lock", self.directory.join("lock"), e)),
            _ => Ok(file),
        }
    }

    /// What is known of the files of contexts.
    #[must_use]
    pub fn stats(&self) -> &StatCache {
        &self.stats
    }

    /// The layers of stages that were built.
    #[must_use]
    pub fn blobs(&self) -> &FsBlobStore {
        &self.blobs
    }

    /// A directory for what runs the commands of builds, as `exec::OciRuntime::open` takes it. It is the caller's to make,
    /// and [`BuildState::expire`] clears the caches of `RUN --mount=type=cache` in it.
    #[must_use]
    pub fn exec_directory(&self) -> PathBuf {
        self.directory.join("exec")
    }

    pub(crate) fn blobs_arc(&self) -> Arc<dyn BlobSource> {
        Arc::clone(&self.blobs) as Arc<dyn BlobSource>
    }

    /// The records of what was built.
    #[must_use]
    pub fn records(&self) -> &DirRecordStore {
        &self.records
    }

    /// A directory for temporary files.
    pub(crate) fn temporary(&self) -> &Path {
        self.temporary.path()
    }

    /// A directory for temporary files, of its own.
    pub(crate) fn temporary_directory(&self) -> Result<TemporaryDirectory> {
        let failed = |e| Error::io("create a temporary directory in", self.temporary.path(), e);
        self.temporary.directory().map_err(failed)
    }

    /// Keeps the list of the files that a step took, and gives its digest.
    pub(crate) fn keep_files(&self, files: &dyn Listing) -> Result<Digest> {
        let failed = |e| Error::io("write", &self.files, e);
        let mut list = ListWriter::new(self.temporary.file().map_err(failed)?);
        files.for_each(&mut |file| list.push(file).map_err(failed))?;
        let (list, sha256) = list.finish().map_err(failed)?;
        let digest = Digest::from_sha256(sha256);
        list.persist(self.files.join(digest.encoded())).map_err(|e| failed(e.error))?;
        Ok(digest)
    }

    /// How files differ from those of the list with this digest; `None` where that is gone or damaged.
    pub(crate) fn compare_files(&self, old: &Digest, files: &dyn Listing) -> Result<Option<FileChanges>> {
        let Some(Ok(mut comparison)) = self.list(old).map(Comparison::new) else { return Ok(None) };
        let mut is_whole = true;
        files.for_each(&mut |file| {
            is_whole = is_whole && comparison.push(file).is_ok();
            Ok(())
        })?;
        Ok(if is_whole { comparison.finish().ok() } else { None })
    }

    /// How the files of a list differ from those of an older one; `None` where either is gone or damaged.
    pub(crate) fn compare_lists(&self, old: &Digest, new: &Digest) -> Option<FileChanges> {
        let (mut comparison, mut files) = (Comparison::new(self.list(old)?).ok()?, self.list(new)?);
        while let Some(file) = files.next().ok()? {
            comparison.push(&file).ok()?;
        }
        comparison.finish().ok()
    }

    fn list(&self, digest: &Digest) -> Option<ListReader<File>> {
        ListReader::open(File::open(self.files.join(digest.encoded())).ok()?).ok()?
    }
}

/// Marks a new directory as one of this version: what was made before it is told by that from what is another's.
fn check_version(directory: &Path) -> Result<()> {
    let path = directory.join(VERSION_FILE);
    let found = match read_version(&path)? {
        // What is made by somebody else meanwhile has its version first.
        None if holds_anything(directory)? => {
            read_version(&path)?.ok_or_else(|| Error::NotAState { path: directory.into() })?
        }
        found => found.unwrap_or_default(),
    };
    // An empty file is that of a process that was killed while it made the directory.
    match &*found {
        VERSION => Ok(()),
        "" => fs::write(&path, VERSION).map_err(|e| Error::io("write", path, e)),
        _ => Err(Error::StateVersion { path, found: found.trim_end().into() }),
    }
}

fn read_version(path: &Path) -> Result<Option<String>> {
    let mut text = String::new();
    match File::open(path) {
        Ok(file) => {
            file.take(256).read_to_string(&mut text).map_err(|e| Error::io("read", path, e))?;
            Ok(Some(text))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("open", path, e)),
    }
}

/// What may be there before the state is: what a new file system has, and what runs commands.
const BESIDE: [&str; 3] = ["lost+found", "exec", "snapshots"];

/// Whether there is anything else in a directory.
fn holds_anything(directory: &Path) -> Result<bool> {
    let failed = |e| Error::io("list", directory, e);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if !BESIDE.iter().any(|ours| name == *ours) {
            return Ok(true);
        }
    }
    Ok(false)
}
