//! From one image to the next: new documents, whose untouched parts stay as they are.

use crate::{
    blob::{BlobStore, BlobStoreExt},
    config::ImageConfig,
    descriptor::{Annotations, Descriptor},
    document::{Document, MAX_LAYERS},
    error::{Error, Result},
    history::History,
    id::DiffId,
    image::Image,
    manifest::ImageManifest,
    media_type::MediaType,
};

/// A new image, made from an old one or from nothing.
///
/// Fields of the configuration and annotations that this crate has no name for are kept. Layers and the history's steps
/// with a layer stay pairs: where an old image does not say how a layer was made, a step without words stands in.
///
/// ```
/// use image_core::{BlobStoreExt, Descriptor, DiffId, Digest, History, ImageConfig, ImageEdit};
/// use image_core::{Image, MediaType, MemoryBlobStore, Platform, Timestamp};
/// let store = MemoryBlobStore::default();
/// let layer = store.put_bytes(&[0; 1024])?; // a tar of nothing
/// let diff_id = DiffId::from_digest(layer.digest.clone());
/// let layer = Descriptor::new(MediaType::OciLayer, layer.digest, layer.size);
///
/// let mut edit = ImageEdit::new(ImageConfig::new(&Platform::new("linux", "amd64")));
/// edit.push_layer(&layer, diff_id, History::new(Timestamp::UNIX_EPOCH, "import"));
/// edit.config.config.cmd = Some(vec!["sh".into()]);
/// let manifest = edit.write(&store)?;
/// assert_eq!(Image::open(std::sync::Arc::new(store), &manifest)?.layers().len(), 1);
/// # Ok::<(), image_core::Error>(())
/// ```
///
/// # Spec
/// OCI image-spec 1.1, manifest.md and config.md.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ImageEdit {
    /// The configuration. Its diffIDs and the history's steps with a layer are those of the layers; add to
    /// them by [`ImageEdit::push_layer`].
    pub config: ImageConfig,
    /// Annotations of the manifest.
    pub annotations: Annotations,
    layers: Vec<Descriptor>,
}

impl ImageEdit {
    /// An image of no layers yet.
    #[must_use]
    pub fn new(config: ImageConfig) -> Self {
        let mut edit = Self { config, annotations: Annotations::default(), layers: Vec::new() };
        edit.clear_layers();
        edit
    }

    /// An image that is the same as this one so far.
    #[must_use]
    pub fn of(image: &Image) -> Self {
        let manifest = image.manifest().value();
        let mut edit = Self {
            config: image.config().value().clone(),
            annotations: manifest.annotations.clone(),
            layers: manifest.layers.iter().map(oci_layer).collect(),
        };
        edit.pair_history();
        edit
    }

    /// Takes all layers away, and the history, which is theirs.
    pub fn clear_layers(&mut self) {
        self.layers.clear();
        self.config.rootfs.diff_ids.clear();
        self.config.history.clear();
    }

    /// Puts a layer on top. The image is as new as its newest layer.
    pub fn push_layer(&mut self, layer: &Descriptor, diff_id: DiffId, history: History) {
        self.layers.push(oci_layer(layer));
        self.config.rootfs.diff_ids.push(diff_id);
        self.push_history(History { empty_layer: false, ..history });
    }

    /// Notes a step that made no layer.
    pub fn push_step(&mut self, history: History) {
        self.push_history(history.without_layer());
    }

    fn push_history(&mut self, history: History) {
        self.config.created = history.created.or(self.config.created);
        self.config.history.push(history);
    }

    /// Gives each layer a step.
    fn pair_history(&mut self) {
        let steps = self.config.history.iter().filter(|step| !step.empty_layer).count();
        let missing = self.layers.len().saturating_sub(steps);
        self.config.history.extend(std::iter::repeat_n(History::default(), missing));
    }

    /// Writes configuration and manifest into the store that has the layers, and points at the manifest.
    ///
    /// # Errors
    /// [`Error::is_not_found`] where the store does not have a layer; more than [`MAX_LAYERS`] layers; a failed write.
    pub fn write(self, store: &dyn BlobStore) -> Result<Descriptor> {
        if self.layers.len() > MAX_LAYERS {
            return Err(Error::limit("layers of the image", MAX_LAYERS as u64));
        }
        for layer in &self.layers {
            if store.stat(&layer.digest)?.is_none() && layer.urls.is_empty() {
                return Err(Error::BlobNotFound { digest: layer.digest.clone() });
            }
        }
        let config = Document::new(self.config)?;
        store.put_document(&config)?;
        let mut manifest = ImageManifest::new(config.descriptor(MediaType::OciConfig), self.layers);
        manifest.annotations = self.annotations;
        let manifest = Document::new(manifest)?;
        store.put_document(&manifest)?;
        Ok(manifest.descriptor(MediaType::OciManifest).with_platform(config.value().platform()))
    }
}

/// The same layer under OCI's name for it: an OCI manifest does not mix in Docker's.
fn oci_layer(layer: &Descriptor) -> Descriptor {
    let media_type = match &layer.media_type {
        MediaType::DockerLayer => MediaType::OciLayer,
        MediaType::DockerLayerGzip => MediaType::OciLayerGzip,
        MediaType::DockerLayerZstd => MediaType::OciLayerZstd,
        other => other.clone(),
    };
    Descriptor { media_type, ..layer.clone() }
}
