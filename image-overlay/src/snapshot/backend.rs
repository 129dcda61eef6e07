//! The seam between a store of snapshots and the form that they have on disk.

use std::{
    fmt::Debug,
    io::Read,
    path::{Path, PathBuf},
};

use image_core::Ctx;

use crate::{
    apply::{Applied, ApplyOptions},
    error::Result,
    mount::{Durability, Mounted},
    overlayfs::OverlayXattrs,
};

/// The directories of one snapshot, and of those it is based on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SnapshotDirs {
    /// What the snapshot holds: for a form that keeps differences, no more than the difference.
    pub fs: PathBuf,
    /// For a form that needs another directory to change it; may be missing.
    pub work: PathBuf,
    /// Where it may be mounted; there, and empty.
    pub root: PathBuf,
    /// An empty directory that never changes.
    pub empty: PathBuf,
    /// `fs` of the snapshots that it is based on, base layer first.
    pub lower: Vec<PathBuf>,
}

impl SnapshotDirs {
    pub(super) fn new(directory: &Path, empty: PathBuf, lower: Vec<PathBuf>) -> Self {
        let at = |name| directory.join(name);
        Self { fs: at("fs"), work: at("work"), root: at("root"), empty, lower }
    }
}

/// What a snapshot is shown for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Access {
    /// To be looked at. What is written all the same, where the form cannot prevent it, never reaches a snapshot.
    Read,
    /// To be changed.
    Write,
}

/// How snapshots are kept on disk, and how one becomes a file system tree.
///
/// The store does everything else: names, locks, parents, what is whole and what is not. A form works in the
/// directories that it is given, of which nobody else knows yet, or that their holder alone uses.
///
/// What is committed is never written to again. An implementation should pass the suite of `conformance`
/// (the feature of that name).
pub trait SnapshotForm: Debug + Send + Sync {
    /// The name of the form, which is kept with a store: a store is of one form.
    fn name(&self) -> &str;

    /// Makes `fs`, which is there and empty, show what the snapshots below show, its root's attributes among it.
    ///
    /// # Errors
    /// Those of the file system; [`Error::is_cancelled`](crate::Error::is_cancelled).
    fn begin(&self, dirs: &SnapshotDirs, access: Access, ctx: &Ctx) -> Result<()>;

    /// Applies a layer, a plain tar stream, to `fs`, which is there and empty, so that it shows what
    /// [`apply_layer`](crate::apply_layer) makes of what the snapshots below show.
    ///
    /// # Errors
    /// As [`apply_layer`](crate::apply_layer).
    fn apply(&self, layer: &mut dyn Read, dirs: &SnapshotDirs, options: &ApplyOptions, ctx: &Ctx) -> Result<Applied>;

    /// Shows what was [begun](Self::begin): mounts it at `root`, or gives `None` where `fs` is all of the tree.
    ///
    /// # Errors
    /// Those of mounting.
    fn show(&self, dirs: &SnapshotDirs, access: Access, durability: Durability) -> Result<Option<Mounted>>;

    /// How changes are read out of `fs`: by these marks of overlayfs, or, with `None`, by comparing all of it.
    fn marks(&self) -> Option<OverlayXattrs>;
}
