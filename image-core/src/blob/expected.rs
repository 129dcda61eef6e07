//! What a writer is told to expect, and what became of it.

use std::io;

use crate::{
    descriptor::Descriptor,
    digest::Digest,
    error::{Error, Result},
    hasher::Hasher,
};

/// What is known of a blob before it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    digest: Option<Digest>,
    size: Option<u64>,
}

impl Expected {
    /// Nothing: whatever is written becomes the blob of its SHA-256 digest.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Content of this digest, of any size.
    #[must_use]
    pub fn of(digest: Digest) -> Self {
        Self { digest: Some(digest), size: None }
    }

    /// Content of this digest and of `size` bytes.
    #[must_use]
    pub fn sized(digest: Digest, size: u64) -> Self {
        Self { digest: Some(digest), size: Some(size) }
    }

    /// The content that a descriptor points at.
    #[must_use]
    pub fn descriptor(descriptor: &Descriptor) -> Self {
        Self::sized(descriptor.digest.clone(), descriptor.size)
    }

    /// The digest, where known.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The size in bytes, where known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.size
    }
}

/// A blob that is in the store now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it was there before. Of several writers that race, more than one may say no.
    pub already_present: bool,
}

impl Committed {
    /// Says what became of a writer, for implementers of [`super::BlobWriter`].
    #[must_use]
    pub fn new(digest: Digest, size: u64, already_present: bool) -> Self {
        Self { digest, size, already_present }
    }
}

/// Measures and hashes the content of one writer, and holds it against what is expected.
#[derive(Debug)]
pub(super) struct Intake {
    expected: Expected,
    hasher: Hasher,
    overrun: bool,
}

impl Intake {
    pub(super) fn new(expected: &Expected) -> Result<Self> {
        let hasher = expected.digest().map_or_else(|| Ok(Hasher::sha256()), Hasher::for_digest)?;
        Ok(Self { expected: expected.clone(), hasher, overrun: false })
    }

    /// Refuses bytes that would make the content longer than expected.
    pub(super) fn admit(&mut self, bytes: &[u8]) -> io::Result<()> {
        let size = self.hasher.count().saturating_add(bytes.len() as u64);
        self.overrun |= self.expected.size.is_some_and(|limit| size > limit);
        if self.overrun { Err(self.size_mismatch().into()) } else { Ok(()) }
    }

    /// How many bytes came in.
    pub(super) fn count(&self) -> u64 {
        self.hasher.count()
    }

    /// Takes bytes that were stored into account.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The digest and size of the content, if they are the expected ones.
    pub(super) fn finish(self) -> Result<(Digest, u64)> {
        let size = self.hasher.count();
        if self.overrun || self.expected.size.is_some_and(|expected| expected != size) {
            return Err(self.size_mismatch());
        }
        let actual = self.hasher.finish();
        match self.expected.digest {
            Some(expected) if expected != actual => Err(Error::DigestMismatch { expected, actual }),
            _ => Ok((actual, size)),
        }
    }

    fn size_mismatch(&self) -> Error {
        let expected = self.expected.size.unwrap_or_default();
        let actual = if self.overrun { expected.saturating_add(1) } else { self.hasher.count() };
        let digest = self.expected.digest.clone().unwrap_or_else(|| self.hasher.clone().finish());
        Error::SizeMismatch { digest, expected, actual }
    }
}
