//! From changes to a layer: tar, diffID, compression, digest and size in one pass.

use std::io::{self, Read};

use image_core::{
    BlobStore, Ctx, Descriptor, DiffId, MediaType, Timestamp,
    blob::{BlobWriter, Expected},
    codec::{EncodeOptions, Encoder},
    hasher::{Hasher, HashingWriter, Sha256},
};

use crate::{
    entry::{Entry, EntryKind},
    error::{Error, Result},
    tar::TarWriter,
    toc::{Content, LayerToc, TocBuilder, TocEntry},
    whiteout::Whiteout,
};

/// How a layer is written.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PackOptions {
    /// How the blob is compressed.
    pub encode: EncodeOptions,
    /// The latest time that an entry may have; later ones are written as this one.
    pub latest: Option<Timestamp>,
}

impl PackOptions {
    /// With this compression.
    #[must_use]
    pub fn with_encode(self, encode: EncodeOptions) -> Self {
        Self { encode, ..self }
    }

    /// With times no later than this.
    #[must_use]
    pub fn with_latest(self, latest: Option<Timestamp>) -> Self {
        Self { latest, ..self }
    }
}

/// A layer that was written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PackedLayer {
    /// The blob.
    pub descriptor: Descriptor,
    /// The digest of the plain tar.
    pub diff_id: DiffId,
    /// What it holds.
    pub toc: LayerToc,
}

/// Writes a layer into a blob store.
///
/// Entries come in canonical order, each path once, and owners, times and names are written so
/// that equal entries make equal bytes on every machine. Nothing is visible in the store before
/// [`LayerWriter::finish`].
///
/// # Spec
/// OCI image-spec 1.1, layer.md, § Distributable Format and § Representing Changes.
pub struct LayerWriter {
    tar: TarWriter<HashingWriter<Encoder<Box<dyn BlobWriter>>>>,
    options: PackOptions,
    toc: TocBuilder,
    /// Whether the table of contents is to have the digests of files.
    hashes_files: bool,
}

impl std::fmt::Debug for LayerWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayerWriter").field("options", &self.options).finish_non_exhaustive()
    }
}

impl LayerWriter {
    /// Begins a layer.
    ///
    /// # Errors
    /// Where the store cannot begin a blob, or this build cannot compress so.
    pub fn new(store: &dyn BlobStore, options: PackOptions) -> Result<Self> {
        let blob = store.create(&Expected::any())?;
        let encoder = Encoder::new(blob, &options.encode)?;
        let tar = TarWriter::new(HashingWriter::new(encoder, Hasher::sha256()));
        Ok(Self { tar, options, toc: TocBuilder::default(), hashes_files: true })
    }

    /// For who drops the table of contents: files have no content there.
    pub(crate) fn without_file_digests(self) -> Self {
        Self { hashes_files: false, ..self }
    }

    /// Adds an entry; `data` gives the content of a regular file, and is not read for others.
    /// Returns where the content went, for a regular file.
    ///
    /// # Errors
    /// An entry out of order, data of another size than the entry says, or a failed write.
    pub fn append(&mut self, entry: Entry, data: &mut dyn Read, ctx: &Ctx) -> Result<Option<Content>> {
        ctx.check()?;
        if Whiteout::classify(&entry.path)?.is_some() {
            return Err(Error::unwritable(&entry.path, "its name is that of a whiteout"));
        }
        self.write(entry, data, ctx)
    }

    fn write(&mut self, mut entry: Entry, data: &mut dyn Read, ctx: &Ctx) -> Result<Option<Content>> {
        if !self.toc.is_empty() && *self.toc.last_path() >= entry.path {
            return Err(Error::unwritable(&entry.path, "entries come in canonical order, each path once"));
        }
        if let Some(latest) = self.options.latest {
            entry.metadata.mtime = entry.metadata.mtime.min(latest);
        }
        entry.metadata.mtime = entry.metadata.mtime.truncated();
        let mut content = Hashed { inner: data, hasher: self.hashes_files.then(Sha256::default), ctx };
        let offset = self.tar.append(&entry, &mut content)?;
        let content = match (&entry.kind, content.hasher) {
            (EntryKind::File { size }, Some(hasher)) => {
                Some(Content { offset, size: *size, sha256: hasher.finish(), sparse: None })
            }
            _ => None,
        };
        let entry = TocEntry { entry, content };
        self.toc.push(&entry);
        Ok(entry.content)
    }

    /// Hides what lower layers have.
    ///
    /// # Errors
    /// As [`LayerWriter::append`].
    pub fn whiteout(&mut self, whiteout: &Whiteout, ctx: &Ctx) -> Result<()> {
        ctx.check()?;
        if let Some(entry) = whiteout.to_entry(Timestamp::UNIX_EPOCH)? {
            self.write(entry, &mut io::empty(), ctx)?;
        }
        Ok(())
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.toc.is_empty()
    }

    /// Ends the layer, and makes it visible in the store.
    ///
    /// # Errors
    /// A failed write or commit; then nothing is visible.
    pub fn finish(self) -> Result<PackedLayer> {
        let hashing = self.tar.finish()?;
        let (encoder, hasher) = hashing.into_parts();
        let tar_size = hasher.count();
        let diff_id = DiffId::from_digest(hasher.finish());
        let blob = encoder.finish()?;
        let committed = blob.commit()?;
        let media_type = MediaType::layer(self.options.encode.compression);
        let descriptor = Descriptor::new(media_type, committed.digest, committed.size);
        Ok(PackedLayer { descriptor, diff_id, toc: self.toc.finish(tar_size) })
    }
}

/// Hashes what is read where that is wanted, and stops when the work is cancelled.
struct Hashed<'a> {
    inner: &'a mut dyn Read,
    hasher: Option<Sha256>,
    ctx: &'a Ctx,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.ctx.check()?;
        let n = self.inner.read(buf)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buf[..n]);
        }
        Ok(n)
    }
}
