//! The error of this crate.

use std::{io, path::PathBuf};

use crate::{codec::Compression, digest::Digest};

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and with which digest, path, name or document.
///
/// The text of an error never repeats its cause: print the chain of
/// [`std::error::Error::source`] to see all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A string is not a digest.
    #[error("invalid digest {input:?}: {reason}")]
    #[non_exhaustive]
    InvalidDigest {
        /// The text as given, shortened to 256 characters.
        input: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A string is not an image reference.
    #[error("invalid image reference {input:?}: {reason}")]
    #[non_exhaustive]
    InvalidReference {
        /// The text as given, shortened to 256 characters.
        input: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A string is not a platform.
    #[error("invalid platform {input:?}: {reason}")]
    #[non_exhaustive]
    InvalidPlatform {
        /// The text as given, shortened to 256 characters.
        input: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A string is not a time.
    #[error("invalid time {input:?}: {reason}")]
    #[non_exhaustive]
    InvalidTimestamp {
        /// The text as given, shortened to 256 characters.
        input: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A digest of an algorithm that this crate cannot compute was to be verified or stored.
    #[error("{digest}: the digest algorithm is not supported (sha256 and sha512 are)")]
    #[non_exhaustive]
    UnsupportedAlgorithm {
        /// The digest.
        digest: Digest,
    },
    /// Content does not hash to its digest.
    #[error("{expected}: content is corrupt: it hashes to {actual}")]
    #[non_exhaustive]
    DigestMismatch {
        /// The digest it should have.
        expected: Digest,
        /// The digest it has.
        actual: Digest,
    },
    /// Content is not as long as its descriptor says.
    #[error("{digest}: content is corrupt: {actual} bytes where {expected} were expected")]
    #[non_exhaustive]
    SizeMismatch {
        /// The digest of the content.
        digest: Digest,
        /// The size by descriptor, in bytes.
        expected: u64,
        /// The size found, in bytes; reading stops one byte past `expected`.
        actual: u64,
    },
    /// The store has no such blob.
    #[error("{digest}: blob not found")]
    #[non_exhaustive]
    BlobNotFound {
        /// The digest asked for.
        digest: Digest,
    },
    /// What stands at a blob's place is not a blob.
    #[error("{digest}: {path}: {reason}")]
    #[non_exhaustive]
    InvalidBlob {
        /// The digest asked for.
        digest: Digest,
        /// Where it should be.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A blob's file is not what its name says.
    #[error("{path}: the blob is corrupt: set it aside, or remove it and copy the image again")]
    #[non_exhaustive]
    CorruptBlob {
        /// The file.
        path: PathBuf,
        /// The digest or size that it has.
        #[source]
        source: Box<Self>,
    },
    /// No image has that name.
    #[error("image {name} not found: {hint}{}", suggested(meant.as_deref()))]
    #[non_exhaustive]
    ImageNotFound {
        /// The name asked for.
        name: String,
        /// Where it was looked for and what is there.
        hint: String,
        /// What may have been meant.
        meant: Option<String>,
    },
    /// A JSON document breaks a rule of its specification.
    #[error("{document}: {reason}")]
    #[non_exhaustive]
    InvalidDocument {
        /// Which document: its kind, and its digest or path where known.
        document: String,
        /// The rule it breaks.
        reason: String,
    },
    /// A JSON document does not parse.
    #[error("{document}: not a valid document")]
    #[non_exhaustive]
    Json {
        /// Which document: its kind, and its digest or path where known.
        document: String,
        /// What the parser says, with line and column.
        #[source]
        source: serde_json::Error,
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
    /// A compressed stream is corrupt.
    #[error("corrupt {compression} stream")]
    #[non_exhaustive]
    Corrupt {
        /// The format.
        compression: Compression,
        /// What the decoder says.
        #[source]
        source: io::Error,
    },
    /// A feature of the input or of the machine that this build does not have.
    #[error("{what} is not supported: {hint}")]
    #[non_exhaustive]
    Unsupported {
        /// What was asked for.
        what: String,
        /// What to do instead.
        hint: &'static str,
    },
    /// The operating system refused something.
    #[error("cannot {action} {path}")]
    #[non_exhaustive]
    Io {
        /// What was tried, as a verb: `open`, `create`.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Reading from or writing to a stream that the caller gave failed.
    #[error("cannot {action}")]
    #[non_exhaustive]
    Stream {
        /// What was tried: `read the layer`.
        action: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The operation was cancelled through its [`crate::CancelToken`].
    #[error("cancelled")]
    Cancelled,
    /// Somebody else holds a lock that this needs.
    #[error("{path}: in use by another process")]
    #[non_exhaustive]
    Busy {
        /// What is locked.
        path: PathBuf,
    },
    /// An error of an implementation of one of this crate's traits.
    #[error(transparent)]
    External(Box<dyn std::error::Error + Send + Sync>),
}

fn suggested(meant: Option<&str>) -> String {
    meant.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// At most 256 characters of foreign text, for an error's message.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(256) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Error {
    /// Names the path of a failed operation of the file system.
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        match Self::recover(source) {
            Ok(inner) => inner,
            Err(source) => Self::Io { action, path: path.into(), source },
        }
    }

    /// Names what was done with a stream when it failed.
    ///
    /// An error of this crate that travelled through [`std::io::Error`], as those of the
    /// verifying readers do, comes out as itself.
    pub fn stream(action: &'static str, source: io::Error) -> Self {
        match Self::recover(source) {
            Ok(inner) => inner,
            Err(source) => Self::Stream { action, source },
        }
    }

    /// Names a document and the rule it breaks.
    pub fn document(document: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::InvalidDocument { document: document.into(), reason: reason.into() }
    }

    /// Says which image was not found, where it was looked for and what is there.
    pub fn image_not_found(name: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::ImageNotFound { name: name.into(), hint: hint.into(), meant: None }
    }

    /// Says what may have been meant by the name of an image that was not found; other errors stay as they are.
    #[must_use]
    pub fn with_meant(self, meant: Option<String>) -> Self {
        match self {
            Self::ImageNotFound { name, hint, .. } => Self::ImageNotFound { name, hint, meant },
            other => other,
        }
    }

    /// Says that content does not hash to its digest.
    #[must_use]
    pub fn digest_mismatch(expected: &Digest, actual: Digest) -> Self {
        Self::DigestMismatch { expected: expected.clone(), actual }
    }

    /// Says what is larger than its limit.
    pub fn limit(what: impl Into<String>, limit: u64) -> Self {
        Self::LimitExceeded { what: what.into(), limit }
    }

    /// Says what cannot be done, and what to do instead.
    pub fn unsupported(what: impl Into<String>, hint: &'static str) -> Self {
        Self::Unsupported { what: what.into(), hint }
    }

    /// Takes an error of this crate out of the [`io::Error`] it travelled in.
    ///
    /// # Errors
    /// The I/O error itself where none travelled in it.
    pub fn recover(source: io::Error) -> std::result::Result<Self, io::Error> {
        if source.get_ref().is_some_and(|inner| inner.is::<Self>()) {
            match source.into_inner().map(|inner| inner.downcast::<Self>()) {
                Some(Ok(inner)) => Ok(*inner),
                Some(Err(inner)) => Err(io::Error::other(inner)),
                None => Err(io::ErrorKind::Other.into()),
            }
        } else {
            Err(source)
        }
    }

    /// Whether the thing asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::BlobNotFound { .. } | Self::ImageNotFound { .. } => true,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// Whether content or a document is not what its digest, size or specification says.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(
            self,
            Self::DigestMismatch { .. }
                | Self::SizeMismatch { .. }
                | Self::InvalidBlob { .. }
                | Self::CorruptBlob { .. }
                | Self::InvalidDocument { .. }
                | Self::Json { .. }
                | Self::Corrupt { .. }
        )
    }

    /// Whether the operation was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    /// Whether this build or machine cannot do what was asked.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        match self {
            Self::Unsupported { .. } | Self::UnsupportedAlgorithm { .. } => true,
            Self::Io { source, .. } | Self::Stream { source, .. } => source.kind() == io::ErrorKind::Unsupported,
            _ => false,
        }
    }

    /// Whether the operating system denied permission.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        match self {
            Self::Io { source, .. } | Self::Stream { source, .. } => {
                matches!(source.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
            }
            _ => false,
        }
    }

    /// Whether somebody else holds what this needs: trying again later may work.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }
}

impl From<Error> for io::Error {
    /// Lets an error of this crate travel through [`std::io::Read`] and [`std::io::Write`];
    /// [`Error::recover`] takes it out again.
    fn from(error: Error) -> Self {
        let kind = if error.is_corrupt() {
            io::ErrorKind::InvalidData
        } else if error.is_not_found() {
            io::ErrorKind::NotFound
        } else if error.is_unsupported() {
            io::ErrorKind::Unsupported
        } else {
            io::ErrorKind::Other
        };
        Self::new(kind, error)
    }
}
