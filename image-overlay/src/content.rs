//! Reading files' bytes out of an image's layers, without extracting the layers.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::Arc,
};

use image_core::{
    Blob, BlobSource, BlobSourceExt, Compression, Ctx, Descriptor, DiffId, Digest, Image,
    codec::{DecodeOptions, Decoder},
    hasher::{Hasher, HashingReader, Sha256},
    image::Layer,
    observer::{Outcome, TaskKind},
    parallel::read_ahead,
};

use crate::{
    counted::Counted,
    error::{Error, Result},
    image_tree::LayerContent,
    limits::{Limits, Taken},
    tar::Segment,
    toc::{Content, LayerToc},
};

/// One layer's blob, and where it is kept.
#[derive(Clone)]
#[non_exhaustive]
pub struct LayerBlob {
    /// Where the blob is kept.
    pub source: Arc<dyn BlobSource>,
    /// The blob.
    pub descriptor: Descriptor,
    /// The digest of its plain tar.
    pub diff_id: DiffId,
}

impl std::fmt::Debug for LayerBlob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayerBlob").field("descriptor", &self.descriptor).finish_non_exhaustive()
    }
}

impl LayerBlob {
    /// A layer by its blob and diffID.
    #[must_use]
    pub fn new(source: Arc<dyn BlobSource>, descriptor: Descriptor, diff_id: DiffId) -> Self {
        Self { source, descriptor, diff_id }
    }

    /// The layers of an image, base layer first.
    #[must_use]
    pub fn of_image(image: &Image) -> Vec<Self> {
        let layer =
            |layer: Layer<'_>| Self::new(Arc::clone(image.source()), layer.descriptor.clone(), layer.diff_id.clone());
        image.layers().map(layer).collect()
    }

    /// How the blob is compressed, by its media type.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.descriptor.media_type.layer_compression().unwrap_or(Compression::None)
    }

    /// Reads the plain tar. The blob is verified when the last byte was read.
    ///
    /// # Errors
    /// Where the blob is missing, or its compression cannot be read by this build.
    pub fn open(&self) -> Result<impl Read + Send + use<>> {
        let blob = self.source.open_verified(&self.descriptor)?;
        Ok(Decoder::detect(blob, self.compression(), &DecodeOptions::default())?)
    }

    /// Reads what the layer holds; blob and plain tar are verified by their digests.
    ///
    /// # Errors
    /// As [`LayerBlob::open`] and [`LayerToc::read`]; [`Error::is_corrupt`] for a plain tar of another diffID.
    pub fn toc(&self, limits: &Limits, ctx: &Ctx) -> Result<LayerToc> {
        self.toc_above(&mut Taken::default(), limits, ctx)
    }

    /// As [`LayerBlob::toc`], of a layer over others, which have taken something of the limits by now.
    pub(crate) fn toc_above(&self, taken: &mut Taken, limits: &Limits, ctx: &Ctx) -> Result<LayerToc> {
        let task = ctx.begin(TaskKind::Index, &self.descriptor.digest.to_string(), Some(self.descriptor.size));
        let blob = Counted::new(self.source.open_verified(&self.descriptor)?, &task);
        let plain = Decoder::detect(blob, self.compression(), &DecodeOptions::default());
        let plain = plain.map_err(|e| self.named(e.into(), ctx))?;
        let hasher = Hasher::for_digest(self.diff_id.as_digest())?;
        let (toc, actual) = read_ahead(plain, |plain| {
            let mut tar = HashingReader::new(plain, hasher);
            let toc = LayerToc::read_above(taken, &mut tar, limits, ctx);
            toc.map(|toc| (toc, tar.into_parts().1.finish()))
        })
        .map_err(|e| self.named(e, ctx))?;
        if actual != *self.diff_id.as_digest() {
            let (expected, actual) = (self.diff_id.clone(), DiffId::from_digest(actual));
            return Err(self.named(Error::DiffIdMismatch { expected, actual }, ctx));
        }
        task.end(Outcome::Done);
        Ok(toc)
    }

    /// Reads what each layer of an image holds, base layer first, as [`LayerBlob::toc`] does. Limits on all
    /// layers of an image hold for all of them together.
    ///
    /// # Errors
    /// As [`LayerBlob::toc`].
    pub fn tocs_of_image(image: &Image, limits: &Limits, ctx: &Ctx) -> Result<Vec<LayerToc>> {
        let mut taken = Taken::default();
        Self::of_image(image).iter().map(|layer| layer.toc_above(&mut taken, limits, ctx)).collect()
    }

    /// Whether the blob is the plain tar itself, whatever its media type says.
    fn is_plain(&self) -> Result<bool> {
        let blob = self.source.require(&self.descriptor.digest)?;
        let decoder = Decoder::detect(blob, self.compression(), &DecodeOptions::default())?;
        Ok(decoder.compression() == Compression::None)
    }

    /// Says which layer an error is about.
    pub(crate) fn named(&self, error: Error, ctx: &Ctx) -> Error {
        if error.is_cancelled() {
            return error;
        }
        let error = damage_or(error, &*self.source, &self.descriptor, ctx);
        Error::LayerBlob { digest: self.descriptor.digest.clone(), source: Box::new(error) }
    }
}

/// The error that a blob is not what its digest says, where that is why nobody could make sense of it; else the error itself.
pub(crate) fn damage_or(error: Error, source: &dyn BlobSource, blob: &Descriptor, ctx: &Ctx) -> Error {
    if !error.is_corrupt() {
        return error;
    }
    source.damage(blob, ctx).map_or(error, Error::from)
}

/// The content of some files of an image, ready to be read in any order.
///
/// Each file is verified as it is read, against the digest that its layer's table of contents has: the blob may have
/// been changed since, or be another one under the same diffID.
///
/// Files of layers that are stored plain are read where they are. From a compressed layer the
/// files asked for are written, once and in the order of the tar, to a nameless temporary file.
#[derive(Debug)]
pub struct Contents<'a> {
    layers: &'a [LayerBlob],
    /// `None` where no file is in it.
    spool: Option<Blob>,
    spooled: BTreeMap<(usize, u64), u64>,
    /// Layers whose blobs are plain tars.
    plain: BTreeSet<usize>,
}

impl<'a> Contents<'a> {
    /// Makes `wanted` readable; the temporary file is made in `directory`.
    ///
    /// # Errors
    /// A blob that is missing or corrupt, or a full disk.
    pub fn fetch<'c>(
        layers: &'a [LayerBlob],
        wanted: impl IntoIterator<Item = &'c LayerContent>,
        directory: &Path,
        ctx: &Ctx,
    ) -> Result<Self> {
        let mut by_layer = BTreeMap::<usize, BTreeMap<u64, &Content>>::new();
        for LayerContent { layer, content } in wanted {
            by_layer.entry(*layer).or_default().insert(content.offset, content);
        }
        let mut contents = Self { layers, spool: None, spooled: BTreeMap::new(), plain: BTreeSet::new() };
        let mut spool = None;
        for (position, wanted) in by_layer {
            let layer = layers.get(position).ok_or_else(|| Error::NoLayer { position })?;
            if layer.is_plain().map_err(|e| layer.named(e, ctx))? {
                contents.plain.insert(position);
                continue;
            }
            let file = match spool.take() {
                Some(file) => file,
                None => tempfile::tempfile_in(directory)
                    .map_err(|e| Error::io("create a temporary file in", directory, e))?,
            };
            let file = spool.insert(file);
            contents.spool(position, layer, &wanted, (file, directory), ctx).map_err(|e| layer.named(e, ctx))?;
        }
        contents.spool = spool.map(|file| Blob::from_file(file, directory)).transpose()?;
        Ok(contents)
    }

    fn spool(
        &mut self,
        position: usize,
        layer: &LayerBlob,
        wanted: &BTreeMap<u64, &Content>,
        (spool, directory): (&mut File, &Path),
        ctx: &Ctx,
    ) -> Result<()> {
        let read = |e| Error::stream("read the layer", e);
        let write = |e| Error::io("write a temporary file in", directory, e);
        let mut tar = layer.open()?;
        let mut at = 0;
        let mut end = spool.seek(SeekFrom::End(0)).map_err(write)?;
        let mut buffer = vec![0; 256 << 10];
        for (offset, content) in wanted {
            let stored = content.stored_size();
            self.spooled.insert((position, *offset), end);
            let mut skip = offset.saturating_sub(at);
            let mut take = stored;
            while skip + take > 0 {
                ctx.check()?;
                let limit = usize::try_from(if skip > 0 { skip } else { take }).unwrap_or(usize::MAX);
                let limit = limit.min(buffer.len());
                let n = tar.read(&mut buffer[..limit]).map_err(read)?;
                if n == 0 {
                    return Err(read(io::ErrorKind::UnexpectedEof.into()));
                }
                if skip > 0 {
                    skip -= n as u64;
                } else {
                    spool.write_all(&buffer[..n]).map_err(write)?;
                    take -= n as u64;
                }
            }
            at = offset + stored;
            end += stored;
        }
        Ok(())
    }

    /// Reads one of the files, its holes as zeros.
    ///
    /// # Errors
    /// A file that was not asked for, or a blob that is missing. Reading the last byte fails with
    /// [`Error::is_corrupt`] where the file is not what its layer's table of contents says.
    pub fn open(&self, file: &LayerContent) -> Result<impl Read + use<>> {
        let content = &file.content;
        let layer = self.layers.get(file.layer).ok_or_else(|| Error::NoLayer { position: file.layer })?;
        let spooled = self.spooled.get(&(file.layer, content.offset));
        let (bytes, at) = if let (Some(start), Some(spool)) = (spooled, &self.spool) {
            (spool.clone(), *start)
        } else if self.plain.contains(&file.layer) {
            (layer.source.require(&layer.descriptor.digest)?, content.offset)
        } else {
            return Err(Error::stream("read a file that was not asked for", io::ErrorKind::NotFound.into()));
        };
        let stored = Stored {
            bytes,
            at,
            left: content.stored_size(),
            hasher: Sha256::default(),
            sha256: content.sha256,
            blob: layer.descriptor.digest.clone(),
        };
        let segments = match &content.sparse {
            Some(segments) => segments.to_vec(),
            None => vec![Segment { offset: 0, length: content.size }],
        };
        Ok(Expanded { stored, segments: segments.into(), position: 0, size: content.size })
    }
}

/// The stored bytes of a file, one behind the other, verified with the last of them.
struct Stored {
    bytes: Blob,
    at: u64,
    left: u64,
    hasher: Sha256,
    sha256: [u8; 32],
    /// Where they are, for errors.
    blob: Digest,
}

impl Stored {
    fn verify(&mut self) -> Result<()> {
        let actual = std::mem::take(&mut self.hasher).finish();
        if actual == self.sha256 {
            return Ok(());
        }
        let expected = Digest::from_sha256(self.sha256);
        let mismatch = image_core::Error::digest_mismatch(&expected, Digest::from_sha256(actual));
        Err(Error::LayerBlob { digest: self.blob.clone(), source: Box::new(mismatch.into()) })
    }
}

impl Read for Stored {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.bytes.read_at(buf, self.at)?;
        self.at += n as u64;
        self.hasher.update(&buf[..n]);
        if n > 0 {
            self.left = self.left.saturating_sub(n as u64);
            if self.left == 0 {
                self.verify()?;
            }
        }
        Ok(n)
    }
}

/// A file with its holes as zeros.
struct Expanded {
    stored: Stored,
    /// Those that were not read to their end, in order.
    segments: VecDeque<Segment>,
    position: u64,
    size: u64,
}

impl Read for Expanded {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.segments.front().is_some_and(|segment| segment.end() <= self.position) {
            self.segments.pop_front();
        }
        let (next, is_data) = match self.segments.front() {
            Some(segment) if segment.offset <= self.position => (segment.end(), true),
            Some(segment) => (segment.offset, false),
            None => (self.size, false),
        };
        let limit = usize::try_from(next.saturating_sub(self.position)).unwrap_or(usize::MAX).min(buf.len());
        let buf = &mut buf[..limit];
        if is_data {
            let n = self.stored.read(buf)?;
            if n == 0 && limit > 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.position += n as u64;
            return Ok(n);
        }
        buf.fill(0);
        self.position += limit as u64;
        Ok(limit)
    }
}
