//! The error of this crate.

use crate::dockerfile::Location;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and where in the Dockerfile or with which file.
///
/// The text of an error never repeats its cause: print the chain of
/// [`std::error::Error::source`] to see all of it. [`Error::render`] also shows the line
/// of the Dockerfile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A Dockerfile breaks a rule, of its grammar or of what its instructions mean.
    #[error("{location}: {reason}{}", suggested(.suggestion.as_deref()))]
    #[non_exhaustive]
    Dockerfile {
        /// Where.
        location: Box<Location>,
        /// The rule it breaks.
        reason: String,
        /// What may have been meant.
        suggestion: Option<String>,
    },
    /// A Dockerfile asks for something that this crate does not do.
    #[error("{location}: {what} is not supported yet")]
    #[non_exhaustive]
    UnsupportedInstruction {
        /// Where.
        location: Box<Location>,
        /// What is asked for.
        what: String,
    },
    /// A line of an ignore file is not a pattern.
    #[error("{file}:{line}: invalid pattern {pattern:?}: {reason}")]
    #[non_exhaustive]
    InvalidPattern {
        /// The ignore file's name.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// The pattern as written, shortened to 256 characters.
        pattern: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// Input is larger than a limit allows.
    #[error("{what}: larger than the limit of {limit}")]
    #[non_exhaustive]
    LimitExceeded {
        /// What is too large, and where it is.
        what: String,
        /// The limit, in the unit of `what` (bytes unless it says otherwise).
        limit: u64,
    },
    /// An error of `image-core`.
    #[error(transparent)]
    Core(#[from] image_core::Error),
}

fn suggested(suggestion: Option<&str>) -> String {
    suggestion.map(|text| format!(" (did you mean {text}?)")).unwrap_or_default()
}

/// At most `limit` characters of foreign text, its control characters escaped, for an error's message.
pub(crate) fn excerpt(text: &str, limit: usize) -> String {
    let mut short = String::new();
    for (position, c) in text.chars().enumerate() {
        if position == limit {
            short.push('…');
            break;
        }
        if c.is_control() { short.extend(c.escape_default()) } else { short.push(c) }
    }
    short
}

impl Error {
    /// The error's line and, where it is about a place in a Dockerfile, that line with a mark
    /// below the place.
    ///
    /// ```text
    /// Dockerfile:3:6: unknown flag --form for COPY (did you mean --from?)
    ///   |
    /// 3 | COPY --form=build /app /app
    ///   |      ^^^^^^
    /// ```
    #[must_use]
    pub fn render(&self) -> String {
        match self.location() {
            Some(location) => format!("{self}\n{}", location.picture()),
            None => self.to_string(),
        }
    }

    /// The place in a Dockerfile that this is about.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        match self {
            Self::Dockerfile { location, .. } | Self::UnsupportedInstruction { location, .. } => Some(location),
            _ => None,
        }
    }

    /// Whether the thing asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Core(error) if error.is_not_found())
    }

    /// Whether content or a document is not what its digest, size or specification says.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Core(error) if error.is_corrupt())
    }

    /// Whether the operation was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Core(error) if error.is_cancelled())
    }

    /// Whether this build or machine cannot do what was asked.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        match self {
            Self::UnsupportedInstruction { .. } => true,
            Self::Core(error) => error.is_unsupported(),
            _ => false,
        }
    }

    /// Whether the operating system denied permission.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Core(error) if error.is_denied())
    }

    /// Whether somebody else holds what this needs: trying again later may work.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Core(error) if error.is_busy())
    }
}
