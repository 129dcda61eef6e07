//! How a layout is verified.

use std::num::NonZeroUsize;

/// What is verified beyond what can be reached, and by how many threads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// How many threads hash blobs; each holds a buffer and the state of one decoder. Two by default.
    pub threads: NonZeroUsize,
    /// Whether blobs that nothing points at are hashed too. Being unreachable is not a finding.
    pub unreachable: bool,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { threads: NonZeroUsize::MIN.saturating_add(1), unreachable: false }
    }
}

impl VerifyOptions {
    /// With so many threads.
    #[must_use]
    pub fn with_threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// With the blobs that nothing points at.
    #[must_use]
    pub fn with_unreachable(self) -> Self {
        Self { unreachable: true, ..self }
    }
}
