//! What a layer holds and where, without its content.

use std::io::{self, Read};

use image_core::{Ctx, hasher::Hasher};

use crate::{
    entry::{Entry, EntryKind},
    error::{Error, Result},
    limits::Limits,
    tar::{Segment, TarReader},
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerToc {
    entries: Vec<TocEntry>,
    tar_size: u64,
}

/// One entry of a layer, and where its data lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TocEntry {
    entry: Entry,
    data_offset: u64,
    /// Of a file with holes; one without is a segment by itself.
    sparse: Option<Box<[Segment]>>,
}

impl LayerToc {
    /// Reads a plain tar stream to its very end, so that a reader below sees every byte.
    ///
    /// # Errors
    /// As [`TarReader::next_entry`], and [`Error::is_cancelled`].
    pub fn read<R: Read>(reader: R, limits: &Limits, ctx: &Ctx) -> Result<Self> {
        let mut reader = TarReader::new(Checked { inner: reader, ctx }, limits);
        let mut entries = Vec::new();
        while let Some(entry) = reader.next_entry()? {
            let size = entry.entry().kind.size();
            let is_dense = size == 0 || entry.segments() == [Segment { offset: 0, length: size }];
            let sparse = if is_dense { None } else { Some(entry.segments().into()) };
            let data_offset = entry.data_offset();
            entries.push(TocEntry { entry: entry.into_entry(), data_offset, sparse });
        }
        let tar_size = reader.drain()?;
        Ok(Self { entries, tar_size })
    }

    /// The entries in the order of the stream, whiteouts and repeated paths included.
    #[must_use]
    pub fn entries(&self) -> &[TocEntry] {
        &self.entries
    }

    /// Length of the plain tar stream in bytes, with all that follows the archive's end.
    #[must_use]
    pub fn tar_size(&self) -> u64 {
        self.tar_size
    }

    /// This table as bytes: of equal tables, equal bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads what [`LayerToc::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Error::is_corrupt`] for bytes of another version of this crate, and bytes that were cut or changed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        codec::decode(bytes)
    }
}

impl TocEntry {
    /// The entry.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Where in the plain tar stream a file's data begins, in bytes; the data of all its segments
    /// lies there without gaps.
    #[must_use]
    pub fn data_offset(&self) -> u64 {
        self.data_offset
    }

    /// Where in the file its data lies, in order; between segments there are holes.
    pub fn segments(&self) -> impl Iterator<Item = Segment> {
        let dense = match (&self.sparse, &self.entry.kind) {
            (None, EntryKind::File { size }) if *size > 0 => Some(Segment { offset: 0, length: *size }),
            _ => None,
        };
        self.sparse.iter().flatten().copied().chain(dense)
    }
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
