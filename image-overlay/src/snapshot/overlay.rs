//! Snapshots as overlayfs has them: each holds what its layer changes.

use std::{fs, io::Read, path::PathBuf};

use image_core::Ctx;

use super::{Access, SnapshotDirs, SnapshotForm};
use crate::{
    apply::{Applied, ApplyOptions, apply_overlay_layer},
    error::{Error, Result},
    mount::{Confinement, Durability, Mounted, OverlayMount},
    overlayfs::OverlayXattrs,
    root::Root,
};

/// Differences, each in a directory of its own, that the kernel mounts over each other.
#[derive(Debug, Clone, Copy, Default)]
pub struct OverlayForm {
    xattrs: OverlayXattrs,
    confinement: Confinement,
}

impl OverlayForm {
    /// With the marks in these attributes, as [`probe_overlay`](crate::probe_overlay) finds them.
    #[must_use]
    pub fn new(xattrs: OverlayXattrs) -> Self {
        Self { xattrs, confinement: Confinement::default() }
    }

    /// With programs and devices of all mounts confined so.
    #[must_use]
    pub fn with_confinement(self, confinement: Confinement) -> Self {
        Self { confinement, ..self }
    }

    /// The lower directories of a mount, of which the kernel wants `least`.
    fn lower(dirs: &SnapshotDirs, least: usize) -> Vec<PathBuf> {
        let mut lower = dirs.lower.clone();
        if lower.len() < least {
            lower.insert(0, dirs.empty.clone());
        }
        lower
    }
}

impl SnapshotForm for OverlayForm {
    fn name(&self) -> &str {
        match self.xattrs {
            OverlayXattrs::Trusted => "overlay",
            OverlayXattrs::User => "overlay userxattr",
        }
    }

    fn begin(&self, dirs: &SnapshotDirs, access: Access, ctx: &Ctx) -> Result<()> {
        match access {
            // A layer that says nothing leaves the root's attributes as they are below.
            Access::Write => self.apply(&mut std::io::empty(), dirs, &ApplyOptions::default(), ctx).map(drop),
            Access::Read => Ok(()),
        }
    }

    fn apply(&self, layer: &mut dyn Read, dirs: &SnapshotDirs, options: &ApplyOptions, ctx: &Ctx) -> Result<Applied> {
        let lower = dirs.lower.iter().map(|path| Root::open(path)).collect::<Result<Vec<_>>>()?;
        let options = options.clone().with_overlay_xattrs(self.xattrs);
        apply_overlay_layer(layer, &Root::open(&dirs.fs)?, &lower, &options, ctx)
    }

    fn show(&self, dirs: &SnapshotDirs, access: Access, durability: Durability) -> Result<Option<Mounted>> {
        let mount = match access {
            Access::Read => OverlayMount::read_only(Self::lower(dirs, 2)),
            Access::Write => {
                fs::create_dir_all(&dirs.work).map_err(|e| Error::io("create", &dirs.work, e))?;
                OverlayMount::writable(Self::lower(dirs, 1), &dirs.fs, &dirs.work)
            }
        };
        let mount = mount.with_xattrs(self.xattrs).with_durability(durability);
        mount.with_confinement(self.confinement).mount(&dirs.root).map(Some)
    }

    fn marks(&self) -> Option<OverlayXattrs> {
        Some(self.xattrs)
    }
}
