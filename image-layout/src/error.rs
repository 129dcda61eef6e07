//! The error of this crate.

use std::path::PathBuf;

use image_core::Digest;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and with which layout, name or digest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of the layers below: blobs, documents, files, references.
    #[error(transparent)]
    Core(#[from] image_core::Error),
    /// A directory is not an OCI image layout.
    #[error("{path}: not an OCI image layout: {reason}")]
    #[non_exhaustive]
    NotALayout {
        /// The directory, or the file in it that is wrong.
        path: PathBuf,
        /// What is missing or wrong.
        reason: &'static str,
    },
    /// A layout of a version that this crate does not know.
    #[error("{path}: image layout version {version:?} is not supported (1.0.0 is)")]
    #[non_exhaustive]
    UnsupportedVersion {
        /// The `oci-layout` file.
        path: PathBuf,
        /// Its `imageLayoutVersion`, shortened to 256 characters.
        version: String,
    },
    /// A layout was to be created where one is.
    #[error("{path}: there is an OCI image layout already")]
    #[non_exhaustive]
    AlreadyExists {
        /// The directory.
        path: PathBuf,
    },
    /// A text cannot be the name of an image in a layout.
    #[error("invalid name {input:?} for an image in a layout: {reason}")]
    #[non_exhaustive]
    InvalidRefName {
        /// The text as given, shortened to 256 characters.
        input: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// An archive cannot be read, or does not hold what it says it does.
    #[error("archive{}: {reason}", after_colon(.member))]
    #[non_exhaustive]
    InvalidArchive {
        /// The member that is wrong, shortened to 256 characters; empty where it is none in particular.
        member: String,
        /// What is wrong.
        reason: String,
    },
    /// A layer cannot be uncompressed, or is not what its image says.
    #[error("cannot read the layer {digest}")]
    #[non_exhaustive]
    Layer {
        /// The digest of its blob.
        digest: Digest,
        /// Why not.
        source: Box<Self>,
    },
    /// A name means several images.
    #[error("{path}: {name} is ambiguous: it names {}", list(digests))]
    #[non_exhaustive]
    AmbiguousName {
        /// The layout.
        path: PathBuf,
        /// The name.
        name: String,
        /// What it names, in the order of `index.json`.
        digests: Vec<Digest>,
    },
}

fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// Joins the first ten, and says how many are left out.
pub(crate) fn list<T: ToString>(items: &[T]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<String> = items.iter().take(SHOWN).map(|item| printable(&excerpt(&item.to_string()))).collect();
    match items.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Foreign text without the control characters that a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut printable, c| {
        if c.is_control() {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
        printable
    })
}

/// At most 256 characters of foreign text, for an error's message.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(256) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Error {
    /// Says what is wrong with a member of an archive.
    pub(crate) fn archive(member: &[u8], reason: impl Into<String>) -> Self {
        let member = printable(&excerpt(&String::from_utf8_lossy(member)));
        Self::InvalidArchive { member, reason: reason.into() }
    }

    /// The error of a layer, or the error itself.
    fn inner(&self) -> &Self {
        match self {
            Self::Layer { source, .. } => source.inner(),
            error => error,
        }
    }

    /// Whether the thing asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self.inner(), Self::Core(error) if error.is_not_found())
    }

    /// Whether content or a document is not what its digest, size or specification says.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(self.inner(), Self::NotALayout { .. } | Self::InvalidArchive { .. })
            || matches!(self.inner(), Self::Core(error) if error.is_corrupt())
    }

    /// Whether the operation was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.inner(), Self::Core(error) if error.is_cancelled())
    }

    /// Whether this build or machine cannot do what was asked.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(self.inner(), Self::UnsupportedVersion { .. })
            || matches!(self.inner(), Self::Core(error) if error.is_unsupported())
    }

    /// Whether the operating system denied permission.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self.inner(), Self::Core(error) if error.is_denied())
    }

    /// Whether somebody else holds what this needs: trying again later may work.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self.inner(), Self::Core(error) if error.is_busy())
    }
}

impl From<Error> for image_core::Error {
    /// Lets an error of this crate pass through the traits of the crate below.
    fn from(error: Error) -> Self {
        match error {
            Error::Core(error) => error,
            other => Self::External(Box::new(other)),
        }
    }
}
