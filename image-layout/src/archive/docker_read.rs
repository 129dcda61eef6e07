//! Images by `manifest.json`.

use image_core::{
    Compression, Descriptor, DiffId, Digest, Document, Error as CoreError, ImageConfig, ImageManifest, MediaType,
    Reference,
    blob::{BlobStore, BlobStoreExt, Expected},
    document::{MAX_DOCUMENT_SIZE, MAX_LAYERS},
};

use super::{
    docker_json::{DockerImage, MANIFEST},
    index::Index,
    intake::Plain,
    names::blob_name,
};
use crate::error::{Error, Result};

/// An image whose members are all there and, as far as can be told before they are blobs, right.
pub(super) struct Plan {
    /// The config, whose content stays with the other members.
    config: Descriptor,
    config_name: Vec<u8>,
    layers: Vec<Layer>,
    /// The names that it goes by.
    pub(super) names: Vec<String>,
}

struct Layer {
    name: Vec<u8>,
    diff_id: DiffId,
}

impl Plan {
    /// Finds all that an image needs.
    pub(super) fn new(image: DockerImage, index: &Index<'_>) -> Result<Self> {
        let names = image.repo_tags.iter().map(|tag| familiar(tag)).collect::<Result<_>>()?;
        let config_name = image.config.into_bytes();
        let config = index.document(&config_name, MAX_DOCUMENT_SIZE)?;
        let config = Document::<ImageConfig>::parse(config, &super::names::display(&config_name))?;
        let diff_ids = &config.value().rootfs.diff_ids;
        let (found, expected) = (image.layers.len(), diff_ids.len());
        if found != expected || found > MAX_LAYERS {
            let reason = format!("it names {found} layers (at most {MAX_LAYERS} may be), its config {expected}");
            return Err(Error::archive(&config_name, reason));
        }
        let layers = image.layers.into_iter().zip(diff_ids);
        let layers = layers.map(|(name, diff_id)| layer(name.into_bytes(), diff_id, index)).collect::<Result<_>>()?;
        Ok(Self { config: config.descriptor(MediaType::OciConfig), config_name, layers, names })
    }

    /// Finds all that an image of an image layout needs.
    pub(super) fn of_manifest(manifest: &ImageManifest, name: Option<String>, index: &Index<'_>) -> Result<Self> {
        let config = blob_name(&manifest.config.digest);
        let layers = manifest.layers.iter().map(|layer| blob_name(&layer.digest)).collect();
        let plan = Self::new(DockerImage { config, repo_tags: Vec::new(), layers }, index)?;
        if plan.config.digest != manifest.config.digest {
            return Err(CoreError::digest_mismatch(&manifest.config.digest, plan.config.digest).into());
        }
        Ok(Self { names: name.into_iter().collect(), ..plan })
    }

    /// The digest of the config.
    pub(super) fn id(&self) -> &Digest {
        &self.config.digest
    }

    /// Whether it is the same config with the same layers.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let (own, others) = (self.layers.iter(), other.layers.iter());
        self.id() == other.id() && own.map(|layer| &layer.name).eq(others.map(|layer| &layer.name))
    }

    /// Makes the image's members blobs, and a manifest for them.
    pub(super) fn commit(&self, index: &mut Index<'_>, store: &dyn BlobStore) -> Result<Descriptor> {
        let mut layers = Vec::with_capacity(self.layers.len());
        for Layer { name, diff_id } in &self.layers {
            let (blob, plain) = index.commit_layer(name)?;
            let (compression, actual) = match &plain {
                Plain::Compressed(compression, actual) => (*compression, actual.as_digest()),
                _ => (Compression::None, &blob.digest),
            };
            if actual != diff_id.as_digest() {
                return Err(wrong_diff_id(name, diff_id, actual));
            }
            layers.push(Descriptor::new(MediaType::layer(compression), blob.digest, blob.size));
        }
        index.commit(&self.config_name, &Expected::of(self.id().clone()))?;
        let manifest = ImageManifest::new(self.config.clone(), layers);
        let manifest = Document::new(manifest)?;
        store.put_document(&manifest)?;
        Ok(manifest.descriptor(MediaType::OciManifest))
    }
}

/// What can be told of a layer before it is a blob: the digest of one that is not compressed is not yet known.
fn layer(name: Vec<u8>, diff_id: &DiffId, index: &Index<'_>) -> Result<Layer> {
    match index.layer(&name)?.1 {
        Plain::Compressed(_, actual) if actual != *diff_id => Err(wrong_diff_id(&name, diff_id, actual.as_digest())),
        _ => Ok(Layer { name, diff_id: diff_id.clone() }),
    }
}

/// Says that a layer is not the one that the config names.
pub(super) fn wrong_diff_id(name: &[u8], expected: &DiffId, actual: &Digest) -> Error {
    if expected.as_digest().algorithm() != actual.algorithm() {
        return Error::archive(
            name,
            format!("its diffID is {expected}: in archives only those of {} are verified", actual.algorithm()),
        );
    }
    Error::archive(name, format!("the plain layer hashes to {actual}, but its diffID is {expected}"))
}

/// A name with a tag, as people write it.
pub(super) fn familiar(name: &str) -> Result<String> {
    let invalid = |reason| {
        Error::archive(MANIFEST.as_bytes(), format!("invalid name {:?}: {reason}", crate::error::excerpt(name)))
    };
    let reference: Reference = name.parse().map_err(|_| invalid("it is no image reference"))?;
    match (reference.tag(), reference.digest()) {
        (Some(_), None) => Ok(reference.familiar()),
        _ => Err(invalid("it has no tag, or a digest")),
    }
}
