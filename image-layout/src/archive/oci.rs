//! Images by `index.json`.

use std::collections::{BTreeMap, HashSet};

use image_core::{
    Descriptor, DiffId, Digest, Document, Error as CoreError, ImageConfig, ImageIndex, ImageManifest, MediaType,
    blob::Expected,
    document::{Body, MAX_DOCUMENT_SIZE},
    hasher::Hasher,
};

use super::{docker_read::wrong_diff_id, index::Index, intake::Plain, names::blob_name};
use crate::{
    bounds::{Bounds, within},
    error::{Error, Result},
};

/// How many manifests are read of one archive.
const MAX_MANIFESTS: usize = 10_000;

/// How many other blobs they may name; what is remembered of each is small.
const MAX_BLOBS: usize = 100_000;

/// How much was found in an archive, whichever entry of `index.json` led to it.
#[derive(Default)]
pub(super) struct Totals {
    bounds: Bounds,
    manifests: usize,
    blobs: usize,
}

/// All that an entry of `index.json` needs, which is there and right.
#[derive(Default)]
pub(super) struct Plan {
    seen: HashSet<(Digest, u64, MediaType)>,
    /// Digests and sizes of what is no document, each once.
    blobs: BTreeMap<Digest, u64>,
    /// Digests and sizes of manifests and indexes, each after all that it points at.
    documents: Vec<(Digest, u64)>,
    /// Digests of the configs of the images.
    pub(super) ids: HashSet<Digest>,
}

/// An index of whose entries some are still to be visited.
struct Branch {
    digest: Digest,
    size: u64,
    left: std::vec::IntoIter<Descriptor>,
}

impl Plan {
    /// Finds all that `root` needs.
    pub(super) fn new(root: &Descriptor, index: &Index<'_>, totals: &mut Totals) -> Result<Self> {
        let mut plan = Self::default();
        let mut branches: Vec<Branch> = plan.visit(root, index, 1, totals)?.into_iter().collect();
        while let Some(branch) = branches.last_mut() {
            match branch.left.next() {
                Some(child) => {
                    let below = plan.visit(&child, index, branches.len() + 1, totals)?;
                    branches.extend(below);
                }
                None => plan.documents.extend(branches.pop().map(|branch| (branch.digest, branch.size))),
            }
        }
        Ok(plan)
    }

    /// Notes what is no index; gives the branch of what is.
    fn visit(
        &mut self,
        descriptor: &Descriptor,
        index: &Index<'_>,
        depth: usize,
        totals: &mut Totals,
    ) -> Result<Option<Branch>> {
        let Descriptor { digest, size, media_type, .. } = descriptor;
        if !self.seen.insert((digest.clone(), *size, media_type.clone())) {
            return Ok(None);
        }
        if media_type.is_index() {
            totals.bounds.admit_index(descriptor, depth)?;
            let left = document::<ImageIndex>(descriptor, index)?.into_value().manifests.into_iter();
            return Ok(Some(Branch { digest: digest.clone(), size: *size, left }));
        }
        if media_type.is_manifest() || media_type.as_str().is_empty() {
            totals.manifests += 1;
            within(totals.manifests, "manifests", MAX_MANIFESTS, digest)?;
            self.manifest(document::<ImageManifest>(descriptor, index)?.value(), index, totals)?;
            self.documents.push((digest.clone(), *size));
        } else {
            self.blob(descriptor, index, totals)?;
        }
        Ok(None)
    }

    /// Makes all of it blobs, the documents last.
    pub(super) fn commit(&self, index: &mut Index<'_>) -> Result<()> {
        let documents = self.documents.iter().map(|(digest, size)| (digest, size));
        for (digest, size) in self.blobs.iter().chain(documents) {
            let expected = Expected::sized(digest.clone(), *size);
            let blob = index.commit(blob_name(digest).as_bytes(), &expected)?;
            if blob.digest != *digest {
                return Err(CoreError::digest_mismatch(digest, blob.digest).into());
            }
        }
        Ok(())
    }

    fn manifest(&mut self, manifest: &ImageManifest, index: &Index<'_>, totals: &mut Totals) -> Result<()> {
        let config = &manifest.config;
        self.blob(config, index, totals)?;
        if !config.media_type.is_config() {
            return manifest.layers.iter().try_for_each(|blob| self.blob(blob, index, totals));
        }
        let diff_ids = document::<ImageConfig>(config, index)?.into_value().rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            let reason = format!("{} diffIDs for the {} layers of its manifest", diff_ids.len(), manifest.layers.len());
            return Err(Error::archive(blob_name(&config.digest).as_bytes(), reason));
        }
        self.ids.insert(config.digest.clone());
        manifest.layers.iter().zip(&diff_ids).try_for_each(|(layer, diff_id)| {
            self.blob(layer, index, totals)?;
            check_layer(layer, diff_id, index)
        })
    }

    fn blob(&mut self, blob: &Descriptor, index: &Index<'_>, totals: &mut Totals) -> Result<()> {
        let name = blob_name(&blob.digest);
        if blob.media_type.is_nondistributable() && !index.has(name.as_bytes()) {
            return Ok(());
        }
        check_size(blob, index)?;
        if self.blobs.insert(blob.digest.clone(), blob.size).is_none() {
            totals.blobs += 1;
            within(totals.blobs, "blobs", MAX_BLOBS, &blob.digest)?;
        }
        Ok(())
    }
}

/// Reads a document, verified.
pub(super) fn document<T: Body>(descriptor: &Descriptor, index: &Index<'_>) -> Result<Document<T>> {
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
