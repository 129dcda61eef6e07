//! Image indexes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    descriptor::{Annotations, Descriptor, Extra},
    document::{Body, Facts},
    error::{Error, Result},
    image::Image,
    json,
    media_type::MediaType,
};

/// Several images under one name, most often one for each platform.
///
/// # Spec
/// OCI image-spec 1.1, image-index.md; Docker manifest list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ImageIndex {
    /// Always 2.
    pub schema_version: u64,
    /// What this document says it is; old OCI indexes say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The kind of artifact, where it is none that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests and nested indexes, most preferred first.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub manifests: Vec<Descriptor>,
    /// The manifest that this index is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations of the index.
    #[serde(default, deserialize_with = "json::null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
    /// What this crate has no name for.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ImageIndex {
    /// An OCI image index.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::OciIndex),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
            extra: BTreeMap::new(),
        }
    }

    /// An OCI image index of images for several platforms, in this order. Of two that suit a machine equally, the
    /// first is run.
    ///
    /// # Errors
    /// [`Error::is_corrupt`] where an image does not say what platform it is for, or where two are for the same one, of which
    /// nobody would ever run the second.
    ///
    /// # Examples
    /// ```
    /// # use image_core::{BlobStoreExt, Document, Image, ImageConfig, ImageEdit, ImageIndex, MediaType};
    /// # use image_core::{MemoryBlobStore, Platform};
    /// # let store = MemoryBlobStore::default();
    /// # let image = |architecture| -> image_core::Result<_> {
    /// #     let edit = ImageEdit::new(ImageConfig::new(&Platform::new("linux", architecture)));
    /// #     Image::open(std::sync::Arc::new(store.clone()), &edit.write(&store)?)
    /// # };
    /// # let (amd64, arm64) = (image("amd64")?, image("arm64")?);
    /// let index = Document::new(ImageIndex::of_images([&amd64, &arm64])?)?;
    /// store.put_document(&index)?;
    /// let descriptor = index.descriptor(MediaType::OciIndex); // to be tagged
    /// # assert_eq!(index.value().manifests.len(), 2);
    /// # Ok::<(), image_core::Error>(())
    /// ```
    pub fn of_images<'a>(images: impl IntoIterator<Item = &'a Image>) -> Result<Self> {
        let mut platforms = Vec::new();
        let mut manifests = Vec::new();
        for image in images {
            let Descriptor { media_type, digest, size, .. } = image.descriptor().clone();
            let refused = |reason| Error::document(format!("image {digest} for a new index"), reason);
            let platform = image.platform();
            if platform.os.is_empty() || platform.architecture.is_empty() {
                return Err(refused("its config does not say what platform it is for".to_owned()));
            }
            let normalised = platform.clone().normalised();
            if platforms.contains(&normalised) {
                return Err(refused(format!("there is an image for {platform} before it")));
            }
            platforms.push(normalised);
            manifests.push(Descriptor::new(media_type, digest, size).with_platform(platform));
        }
        Ok(Self::new(manifests))
    }
}

impl Body for ImageIndex {
    const KIND: &'static str = "image index";

    fn is_media_type(media_type: &MediaType) -> bool {
        media_type.is_index()
    }

    fn facts(&self) -> Facts<'_> {
        Facts { schema_version: Some(self.schema_version), media_type: self.media_type.as_ref() }
    }

    fn check(&self) -> Result<(), String> {
        match ["config", "layers"].into_iter().find(|key| self.extra.contains_key(*key)) {
            Some(key) => Err(format!("it has \"{key}\" beside \"manifests\": it could be read as a manifest")),
            None => Ok(()),
        }
    }
}
