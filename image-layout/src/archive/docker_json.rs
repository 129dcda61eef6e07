//! `manifest.json` and `repositories`: the images of a Docker archive.

use std::collections::BTreeMap;

use image_core::{Document, document::Body};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::Result;

/// The name of the file.
pub(super) const MANIFEST: &str = "manifest.json";

/// The largest one that is read, in bytes.
pub(super) const MAX_MANIFEST_SIZE: u64 = 4 << 20;

/// The images of an archive.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct DockerImages(pub(super) Vec<DockerImage>);

/// One image: names of members, and names that it goes by.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DockerImage {
    /// The member that is its config.
    pub(super) config: String,
    /// Its names, each with a tag.
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) repo_tags: Vec<String>,
    /// The members that are its layers, base layer first.
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) layers: Vec<String>,
}

impl DockerImages {
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Vec<DockerImage>> {
        Ok(Document::<Self>::parse(bytes, MANIFEST)?.into_value().0)
    }
}

impl Body for DockerImages {
    const KIND: &'static str = "archive";
}

/// `repositories`: of each repository its tags, and the top layer of each.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Repositories(pub(super) BTreeMap<String, BTreeMap<String, String>>);

impl Body for Repositories {
    const KIND: &'static str = "repositories";
}

fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
