//! What to compress with.

use std::{fmt, num::NonZeroUsize, ops::RangeInclusive, str::FromStr};

use super::Compression;
use crate::error::{Error, Result, excerpt};

/// What to compress with, how hard, and on how many threads.
///
/// The text form is `none`, `gzip`, `gzip:LEVEL`, `zstd` or `zstd:LEVEL`; [`fmt::Display`] writes
/// the level out, and names everything the compressed bytes depend on.
///
/// ```
/// use image_core::codec::EncodeOptions;
///
/// # fn main() -> image_core::Result<()> {
/// let options: EncodeOptions = "zstd:19".parse()?;
/// assert_eq!(options.to_string(), "zstd:19");
/// assert_eq!(EncodeOptions::default().to_string(), "gzip:5");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncodeOptions {
    /// The format; gzip by default.
    pub compression: Compression,
    /// How hard to try: gzip 1 to 9, zstd 1 to 22; by default 5 for gzip and 3 for zstd.
    ///
    /// For quick gzip take 2: level 1 of this encoder saves little time and is up to a third larger.
    pub level: Option<u8>,
    /// Threads that compress, without influence on the bytes: by default one for each processor,
    /// at most eight. 1 compresses in the calling thread.
    pub threads: Option<NonZeroUsize>,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self::new(Compression::Gzip)
    }
}

impl EncodeOptions {
    /// A format at its default level.
    #[must_use]
    pub fn new(compression: Compression) -> Self {
        Self { compression, level: None, threads: None }
    }

    /// Sets the level.
    #[must_use]
    pub fn with_level(mut self, level: u8) -> Self {
        self.level = Some(level);
        self
    }

    /// Sets the number of threads.
    #[must_use]
    pub fn with_threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// The level, checked against what the format has.
    pub(super) fn checked_level(&self) -> Result<u8> {
        let (default, range, hint) = levels(self.compression);
        let level = self.level.unwrap_or(default);
        if self.level.is_none() || range.contains(&level) {
            return Ok(level);
        }
        Err(Error::Unsupported { what: format!("level {level} of {}", self.compression), hint })
    }
}

/// Default level, levels, and how to say the latter.
fn levels(compression: Compression) -> (u8, RangeInclusive<u8>, &'static str) {
    match compression {
        #[expect(clippy::reversed_empty_ranges, reason = "no level at all")]
        Compression::None => (0, 1..=0, "there are no levels without compression"),
        Compression::Gzip => (5, 1..=9, "gzip has levels 1 to 9"),
        Compression::Zstd => (3, 1..=22, "zstd has levels 1 to 22"),
    }
}

impl FromStr for EncodeOptions {
    type Err = Error;

    /// Parses `none`, `gzip[:LEVEL]` and `zstd[:LEVEL]`.
    ///
    /// # Errors
    /// [`Error::is_unsupported`] for anything else.
    fn from_str(text: &str) -> Result<Self> {
        let (name, level) = text.split_once(':').map_or((text, None), |(name, level)| (name, Some(level)));
        let unknown = || Error::Unsupported {
            what: format!("compression {:?}", excerpt(text)),
            hint: "write none, gzip[:LEVEL] or zstd[:LEVEL]",
        };
        let mut options = Self::new(match name {
            "none" => Compression::None,
            "gzip" => Compression::Gzip,
            "zstd" => Compression::Zstd,
            _ => return Err(unknown()),
        });
        if let Some(level) = level {
            options.level = Some(level.parse().map_err(|_| unknown())?);
        }
        options.checked_level()?;
        Ok(options)
    }
}

impl fmt::Display for EncodeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.level.unwrap_or_else(|| levels(self.compression).0);
        match self.compression {
            Compression::None => f.write_str("none"),
            Compression::Gzip | Compression::Zstd => write!(f, "{}:{level}", self.compression),
        }
    }
}
