//! What a collection may drop.

use std::time::Duration;

/// How much is kept, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcOptions {
    /// How many bytes the blobs may have together; roots are dropped, the least recently used first, until
    /// they have no more. What a lease or the grace period protects counts, and stays. `None`, the default, is unlimited.
    pub keep_bytes: Option<u64>,
    /// How long ago a root may have been used; older ones are dropped. `None`, the default, is unlimited.
    pub keep_for: Option<Duration>,
    /// How long a blob that nothing needs is spared after it was written or renewed. One hour by default.
    ///
    /// It is for writers that take no lease. Zero is safe where all do.
    pub grace: Duration,
    /// Whether all is as it would be, but nothing is changed.
    pub is_dry_run: bool,
}

impl Default for GcOptions {
    fn default() -> Self {
        Self { keep_bytes: None, keep_for: None, grace: Duration::from_secs(3600), is_dry_run: false }
    }
}

impl GcOptions {
    /// With this hard limit on the bytes of all blobs.
    #[must_use]
    pub fn with_keep_bytes(self, keep_bytes: Option<u64>) -> Self {
        Self { keep_bytes, ..self }
    }

    /// With this limit on the time since a root was used.
    #[must_use]
    pub fn with_keep_for(self, keep_for: Option<Duration>) -> Self {
        Self { keep_for, ..self }
    }

    /// With this grace period.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Without any change to the store.
    #[must_use]
    pub fn with_dry_run(self) -> Self {
        Self { is_dry_run: true, ..self }
    }
}
