//! Errors that do not say themselves what they are about.

use std::{error::Error, fmt};

/// What was tried, and why it failed.
#[derive(Debug)]
pub struct About {
    what: String,
    cause: Box<dyn Error>,
}

impl About {
    /// Says what was tried: `cannot load images.tar`.
    #[must_use]
    pub fn new(what: impl Into<String>, cause: impl Into<Box<dyn Error>>) -> Self {
        Self { what: what.into(), cause: cause.into() }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for About {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}

/// The error of image-core that an error is, in whichever crate's.
#[must_use]
pub fn core_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e image_core::Error> {
    match (error.downcast_ref(), error.downcast_ref(), error.downcast_ref()) {
        (Some(image_layout::Error::Core(error)), _, _)
        | (_, Some(image_overlay::Error::Core(error)), _)
        | (_, _, Some(image_build::Error::Core(error) | image_build::Error::Overlay(image_overlay::Error::Core(error)))) => {
            Some(error)
        }
        _ => error.downcast_ref(),
    }
}
