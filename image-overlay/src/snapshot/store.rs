//! What the parts of a store share.

use std::{path::PathBuf, sync::Arc};

use image_core::{ChainId, Ctx};

use super::{
    Access, SnapshotDirs, SnapshotForm, SnapshotProblem,
    disk::{Disk, Exclusive, Held, parents},
};
use crate::{
    error::{Error, Result},
    mount::{Durability, Mounted},
};

/// More than the kernel mounts and than any image has.
const MAX_DEPTH: usize = 4096;

#[derive(Debug)]
pub(super) struct Store {
    pub(super) disk: Arc<Disk>,
    pub(super) form: Arc<dyn SnapshotForm>,
    pub(super) durability: Durability,
}

impl Store {
    pub(super) fn has(&self, chain: &ChainId) -> bool {
        self.disk.committed(chain).is_dir()
    }

    pub(super) fn require(&self, chain: &ChainId) -> Result<()> {
        if self.has(chain) { Ok(()) } else { Err(Error::snapshot(chain, SnapshotProblem::Missing)) }
    }

    pub(super) fn require_unused(&self, exclusive: &Exclusive, chain: &ChainId) -> Result<()> {
        let based = |parent: &Option<ChainId>| parent.as_ref() == Some(chain);
        let is_used = self.disk.used(exclusive)?.contains(chain)
            || self.disk.list_active()?.iter().any(|(_, parent)| based(parent))
            || self.disk.list_committed()?.iter().any(|(_, parent)| based(parent));
        if is_used { Err(Error::snapshot(chain, SnapshotProblem::Used)) } else { Ok(()) }
    }

    /// Takes a committed snapshot out of sight; gives what is to be deleted.
    pub(super) fn discard_committed(&self, exclusive: &Exclusive, chain: &ChainId) -> Result<Option<Held>> {
        self.disk.discard_unheld(exclusive, &self.disk.committed(chain))
    }

    pub(super) fn delete_abandoned(&self, ctx: &Ctx) -> Result<()> {
        let abandoned = {
            let exclusive = self.disk.lock()?;
            self.disk.abandoned(&exclusive)?
        };
        abandoned.into_iter().try_for_each(|held| self.disk.delete(held, ctx))
    }

    /// The directories of the snapshots of a chain, base layer first.
    fn chain(&self, top: Option<&ChainId>) -> Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        let mut next = top.cloned();
        while let Some(chain) = next {
            if paths.len() == MAX_DEPTH {
                return Err(image_core::Error::limit("snapshots of a chain", MAX_DEPTH as u64).into());
            }
            self.require(&chain)?;
            let path = self.disk.committed(&chain);
            next = parents(&path)?.into_iter().next();
            paths.push(path.join("fs"));
        }
        paths.reverse();
        Ok(paths)
    }

    pub(super) fn dirs(&self, held: &Held, parent: Option<&ChainId>) -> Result<SnapshotDirs> {
        Ok(SnapshotDirs::new(&held.path, self.disk.empty(), self.chain(parent)?))
    }

    pub(super) fn show(&self, dirs: &SnapshotDirs, access: Access) -> Result<Option<Mounted>> {
        let durability = if access == Access::Read { Durability::Synced } else { self.durability };
        self.form.show(dirs, access, durability)
    }

    /// Syncs what is about to be committed, if it shall survive a crash of the machine.
    fn sync(&self, held: &Held) -> Result<()> {
        match self.durability {
            Durability::Synced => held.sync(),
            Durability::Volatile => Ok(()),
        }
    }

    /// Makes a directory a committed snapshot, unless there is one already: then it is given back to be deleted.
    pub(super) fn commit(&self, mut held: Held, chain: &ChainId) -> Result<Option<Held>> {
        self.sync(&held)?;
        let exclusive = self.disk.lock()?;
        if self.has(chain) {
            self.disk.discard(&exclusive, &mut held)?;
            return Ok(Some(held));
        }
        self.disk.place(&exclusive, &mut held, self.disk.committed(chain))?;
        // Before somebody else may change names, and finds that it is held.
        drop(held);
        drop(exclusive);
        Ok(None)
    }
}
