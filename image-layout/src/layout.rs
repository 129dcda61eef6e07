//! OCI image layouts: a directory with blobs, an index of images, and a version.
//!
//! ```text
//! oci-layout             {"imageLayoutVersion":"1.0.0"}
//! index.json             the images, by name
//! blobs/<alg>/<encoded>  everything else
//! .index.json.lock       held while index.json changes; empty
//! ingest/ leases/        blobs on their way in, and what is protected from collection; see [`image_core::blob::fs`]
//! ```
//!
//! Readers take no lock: `index.json` is replaced whole. A layout is created in the order blobs,
//! `index.json`, `oci-layout`, and is one from when the last is there; what a killed creation left
//! is completed by the next.

use std::{path::Path, sync::Arc};

use image_core::{
    Descriptor, Document, ImageIndex,
    blob::{BlobStore, FsBlobStore, Lease},
};
use serde::Deserialize;

use crate::{
    dir::Dir,
    error::{Error, Result, excerpt},
    index_file::{INDEX, MAX_INDEX_SIZE},
};

/// The file that makes a directory a layout.
pub(crate) const MARKER: &str = "oci-layout";

/// What it says.
pub(crate) const MARKER_CONTENT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// The version in it.
const VERSION: &str = "1.0.0";

/// The directory of the blobs.
const BLOBS: &str = "blobs";

/// The directories of the blob store beside it: blobs that are being written, leases, blobs that were set aside.
const OF_THE_STORE: [&str; 3] = ["ingest", "leases", "corrupt"];

/// Ample for a file of one version number, in bytes.
pub(crate) const MAX_MARKER: u64 = 64 << 10;

/// An OCI image layout.
///
/// Several processes and threads may read and change one at once. A handle holds no lock.
///
/// # Spec
/// OCI image-spec 1.1, image-layout.md.
#[derive(Debug, Clone)]
pub struct OciLayout {
    dir: Arc<Dir>,
    blobs: FsBlobStore,
    lease: Option<Lease>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

impl OciLayout {
    /// Opens the layout at `path`; nothing in it changes.
    ///
    /// # Errors
    /// [`Error::is_not_found`] where there is no directory, [`Error::NotALayout`] where it is no layout,
    /// [`Error::UnsupportedVersion`] for another version than 1.0.0.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let dir = Dir::open(path.as_ref())?;
        if !has_marker(&dir)? {
            return Err(Error::NotALayout { path: dir.path().to_owned(), reason: "it has no file oci-layout" });
        }
        Self::from_dir(dir)
    }

    /// Creates an empty layout at `path`, which must be absent or an empty directory.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] where there is one, [`Error::NotALayout`] where there is something else.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        match Self::prepare(path.as_ref())? {
            (layout, true) => Ok(layout),
            (layout, false) => Err(Error::AlreadyExists { path: layout.path().to_owned() }),
        }
    }

    /// Opens the layout at `path`, or creates one if it is absent or an empty directory.
    ///
    /// # Errors
    /// As [`OciLayout::open`] and [`OciLayout::create`].
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Self> {
        Self::prepare(path.as_ref()).map(|(layout, _)| layout)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The blobs in it.
    #[must_use]
    pub fn blobs(&self) -> &FsBlobStore {
        &self.blobs
    }

    /// The layout under a lease: what is stored through this handle, or found there instead of being stored, and all of an image
    /// that is opened by it, is not collected before the handle and its clones are dropped, or the process has ended. Name it
    /// before.
    ///
    /// Who copies or builds into a layout that others may collect, and names the result afterwards, does it by such a handle.
    /// [`OciLayout::load`] takes a lease of its own.
    ///
    /// # Errors
    /// [`Error::is_denied`] where the layout is read-only; the operating system's.
    pub fn leased(self) -> Result<Self> {
        let lease = self.blobs.lease()?;
        Ok(Self { blobs: lease.blobs().clone(), lease: Some(lease), ..self })
    }

    /// Notes that something is used; under a lease it stays, with all below it.
    pub(crate) fn note_use(&self, descriptor: &Descriptor) -> Result<()> {
        match &self.lease {
            Some(lease) => drop(lease.keep(descriptor)?),
            // Where it cannot be noted, as in a layout that is read-only, it is read all the same.
            None => drop(self.blobs.renew(&descriptor.digest, descriptor.size)),
        }
        Ok(())
    }

    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    fn from_dir(dir: Dir) -> Result<Self> {
        let blobs = FsBlobStore::open(dir.path())?;
        Ok(Self { dir: Arc::new(dir), blobs, lease: None })
    }

    /// Opens or creates a layout, and says whether it created one.
    fn prepare(path: &Path) -> Result<(Self, bool)> {
        match Dir::open(path) {
            Ok(dir) if has_marker(&dir)? => return Ok((Self::from_dir(dir)?, false)),
            Ok(dir) if !dir.holds_only(&[&[MARKER, BLOBS, INDEX], &OF_THE_STORE[..]].concat())? => {
                let reason = "it is a directory with something else in it";
                return Err(Error::NotALayout { path: path.to_owned(), reason });
            }
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        FsBlobStore::create(path)?;
        let dir = Dir::open(path)?;
        let lock = dir.lock()?;
        // Another process may have been faster.
        let is_new = !has_marker(&dir)?;
        if is_new {
            if dir.read(INDEX, MAX_INDEX_SIZE)?.is_none() {
                lock.replace(INDEX, Document::new(ImageIndex::new(Vec::new()))?.bytes())?;
            }
            lock.replace(MARKER, MARKER_CONTENT.as_bytes())?;
        }
        drop(lock);
        Ok((Self::from_dir(dir)?, is_new))
    }
}

/// Whether the directory says that it is a layout, of a version that is known.
fn has_marker(dir: &Dir) -> Result<bool> {
    let Some(bytes) = dir.read(MARKER, MAX_MARKER)? else { return Ok(false) };
    check_marker(&bytes, &dir.path_of(MARKER)).map(|()| true)
}

/// Says what is wrong with an `oci-layout` file; `path` says which.
pub(crate) fn check_marker(bytes: &[u8], path: &Path) -> Result<()> {
    let reason = "it is not a JSON object with an imageLayoutVersion";
    let marker: Marker =
        serde_json::from_slice(bytes).map_err(|_| Error::NotALayout { path: path.to_owned(), reason })?;
    if marker.image_layout_version == VERSION {
        return Ok(());
    }
    Err(Error::UnsupportedVersion { path: path.to_owned(), version: excerpt(&marker.image_layout_version) })
}
