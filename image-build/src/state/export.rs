//! The records of a build, to be handed on.

use image_core::{BlobStore, Ctx, Descriptor};

use super::BuildState;
use crate::{
    assemble::StepRecord,
    cache::{ArtifactRecordStore, RecordStore},
    error::Result,
};

/// Which records of a build are handed on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheExport {
    /// Those of the steps whose layers and configuration are in the image.
    #[default]
    Minimal,
    /// Those of all steps.
    Maximal,
}

impl BuildState {
    /// Writes [records of a build](crate::BuiltImage::records) into a store, with the layers that they name, as an artifact: see
    /// [`ArtifactRecordStore`]. Naming it there is the caller's next call; another build takes it up by
    /// [`Builder::with_cache_from`](crate::Builder::with_cache_from).
    ///
    /// # Errors
    /// Where the state cannot be read or the store not be written, and [`Error::is_cancelled`](crate::Error::is_cancelled).
    pub fn export<'r>(
        &self,
        records: impl IntoIterator<Item = &'r StepRecord>,
        which: CacheExport,
        output: &(impl BlobStore + ?Sized),
        ctx: &Ctx,
    ) -> Result<Descriptor> {
        let artifact = ArtifactRecordStore::default();
        for step in records.into_iter().filter(|step| which == CacheExport::Maximal || step.is_in_result) {
            if let Some(record) = self.records.get(&step.key)? {
                artifact.put(&record)?;
            }
        }
        artifact.save(&*self.blobs, output, ctx)
    }
}
