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
