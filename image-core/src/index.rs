//! Image indexes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    descriptor::{Annotations, Descriptor, Extra},
    document::{Body, Facts},
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
