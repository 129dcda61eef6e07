//! Reading content while checking it against its digest and size.

use std::io::{self, Read};

use crate::{
    digest::Digest,
    error::{Error, Result},
    hasher::Hasher,
};

/// Reads content of a known digest and size, and fails at its end where they do not hold.
///
/// Bytes are handed out before they are verified, as streaming demands: act on them only
/// provisionally until a read has returned 0. Size goes before digest: content that is
/// longer than it should be fails at the first byte too many, and no more is read.
/// The error is an [`Error`] inside an [`io::Error`]; [`Error::recover`] takes it out.
///
/// # Spec
/// OCI image-spec 1.1, descriptor.md, § Verification.
#[derive(Debug)]
pub struct VerifyingReader<R> {
    inner: R,
    expected: Digest,
    size: u64,
    hasher: Option<Hasher>,
}

impl<R: Read> VerifyingReader<R> {
    /// Verifies `inner` against `expected` and `size` bytes.
    ///
    /// # Errors
    /// [`Error::is_unsupported`] for an algorithm that cannot be verified.
    pub fn new(inner: R, expected: Digest, size: u64) -> Result<Self> {
        let hasher = Some(Hasher::for_digest(&expected)?);
        Ok(Self { inner, expected, size, hasher })
    }

    /// Reads what is left, so that all of the content is verified.
    ///
    /// # Errors
    /// [`Error::is_corrupt`] where digest or size do not hold, or the error of the reader below.
    pub fn drain(&mut self) -> Result<()> {
        io::copy(self, &mut io::sink()).map(drop).map_err(|e| Error::stream("read the blob", e))
    }

    /// Whether the end was reached and all of the content verified.
    pub fn is_verified(&self) -> bool {
        self.hasher.is_none()
    }

    fn check_end(&mut self) -> Result<()> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let actual = hasher.count();
        if actual != self.size {
            return Err(Error::SizeMismatch { digest: self.expected.clone(), expected: self.size, actual });
        }
        let actual = hasher.finish();
        if actual == self.expected {
            Ok(())
        } else {
            Err(Error::DigestMismatch { expected: self.expected.clone(), actual })
        }
    }
}

impl<R: Read> Read for VerifyingReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let Some(hasher) = &mut self.hasher else { return Ok(0) };
        // One byte more than is due, so that content that is too long is noticed.
        let due = (self.size - hasher.count()).saturating_add(1);
        let limit = usize::try_from(due).unwrap_or(usize::MAX).min(buf.len());
        let n = self.inner.read(&mut buf[..limit])?;
        if n as u64 == due {
            self.hasher = None;
            return Err(Error::SizeMismatch {
                digest: self.expected.clone(),
                expected: self.size,
                actual: self.size.saturating_add(1),
            }
            .into());
        }
        hasher.update(&buf[..n]);
        if n == 0 {
            self.check_end()?;
        }
        Ok(n)
    }
}
