//! Records in an artifact: to be handed on, through any store of blobs.
//!
//! An artifact is an OCI image manifest whose first layer is a list of records and whose other layers are those that the
//! records name. It can so be tagged, copied, pushed and collected as an image is.

use std::collections::HashSet;

use image_core::{
    BlobSource, BlobSourceExt, BlobStore, BlobStoreExt, Ctx, Descriptor, Document, ImageManifest, MediaType, Timestamp,
    document::MAX_LAYERS, observer::NoticeKind,
};
use serde::{Deserialize, Serialize};

use super::{CacheKey, MemoryRecordStore, Record, RecordStore};
use crate::error::{Error, Result};

/// What the manifest says that it is.
pub const ARTIFACT_TYPE: &str = "application/vnd.image-build.cache.v1";

/// The media type of the list of records.
const RECORDS: &str = "application/vnd.image-build.cache.records.v1+json";

/// The largest list of records that is read, in bytes.
const MAX_RECORDS: u64 = 64 << 20;

/// Records of an artifact: read whole, changed in memory, and written as a new artifact.
///
/// Nothing in it is believed for where it comes from: a record serves under the key of its own recipe alone, and the
/// blobs it names are verified by whoever takes them. Texts that recipes and records keep for explanations are left out
/// when it is written, since values of build arguments may be among them.
#[derive(Debug, Default)]
pub struct ArtifactRecordStore {
    records: MemoryRecordStore,
}

/// The list as it is written.
#[derive(Serialize, Deserialize)]
struct List<R> {
    records: R,
}

impl ArtifactRecordStore {
    /// Reads the artifact whose manifest a descriptor points at. A record that cannot be read is left out.
    ///
    /// # Errors
    /// [`Error::is_not_found`], [`Error::is_corrupt`], and where it is something else than such an artifact.
    pub fn open(source: &(impl BlobSource + ?Sized), manifest: &Descriptor) -> Result<Self> {
        let manifest = source.read_document::<ImageManifest>(manifest)?;
        let is_records = |layer: &&Descriptor| layer.media_type.as_str() == RECORDS;
        let Some(list) = manifest.value().layers.first().filter(is_records) else {
            return Err(Error::NotACache { manifest: manifest.digest().clone() });
        };
        let bytes = source.read_bytes(list, MAX_RECORDS)?;
        let list: List<Vec<serde_json::Value>> =
            serde_json::from_slice(&bytes).map_err(|_| Error::NotACache { manifest: manifest.digest().clone() })?;
        let this = Self::default();
        for record in list.records {
            if let Ok(record) = serde_json::from_value::<Record>(record) {
                this.records.put(&record)?;
            }
        }
        Ok(this)
    }

    /// Writes the artifact into a store, with the blobs that the records name, out of `blobs`. Naming it there is the
    /// caller's next call. A record whose blob is gone or damaged is left out, with a notice.
    ///
    /// # Errors
    /// Where a store cannot be read or written, and [`Error::is_cancelled`].
    pub fn save(
        &self,
        blobs: &(impl BlobSource + ?Sized),
        output: &(impl BlobStore + ?Sized),
        ctx: &Ctx,
    ) -> Result<Descriptor> {
        let mut records = Vec::new();
        self.records.for_each(&mut |record| {
            records.push(without_texts(record));
            Ok(())
        })?;
        records.sort_by_cached_key(|record| record.recipe.key());
        let mut layers: Vec<Descriptor> = Vec::new();
        let (mut seen, mut gone, mut kept) = (HashSet::new(), HashSet::new(), Vec::new());
        for record in records {
            for blob in record.descriptors() {
                if !seen.insert(blob.digest.clone()) {
                    continue;
                }
                match output.copy_from(blobs, blob, ctx) {
                    Ok(_) => layers.push(blob.clone()),
                    Err(e) if e.is_not_found() || e.is_corrupt() => {
                        gone.insert(blob.digest.clone());
                        let message = "what a record names is gone or damaged: the record is left out";
                        ctx.notice(NoticeKind::Skipped, &blob.digest.to_string(), message);
                    }
                    Err(e) => return Err(e.into()),
                }
            }
            let is_whole = record.descriptors().all(|blob| !gone.contains(&blob.digest));
            kept.extend(is_whole.then_some(record));
        }
        if layers.len() >= MAX_LAYERS {
            return Err(image_core::Error::limit("layers of the cache artifact", MAX_LAYERS as u64 - 1).into());
        }
        let list = serde_json::to_vec(&List { records: &kept }).map_err(|source| Error::Encode { source })?;
        let list = output.put_bytes(&list)?;
        layers.insert(0, Descriptor::new(MediaType::from(RECORDS), list.digest, list.size));
        let config = output.put_bytes(b"{}")?;
        let mut manifest = ImageManifest::new(Descriptor::new(MediaType::OciEmpty, config.digest, config.size), layers);
        manifest.artifact_type = Some(ARTIFACT_TYPE.into());
        let manifest = Document::new(manifest)?;
        output.put_document(&manifest)?;
        Ok(manifest.descriptor(MediaType::OciManifest))
    }
}

/// The record without what only explanations read.
fn without_texts(mut record: Record) -> Record {
    record.recipe = record.recipe.without_texts();
    record.attached.clear();
    record
}

impl RecordStore for ArtifactRecordStore {
    fn get(&self, key: &CacheKey) -> Result<Option<Record>> {
        self.records.get(key)
    }

    fn put(&self, record: &Record) -> Result<()> {
        self.records.put(record)
    }

    fn touch(&self, key: &CacheKey, used: Timestamp) -> Result<()> {
        self.records.touch(key, used)
    }

    fn remove(&self, key: &CacheKey) -> Result<bool> {
        self.records.remove(key)
    }

    fn for_each(&self, visit: &mut dyn FnMut(Record) -> Result<()>) -> Result<()> {
        self.records.for_each(visit)
    }
}
