//! What a caller chooses about a build.

use std::{collections::BTreeMap, num::NonZero, str::FromStr, thread};

use image_core::{Platform, Timestamp, codec::EncodeOptions};

use crate::exec::RunOptions;

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
    /// Steps that are carried out whatever earlier builds left.
    pub no_cache: Vec<NoCacheFilter>,
    /// The time that everything new is given, at the latest; the image is then the same whenever it is built.
    pub source_date_epoch: Option<Timestamp>,
    /// How the layers of the image are compressed.
    pub encode: EncodeOptions,
    /// Who is told why steps were not cached.
    pub explanations: Explanations,
    /// How many stages are built at once, at most; as many as the machine runs threads, unless the caller chooses.
    pub parallelism: NonZero<usize>,
    /// What the commands of RUN have, and may ask for.
    pub run: RunOptions,
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

/// Steps that are carried out whatever earlier builds left: all of a stage, or one of them.
///
/// ```
/// use image_build::NoCacheFilter;
/// let filter: NoCacheFilter = "build:3".parse()?;
/// assert_eq!((&*filter.stage, filter.step), ("build", Some(3)));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoCacheFilter {
    /// The stage, by its name in any case, or by its number where it has none.
    pub stage: String,
    /// The number of a step, from 1 for FROM; all where it is `None`.
    pub step: Option<usize>,
}

impl NoCacheFilter {
    /// All steps of a stage.
    #[must_use]
    pub fn stage(stage: impl Into<String>) -> Self {
        Self { stage: stage.into(), step: None }
    }

    /// One step of a stage, from 1 for FROM.
    #[must_use]
    pub fn step(stage: impl Into<String>, step: usize) -> Self {
        Self { stage: stage.into(), step: Some(step) }
    }

    pub(crate) fn is_about(&self, stage: &str, step: usize) -> bool {
        self.stage.eq_ignore_ascii_case(stage) && self.step.is_none_or(|only| only == step)
    }
}

impl FromStr for NoCacheFilter {
    type Err = String;

    /// Reads `STAGE` or `STAGE:STEP`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (stage, step) = match text.split_once(':') {
            None => (text, None),
            Some((stage, step)) => match step.parse() {
                Ok(step @ 1..) => (stage, Some(step)),
                _ => return Err(format!("{step:?} is no number of a step: write STAGE or STAGE:STEP")),
            },
        };
        if stage.is_empty() {
            return Err("a stage is missing: write STAGE or STAGE:STEP".into());
        }
        Ok(Self { stage: stage.into(), step })
    }
}

/// Who is told why steps were not cached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Explanations {
    /// The caller, with the image that was built.
    #[default]
    Returned,
    /// The observer as well, in one line for each such step: an [`image_core::Event::Because`] with the first cause, and
    /// how many more there are. A first build, and what the caller wanted to be carried out, need no reason.
    OneLine,
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
            no_cache: Vec::new(),
            source_date_epoch: None,
            encode: EncodeOptions::default(),
            explanations: Explanations::default(),
            parallelism: thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
            run: RunOptions::default(),
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

    /// With these steps carried out whatever earlier builds left.
    #[must_use]
    pub fn with_no_cache(mut self, filter: NoCacheFilter) -> Self {
        self.no_cache.push(filter);
        self
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

    /// With at most so many stages built at once. The image does not depend on it, nor does what is told of its steps.
    #[must_use]
    pub fn with_parallelism(self, parallelism: NonZero<usize>) -> Self {
        Self { parallelism, ..self }
    }

    /// With commands of RUN that have this, and may ask for it.
    #[must_use]
    pub fn with_run(self, run: RunOptions) -> Self {
        Self { run, ..self }
    }

    /// With layers compressed so.
    #[must_use]
    pub fn with_encode(self, encode: EncodeOptions) -> Self {
        Self { encode, ..self }
    }
}
