//! Snapshots that are being looked at.

use std::sync::Arc;

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
    /// Where it was begun.
    dirs: Option<SnapshotDirs>,
}

impl View {
    /// Keeps these snapshots, some of which need not be there yet, and shows one of them.
    pub(super) fn new(store: &Arc<Store>, exclusive: &Exclusive, chain: &ChainId, kept: &[ChainId]) -> Result<Self> {
        let mut held = store.disk.create(exclusive, kept)?;
        store.disk.place_view(exclusive, &mut held)?;
        Ok(Self { store: Arc::clone(store), held, chain: chain.clone(), dirs: None })
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
        let dirs = match self.dirs.take() {
            Some(dirs) => dirs,
            None => {
                let dirs = self.store.dirs(&self.held, Some(&self.chain))?;
                self.store.form.begin(&dirs, Access::Read, ctx)?;
                dirs
            }
        };
        RootFs::new(&self.store, self.dirs.insert(dirs), Access::Read)
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
