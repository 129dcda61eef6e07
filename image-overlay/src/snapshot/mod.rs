//! Root file systems by chainID, unpacked once for all images that share layers.
//!
//! A snapshot is *committed*: it has a chainID, is based on the snapshot of the layers below, and never changes; or it
//! is *active*: it has a [key](SnapshotKey), is based on a committed one, and is being changed. Its life is
//!
//! ```text
//! prepare(key, parent) ──> Active ── mount, change, unmount, capture ──> commit(diffID) ──> committed ──> collect
//!                             └────────────────> remove                      └─ view ──> View ── mount
//! ```
//!
//! [`Snapshots::ensure`] makes what is missing of an image's chain. How snapshots look on disk is up to a
//! [`SnapshotForm`]: [`OverlayForm`], as overlayfs has them, or [`CopyForm`], whole trees.
//!
//! # On disk
//! ```text
//! version                       what this is, and of which form
//! lock                          held while names change
//! committed/sha256/<chain>/     fs/, parents
//! active/<key>/                 fs/, work/, root/, parents
//! views/<process>-<number>/     the same, of what is being looked at
//! tmp/<process>-<number>/       what is being made or deleted
//! empty/                        an empty directory
//! ```
//!
//! Only the owner of a store may enter it, since images bring set-user-id programs: whoever else is to see a tree gets
//! it mounted elsewhere.
//!
//! Several processes may use a store at once. Each change is one rename, so a process that is killed at any time leaves
//! what there was before or after, and something in `tmp/`, which the next one that [opens](Snapshots::open) the store
//! deletes. An active snapshot whose process died stays until somebody takes it up again or
//! [collects](Snapshots::collect) it.

mod active;
mod backend;
mod collect;
#[cfg(feature = "conformance")]
pub mod conformance;
mod copy;
mod disk;
mod ensure;
mod key;
mod overlay;
mod problem;
mod settle;
mod store;
mod view;

use std::{collections::HashSet, path::Path, sync::Arc};

use image_core::{ChainId, Ctx, observer::NoticeKind};

pub use self::{
    active::{Active, RootFs},
    backend::{Access, SnapshotDirs, SnapshotForm},
    collect::{Collected, Keep},
    copy::CopyForm,
    key::SnapshotKey,
    overlay::OverlayForm,
    problem::SnapshotProblem,
    view::View,
};
use self::{disk::Disk, store::Store};
use crate::{
    error::{Error, Result},
    mount::{Durability, probe_overlay},
    overlayfs::OverlayXattrs,
    root::Root,
    scan::{DirSource, Sight},
    source::TreeSource,
};

/// A directory of snapshots.
///
/// ```
/// use image_core::{Ctx, DiffId, Digest};
/// use image_overlay::{CopyForm, SnapshotKey, Snapshots};
/// use std::sync::Arc;
/// let (dir, ctx) = (tempfile::tempdir()?, Ctx::default());
/// let snapshots = Snapshots::with_form(dir.path(), Arc::new(CopyForm::default()), &ctx)?;
///
/// let mut active = snapshots.prepare(&SnapshotKey::parse("build-1")?, None, &ctx)?;
/// let root = active.mount()?;
/// std::fs::write(root.path().join("motd"), "hi\n")?;
/// root.close()?;
/// // The diffID of the layer that was packed of it.
/// let diff_id = DiffId::from_digest(Digest::sha256_of(b"a layer"));
/// let chain = active.commit(&diff_id, &ctx)?;
///
/// let mut view = snapshots.view(&chain, &ctx)?;
/// assert!(view.mount(&ctx)?.path().join("motd").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Snapshots {
    store: Arc<Store>,
}

/// A snapshot in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotInfo {
    /// Which.
    pub id: SnapshotId,
    /// What it is based on.
    pub parent: Option<ChainId>,
}

/// What names a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "there is no third kind")]
pub enum SnapshotId {
    /// A committed one.
    Committed(ChainId),
    /// An active one.
    Active(SnapshotKey),
}

/// What a snapshot takes, without those that it is based on. In the form of whole trees that is all of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SnapshotUsage {
    /// Bytes of files' content, of each file once; files that share blocks with others are not told apart.
    pub bytes: u64,
    /// Files and directories by all their names.
    pub names: u64,
}

impl Snapshots {
    /// Opens the snapshots in a directory, in the form that they have. Where there are none yet, it is made, and they will
    /// have the form that suits the machine: that of overlayfs where it can be mounted, else whole trees, with a
    /// notice that says why.
    ///
    /// # Errors
    /// As [`Snapshots::with_form`].
    pub fn open(directory: &Path, ctx: &Ctx) -> Result<Self> {
        if let Some(form) = Disk::form_of(directory)?.as_deref().and_then(form_named) {
            return Self::with_form(directory, form, ctx);
        }
        std::fs::create_dir_all(directory).map_err(|e| Error::io("create", directory, e))?;
        match probe_overlay(directory) {
            Ok(support) => Self::with_form(directory, Arc::new(OverlayForm::new(support.xattrs)), ctx),
            Err(error @ Error::Mount { .. }) => {
                let message = format!("snapshots are whole copies: {error}");
                ctx.notice(NoticeKind::Warning, &directory.to_string_lossy(), &message);
                Self::with_form(directory, Arc::new(CopyForm::default()), ctx)
            }
            Err(other) => Err(other),
        }
    }

    /// Opens the snapshots in a directory, which is made where it is missing, in a form of the caller's choice. What
    /// processes that were killed have left is deleted.
    ///
    /// # Errors
    /// [`Error::SnapshotStore`] where its snapshots are of another form; those of the file system.
    pub fn with_form(directory: &Path, form: Arc<dyn SnapshotForm>, ctx: &Ctx) -> Result<Self> {
        let disk = Arc::new(Disk::open(directory, form.name())?);
        let snapshots = Self { store: Arc::new(Store { disk, form, durability: Durability::default() }) };
        snapshots.store.delete_abandoned(ctx)?;
        Ok(snapshots)
    }

    /// With snapshots as durable as this. [`Durability::Volatile`] is for stores that nobody needs after a crash of the
    /// machine: nothing is synced, neither when snapshots are committed nor by processes that write to active ones.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        let Store { disk, form, .. } = &*self.store;
        Self { store: Arc::new(Store { disk: Arc::clone(disk), form: Arc::clone(form), durability }) }
    }

    /// The form of its snapshots.
    #[must_use]
    pub fn form(&self) -> &dyn SnapshotForm {
        &*self.store.form
    }

    /// Makes an active snapshot, which shows what `parent` shows, or nothing.
    ///
    /// # Errors
    /// [`Error::Snapshot`] where the key is taken, or `parent` is not there, which is [`Error::is_not_found`].
    pub fn prepare(&self, key: &SnapshotKey, parent: Option<&ChainId>, ctx: &Ctx) -> Result<Active> {
        Active::prepare(&self.store, key, parent, ctx)
    }

    /// Takes up an active snapshot again, as it is; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::is_busy`] where somebody holds it.
    pub fn active(&self, key: &SnapshotKey) -> Result<Option<Active>> {
        Active::take_up(&self.store, key)
    }

    /// Keeps a committed snapshot from being removed, and shows it.
    ///
    /// # Errors
    /// [`Error::is_not_found`] where it is not there.
    pub fn view(&self, chain: &ChainId, ctx: &Ctx) -> Result<View> {
        ctx.check()?;
        let exclusive = self.store.disk.lock()?;
        self.store.require(chain)?;
        View::new(&self.store, &exclusive, chain, std::slice::from_ref(chain))
    }

    /// Whether there is a committed snapshot.
    #[must_use]
    pub fn contains(&self, chain: &ChainId) -> bool {
        self.store.has(chain)
    }

    /// All snapshots, the committed ones first, each kind in the order of names.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn list(&self) -> Result<Vec<SnapshotInfo>> {
        let _exclusive = self.store.disk.lock()?;
        let committed = self.store.disk.list_committed()?.into_iter();
        let committed = committed.map(|(chain, parent)| SnapshotInfo { id: SnapshotId::Committed(chain), parent });
        let active = self.store.disk.list_active()?.into_iter();
        let active = active.map(|(key, parent)| SnapshotInfo { id: SnapshotId::Active(key), parent });
        Ok(committed.chain(active).collect())
    }

    /// What a snapshot takes. All of it is looked at.
    ///
    /// # Errors
    /// [`Error::is_not_found`] where it is not there; those of the file system.
    pub fn usage(&self, id: &SnapshotId, ctx: &Ctx) -> Result<SnapshotUsage> {
        let directory = match id {
            SnapshotId::Committed(chain) => self.store.disk.committed(chain),
            SnapshotId::Active(key) => self.store.disk.active(key),
        };
        let source = DirSource::look(Root::open(&directory.join("fs"))?, Sight::Overlay, ctx)?;
        let tree = source.tree();
        let mut usage = SnapshotUsage::default();
        let mut seen = HashSet::new();
        for node in tree.walk(tree.root()) {
            usage.names += 1;
            if seen.insert(node.inode_id()) {
                usage.bytes = usage.bytes.saturating_add(node.kind().size());
            }
        }
        Ok(usage)
    }

    /// Removes a committed snapshot; tells whether it was there.
    ///
    /// # Errors
    /// [`Error::is_busy`] where another snapshot is based on it, or somebody looks at it.
    pub fn remove(&self, chain: &ChainId, ctx: &Ctx) -> Result<bool> {
        let held = {
            let exclusive = self.store.disk.lock()?;
            if !self.store.has(chain) {
                return Ok(false);
            }
            self.store.require_unused(&exclusive, chain)?;
            self.store.discard_committed(&exclusive, chain)?
        };
        held.map_or(Ok(()), |held| self.store.disk.delete(held, ctx))?;
        Ok(true)
    }
}

/// The form of this name, of those that are known here.
fn form_named(name: &str) -> Option<Arc<dyn SnapshotForm>> {
    let overlay = [OverlayXattrs::Trusted, OverlayXattrs::User].map(OverlayForm::new);
    match overlay.into_iter().find(|form| form.name() == name) {
        Some(form) => Some(Arc::new(form)),
        None if CopyForm::default().name() == name => Some(Arc::new(CopyForm::default())),
        None => None,
    }
}
