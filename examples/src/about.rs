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

/// An error or a cause of one as what it is, where it is of this type: libraries keep causes in boxes.
#[must_use]
pub fn as_error<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    error.downcast_ref::<E>().or_else(|| error.downcast_ref::<Box<E>>().map(|boxed| &**boxed))
}

/// The error of image-core that an error is, in whichever crate's.
#[must_use]
pub fn core_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e image_core::Error> {
    if let Some(image_layout::Error::Core(error)) = as_error(error) {
        return Some(error);
    }
    match (as_error(error), as_error(error)) {
        (Some(image_build::Error::Core(error) | image_build::Error::Overlay(image_overlay::Error::Core(error))), _)
        | (_, Some(image_overlay::Error::Core(error))) => Some(error),
        _ => as_error(error),
    }
}
