//! What is wrong with a layout.

use std::fmt;

use image_core::{DiffId, Digest};
use serde::Serialize;

use crate::error::printable;

/// Something that is wrong, with which blob, and where that blob is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The blob.
    pub digest: Digest,
    /// What it is and who points at it: `layer 2 of sha256:…`.
    pub place: String,
    /// What is wrong with it.
    #[serde(flatten)]
    pub problem: Problem,
}

/// What is wrong with a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "problem", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Problem {
    /// It is not there.
    #[error("missing")]
    Missing,
    /// What is in its place cannot be read.
    #[error("unreadable: {reason}")]
    #[non_exhaustive]
    Unreadable {
        /// Why not.
        reason: String,
    },
    /// Its size is not the one in the descriptor.
    #[error("{actual} bytes, where the descriptor says {expected}")]
    #[non_exhaustive]
    WrongSize {
        /// The size by the descriptor, in bytes.
        expected: u64,
        /// The size of the blob, in bytes.
        actual: u64,
    },
    /// Its content is another than its name says.
    #[error("corrupt: it hashes to {actual}")]
    #[non_exhaustive]
    WrongContent {
        /// The digest of the content.
        actual: Digest,
    },
    /// It is named by a digest that cannot be computed here.
    #[error("not verified: its digest algorithm is not supported")]
    UnknownAlgorithm,
    /// It is not the document that it should be, or breaks a rule of its kind.
    #[error("{reason}")]
    #[non_exhaustive]
    InvalidDocument {
        /// The rule it breaks.
        reason: String,
    },
    /// An image has more layers than diffIDs, or fewer.
    #[error("it has {layers} layers, but its config has {diff_ids} diffIDs")]
    #[non_exhaustive]
    LayerCount {
        /// How many layers the manifest has.
        layers: usize,
        /// How many diffIDs the config has.
        diff_ids: usize,
    },
    /// A layer of an image is of a media type that is no layer's.
    #[error("its media type {media_type:?} is no layer's")]
    #[non_exhaustive]
    NotALayer {
        /// The media type.
        media_type: String,
    },
    /// A layer is not the changes that the config says it is.
    #[error("its diffID is {actual}, where the config says {expected}")]
    #[non_exhaustive]
    WrongDiffId {
        /// The diffID by the config.
        expected: DiffId,
        /// The diffID of the layer.
        actual: DiffId,
    },
    /// A layer cannot be decompressed, though its content is what its name says.
    #[error("cannot be decompressed: {reason}")]
    #[non_exhaustive]
    CorruptLayer {
        /// What the decoder says.
        reason: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.digest, self.place, printable(&self.problem.to_string()))
    }
}

/// All that was verified, and all that is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// What is wrong: documents from the top down, then other blobs by digest.
    pub findings: Vec<Finding>,
    /// How many blobs were looked at; those that are missing count.
    pub blobs: u64,
    /// How many bytes of them were read, as they are stored.
    pub bytes: u64,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// The text of an error and its causes.
pub(super) fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.extend([": ", &error.to_string()]);
        cause = error.source();
    }
    text
}
