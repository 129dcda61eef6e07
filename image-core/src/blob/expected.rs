//! What a writer is told to expect, and what became of it.

use std::io;

use crate::{
    descriptor::Descriptor,
    digest::Digest,
    error::{Error, Result},
    hasher::ThreadedHasher,
};

/// What is known of a blob before it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// A size is known of what has a digest alone.
    content: Option<(Digest, Option<u64>)>,
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
        Self { content: Some((digest, None)) }
    }

    /// Content of this digest and of `size` bytes.
    #[must_use]
    pub fn sized(digest: Digest, size: u64) -> Self {
        Self { content: Some((digest, Some(size))) }
    }

    /// The content that a descriptor points at.
    #[must_use]
    pub fn descriptor(descriptor: &Descriptor) -> Self {
        Self::sized(descriptor.digest.clone(), descriptor.size)
    }

    /// The digest, where known.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.content.as_ref().map(|(digest, _)| digest)
    }

    /// The size in bytes, where known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.content.as_ref().and_then(|(_, size)| *size)
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
    hashing: ThreadedHasher,
    overrun: bool,
}

impl Intake {
    pub(super) fn new(expected: &Expected) -> Result<Self> {
        let hashing = expected.digest().map_or_else(|| Ok(ThreadedHasher::sha256()), ThreadedHasher::for_digest)?;
        Ok(Self { expected: expected.clone(), hashing, overrun: false })
    }

    /// Refuses bytes that would make the content longer than expected.
    pub(super) fn admit(&mut self, bytes: &[u8]) -> io::Result<()> {
        let size = self.hashing.count().saturating_add(bytes.len() as u64);
        self.overrun |= self.expected.size().is_some_and(|limit| size > limit);
        if self.overrun { Ok(self.check_size()?) } else { Ok(()) }
    }

    /// How many bytes came in.
    pub(super) fn count(&self) -> u64 {
        self.hashing.count()
    }

    /// Takes bytes that were stored into account.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.hashing.update(bytes);
    }

    /// Holds no more than is needed until more comes.
    pub(super) fn settle(&mut self) {
        self.hashing.settle();
    }

    /// The digest and size of the content, if they are the expected ones.
    pub(super) fn finish(self) -> Result<(Digest, u64)> {
        self.check_size()?;
        let size = self.count();
        let actual = self.hashing.finish();
        match self.expected.content {
            Some((expected, _)) if expected != actual => Err(Error::DigestMismatch { expected, actual }),
            _ => Ok((actual, size)),
        }
    }

    fn check_size(&self) -> Result<()> {
        let Some((digest, Some(expected))) = &self.expected.content else { return Ok(()) };
        let actual = if self.overrun { expected.saturating_add(1) } else { self.count() };
        if actual == *expected {
            return Ok(());
        }
        Err(Error::SizeMismatch { digest: digest.clone(), expected: *expected, actual })
    }
}
