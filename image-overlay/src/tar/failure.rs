//! What goes wrong within an entry, before the entry is named.

use std::borrow::Cow;

use super::header::Fault;
use crate::{error::Error, path::escape};

#[derive(Debug)]
pub(super) enum Failure {
    /// A rule of the format is broken.
    Fault(Cow<'static, str>),
    /// There is too much of something: of what, and the limit.
    Limit(&'static str, u64),
    /// The entry uses what no layer may use.
    Unsupported(String),
    /// The stream ends where it may not.
    Truncated,
    /// Reading failed, whatever is read.
    Read(Error),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault.into())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Read(error)
    }
}

impl Failure {
    /// The error that names the entry by its number and as much of its name as is known.
    pub(super) fn at(self, number: u64, name: &[u8]) -> Error {
        let name = escape(name);
        match self {
            Self::Fault(reason) => Error::InvalidEntry { number, name, reason: reason.into() },
            Self::Limit(what, limit) => Error::EntryLimit { number, name, what, limit },
            Self::Unsupported(what) => Error::UnsupportedEntry { number, name, what },
            Self::Truncated => Error::InvalidEntry { number, name, reason: String::from("the stream ends inside it") },
            Self::Read(error) => error,
        }
    }
}
