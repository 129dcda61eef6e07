//! Hashing: alone, while reading or writing, and on a thread beside.

mod threaded;

use std::io::{self, Read, Write};

use sha2::Digest as _;

pub use threaded::ThreadedHasher;

use crate::{
    digest::{Algorithm, Digest},
    error::{Error, Result},
};

#[derive(Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

/// Computes a [`Digest`] from bytes as they come.
#[derive(Clone)]
pub struct Hasher {
    state: State,
    count: u64,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::sha256()
    }
}

impl Hasher {
    /// A hasher for SHA-256.
    #[must_use]
    pub fn sha256() -> Self {
        Self { state: State::Sha256(sha2::Sha256::new()), count: 0 }
    }

    /// A hasher for content that `digest` names.
    ///
    /// # Errors
    /// [`Error::is_unsupported`] for an algorithm other than sha256 and sha512.
    pub fn for_digest(digest: &Digest) -> Result<Self> {
        let state = match digest.algorithm() {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
            Algorithm::Other(_) => return Err(Error::UnsupportedAlgorithm { digest: digest.clone() }),
        };
        Ok(Self { state, count: 0 })
    }

    /// Adds bytes to the content.
    pub fn update(&mut self, bytes: &[u8]) {
        self.count += bytes.len() as u64;
        match &mut self.state {
            State::Sha256(hash) => hash.update(bytes),
            State::Sha512(hash) => hash.update(bytes),
        }
    }

    /// How many bytes were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The digest of all bytes added.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.state {
            State::Sha256(hash) => Digest::from_sha256(hash.finalize().into()),
            State::Sha512(hash) => Digest::from_sha512(hash.finalize().into()),
        }
    }
}

/// Computes a SHA-256 hash that is kept as its 32 bytes, where there are many.
#[derive(Clone, Default)]
pub struct Sha256(sha2::Sha256);

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sha256").finish_non_exhaustive()
    }
}

impl Sha256 {
    /// Adds bytes to the content.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes added.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// Hashes what is read through it.
#[derive(Debug)]
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
}

impl<R> HashingReader<R> {
    /// Reads from `inner` and hashes with `hasher`.
    pub fn new(inner: R, hasher: Hasher) -> Self {
        Self { inner, hasher }
    }

    /// The reader below, and the hasher with all that was read.
    pub fn into_parts(self) -> (R, Hasher) {
        (self.inner, self.hasher)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hasher.update(&buf[..n]);
        Ok(n)
    }
}

/// Hashes what is written through it.
#[derive(Debug)]
pub struct HashingWriter<W> {
    inner: W,
    hasher: Hasher,
}

impl<W> HashingWriter<W> {
    /// Writes to `inner` and hashes with `hasher`.
    pub fn new(inner: W, hasher: Hasher) -> Self {
        Self { inner, hasher }
    }

    /// How many bytes were written.
    pub fn count(&self) -> u64 {
        self.hasher.count()
    }

    /// The writer below, and the hasher with all that was written.
    pub fn into_parts(self) -> (W, Hasher) {
        (self.inner, self.hasher)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.hasher.update(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
