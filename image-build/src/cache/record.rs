//! Records: the result of a recipe.

use std::collections::BTreeMap;

use image_core::{Descriptor, DiffId, Timestamp};
use serde::{Deserialize, Serialize};

use super::recipe::Recipe;

/// A layer that a step made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecordedLayer {
    /// The blob. That it is named here does not say that it is still there.
    pub descriptor: Descriptor,
    /// The digest of the plain tar.
    pub diff_id: DiffId,
}

impl RecordedLayer {
    /// A layer by its blob and diffID.
    #[must_use]
    pub fn new(descriptor: Descriptor, diff_id: DiffId) -> Self {
        Self { descriptor, diff_id }
    }
}

/// What came of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// What went in.
    pub recipe: Recipe,
    /// When the work was done.
    pub created: Timestamp,
    /// When the result last served, or was made.
    #[serde(default)]
    pub used: Timestamp,
    /// The layer it made, if it made one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<RecordedLayer>,
    /// Other blobs that came of it, each by a name of the caller's: files that a command made, say. As with the layer, that
    /// they are named here does not say that they are still there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub blobs: BTreeMap<String, Descriptor>,
    /// Whatever else the caller keeps: texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attached: BTreeMap<String, String>,
}

impl Record {
    /// The record of a recipe whose work was done at `created` and made no layer.
    #[must_use]
    pub fn new(recipe: Recipe, created: Timestamp) -> Self {
        Self { recipe, created, used: created, layer: None, blobs: BTreeMap::new(), attached: BTreeMap::new() }
    }

    /// The same result as that of another recipe, by which it can be found too.
    #[must_use]
    pub fn with_recipe(self, recipe: Recipe) -> Self {
        Self { recipe, ..self }
    }

    /// With this layer.
    #[must_use]
    pub fn with_layer(self, layer: RecordedLayer) -> Self {
        Self { layer: Some(layer), ..self }
    }

    /// With one more blob, by this name.
    #[must_use]
    pub fn with_blob(mut self, name: impl Into<String>, blob: Descriptor) -> Self {
        self.blobs.insert(name.into(), blob);
        self
    }

    /// The layer's blob and the others.
    pub fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        self.layer.iter().map(|layer| &layer.descriptor).chain(self.blobs.values())
    }
}
