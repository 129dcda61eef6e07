//! What goes wrong below an entry, before the entry is named.

use std::io;

use rustix::io::Errno;

use crate::{
    error::Error,
    oddity::Oddity,
    path::{LayerPath, escape},
};

/// A failure that does not know yet which entry it belongs to.
#[derive(Debug)]
pub(super) enum Fault {
    /// The system refused something; what that was for is said by [`Doing::doing`].
    System(Errno),
    /// The system refused to do this.
    Refused { action: &'static str, source: io::Error },
    /// The entry breaks a rule.
    Invalid { reason: String },
    /// The entry asks for what cannot be done.
    Unsupported { what: String },
    /// The entry is odd, and the caller strict.
    Odd(Oddity),
    /// What the entry means depends on the layers below, which come later.
    Unordered,
    /// An error that says all there is to say.
    Whole(Error),
}

impl Fault {
    pub(super) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid { reason: reason.into() }
    }

    /// Names the entry.
    pub(super) fn of_entry(self, number: u64, path: &LayerPath) -> Error {
        let name = escape(path.as_bytes());
        match self {
            Self::System(errno) => Error::Entry { number, name, action: "apply it", source: errno.into() },
            Self::Refused { action, source } => Error::Entry { number, name, action, source },
            Self::Invalid { reason } => Error::InvalidEntry { number, name, reason },
            Self::Unsupported { what } => Error::UnsupportedEntry { number, name, what },
            Self::Odd(oddity) => Error::Odd { number, name, oddity },
            Self::Unordered => Error::InvalidEntry { number, name, reason: "it depends on the layers below".into() },
            Self::Whole(error) => error,
        }
    }
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Whole(error)
    }
}

impl From<image_core::Error> for Fault {
    fn from(error: image_core::Error) -> Self {
        Self::Whole(error.into())
    }
}

/// Says what was being done when the system refused.
pub(super) trait Doing<T> {
    /// `action` is a verb and its object, as in `create the file`.
    fn doing(self, action: &'static str) -> Result<T, Fault>;
}

impl<T, E: Into<Fault>> Doing<T> for Result<T, E> {
    fn doing(self, action: &'static str) -> Result<T, Fault> {
        self.map_err(|error| match error.into() {
            Fault::System(errno) => Fault::Refused { action, source: errno.into() },
            other => other,
        })
    }
}
