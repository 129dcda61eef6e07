//! The error of this crate.

use std::{io, path::PathBuf};

use crate::{idmap::IdRange, oddity::Oddity, path::LayerPath};

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and with which entry or path.
///
/// The text of an error never repeats its cause: print the chain of
/// [`std::error::Error::source`] to see all of it. Names out of a layer are escaped and
/// cut to 256 bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of [`image_core`].
    #[error(transparent)]
    Core(#[from] image_core::Error),
    /// Bytes are not a path within a layer.
    #[error("invalid path {path}: {reason}")]
    #[non_exhaustive]
    InvalidPath {
        /// The bytes, escaped.
        path: String,
        /// The rule they break.
        reason: &'static str,
    },
    /// A tar stream breaks a rule of its format or of its meaning, or ends inside an entry.
    #[error("tar entry {number}{}: {reason}", in_parentheses(.name))]
    #[non_exhaustive]
    InvalidEntry {
        /// The entry's number in the stream, from 1.
        number: u64,
        /// Its name as far as it is known, escaped; may be empty.
        name: String,
        /// The rule it breaks.
        reason: String,
    },
    /// A tar entry is of a kind that no layer may hold.
    #[error("tar entry {number}{}: {what} is not supported", in_parentheses(.name))]
    #[non_exhaustive]
    UnsupportedEntry {
        /// The entry's number in the stream, from 1.
        number: u64,
        /// Its name, escaped.
        name: String,
        /// What it uses.
        what: String,
    },
    /// A tar entry is larger than one of the [`Limits`](crate::Limits) allows.
    #[error("tar entry {number}{}: {what} exceed the limit of {limit}", in_parentheses(.name))]
    #[non_exhaustive]
    EntryLimit {
        /// The entry's number in the stream, from 1.
        number: u64,
        /// Its name as far as it is known, escaped; may be empty.
        name: String,
        /// What there is too much of, in the plural.
        what: &'static str,
        /// The limit, in the unit of `what`.
        limit: u64,
    },
    /// The system refused something that an entry asks for.
    #[error("tar entry {number}{}: cannot {action}", in_parentheses(.name))]
    #[non_exhaustive]
    Entry {
        /// The entry's number in the stream, from 1.
        number: u64,
        /// Its name, escaped; empty for the root.
        name: String,
        /// What was tried, as a verb and its object: `create the file`.
        action: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A layer of an image cannot be applied.
    #[error("cannot apply layer {position}{}", unless_named(digest, source))]
    #[non_exhaustive]
    Layer {
        /// The layer's place in the stack; the base layer is 0.
        position: usize,
        /// The digest of its blob.
        digest: image_core::Digest,
        /// Why not.
        #[source]
        source: Box<Self>,
    },
    /// The blob of a layer cannot be read.
    #[error("cannot read a layer{}", unless_named(digest, source))]
    #[non_exhaustive]
    LayerBlob {
        /// Its digest.
        digest: image_core::Digest,
        /// Why not.
        #[source]
        source: Box<Self>,
    },
    /// A layer is not the one that the image's config names.
    #[error("the plain layer hashes to {actual}, but its diffID is {expected}")]
    #[non_exhaustive]
    DiffIdMismatch {
        /// The diffID by the config.
        expected: image_core::DiffId,
        /// What the layer hashes to.
        actual: image_core::DiffId,
    },
    /// A layer has what means something, but not what it should: an error only where the caller is
    /// [strict](crate::Strictness::Strict).
    #[error("tar entry {number}{}: {oddity}", in_parentheses(.name))]
    #[non_exhaustive]
    Odd {
        /// The entry's number in the stream, from 1.
        number: u64,
        /// Its name, escaped; empty for the root.
        name: String,
        /// What is odd.
        oddity: Oddity,
    },
    /// A layer is not compressed as its media type says: an error only where the caller is
    /// [strict](crate::Strictness::Strict).
    #[error("the media type is {media_type}, but it is {actual}")]
    #[non_exhaustive]
    OtherCompression {
        /// The media type.
        media_type: image_core::MediaType,
        /// What the bytes are.
        actual: image_core::Compression,
    },
    /// Ranges of ids that overlap, or go beyond what ids there are.
    #[error("id range {}:{}:{} overlaps another or goes beyond 4294967294", .range.inside, .range.outside, .range.count)]
    #[non_exhaustive]
    InvalidIdMap {
        /// One of them.
        range: IdRange,
    },
    /// An image cannot be unpacked to a place.
    #[error("cannot unpack to {path}: {reason}")]
    #[non_exhaustive]
    Destination {
        /// The place.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An entry cannot be written into a layer.
    #[error("{path}: cannot be written into a layer: {reason}")]
    #[non_exhaustive]
    Unwritable {
        /// The entry's path, escaped.
        path: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// An entry cannot be applied to what lower layers have.
    #[error("{path}: {reason}")]
    #[non_exhaustive]
    Inapplicable {
        /// The entry's path, escaped.
        path: String,
        /// Why not.
        reason: String,
    },
    /// A path leads through more symbolic links than the kernel follows.
    #[error("{path}: more than 40 symbolic links on the way")]
    #[non_exhaustive]
    TooManySymlinks {
        /// The path, escaped.
        path: String,
    },
    /// The upper directory of an overlay mount does not say what the mount showed.
    #[error("{path}: {reason}")]
    #[non_exhaustive]
    Captured {
        /// The path in the upper directory, escaped.
        path: String,
        /// What is not known, and why.
        reason: &'static str,
    },
    /// Overlayfs cannot be mounted.
    #[cfg(target_os = "linux")]
    #[error("mount over {target}: {obstacle}")]
    #[non_exhaustive]
    Mount {
        /// Where.
        target: PathBuf,
        /// Why not.
        obstacle: Box<crate::mount::MountObstacle>,
        /// What the kernel says, where it was asked.
        #[source]
        source: Option<io::Error>,
    },
    /// Something cannot be done with a snapshot.
    #[cfg(target_os = "linux")]
    #[error("snapshot {name}: {problem}")]
    #[non_exhaustive]
    Snapshot {
        /// Its chainID or key.
        name: String,
        /// Why not.
        problem: crate::snapshot::SnapshotProblem,
    },
    /// A directory holds snapshots of another form or version.
    #[error("{path} says {found}, not {expected}: use another directory, or remove this one")]
    #[non_exhaustive]
    SnapshotStore {
        /// The file that says so.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What it should say.
        expected: String,
    },
    /// An image has no layer at a position.
    #[error("there is no layer {position}")]
    #[non_exhaustive]
    NoLayer {
        /// The position; the base layer is 0.
        position: usize,
    },
    /// A file's content is not as long as its entry says.
    #[error("{path}: {actual} bytes of content where its entry says {expected}")]
    #[non_exhaustive]
    ContentLength {
        /// The entry's path, escaped.
        path: String,
        /// The size by entry, in bytes.
        expected: u64,
        /// The size found, in bytes; reading stops one byte past `expected`.
        actual: u64,
    },
    /// A cached table of contents does not parse.
    #[error("invalid table of contents at byte {offset}: {reason}")]
    #[non_exhaustive]
    InvalidToc {
        /// Where in its bytes.
        offset: usize,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// What was kept of a directory's files does not parse.
    #[error("invalid digests of a directory's files: {reason}")]
    #[non_exhaustive]
    InvalidKnown {
        /// The rule it breaks.
        reason: &'static str,
    },
}

fn in_parentheses(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" ({name})") }
}

/// A digest in parentheses, where the cause does not begin with it.
fn unless_named(digest: &image_core::Digest, cause: &Error) -> String {
    let digest = digest.to_string();
    if cause.to_string().starts_with(&digest) { String::new() } else { format!(" ({digest})") }
}

impl Error {
    /// An entry that cannot be applied.
    pub(crate) fn inapplicable(path: &LayerPath, reason: impl Into<String>) -> Self {
        Self::Inapplicable { path: path.to_string(), reason: reason.into() }
    }

    /// An entry that cannot be written.
    pub(crate) fn unwritable(path: &LayerPath, reason: &'static str) -> Self {
        Self::Unwritable { path: path.to_string(), reason }
    }

    /// Something that cannot be done with a snapshot.
    #[cfg(target_os = "linux")]
    pub(crate) fn snapshot(name: &dyn std::fmt::Display, problem: crate::snapshot::SnapshotProblem) -> Self {
        Self::Snapshot { name: name.to_string(), problem }
    }

    /// Names the path of a failed operation of the file system.
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::recover(source).unwrap_or_else(|source| image_core::Error::io(action, path, source).into())
    }

    /// Names what was done with a stream when it failed.
    ///
    /// An error of this crate or of [`image_core`] that travelled through
    /// [`std::io::Error`] comes out as itself.
    pub fn stream(action: &'static str, source: io::Error) -> Self {
        Self::recover(source).unwrap_or_else(|source| image_core::Error::stream(action, source).into())
    }

    /// Takes an error of this crate or of [`image_core`] out of the [`io::Error`] it travelled in.
    ///
    /// # Errors
    /// The I/O error itself where none travelled in it.
    pub fn recover(source: io::Error) -> std::result::Result<Self, io::Error> {
        match source.downcast::<Self>() {
            Ok(inner) => Ok(inner),
            Err(source) => image_core::Error::recover(source).map(Self::Core),
        }
    }

    /// Whether the thing asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Core(inner) => inner.is_not_found(),
            #[cfg(target_os = "linux")]
            Self::Snapshot { problem, .. } => *problem == crate::snapshot::SnapshotProblem::Missing,
            Self::Layer { source, .. } | Self::LayerBlob { source, .. } => source.is_not_found(),
            _ => false,
        }
    }

    /// Whether content is not what its digest, size or specification says.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Core(inner) => inner.is_corrupt(),
            Self::InvalidPath { .. }
            | Self::InvalidEntry { .. }
            | Self::InvalidToc { .. }
            | Self::InvalidKnown { .. }
            | Self::DiffIdMismatch { .. }
            | Self::Odd { .. }
            | Self::OtherCompression { .. }
            | Self::Inapplicable { .. } => true,
            Self::Layer { source, .. } | Self::LayerBlob { source, .. } => source.is_corrupt(),
            _ => false,
        }
    }

    /// Whether the operation was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Core(inner) => inner.is_cancelled(),
            Self::Layer { source, .. } | Self::LayerBlob { source, .. } => source.is_cancelled(),
            _ => false,
        }
    }

    /// Whether this build or machine cannot do what was asked.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        match self {
            Self::Core(inner) => inner.is_unsupported(),
            Self::UnsupportedEntry { .. } => true,
            #[cfg(target_os = "linux")]
            Self::Mount { obstacle, .. } => obstacle.is_unsupported(),
            Self::Layer { source, .. } | Self::LayerBlob { source, .. } => source.is_unsupported(),
            _ => false,
        }
    }

    /// Whether the operating system denied permission.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        match self {
            Self::Core(inner) => inner.is_denied(),
            Self::Entry { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            #[cfg(target_os = "linux")]
            Self::Mount { obstacle, .. } => **obstacle == crate::mount::MountObstacle::Denied,
            Self::Layer { source, .. } | Self::LayerBlob { source, .. } => source.is_denied(),
            _ => false,
        }
    }

    /// Whether somebody else holds what this needs: trying again later may work.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        match self {
            Self::Core(inner) => inner.is_busy(),
            #[cfg(target_os = "linux")]
            Self::Snapshot { problem, .. } => problem.is_busy(),
            #[cfg(target_os = "linux")]
            Self::Mount { obstacle, .. } => **obstacle == crate::mount::MountObstacle::Busy,
            Self::Layer { source, .. } | Self::LayerBlob { source, .. } => source.is_busy(),
            _ => false,
        }
    }
}

impl From<Error> for io::Error {
    /// Lets an error of this crate travel through [`std::io::Read`] and [`std::io::Write`];
    /// [`Error::recover`] takes it out again.
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Core(inner) => return inner.into(),
            ref error if error.is_corrupt() => io::ErrorKind::InvalidData,
            ref error if error.is_unsupported() => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
