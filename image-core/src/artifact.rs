//! Artifacts: blobs that are no image, mostly about one: signatures, attestations, lists of contents.

use crate::{
    blob::{BlobStore, BlobStoreExt},
    descriptor::{Annotations, Descriptor},
    document::Document,
    error::{Error, Result},
    manifest::ImageManifest,
    media_type::MediaType,
};

/// The content of [`MediaType::OciEmpty`].
const EMPTY: &[u8] = b"{}";

/// A manifest of blobs that are no layers of an image.
///
/// ```
/// use image_core::{Artifact, BlobStoreExt, Descriptor, MediaType, MemoryBlobStore};
/// # use image_core::{ImageConfig, ImageEdit, Platform};
/// # let store = MemoryBlobStore::default();
/// # let image = ImageEdit::new(ImageConfig::new(&Platform::new("linux", "amd64"))).write(&store)?;
/// let blob = store.put_bytes(br#"{"spdxVersion":"SPDX-2.3"}"#)?;
/// let mut sbom = Artifact::new("application/spdx+json");
/// sbom.blobs.push(Descriptor::new("application/spdx+json".into(), blob.digest, blob.size));
/// sbom.subject = Some(image.clone());
/// let manifest = sbom.write(&store)?;
/// assert_eq!(manifest.artifact_type.as_deref(), Some("application/spdx+json"));
/// # Ok::<(), image_core::Error>(())
/// ```
///
/// # Spec
/// OCI image-spec 1.1, manifest.md, § Guidelines for Artifact Usage.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Artifact {
    /// What kind of thing it is: a media type.
    pub artifact_type: String,
    /// What it consists of.
    pub blobs: Vec<Descriptor>,
    /// The manifest that it is about, if it is about one. That need not be in the same store.
    pub subject: Option<Descriptor>,
    /// Annotations of the manifest.
    pub annotations: Annotations,
}

impl Artifact {
    /// An artifact of no blobs, about nothing yet.
    #[must_use]
    pub fn new(artifact_type: impl Into<String>) -> Self {
        Self {
            artifact_type: artifact_type.into(),
            blobs: Vec::new(),
            subject: None,
            annotations: Annotations::default(),
        }
    }

    /// Writes the manifest into the store that has the blobs, and points at it as a list of referrers does: with
    /// the kind of artifact and the annotations.
    ///
    /// There is no configuration: the empty JSON object stands for it, and for the blobs where there are none.
    ///
    /// # Errors
    /// [`Error::is_not_found`] where the store does not have a blob; [`Error::is_corrupt`] where the kind of artifact is no
    /// media type; a failed write.
    ///
    /// # Spec
    /// OCI image-spec 1.1, manifest.md, `artifactType`, which must be there where the configuration is empty;
    /// distribution-spec 1.1, § Listing Referrers.
    pub fn write(self, store: &dyn BlobStore) -> Result<Descriptor> {
        if !is_media_type(&self.artifact_type) {
            let reason = format!("its artifactType {:?} is no media type", crate::error::excerpt(&self.artifact_type));
            return Err(Error::document("new artifact", reason));
        }
        for blob in &self.blobs {
            if store.stat(&blob.digest)?.is_none() {
                return Err(Error::BlobNotFound { digest: blob.digest.clone() });
            }
        }
        let empty = store.put_bytes(EMPTY)?;
        let empty = Descriptor::new(MediaType::OciEmpty, empty.digest, empty.size);
        let blobs = if self.blobs.is_empty() { vec![empty.clone()] } else { self.blobs };
        let mut manifest = ImageManifest::new(empty, blobs);
        manifest.artifact_type = Some(self.artifact_type);
        manifest.subject =
            self.subject.map(|subject| Descriptor::new(subject.media_type, subject.digest, subject.size));
        manifest.annotations = self.annotations;
        let manifest = Document::new(manifest)?;
        store.put_document(&manifest)?;
        let mut descriptor = manifest.descriptor(MediaType::OciManifest);
        descriptor.artifact_type.clone_from(&manifest.value().artifact_type);
        descriptor.annotations.clone_from(&manifest.value().annotations);
        Ok(descriptor)
    }
}

/// Whether a text is a media type: two names with a slash between them.
///
/// # Spec
/// RFC 6838, section 4.2.
fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        name.len() <= 127
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
    };
    text.split_once('/').is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype))
}
