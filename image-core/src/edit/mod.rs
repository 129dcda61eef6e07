//! From one image to the next: new documents, whose untouched parts stay as they are.

mod rebase;
mod recompress;

use crate::{
    blob::{BlobStore, BlobStoreExt},
    config::ImageConfig,
    descriptor::{Annotations, Descriptor},
    digest::Digest,
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
/// What is to be set is a field; what must change several things at once is a method. Fields of the configuration and of
/// the manifest that this crate has no name for are kept. Layers, diffIDs and the history's steps with a layer stay
/// in step: where an old image does not say how a layer was made, a step without words stands in. Docker's media types
/// become OCI's.
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
    /// The manifest that this image is about, if it is about one.
    pub subject: Option<Descriptor>,
    /// The rest of the manifest, with the layers. What it says of the configuration is what other fields said that
    /// are no part of what is written anew.
    manifest: ImageManifest,
}

impl ImageEdit {
    /// An image of no layers yet.
    #[must_use]
    pub fn new(config: ImageConfig) -> Self {
        let unwritten = Descriptor::new(MediaType::OciConfig, Digest::sha256_of(b""), 0);
        let manifest = ImageManifest::new(unwritten, Vec::new());
        let mut edit = Self { config, annotations: Annotations::default(), subject: None, manifest };
        edit.clear_layers();
        edit
    }

    /// An image that is the same as this one so far.
    #[must_use]
    pub fn of(image: &Image) -> Self {
        let mut manifest = image.manifest().value().clone();
        manifest.layers.iter_mut().for_each(|layer| layer.media_type = layer.media_type.to_oci());
        let mut config = image.config().value().clone();
        config.history = config.paired_history();
        Self {
            config,
            annotations: std::mem::take(&mut manifest.annotations),
            subject: manifest.subject.take(),
            manifest,
        }
    }

    /// The layers as they are so far, base layer first.
    #[must_use]
    pub fn layers(&self) -> &[Descriptor] {
        &self.manifest.layers
    }

    /// Takes all layers away, and the history, which is theirs.
    pub fn clear_layers(&mut self) {
        self.manifest.layers.clear();
        self.config.rootfs.diff_ids.clear();
        self.config.history.clear();
    }

    /// Puts a layer on top. The image is as new as its newest layer.
    pub fn push_layer(&mut self, layer: &Descriptor, diff_id: DiffId, history: History) {
        let media_type = layer.media_type.to_oci();
        self.manifest.layers.push(Descriptor { media_type, ..layer.clone() });
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

    /// Writes configuration and manifest into the store that has the layers, and points at the manifest.
    ///
    /// # Errors
    /// [`Error::is_not_found`] where the store does not have a layer; [`Error::is_corrupt`] where layers, diffIDs and
    /// the history's steps are no longer in step; more than [`MAX_LAYERS`] layers; a failed write.
    pub fn write(self, store: &dyn BlobStore) -> Result<Descriptor> {
        self.check()?;
        for layer in &self.manifest.layers {
            if store.stat(&layer.digest)?.is_none() && layer.urls.is_empty() {
                return Err(Error::BlobNotFound { digest: layer.digest.clone() });
            }
        }
        let Self { config, annotations, subject, manifest } = self;
        let config = Document::new(config)?;
        store.put_document(&config)?;
        let Descriptor { digest, size, media_type, .. } = config.descriptor(MediaType::OciConfig);
        let pointer = Descriptor { media_type, digest, size, data: None, urls: Vec::new(), ..manifest.config };
        let media_type = Some(MediaType::OciManifest);
        let manifest = ImageManifest { media_type, config: pointer, annotations, subject, ..manifest };
        let manifest = Document::new(manifest)?;
        store.put_document(&manifest)?;
        Ok(manifest.descriptor(MediaType::OciManifest).with_platform(config.value().platform()))
    }

    fn check(&self) -> Result<()> {
        let (layers, diff_ids) = (self.manifest.layers.len(), self.config.rootfs.diff_ids.len());
        if layers > MAX_LAYERS {
            return Err(Error::limit("layers of the image", MAX_LAYERS as u64));
        }
        let steps = self.config.history.iter().filter(|step| !step.empty_layer).count();
        if layers != diff_ids || (steps != layers && !self.config.history.is_empty()) {
            let reason = format!("{layers} layers, but {diff_ids} diffIDs and {steps} steps of history with a layer");
            return Err(Error::document("new image", reason));
        }
        Ok(())
    }
}
