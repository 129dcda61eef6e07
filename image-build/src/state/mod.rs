//! Where builds keep what later builds can use again.

mod expire;
mod export;
mod layers;
#[cfg(target_os = "linux")]
mod snapshots;
mod steps;

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

pub use expire::{Removed, StateExpiry};
pub use export::CacheExport;
pub(crate) use layers::{LayerCheck, Trust};
pub use steps::LastStep;

use image_core::{BlobSource, Ctx, DiffId, Digest, FsBlobStore, Timestamp};
use image_overlay::{LayerBlob, LayerToc, Limits};

use crate::{
    cache::{
        DirRecordStore, FileChanges,
        files::{Comparison, ListReader, ListWriter},
    },
    error::{Error, Result},
    miss::Listing,
    stat_cache::StatCache,
    temporary::{Temporary, TemporaryDirectory, set_time},
    turn::Turns,
};

/// The version of the directory's form.
const VERSION: &str = "image-build state 1\n";

/// The file that tells the version.
const VERSION_FILE: &str = "version";

/// The largest table of contents that is read back, in bytes.
const MAX_TOC: u64 = 1 << 30;

/// A directory with the results of earlier builds: `blobs/` (layers), `verified/` (which of them were found whole),
/// `records/` (what they are the result of), `toc/` (their tables of contents), `files/` (what a COPY took, to explain
/// the next one), `stat/` (what is known of contexts' files), `snapshots/` (layers in the form in which commands are run
/// on them), `chains/` (when these served), `exec/` (what runs commands keeps there) and `tmp/`.
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
    files: PathBuf,
    verified: PathBuf,
    chains: PathBuf,
    temporary: Temporary,
    /// Whose table of contents is being read off the layer.
    reading: Turns<DiffId>,
    #[cfg(target_os = "linux")]
    snapshots: std::sync::OnceLock<image_overlay::Snapshots>,
}

impl BuildState {
    /// Opens the state in a directory, which is made where it is missing.
    ///
    /// # Errors
    /// Where it cannot be made, or is of another version.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        let [toc, files, verified, chains] = ["toc", "files", "verified", "chains"].map(|name| directory.join(name));
        for directory in [&directory, &toc, &files, &verified, &chains] {
            fs::create_dir_all(directory).map_err(|e| Error::io("create", directory, e))?;
        }
        check_version(&directory.join(VERSION_FILE))?;
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
            files,
            verified,
            chains,
            temporary,
            reading: Turns::default(),
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

    /// The table of contents of a layer: kept from before, or read off the layer, which is
    /// verified on the way and kept.
    pub(crate) fn toc(&self, layer: &LayerBlob, ctx: &Ctx) -> Result<LayerToc> {
        let _turn = self.reading.take(&layer.diff_id);
        if let Some(toc) = self.kept_toc(&layer.diff_id, ctx.now())? {
            return Ok(toc);
        }
        let toc = layer.toc(&Limits::default(), ctx)?;
        self.keep_toc(&layer.diff_id, &toc)?;
        Ok(toc)
    }

    /// Keeps the table of contents of a layer.
    pub(crate) fn keep_toc(&self, diff_id: &DiffId, toc: &LayerToc) -> Result<()> {
        let path = self.toc_path(diff_id);
        let failed = |e| Error::io("write", &path, e);
        let mut file = self.temporary.file().map_err(failed)?;
        file.write_all(&toc.to_bytes()).map_err(failed)?;
        file.persist(&path).map_err(|e| failed(e.error))?;
        Ok(())
    }

    /// A table that is damaged counts as none: the layer is read again. When it last served is its file's time.
    fn kept_toc(&self, diff_id: &DiffId, now: Timestamp) -> Result<Option<LayerToc>> {
        let path = self.toc_path(diff_id);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("open", path, e)),
        };
        set_time(&file, now).map_err(|e| Error::io("set the time of", &path, e))?;
        let mut bytes = Vec::new();
        file.take(MAX_TOC).read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
        Ok(LayerToc::from_bytes(&bytes).ok())
    }

    /// Keeps the list of the files that a step took, whose digest this is.
    pub(crate) fn keep_files(&self, digest: &Digest, files: &dyn Listing) -> Result<()> {
        let path = self.files.join(digest.encoded());
        if path.exists() {
            return Ok(());
        }
        let failed = |e| Error::io("write", &path, e);
        let mut list = ListWriter::new(self.temporary.file().map_err(failed)?);
        files.for_each(&mut |file| list.push(file).map_err(failed))?;
        list.finish().map_err(failed)?.persist(&path).map_err(|e| failed(e.error))?;
        Ok(())
    }

    /// How files differ from those that were taken when this was their digest; `None` where the list
    /// is gone or damaged.
    pub(crate) fn compare_files(&self, old: &Digest, files: &dyn Listing) -> Result<Option<FileChanges>> {
        let path = self.files.join(old.encoded());
        let Ok(file) = File::open(&path) else { return Ok(None) };
        let Ok(Some(list)) = ListReader::open(file) else { return Ok(None) };
        let Ok(mut comparison) = Comparison::new(list) else { return Ok(None) };
        let mut is_whole = true;
        files.for_each(&mut |file| {
            is_whole = is_whole && comparison.push(file).is_ok();
            Ok(())
        })?;
        Ok(if is_whole { comparison.finish().ok() } else { None })
    }

    fn toc_path(&self, diff_id: &DiffId) -> PathBuf {
        self.toc.join(diff_id.as_digest().encoded())
    }
}

fn check_version(path: &Path) -> Result<()> {
    let mut text = String::new();
    match File::open(path) {
        Ok(file) => {
            file.take(256).read_to_string(&mut text).map_err(|e| Error::io("read", path, e))?;
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::io("open", path, e)),
    }
    // An empty file is that of a process that was killed while it made the directory.
    match text.as_str() {
        VERSION => Ok(()),
        "" => fs::write(path, VERSION).map_err(|e| Error::io("write", path, e)),
        _ => Err(Error::StateVersion { path: path.into(), found: text.trim_end().into() }),
    }
}
