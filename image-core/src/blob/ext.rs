//! What programs do with blobs, in one call each.

use std::io::{self, Read, Write};

use bytes::Bytes;

use super::{Blob, BlobSource, BlobStore, Committed, Expected, inline};
use crate::{
    ctx::Ctx,
    descriptor::Descriptor,
    digest::Digest,
    document::{Body, Document, MAX_DOCUMENT_SIZE},
    error::{Error, Result},
    observer::{Outcome, TaskKind},
    verify::VerifyingReader,
};

/// How much is copied at a time, and so how often a copy looks whether it is cancelled.
const COPY_BUFFER: usize = 256 << 10;

/// Conveniences for everything that blobs are read from.
pub trait BlobSourceExt: BlobSource {
    /// Opens a blob that must be there.
    ///
    /// # Errors
    /// [`Error::is_not_found`] where it is not, and those of [`BlobSource::open`].
    fn require(&self, digest: &Digest) -> Result<Blob> {
        self.open(digest)?.ok_or_else(|| Error::BlobNotFound { digest: digest.clone() })
    }

    /// Opens the blob that a descriptor points at for reading from front to back, verified on the way.
    ///
    /// The size is checked before the first byte is read; the digest at the end: see [`VerifyingReader`].
    ///
    /// # Errors
    /// [`Error::is_not_found`] where it is missing, [`Error::is_corrupt`] where it has another size,
    /// [`Error::is_unsupported`] for a digest that cannot be verified, and those of [`BlobSource::open`].
    fn open_verified(&self, descriptor: &Descriptor) -> Result<VerifyingReader<Blob>> {
        let blob = open_sized(self, descriptor)?;
        VerifyingReader::new(blob, descriptor.digest.clone(), descriptor.size)
    }

    /// Reads all of the blob that a descriptor points at, only to compare its size and digest.
    ///
    /// # Errors
    /// Those of [`BlobSourceExt::open_verified`], [`Error::is_corrupt`] for another digest, and [`Error::is_cancelled`].
    fn verify(&self, descriptor: &Descriptor, ctx: &Ctx) -> Result<()> {
        let mut blob = self.open_verified(descriptor)?;
        let mut buffer = vec![0; COPY_BUFFER];
        loop {
            ctx.check()?;
            match blob.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::stream("read the blob", e)),
            }
        }
    }

    /// The error that a blob was damaged, if it was, for whoever could not make sense of it: decoders and parsers come upon
    /// damage before the last byte, where the digest tells of it. Reads all of the blob, until it is cancelled, which is the
    /// error then.
    fn damage(&self, descriptor: &Descriptor, ctx: &Ctx) -> Option<Error> {
        self.verify(descriptor, ctx).err().filter(|error| error.is_corrupt() || error.is_cancelled())
    }

    /// Reads the whole blob that a descriptor points at, verified. Nothing is read of a blob
    /// of more than `limit` bytes.
    ///
    /// Where the descriptor carries the content itself, that is checked to be the same.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`], [`Error::is_corrupt`] where size, digest or the descriptor's
    /// `data` do not hold, and those of [`BlobSourceExt::open_verified`].
    ///
    /// # Spec
    /// OCI image-spec 1.1, descriptor.md, § Properties (`data`) and § Verification.
    fn read_bytes(&self, descriptor: &Descriptor, limit: u64) -> Result<Bytes> {
        if descriptor.size > limit {
            return Err(Error::limit(format!("blob {} of {} bytes", descriptor.digest, descriptor.size), limit));
        }
        let mut bytes = Vec::new();
        self.open_verified(descriptor)?.read_to_end(&mut bytes).map_err(|e| Error::stream("read the blob", e))?;
        if descriptor.data.as_ref().is_some_and(|data| !inline::is_base64_of(data, &bytes)) {
            return Err(Error::document(
                format!("descriptor of {}", descriptor.digest),
                "its data is not the content that its digest names",
            ));
        }
        Ok(bytes.into())
    }

    /// Reads the document that a descriptor points at, verified; at most [`MAX_DOCUMENT_SIZE`] bytes.
    ///
    /// # Errors
    /// Those of [`BlobSourceExt::read_bytes`] and [`Document::parse_for`].
    fn read_document<T: Body>(&self, descriptor: &Descriptor) -> Result<Document<T>> {
        Document::parse_for(self.read_bytes(descriptor, MAX_DOCUMENT_SIZE)?, descriptor)
    }
}

impl<S: BlobSource + ?Sized> BlobSourceExt for S {}

/// Conveniences for everything that blobs are written to.
pub trait BlobStoreExt: BlobStore {
    /// Stores some bytes under their SHA-256 digest.
    ///
    /// # Errors
    /// The error of the medium.
    fn put_bytes(&self, bytes: &[u8]) -> Result<Committed> {
        put(self, &Expected::sized(Digest::sha256_of(bytes), bytes.len() as u64), bytes)
    }

    /// Stores a document, byte for byte, under its digest.
    ///
    /// # Errors
    /// The error of the medium.
    fn put_document<T>(&self, document: &Document<T>) -> Result<Committed> {
        let bytes = document.bytes();
        put(self, &Expected::sized(document.digest().clone(), bytes.len() as u64), bytes)
    }

    /// Copies the blob that a descriptor points at from another store, verified on the way.
    /// A blob that is already here, with the right size, is neither read nor written; one that this store can
    /// share with the source is read only.
    ///
    /// One [`TaskKind::Copy`] is told to the observer; it is [`Outcome::Cached`] for a blob that was here.
    ///
    /// # Errors
    /// [`Error::is_not_found`] where the source has no such blob, [`Error::is_corrupt`] where it is
    /// not what the descriptor says, [`Error::is_cancelled`], and those of the two stores.
    /// The blob is not stored then.
    fn copy_from(&self, source: &(impl BlobSource + ?Sized), descriptor: &Descriptor, ctx: &Ctx) -> Result<Committed> {
        let digest = &descriptor.digest;
        let task = ctx.begin(TaskKind::Copy, &digest.to_string(), Some(descriptor.size));
        if self.renew(digest, descriptor.size)? {
            task.end(Outcome::Cached);
            return Ok(Committed::new(digest.clone(), descriptor.size, true));
        }
        let mut blob = open_sized(source, descriptor)?;
        let mut writer = self.create(&Expected::descriptor(descriptor))?;
        let mut told = |count| {
            task.advance(count, 0);
            ctx.check()
        };
        ctx.check()?;
        if !writer.adopt(&blob, &mut told)? {
            transfer(&mut blob, &mut *writer, &mut told)?;
        }
        let committed = writer.commit()?;
        task.end(Outcome::Done);
        Ok(committed)
    }
}

impl<S: BlobStore + ?Sized> BlobStoreExt for S {}

/// Copies the rest of a blob; what is `told` of each piece may end it.
fn transfer(blob: &mut Blob, to: &mut dyn Write, told: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
    let size = usize::try_from(blob.size()).unwrap_or(usize::MAX);
    let mut buffer = vec![0; size.clamp(1, COPY_BUFFER)];
    loop {
        let count = match blob.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Error::stream("read the blob", e)),
        };
        to.write_all(buffer.get(..count).unwrap_or_default()).map_err(|e| Error::stream("write the blob", e))?;
        told(count as u64)?;
    }
}

fn open_sized<S: BlobSource + ?Sized>(source: &S, descriptor: &Descriptor) -> Result<Blob> {
    let blob = source.require(&descriptor.digest)?;
    if blob.size() == descriptor.size {
        Ok(blob)
    } else {
        let (expected, actual) = (descriptor.size, blob.size());
        Err(Error::SizeMismatch { digest: descriptor.digest.clone(), expected, actual })
    }
}

fn put<S: BlobStore + ?Sized>(store: &S, expected: &Expected, bytes: &[u8]) -> Result<Committed> {
    let mut writer = store.create(expected)?;
    writer.write_all(bytes).map_err(|e| Error::stream("write the blob", e))?;
    writer.commit()
}
