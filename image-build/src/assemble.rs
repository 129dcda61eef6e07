//! From a stage's layers, configuration and history to an image in a store.

use image_core::{
    BlobStore, BlobStoreExt, Ctx, Descriptor, Document, ImageId, ImageIndex, ImageManifest, MediaType, Platform,
    document::MAX_LAYERS,
};

use crate::{
    cache::{CacheKey, explain::Miss},
    error::Result,
    options::BuildOptions,
    solve::StageState,
    state::BuildState,
};

/// An image that was built.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuiltImage {
    /// The manifest, which is in the store.
    pub manifest: Descriptor,
    /// The image ID.
    pub id: ImageId,
    /// The size of manifest, config and layers as they are stored, in bytes.
    pub size: u64,
    /// How many steps an earlier result served for.
    pub cached: usize,
    /// How many steps were carried out.
    pub done: usize,
    /// Why they were carried out, in the order in which they were.
    pub misses: Vec<Miss>,
    /// The records of the steps, in their order. A step that can be found in two ways has two.
    pub records: Vec<StepRecord>,
}

/// Images that were built for several platforms, and the index of them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuiltIndex {
    /// The index, which is in the store.
    pub index: Descriptor,
    /// The platforms, in the order in which they were asked for.
    pub platforms: Vec<Platform>,
    /// The image of each, in their order. The steps of a stage that is the same for
    /// several are told of the first of them.
    pub images: Vec<BuiltImage>,
}

/// The record of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepRecord {
    /// The key.
    pub key: CacheKey,
    /// Whether the step is one of the stages that the image is made of, not only copied from.
    pub is_in_result: bool,
}

/// Puts the image into the store, out of the state of earlier builds: layers first, then what names them, so that nothing there ever
/// names what is missing.
///
/// # Spec
/// OCI image-spec 1.1, manifest.md and config.md.
pub(crate) fn assemble(
    state: StageState,
    earlier: &BuildState,
    options: &BuildOptions,
    output: &dyn BlobStore,
    ctx: &Ctx,
) -> Result<BuiltImage> {
    let StageState { config, rootfs, history, .. } = state;
    let mut config = config.into_config();
    if rootfs.layers().len() > MAX_LAYERS {
        return Err(image_core::Error::limit("layers of the image", MAX_LAYERS as u64).into());
    }
    let mut layers = Vec::new();
    for layer in rootfs.layers() {
        earlier.copy_layer(layer, output, ctx)?;
        let mut descriptor = layer.descriptor.clone();
        descriptor.media_type = descriptor.media_type.to_oci();
        layers.push(descriptor);
    }
    config.created = options.source_date_epoch.or_else(|| history.iter().rev().find_map(|step| step.created));
    config.created = config.created.or_else(|| Some(ctx.now()));
    config.rootfs.diff_ids = rootfs.layers().iter().map(|layer| layer.diff_id.clone()).collect();
    config.history = history;
    let config = Document::new(config)?;
    output.put_document(&config)?;
    let manifest = Document::new(ImageManifest::new(config.descriptor(MediaType::OciConfig), layers))?;
    output.put_document(&manifest)?;
    let documents = manifest.bytes().len() as u64 + config.bytes().len() as u64;
    let size = manifest.value().layers.iter().fold(documents, |sum, layer| sum.saturating_add(layer.size));
    Ok(BuiltImage {
        manifest: manifest.descriptor(MediaType::OciManifest).with_platform(config.value().platform()),
        id: ImageId::from_digest(config.digest().clone()),
        size,
        cached: 0,
        done: 0,
        misses: Vec::new(),
        records: Vec::new(),
    })
}

/// Puts the index of images for these platforms into the store.
///
/// # Spec
/// OCI image-spec 1.1, image-index.md.
pub(crate) fn index(images: Vec<BuiltImage>, platforms: Vec<Platform>, output: &dyn BlobStore) -> Result<BuiltIndex> {
    let manifests = images.iter().zip(&platforms);
    // By what was asked for: an image that is pinned to another platform is meant to serve for this one too.
    let manifests = manifests.map(|(image, platform)| image.manifest.clone().with_platform(platform.clone()));
    let index = Document::new(ImageIndex::new(manifests.collect()))?;
    output.put_document(&index)?;
    Ok(BuiltIndex { index: index.descriptor(MediaType::OciIndex), platforms, images })
}
