//! Where builds keep what later builds can use again.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use image_core::{BlobSource, Ctx, DiffId, FsBlobStore};
use image_overlay::{LayerBlob, LayerToc, Limits};

use crate::{
    cache::{DirRecordStore, RecordedLayer},
    error::{Error, Result},
    temporary::Temporary,
};

/// The version of the directory's form.
const VERSION: &str = "image-build state 1\n";

/// The largest table of contents that is read back, in bytes.
const MAX_TOC: u64 = 1 << 30;

/// A directory with the results of earlier builds: `blobs/` (layers), `records/` (what they are the
/// result of), `toc/` (their tables of contents) and `tmp/`.
///
/// Several processes may use it at once. Everything in it may be deleted while no build runs, at the
/// cost of work, never of correctness.
#[derive(Debug)]
pub struct BuildState {
    blobs: Arc<FsBlobStore>,
    records: DirRecordStore,
    toc: PathBuf,
    temporary: Temporary,
}

impl BuildState {
    /// Opens the state in a directory, which is made where it is missing.
    ///
    /// # Errors
    /// Where it cannot be made, or is of another version.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        let directory = directory.as_ref();
        let toc = directory.join("toc");
        for directory in [directory, &toc] {
            fs::create_dir_all(directory).map_err(|e| Error::io("create", directory, e))?;
        }
        check_version(&directory.join("version"))?;
        let temporary = Temporary::open(directory.join("tmp"))?;
        let blobs = FsBlobStore::create(directory)?;
        blobs.clean_stale_ingests()?;
        Ok(Self { blobs: Arc::new(blobs), records: DirRecordStore::open(directory.join("records"))?, toc, temporary })
    }

    /// The layers of stages that were built.
    #[must_use]
    pub fn blobs(&self) -> &FsBlobStore {
        &self.blobs
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

    /// The table of contents of a layer: kept from before, or read off the layer, which is
    /// verified on the way and kept.
    pub(crate) fn toc(&self, layer: &LayerBlob, ctx: &Ctx) -> Result<LayerToc> {
        if let Some(toc) = self.kept_toc(&layer.diff_id)? {
            return Ok(toc);
        }
        let toc = layer.toc(&Limits::default(), ctx)?;
        self.keep_toc(&layer.diff_id, &toc)?;
        Ok(toc)
    }

    /// Whether the blob of a recorded layer is there. That it is whole shows when it is read.
    pub(crate) fn has(&self, layer: Option<&RecordedLayer>) -> Result<bool> {
        match layer {
            None => Ok(true),
            Some(layer) => Ok(self.blobs.stat(&layer.descriptor.digest)? == Some(layer.descriptor.size)),
        }
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

    /// A table that is damaged counts as none: the layer is read again.
    fn kept_toc(&self, diff_id: &DiffId) -> Result<Option<LayerToc>> {
        let path = self.toc_path(diff_id);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("open", path, e)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_TOC).read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
        Ok(LayerToc::from_bytes(&bytes).ok())
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
