//! Snapshots that are being changed.

use std::{
    marker::PhantomData,
    path::{Path, PathBuf},
    slice,
    sync::Arc,
};

use image_core::{ChainId, Ctx, DiffId};

use super::{
    Access, SnapshotDirs, SnapshotKey, SnapshotProblem,
    disk::{Held, hold, parents, remove_all, unmount_all},
    store::Store,
};
use crate::{
    capture::CapturedSource,
    error::{Error, Result},
    mount::Mounted,
    root::Root,
    source::TreeSource,
};

/// A snapshot that is being changed, by nobody else.
///
/// Dropped, it stays as it is, to be [taken up again](super::Snapshots::active) or
/// [collected](super::Snapshots::collect).
#[derive(Debug)]
pub struct Active {
    store: Arc<Store>,
    held: Held,
    key: SnapshotKey,
    parent: Option<ChainId>,
    dirs: SnapshotDirs,
}

impl Active {
    pub(super) fn prepare(store: &Arc<Store>, key: &SnapshotKey, parent: Option<&ChainId>, ctx: &Ctx) -> Result<Self> {
        ctx.check()?;
        let place = store.disk.active(key);
        let exists = || Error::snapshot(key, SnapshotProblem::Exists);
        let mut held = {
            let exclusive = store.disk.lock()?;
            if place.exists() {
                return Err(exists());
            }
            parent.map_or(Ok(()), |parent| store.require(parent))?;
            store.disk.create(&exclusive, parent.map_or(&[], slice::from_ref))?
        };
        let begun = store.dirs(&held, parent).and_then(|dirs| store.form.begin(&dirs, Access::Write, ctx));
        let placed = begun.and_then(|()| {
            let exclusive = store.disk.lock()?;
            // Somebody may have been faster.
            if place.exists() { Err(exists()) } else { store.disk.place(&exclusive, &mut held, place) }
        });
        if let Err(error) = placed {
            // What cannot be deleted now is deleted when the store is opened again.
            drop(store.disk.delete(held, &Ctx::default()));
            return Err(error);
        }
        let dirs = store.dirs(&held, parent)?;
        Ok(Self { store: Arc::clone(store), held, key: key.clone(), parent: parent.cloned(), dirs })
    }

    pub(super) fn take_up(store: &Arc<Store>, key: &SnapshotKey) -> Result<Option<Self>> {
        let _exclusive = store.disk.lock()?;
        let place = store.disk.active(key);
        if !place.exists() {
            return Ok(None);
        }
        let held = hold(&place)?.ok_or_else(|| Error::snapshot(key, SnapshotProblem::Held))?;
        let parent = parents(&place)?.into_iter().next();
        let dirs = store.dirs(&held, parent.as_ref())?;
        Ok(Some(Self { store: Arc::clone(store), held, key: key.clone(), parent, dirs }))
    }

    /// Its name.
    #[must_use]
    pub fn key(&self) -> &SnapshotKey {
        &self.key
    }

    /// What it is based on.
    #[must_use]
    pub fn parent(&self) -> Option<&ChainId> {
        self.parent.as_ref()
    }

    /// Its directories: what changed is in `fs`.
    #[must_use]
    pub fn dirs(&self) -> &SnapshotDirs {
        &self.dirs
    }

    /// Shows it as a tree, to be changed, at a place in the store.
    ///
    /// # Errors
    /// Those of mounting.
    pub fn mount(&mut self) -> Result<RootFs<'_>> {
        self.clear()?;
        RootFs::within(&self.store, &self.dirs, Access::Write)
    }

    /// Mounts it over a directory, to be changed there. In every form that takes the privilege to mount. The mount of a
    /// process that is killed stays where it is.
    ///
    /// # Errors
    /// Those of mounting.
    pub fn mount_at(&mut self, target: &Path) -> Result<RootFs<'_>> {
        self.clear()?;
        RootFs::elsewhere(&self.store, &self.dirs, Access::Write, target)
    }

    /// Takes away what a process left that died in the middle. The kernel takes no work directory twice that
    /// was not synced.
    fn clear(&self) -> Result<()> {
        unmount_all(&self.dirs.root);
        remove_all(&self.dirs.work, &mut || Ok(()))
    }

    /// What was changed: the tree that it shows, to be compared with `lower`, the tree that its parent shows.
    ///
    /// # Errors
    /// As [`CapturedSource::new`].
    pub fn capture<'l, L: TreeSource>(&self, lower: &'l L, ctx: &Ctx) -> Result<CapturedSource<'l, L>> {
        let upper = Root::open(&self.dirs.fs)?;
        match self.store.form.marks() {
            Some(xattrs) => CapturedSource::new(lower, upper, xattrs, ctx),
            None => CapturedSource::of_whole(lower, upper, ctx),
        }
    }

    /// Makes it the snapshot of its parent's chain and one more layer, which has this diffID; gives the chainID.
    /// Where there is such a snapshot already, that one stays. The caller vouches for the diffID.
    ///
    /// # Errors
    /// Those of the file system; then it stays active.
    ///
    /// # Spec
    /// OCI image-spec 1.1, config.md, § Layer ChainID.
    pub fn commit(self, diff_id: &DiffId, ctx: &Ctx) -> Result<ChainId> {
        let chain = match &self.parent {
            Some(parent) => parent.push(diff_id),
            None => ChainId::bottom(diff_id),
        };
        unmount_all(&self.dirs.root);
        remove_all(&self.dirs.work, &mut || Ok(ctx.check()?))?;
        if let Some(superfluous) = self.store.commit(self.held, &chain)? {
            self.store.disk.delete(superfluous, ctx)?;
        }
        Ok(chain)
    }

    /// Removes it.
    ///
    /// # Errors
    /// Those of the file system; what is left then is deleted with what killed processes leave.
    pub fn remove(mut self, ctx: &Ctx) -> Result<()> {
        {
            let exclusive = self.store.disk.lock()?;
            self.store.disk.discard(&exclusive, &mut self.held)?;
        }
        self.store.disk.delete(self.held, ctx)
    }
}

/// A snapshot as a tree in the file system of the machine, until it is dropped.
#[derive(Debug)]
pub struct RootFs<'a> {
    path: PathBuf,
    mounted: Option<Mounted>,
    of: PhantomData<&'a mut Store>,
}

impl RootFs<'_> {
    pub(super) fn within(store: &Store, dirs: &SnapshotDirs, access: Access) -> Result<Self> {
        let mounted = store.show(dirs, access)?;
        let path = if mounted.is_some() { dirs.root.clone() } else { dirs.fs.clone() };
        Ok(Self { path, mounted, of: PhantomData })
    }

    pub(super) fn elsewhere(store: &Store, dirs: &SnapshotDirs, access: Access, target: &Path) -> Result<Self> {
        let dirs = SnapshotDirs { root: target.to_owned(), ..dirs.clone() };
        let mounted = match store.show(&dirs, access)? {
            Some(mounted) => mounted,
            None => Mounted::bind(&dirs.fs, target)?,
        };
        Ok(Self { path: dirs.root, mounted: Some(mounted), of: PhantomData })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tree as a root, which must be dropped before this is.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn root(&self) -> Result<Root> {
        self.mounted.as_ref().map_or_else(|| Root::open(&self.path), Mounted::root)
    }

    /// Takes it away, so that nobody writes to it any more.
    ///
    /// # Errors
    /// [`Error::is_busy`] where somebody still uses it, as [`Mounted::unmount`] says it.
    pub fn close(self) -> Result<()> {
        self.mounted.map_or(Ok(()), Mounted::unmount)
    }
}
