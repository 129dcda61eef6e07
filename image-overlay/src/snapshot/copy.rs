//! Snapshots as whole trees, for machines without overlayfs.

mod tree;

use std::io::Read;

use image_core::Ctx;

use self::tree::copy_tree;
use super::{Access, SnapshotDirs, SnapshotForm};
use crate::{
    apply::{Applied, ApplyOptions, apply_layer, prepare_root},
    error::Result,
    mount::{Durability, Mounted},
    overlayfs::OverlayXattrs,
    root::Root,
};

/// Whole trees, each a copy of the one below it. Where the file system can, files share their blocks
/// (reflinks), and the copy costs little but names.
///
/// It needs no mount and no privilege. That a tree is only to be looked at is not enforced: a view
/// is a copy too, and what is written to it is lost.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct CopyForm {}

impl SnapshotForm for CopyForm {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn begin(&self, dirs: &SnapshotDirs, _access: Access, ctx: &Ctx) -> Result<()> {
        let fs = Root::open(&dirs.fs)?;
        match dirs.lower.last() {
            Some(below) => copy_tree(&Root::open(below)?, &fs, ctx),
            None => prepare_root(&fs, &ApplyOptions::default()),
        }
    }

    fn apply(&self, layer: &mut dyn Read, dirs: &SnapshotDirs, options: &ApplyOptions, ctx: &Ctx) -> Result<Applied> {
        self.begin(dirs, Access::Write, ctx)?;
        apply_layer(layer, &Root::open(&dirs.fs)?, options, ctx)
    }

    fn show(&self, _dirs: &SnapshotDirs, _access: Access, _durability: Durability) -> Result<Option<Mounted>> {
        Ok(None)
    }

    fn marks(&self) -> Option<OverlayXattrs> {
        None
    }
}
