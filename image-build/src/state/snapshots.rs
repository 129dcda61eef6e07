//! The root file systems in which commands are run.

use image_core::Ctx;
use image_overlay::Snapshots;

use super::BuildState;
use crate::error::Result;

impl BuildState {
    /// The snapshots of layers, opened when they are first asked for. What killed builds have left in them is removed.
    pub(crate) fn snapshots(&self, ctx: &Ctx) -> Result<&Snapshots> {
        if let Some(snapshots) = self.snapshots.get() {
            return Ok(snapshots);
        }
        let snapshots = Snapshots::open(&self.directory.join("snapshots"), ctx)?;
        snapshots.remove_abandoned(ctx)?;
        Ok(self.snapshots.get_or_init(|| snapshots))
    }
}
