//! What a layer holds and where, without its content.

use std::{
    fmt,
    io::{self, Read, Write},
};

use image_core::{
    Ctx,
    hasher::{Hasher, Sha256},
};

use crate::{
    entry::{Entry, EntryKind},
    error::{Error, Result},
    limits::{Limits, Taken},
    path::{LayerPath, escape},
    tar::{Segment, TarEntry, TarReader},
};

mod codec;

/// The table of contents of one layer: its entries in the order of its tar stream, and for files
/// where in the plain stream their data lies.
///
/// It is read in one pass over the stream and can be kept as bytes, under the layer's diffID, since
/// it depends on nothing else.
///
/// ```
/// use image_core::Ctx;
/// use image_overlay::{LayerToc, Limits, TarWriter};
/// let layer = TarWriter::new(Vec::new()).finish()?;
/// let toc = LayerToc::read(&layer[..], &Limits::default(), &Ctx::default())?;
/// assert_eq!(LayerToc::from_bytes(&toc.to_bytes())?, toc);
/// # Ok::<(), image_overlay::Error>(())
/// ```
///
/// In memory it takes as much as in a file, about a hundred bytes an entry: entries are made as they are
/// asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct LayerToc {
    entries: codec::Encoded,
    tar_size: u64,
}

impl fmt::Debug for LayerToc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerToc").field("len", &self.len()).field("tar_size", &self.tar_size).finish_non_exhaustive()
    }
}

/// One entry of a layer, and where its content lies.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TocEntry {
    /// Path, kind and attributes.
    pub entry: Entry,
    /// The content of a regular file; `None` for all others.
    pub content: Option<Content>,
}

/// Where a file's content lies in the plain tar stream of its layer, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Content {
    /// Where its data begins in the stream, in bytes; the data of all its segments lies there without gaps.
    pub offset: u64,
    /// Length of the file in bytes, holes included.
    pub size: u64,
    /// SHA-256 of the file. Of a file with holes, SHA-256 of its data alone: the same as that of no
    /// other file only together with `sparse`.
    pub sha256: [u8; 32],
    /// Where in the file its data lies, in order, if it has holes. One without holes is a segment by itself.
    pub sparse: Option<Box<[Segment]>>,
}

impl Content {
    /// How many bytes of the file lie in the stream.
    #[must_use]
    pub fn stored_size(&self) -> u64 {
        match &self.sparse {
            Some(segments) => segments.iter().map(|segment| segment.length).sum(),
            None => self.size,
        }
    }
}

impl LayerToc {
    /// Reads a plain tar stream to its very end, so that a reader below sees every byte.
    ///
    /// # Errors
    /// As [`TarReader::next_entry`], [`Error::EntryLimit`] where the table would be larger than
    /// [`Limits::toc_bytes`], and [`Error::is_cancelled`].
    pub fn read<R: Read>(reader: R, limits: &Limits, ctx: &Ctx) -> Result<Self> {
        Self::read_above(&mut Taken::default(), reader, limits, ctx)
    }

    /// As [`LayerToc::read`], of a layer over others of an image, which have taken something of the limits by now.
    pub(crate) fn read_above<R: Read>(taken: &mut Taken, reader: R, limits: &Limits, ctx: &Ctx) -> Result<Self> {
        let mut reader = TarReader::after(taken.bytes, Checked { inner: reader, ctx }, limits);
        let mut entries = TocBuilder::default();
        while let Some(mut entry) = reader.next_entry()? {
            let content = match entry.entry().kind {
                EntryKind::File { size } => Some(read_content(&mut entry, size)?),
                _ => None,
            };
            let number = entry.number();
            let entry = TocEntry { entry: entry.into_entry(), content };
            entries.push(&entry);
            if taken.toc_bytes.saturating_add(entries.memory()) > limits.toc_bytes {
                let (name, what) = (escape(entry.entry.path.as_bytes()), "bytes of the table of contents up to it");
                return Err(Error::EntryLimit { number, name, what, limit: limits.toc_bytes });
            }
        }
        let tar_size = reader.drain()?;
        taken.bytes = taken.bytes.saturating_add(reader.bytes());
        taken.toc_bytes = taken.toc_bytes.saturating_add(entries.memory());
        Ok(entries.finish(tar_size))
    }

    /// The entries in the order of the stream, whiteouts and repeated paths included.
    pub fn entries(&self) -> impl Iterator<Item = TocEntry> {
        self.entries.iter()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.entries.count()
    }

    /// About how much memory it takes together with the tree that it is merged into, in bytes: what [`Limits::toc_bytes`] bounds.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.entries.memory()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Length of the plain tar stream in bytes, with all that follows the archive's end.
    #[must_use]
    pub fn tar_size(&self) -> u64 {
        self.tar_size
    }

    /// This table as bytes: of equal tables, equal bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A vector takes all there is.
        self.write_to(&mut bytes).unwrap_or_default();
        bytes
    }

    /// Writes what [`LayerToc::to_bytes`] gives, without holding it as well.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, out: impl Write) -> io::Result<()> {
        codec::write(self, out)
    }

    /// Reads what [`LayerToc::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Error::is_corrupt`] for bytes of another version of this crate, and bytes that were cut or changed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        codec::decode(bytes.to_vec())
    }

    /// As [`LayerToc::from_bytes`], and takes no memory beside the bytes.
    ///
    /// # Errors
    /// As [`LayerToc::from_bytes`].
    pub fn from_vec(bytes: Vec<u8>) -> Result<Self> {
        codec::decode(bytes)
    }
}

/// A table while its layer is read or written.
#[derive(Debug, Default)]
pub(crate) struct TocBuilder {
    entries: codec::Encoded,
    previous: LayerPath,
}

impl TocBuilder {
    /// Adds an entry.
    pub(crate) fn push(&mut self, entry: &TocEntry) {
        self.entries.push(self.previous.as_bytes(), entry);
        self.previous = entry.entry.path.clone();
    }

    /// The path of the entry added last; the root's where there is none.
    pub(crate) fn last_path(&self) -> &LayerPath {
        &self.previous
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.count() == 0
    }

    /// About how much memory the entries take, in the table and in a tree that they are merged into.
    fn memory(&self) -> u64 {
        self.entries.memory()
    }

    /// The table of a layer whose plain tar stream is so many bytes long.
    pub(crate) fn finish(self, tar_size: u64) -> LayerToc {
        LayerToc { entries: self.entries, tar_size }
    }
}

fn read_content<R: Read>(entry: &mut TarEntry<'_, R>, size: u64) -> Result<Content> {
    let is_dense = size == 0 || entry.segments() == [Segment { offset: 0, length: size }];
    let sparse = if is_dense { None } else { Some(entry.segments().into()) };
    let offset = entry.data_offset();
    let mut hasher = Sha256::default();
    while let Some(chunk) = entry.next_chunk()? {
        hasher.update(chunk.bytes);
    }
    Ok(Content { offset, size, sha256: hasher.finish(), sparse })
}

/// Looks whether the work is cancelled each time the reader's buffer is filled.
struct Checked<'a, R> {
    inner: R,
    ctx: &'a Ctx,
}

impl<R: Read> Read for Checked<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.ctx.check()?;
        self.inner.read(buf)
    }
}
