//! How an image was made, step by step.

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, descriptor::Extra};

/// One step in the making of an image.
///
/// # Spec
/// OCI image-spec 1.1, config.md, `history`: the entries that are not
/// [`History::empty_layer`] stand for the layers one to one, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct History {
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// By which instruction or command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Whatever else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the step made no layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
    /// What this crate has no name for.
    #[serde(flatten)]
    pub extra: Extra,
}

impl History {
    /// A step that was carried out by `created_by`, with a layer of its own.
    #[must_use]
    pub fn new(created: Timestamp, created_by: impl Into<String>) -> Self {
        Self { created: Some(created), created_by: Some(created_by.into()), ..Self::default() }
    }

    /// With this comment.
    #[must_use]
    pub fn with_comment(self, comment: impl Into<String>) -> Self {
        Self { comment: Some(comment.into()), ..self }
    }

    /// Without a layer of its own.
    #[must_use]
    pub fn without_layer(self) -> Self {
        Self { empty_layer: true, ..self }
    }
}
