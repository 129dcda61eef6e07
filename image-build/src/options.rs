//! What a caller chooses about a build.

use std::collections::BTreeMap;

use image_core::{Platform, Timestamp, codec::EncodeOptions};

/// What a caller chooses about a build.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuildOptions {
    /// The platform of the image.
    pub platform: Platform,
    /// The stage to build, by name or number; the last one where it is `None`.
    pub target: Option<String>,
    /// Values for ARG instructions.
    pub build_args: BTreeMap<String, String>,
    /// Whether earlier results are used again.
    pub cache: CachePolicy,
    /// The time that everything new is given, at the latest; the image is then the same whenever it is built.
    pub source_date_epoch: Option<Timestamp>,
    /// How the layers of the image are compressed.
    pub encode: EncodeOptions,
    /// Who is told why steps were not cached.
    pub explanations: Explanations,
}

/// Whether earlier results are used again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CachePolicy {
    /// Yes.
    #[default]
    Use,
    /// No: every step is carried out, and its result kept for later builds.
    Refresh,
}

/// Who is told why steps were not cached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Explanations {
    /// The caller, with the image that was built.
    #[default]
    Returned,
    /// The observer as well, as [`image_core::Event::Because`] before each such step ends.
    Observed,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            platform: Platform::new("linux", Platform::of_target().architecture),
            target: None,
            build_args: BTreeMap::new(),
            cache: CachePolicy::default(),
            source_date_epoch: None,
            encode: EncodeOptions::default(),
            explanations: Explanations::default(),
        }
    }
}

impl BuildOptions {
    /// For this platform.
    #[must_use]
    pub fn with_platform(self, platform: Platform) -> Self {
        Self { platform, ..self }
    }

    /// Up to this stage, by name or number.
    #[must_use]
    pub fn with_target(self, target: impl Into<String>) -> Self {
        Self { target: Some(target.into()), ..self }
    }

    /// With a value for an ARG.
    #[must_use]
    pub fn with_build_arg(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.build_args.insert(name.into(), value.into());
        self
    }

    /// With this use of earlier results.
    #[must_use]
    pub fn with_cache(self, cache: CachePolicy) -> Self {
        Self { cache, ..self }
    }

    /// With everything new dated no later than this.
    #[must_use]
    pub fn with_source_date_epoch(self, epoch: Option<Timestamp>) -> Self {
        Self { source_date_epoch: epoch, ..self }
    }

    /// With explanations for these.
    #[must_use]
    pub fn with_explanations(self, explanations: Explanations) -> Self {
        Self { explanations, ..self }
    }

    /// With layers compressed so.
    #[must_use]
    pub fn with_encode(self, encode: EncodeOptions) -> Self {
        Self { encode, ..self }
    }
}
