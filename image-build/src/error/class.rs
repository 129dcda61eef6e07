//! What kind of error it is, and where it is about.

use super::Error;
use crate::dockerfile::Location;

impl Error {
    /// The error of a lower crate, or the one of a step.
    fn inner(&self) -> &Self {
        match self {
            Self::Step { source, .. } | Self::Archive { source, .. } | Self::Fetched { source, .. } => source.inner(),
            error => error,
        }
    }

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
            Some(location) => format!("{self}{}", location.picture()),
            None => self.to_string(),
        }
    }

    /// The place in a Dockerfile that this is about.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        match self {
            Self::Dockerfile { location, .. }
            | Self::NoExecutor { location }
            | Self::UnsupportedInstruction { location, .. }
            | Self::Step { location, .. } => Some(location),
            _ => None,
        }
    }

    /// Whether the thing asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self.inner() {
            Self::Core(error) => error.is_not_found(),
            Self::Overlay(error) => error.is_not_found(),
            Self::SourceNotFound { .. } => true,
            _ => false,
        }
    }

    /// Whether content or a document is not what its digest, size or specification says.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        match self.inner() {
            Self::Core(error) => error.is_corrupt(),
            Self::Overlay(error) => error.is_corrupt(),
            Self::NotACache { .. } | Self::LayerLost { .. } | Self::WrongCommit { .. } => true,
            _ => false,
        }
    }

    /// Whether a layer could not be read as it should be, or is gone.
    pub(crate) fn is_about_a_layer(&self) -> bool {
        match self.inner() {
            Self::Core(image_core::Error::BlobNotFound { .. }) => true,
            Self::Overlay(error) if error.is_not_found() => true,
            _ => self.is_corrupt(),
        }
    }

    /// Whether the operation was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self.inner() {
            Self::Core(error) => error.is_cancelled(),
            Self::Overlay(error) => error.is_cancelled(),
            _ => false,
        }
    }

    /// Whether this build or machine cannot do what was asked.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        match self.inner() {
            Self::UnsupportedInstruction { .. }
            | Self::NoExecutor { .. }
            | Self::FeatureOff { .. }
            | Self::NoFetcher { .. }
            | Self::CannotFetch { .. }
            | Self::CannotRun { .. } => true,
            Self::Core(error) => error.is_unsupported(),
            Self::Overlay(error) => error.is_unsupported(),
            _ => false,
        }
    }

    /// Whether the operating system denied permission.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        match self.inner() {
            Self::Core(error) => error.is_denied(),
            Self::Overlay(error) => error.is_denied(),
            _ => false,
        }
    }

    /// Whether somebody else holds what this needs: trying again later may work.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        match self.inner() {
            Self::Busy { .. } => true,
            Self::Core(error) => error.is_busy(),
            Self::Overlay(error) => error.is_busy(),
            _ => false,
        }
    }
}
