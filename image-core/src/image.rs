//! An image: manifest, config and layers, read from a blob source.

use std::{fmt, sync::Arc};

use crate::{
    blob::{BlobSource, BlobSourceExt},
    config::ImageConfig,
    descriptor::Descriptor,
    document::Document,
    error::{Error, Result},
    id::{ChainId, DiffId, ImageId},
    manifest::ImageManifest,
    media_type::MediaType,
    platform::Platform,
};

/// One layer of an image. A layer is named by its position: two may have one diffID.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Layer<'a> {
    /// Its place in the stack; the base layer is 0.
    pub position: usize,
    /// The blob that it is stored as.
    pub descriptor: &'a Descriptor,
    /// The digest of its plain tar.
    pub diff_id: &'a DiffId,
}

/// An image whose manifest and config were read and verified; its layers are read when asked for.
#[derive(Clone)]
pub struct Image {
    source: Arc<dyn BlobSource>,
    descriptor: Descriptor,
    manifest: Document<ImageManifest>,
    config: Document<ImageConfig>,
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("descriptor", &self.descriptor).finish_non_exhaustive()
    }
}

impl Image {
    /// Reads the image whose manifest `descriptor` points at.
    ///
    /// # Errors
    /// [`Error::is_not_found`] where manifest or config are missing, [`Error::is_corrupt`] where they
    /// are not what their descriptors say, or where layers and diffIDs do not pair up.
    pub fn open(source: Arc<dyn BlobSource>, descriptor: &Descriptor) -> Result<Self> {
        let manifest = source.read_document::<ImageManifest>(descriptor)?;
        let config = &manifest.value().config;
        if !config.media_type.is_config() {
            return Err(Error::document(
                format!("image manifest {}", manifest.digest()),
                format!("its config is of media type {}: this is an artifact, not an image", config.media_type),
            ));
        }
        let config = source.read_document::<ImageConfig>(config)?;
        let (layers, diff_ids) = (manifest.value().layers.len(), config.value().rootfs.diff_ids.len());
        if layers != diff_ids {
            return Err(Error::document(
                format!("image manifest {}", manifest.digest()),
                format!("it has {layers} layers, but its config {} has {diff_ids} diffIDs", config.digest()),
            ));
        }
        if let Some(layer) = manifest.value().layers.iter().find(|layer| !layer.media_type.is_layer()) {
            return Err(Error::document(
                format!("image manifest {}", manifest.digest()),
                format!(
                    "its layer {} is of media type {:?}, which is no layer's",
                    layer.digest,
                    layer.media_type.as_str()
                ),
            ));
        }
        let mut descriptor = descriptor.clone();
        if descriptor.media_type.as_str().is_empty() {
            descriptor.media_type = manifest.value().media_type.clone().unwrap_or(MediaType::OciManifest);
        }
        Ok(Self { source, descriptor, manifest, config })
    }

    /// Where the image's blobs are.
    #[must_use]
    pub fn source(&self) -> &Arc<dyn BlobSource> {
        &self.source
    }

    /// The descriptor of the manifest.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Document<ImageManifest> {
        &self.manifest
    }

    /// The config.
    #[must_use]
    pub fn config(&self) -> &Document<ImageConfig> {
        &self.config
    }

    /// The image ID: the digest of the config.
    #[must_use]
    pub fn id(&self) -> ImageId {
        ImageId::from_digest(self.config.digest().clone())
    }

    /// The layers, base layer first.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = Layer<'_>> {
        self.manifest
            .value()
            .layers
            .iter()
            .zip(&self.config.value().rootfs.diff_ids)
            .enumerate()
            .map(|(position, (descriptor, diff_id))| Layer { position, descriptor, diff_id })
    }

    /// The chainID of all layers; `None` for an image of no layers.
    #[must_use]
    pub fn chain_id(&self) -> Option<ChainId> {
        ChainId::of(&self.config.value().rootfs.diff_ids)
    }

    /// The platform, by the config.
    #[must_use]
    pub fn platform(&self) -> Platform {
        self.config.value().platform()
    }
}
