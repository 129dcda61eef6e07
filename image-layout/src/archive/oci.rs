//! Images by `index.json`.

use std::collections::HashSet;

use image_core::{
    Descriptor, DiffId, Digest, Document, Error as CoreError, ImageConfig, ImageIndex, ImageManifest, MediaType,
    blob::Expected,
    document::{Body, MAX_DOCUMENT_SIZE},
    hasher::Hasher,
};

use super::{
    docker_read::wrong_diff_id,
    index::{Index, Plain, blob_name},
};
use crate::{
    bounds::{Bounds, within},
    error::{Error, Result},
};

/// How many manifests are read for one entry of `index.json`.
const MAX_MANIFESTS: usize = 1000;

/// All that an entry of `index.json` needs, which is there and right.
#[derive(Default)]
pub(super) struct Plan {
    seen: HashSet<(Digest, u64, MediaType)>,
    /// Indexes, each before those in it.
    indexes: Vec<Descriptor>,
    manifests: Vec<Descriptor>,
    blobs: Vec<Descriptor>,
    /// Digests of the configs of the images.
    pub(super) ids: HashSet<Digest>,
}

impl Plan {
    /// Finds all that `root` needs.
    pub(super) fn new(root: &Descriptor, index: &Index<'_>) -> Result<Self> {
        let mut plan = Self::default();
        let mut bounds = Bounds::default();
        let mut left = vec![(root.clone(), 1)];
        while let Some((descriptor, depth)) = left.pop() {
            let Descriptor { digest, size, media_type, .. } = &descriptor;
            if !plan.seen.insert((digest.clone(), *size, media_type.clone())) {
                continue;
            }
            if media_type.is_index() {
                bounds.admit_index(&descriptor, depth)?;
                let document = document::<ImageIndex>(&descriptor, index)?;
                plan.indexes.push(descriptor.clone());
                left.extend(document.into_value().manifests.into_iter().map(|child| (child, depth + 1)));
            } else if media_type.is_manifest() || media_type.as_str().is_empty() {
                plan.manifests.push(descriptor.clone());
                within(plan.manifests.len(), "manifests", MAX_MANIFESTS, digest)?;
                plan.manifest(document::<ImageManifest>(&descriptor, index)?.value(), index)?;
            } else {
                plan.blob(&descriptor, index)?;
            }
        }
        Ok(plan)
    }

    /// Makes all of it blobs, the documents last.
    pub(super) fn commit(&self, index: &mut Index<'_>) -> Result<()> {
        for descriptor in self.blobs.iter().chain(&self.manifests).chain(self.indexes.iter().rev()) {
            let name = blob_name(&descriptor.digest);
            let blob = index.commit(name.as_bytes(), &Expected::descriptor(descriptor))?;
            if blob.digest != descriptor.digest {
                return Err(CoreError::digest_mismatch(&descriptor.digest, blob.digest).into());
            }
        }
        Ok(())
    }

    fn manifest(&mut self, manifest: &ImageManifest, index: &Index<'_>) -> Result<()> {
        let config = &manifest.config;
        self.blob(config, index)?;
        if !config.media_type.is_config() {
            return manifest.layers.iter().try_for_each(|blob| self.blob(blob, index));
        }
        let diff_ids = document::<ImageConfig>(config, index)?.into_value().rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            let reason = format!("{} diffIDs for the {} layers of its manifest", diff_ids.len(), manifest.layers.len());
            return Err(Error::archive(blob_name(&config.digest).as_bytes(), reason));
        }
        self.ids.insert(config.digest.clone());
        manifest.layers.iter().zip(&diff_ids).try_for_each(|(layer, diff_id)| {
            self.blob(layer, index)?;
            check_layer(layer, diff_id, index)
        })
    }

    fn blob(&mut self, blob: &Descriptor, index: &Index<'_>) -> Result<()> {
        let name = blob_name(&blob.digest);
        if blob.media_type.is_nondistributable() && !index.has(name.as_bytes()) {
            return Ok(());
        }
        check_size(blob, index)?;
        if !self.blobs.iter().any(|other| other.digest == blob.digest) {
            self.blobs.push(blob.clone());
        }
        Ok(())
    }
}

/// Reads a document, verified.
fn document<T: Body>(descriptor: &Descriptor, index: &Index<'_>) -> Result<Document<T>> {
    check_size(descriptor, index)?;
    let bytes = index.document(blob_name(&descriptor.digest).as_bytes(), MAX_DOCUMENT_SIZE)?;
    let mut hasher = Hasher::for_digest(&descriptor.digest)?;
    hasher.update(&bytes);
    let actual = hasher.finish();
    if actual != descriptor.digest {
        return Err(CoreError::digest_mismatch(&descriptor.digest, actual).into());
    }
    Ok(Document::parse_for(bytes, descriptor)?)
}

fn check_size(descriptor: &Descriptor, index: &Index<'_>) -> Result<()> {
    let name = blob_name(&descriptor.digest);
    let size = index.size(name.as_bytes())?;
    if size != descriptor.size {
        let reason = format!("it has {size} bytes, {} by its descriptor", descriptor.size);
        return Err(Error::archive(name.as_bytes(), reason));
    }
    Ok(())
}

/// Compares a layer with its diffID, whatever its media type says of how it is compressed.
fn check_layer(layer: &Descriptor, diff_id: &DiffId, index: &Index<'_>) -> Result<()> {
    let name = blob_name(&layer.digest);
    let name = name.as_bytes();
    if layer.media_type.is_nondistributable() && !index.has(name) {
        return Ok(());
    }
    match index.layer(name)?.1 {
        Plain::Compressed(_, actual) if actual != *diff_id => Err(wrong_diff_id(name, diff_id, actual.as_digest())),
        // Its content is compared with its digest when it becomes a blob.
        Plain::Same if layer.digest != *diff_id.as_digest() => Err(wrong_diff_id(name, diff_id, &layer.digest)),
        _ => Ok(()),
    }
}
