//! Descriptors: the edges between blobs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{digest::Digest, json, media_type::MediaType, platform::Platform};

/// Annotations, labels and other maps of strings, in the order of their keys.
pub type Annotations = BTreeMap<String, String>;

/// Fields of a document that this crate has no name for. They survive an edit.
pub type Extra = BTreeMap<String, serde_json::Value>;

/// Points at a blob: what it is, its digest and its size.
///
/// # Spec
/// OCI image-spec 1.1, descriptor.md.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Descriptor {
    /// What the blob is.
    #[serde(default)]
    pub media_type: MediaType,
    /// The digest of the blob as it is stored.
    pub digest: Digest,
    /// The size of the blob as it is stored, in bytes.
    pub size: u64,
    /// Where else the blob can be fetched from. Never followed by these crates.
    #[serde(default, deserialize_with = "json::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Annotations of the edge.
    #[serde(default, deserialize_with = "json::null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
    /// The blob itself, in base64, where it was found worth carrying along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The platform of the image, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The kind of artifact that the blob is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What this crate has no name for.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Descriptor {
    /// A descriptor with the three fields that every one has.
    #[must_use]
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: None,
            platform: None,
            artifact_type: None,
            extra: BTreeMap::new(),
        }
    }

    /// With one more annotation.
    #[must_use]
    pub fn with_annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// With this platform.
    #[must_use]
    pub fn with_platform(self, platform: Platform) -> Self {
        Self { platform: Some(platform), ..self }
    }
}
