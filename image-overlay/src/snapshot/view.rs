//! Snapshots that are being looked at.

use std::{path::Path, sync::Arc};

use image_core::{ChainId, Ctx};

use super::{
    Access, SnapshotDirs,
    active::RootFs,
    disk::{Exclusive, Held},
    store::Store,
};
use crate::error::Result;

/// A committed snapshot that nobody removes for as long as this is there.
///
/// Dropped, or with its process gone, it keeps nothing any more; what is left of it on disk is deleted when the store is
/// next opened or collected, or at once by [`View::close`].
#[derive(Debug)]
pub struct View {
    store: Arc<Store>,
    held: Held,
    chain: ChainId,
    dirs: SnapshotDirs,
    /// Whether there is anything to show: most views are never looked at.
    is_begun: bool,
}

impl View {
    /// Keeps these snapshots, some of which need not be there yet, and shows one of them.
    pub(super) fn new(store: &Arc<Store>, exclusive: &Exclusive, chain: &ChainId, kept: &[ChainId]) -> Result<Self> {
        let mut held = store.disk.create(exclusive, kept)?;
        store.disk.place_view(exclusive, &mut held)?;
        let dirs = store.dirs(&held, None)?;
        Ok(Self { store: Arc::clone(store), held, chain: chain.clone(), dirs, is_begun: false })
    }

    /// Which snapshot it is.
    #[must_use]
    pub fn chain(&self) -> &ChainId {
        &self.chain
    }

    /// Shows it as a tree. What is written to it, where that is possible at all, reaches no snapshot.
    ///
    /// # Errors
    /// Those of mounting, or of copying.
    pub fn mount(&mut self, ctx: &Ctx) -> Result<RootFs<'_>> {
        self.begin(ctx)?;
        RootFs::within(&self.store, &self.dirs, Access::Read)
    }

    /// Mounts it over a directory, as [`Active::mount_at`](super::Active::mount_at) does.
    ///
    /// # Errors
    /// Those of mounting, or of copying.
    pub fn mount_at(&mut self, target: &Path, ctx: &Ctx) -> Result<RootFs<'_>> {
        self.begin(ctx)?;
        RootFs::elsewhere(&self.store, &self.dirs, Access::Read, target)
    }

    fn begin(&mut self, ctx: &Ctx) -> Result<()> {
        if !self.is_begun {
            self.dirs = self.store.dirs(&self.held, Some(&self.chain))?;
            self.store.form.begin(&self.dirs, Access::Read, ctx)?;
            self.is_begun = true;
        }
        Ok(())
    }

    /// Lets go of it, and deletes what it needed.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn close(mut self, ctx: &Ctx) -> Result<()> {
        {
            let exclusive = self.store.disk.lock()?;
            self.store.disk.discard(&exclusive, &mut self.held)?;
        }
        self.store.disk.delete(self.held, ctx)
    }
}
