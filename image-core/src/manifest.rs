//! Image manifests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    descriptor::{Annotations, Descriptor, Extra},
    document::{Body, Facts, MAX_LAYERS},
    json,
    media_type::MediaType,
};

/// An image: its configuration and its layers, base layer first.
///
/// # Spec
/// OCI image-spec 1.1, manifest.md; Docker image manifest version 2, schema 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ImageManifest {
    /// Always 2.
    pub schema_version: u64,
    /// What this document says it is; old OCI manifests say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The kind of artifact, where it is none that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, base layer first.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations of the image.
    #[serde(default, deserialize_with = "json::null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Annotations,
    /// What this crate has no name for.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ImageManifest {
    /// An OCI image manifest.
    #[must_use]
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::OciManifest),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
            extra: BTreeMap::new(),
        }
    }
}

impl Body for ImageManifest {
    const KIND: &'static str = "image manifest";

    fn is_media_type(media_type: &MediaType) -> bool {
        media_type.is_manifest()
    }

    fn facts(&self) -> Facts<'_> {
        Facts { schema_version: Some(self.schema_version), media_type: self.media_type.as_ref() }
    }

    fn check(&self) -> Result<(), String> {
        if self.extra.contains_key("manifests") {
            return Err("it has \"manifests\" beside \"config\" and \"layers\": it could be read as an index".into());
        }
        if self.layers.len() > MAX_LAYERS {
            return Err(format!("it has {} layers, more than the limit of {MAX_LAYERS}", self.layers.len()));
        }
        Ok(())
    }
}
