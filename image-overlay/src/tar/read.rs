//! Reading a layer's tar stream, entry by entry.

use std::{
    borrow::Cow,
    fmt,
    io::{self, Read},
};

use image_core::Timestamp;

use super::{
    header::{BLOCK, Block, Fault, Header},
    input::{BlockError, Input},
    pax::{Extensions, RecordError},
    sparse::{MapError, Segment, SparseForm, SparseMap, gnu_extension, read_map},
};
use crate::{
    entry::{Entry, EntryKind, Metadata},
    error::{Error, Result},
    limits::Limits,
    path::{LayerPath, escape},
};

/// The longest target of a symbolic link that Linux takes, in bytes.
const MAX_TARGET: usize = 4095;

/// Reads the entries of a plain tar stream in one pass.
///
/// It holds one entry's metadata and a fixed buffer, whatever the stream says. What is malformed
/// is an error and never skipped. After an error the stream yields no more entries.
///
/// Choices where formats and tools differ:
/// - PAX records win over GNU's long names and over the header block; a later record wins over an
///   earlier one; global extended headers are checked and ignored.
/// - Directories, links, devices and FIFOs have no data, whatever size their headers say, as in
///   Go's and Python's readers.
/// - A header of type NUL with a trailing slash is a directory, as before POSIX.
/// - Types other than `0` to `7`, NUL, and GNU's sparse files (`S`) are unsupported, as in umoci.
/// - `..` in the name of an entry or of a hard link's target is refused.
/// - Two blocks of zeros end the archive, and so does the end of the stream where an entry would
///   begin. A stream of no bytes is an empty archive.
///
/// ```
/// use std::io::Read;
/// use image_overlay::{Entry, EntryKind, LayerPath, Limits, Metadata, TarReader, TarWriter};
/// let mut writer = TarWriter::new(Vec::new());
/// let motd = Entry::new(LayerPath::parse(b"etc/motd")?, EntryKind::File { size: 3 }, Metadata::new(0o644));
/// writer.append(&motd, &mut &b"hi\n"[..])?;
/// let layer = writer.finish()?;
///
/// let mut reader = TarReader::new(&layer[..], &Limits::default());
/// while let Some(mut entry) = reader.next_entry()? {
///     assert_eq!(entry.entry(), &motd);
///     let mut content = String::new();
///     entry.read_to_string(&mut content)?;
///     assert_eq!(content, "hi\n");
/// }
/// reader.drain()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Spec
/// OCI image-spec 1.1, layer.md, § Change Types and § File Types; POSIX.1-2017, pax, § ustar Interchange Format and
/// § pax Extended Header; GNU tar manual, § Basic Tar Format and § Storing Sparse Files.
pub struct TarReader<R> {
    input: Input<R>,
    limits: Limits,
    state: State,
    /// Of the entry at hand, from 1.
    number: u64,
    /// Of the entry at hand as far as it is known, for errors; cut short.
    name: Vec<u8>,
    /// Of an extended header; kept for its memory.
    body: Vec<u8>,
    content: Content,
    /// Of all files together, with their holes.
    expanded: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Failed,
}

/// What is left of the entry at hand.
#[derive(Debug, Default)]
struct Content {
    /// Bytes in the stream.
    stored: u64,
    /// Bytes in the stream that fill up the last block.
    padding: u64,
    /// Where the data lies in the file.
    segments: Vec<Segment>,
    /// Which segment is at hand, or next.
    segment: usize,
    /// Where in the file reading is.
    position: u64,
    /// How long the file is.
    size: u64,
}

impl<R> fmt::Debug for TarReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TarReader").field("state", &self.state).field("number", &self.number).finish_non_exhaustive()
    }
}

impl<R: Read> TarReader<R> {
    /// Reads `reader`, which needs no buffer of its own.
    pub fn new(reader: R, limits: &Limits) -> Self {
        Self {
            input: Input::new(reader, limits.layer_bytes),
            limits: *limits,
            state: State::Reading,
            number: 0,
            name: Vec::new(),
            body: Vec::new(),
            content: Content::default(),
            expanded: 0,
        }
    }

    /// The next entry, passing over what was not read of the one before; `None` at the archive's end.
    ///
    /// # Errors
    /// [`Error::is_corrupt`] where the stream is malformed or ends inside an entry,
    /// [`Error::is_unsupported`] for a kind of entry that no layer holds, [`Error::EntryLimit`], and
    /// errors of the reader below. All but the last name the entry.
    pub fn next_entry(&mut self) -> Result<Option<TarEntry<'_, R>>> {
        match self.state {
            State::Reading => {}
            State::Ended => return Ok(None),
            State::Failed => return Err(self.fault("it follows an entry that could not be read")),
        }
        // Stays so unless all goes well.
        self.state = State::Failed;
        self.finish_content()?;
        let Some((entry, data_offset)) = self.read_entry()? else {
            self.state = State::Ended;
            return Ok(None);
        };
        self.state = State::Reading;
        Ok(Some(TarEntry { entry, data_offset, reader: self }))
    }

    /// Reads all that is left of the stream, without looking for entries, so that readers below
    /// see every byte. Answers how many bytes the whole stream has.
    ///
    /// # Errors
    /// Those of the reader below, and a stream longer than [`Limits::layer_bytes`].
    pub fn drain(&mut self) -> Result<u64> {
        if self.state == State::Reading {
            self.state = State::Ended;
        }
        self.content = Content::default();
        self.input.skip(u64::MAX)?;
        Ok(self.input.position())
    }

    /// The reader below. What was read ahead is lost, unless [`TarReader::drain`] came before.
    pub fn into_inner(self) -> R {
        self.input.into_inner()
    }

    /// Passes over what is left of the entry at hand.
    fn finish_content(&mut self) -> Result<()> {
        let left = self.content.stored + self.content.padding;
        if self.input.skip(left)? > 0 {
            return Err(self.truncated());
        }
        self.content.stored = 0;
        self.content.padding = 0;
        Ok(())
    }

    /// Reads headers up to and with those of a real entry, and its place in the stream.
    fn read_entry(&mut self) -> Result<Option<(Entry, u64)>> {
        self.number += 1;
        self.name.clear();
        let mut extensions = Extensions::default();
        let mut headers = 0;
        let mut bytes = 0_u64;
        while let Some(header) = self.read_header()? {
            self.set_name(header.name());
            header.verify().map_err(|fault| self.fault(fault))?;
            let kind = header.kind();
            if !matches!(kind, b'x' | b'g' | b'L' | b'K') {
                if self.number > self.limits.entries {
                    return Err(self.limit("entries of the layer", self.limits.entries));
                }
                return self.open(&header, extensions).map(Some);
            }
            headers += 1;
            if headers > self.limits.extension_headers {
                return Err(self.limit("extended headers", self.limits.extension_headers));
            }
            let size = header.size().map_err(|fault| self.fault(fault))?;
            bytes = size.saturating_add(bytes);
            if bytes > self.limits.extension_bytes {
                return Err(self.limit("bytes of extended headers and long names", self.limits.extension_bytes));
            }
            self.read_body(size)?;
            self.extend(&mut extensions, kind)?;
        }
        if headers > 0 {
            return Err(self.fault("an extended header has no entry after it"));
        }
        Ok(None)
    }

    /// The next header, or `None` at the archive's end.
    fn read_header(&mut self) -> Result<Option<Header>> {
        const ZEROS: Block = [0; BLOCK];
        match self.read_block()? {
            None => Ok(None),
            Some(ZEROS) => match self.read_block()? {
                None | Some(ZEROS) => Ok(None),
                Some(_) => Err(self.fault("a lone block of zeros stands before it")),
            },
            Some(block) => Ok(Some(Header::new(block))),
        }
    }

    fn read_block(&mut self) -> Result<Option<Block>> {
        self.input.block().map_err(|error| match error {
            BlockError::Truncated => self.truncated(),
            BlockError::Read(error) => error,
        })
    }

    /// Reads the body of an extended header, whose size is within its limit.
    fn read_body(&mut self, size: u64) -> Result<()> {
        self.body.clear();
        let mut left = size;
        while left > 0 {
            let bytes = self.input.take(left)?;
            if bytes.is_empty() {
                return Err(self.truncated());
            }
            self.body.extend_from_slice(bytes);
            left -= bytes.len() as u64;
        }
        if self.input.skip(padding(size))? > 0 {
            return Err(self.truncated());
        }
        Ok(())
    }

    /// Takes what an extended header's body says of the entry to come.
    fn extend(&mut self, extensions: &mut Extensions, kind: u8) -> Result<()> {
        let result = match kind {
            b'L' => {
                extensions.set_gnu_path(&self.body);
                Ok(())
            }
            b'K' => {
                extensions.set_gnu_link_path(&self.body);
                Ok(())
            }
            b'g' => Extensions::default().add_records(&self.body, &self.limits),
            _ => extensions.add_records(&self.body, &self.limits),
        };
        result.map_err(|error| self.record_error(error))
    }

    /// Makes an entry of its header and of what was said of it before.
    fn open(&mut self, header: &Header, mut extensions: Extensions) -> Result<(Entry, u64)> {
        let raw_path = match extensions.take_path() {
            Some(path) => Cow::Owned(path),
            None => joined(header.prefix(), header.name()),
        };
        self.set_name(&raw_path);
        let path = self.parse_path(&raw_path, "")?;
        let size = match extensions.size {
            Some(size) => size,
            None => header.size().map_err(|fault| self.fault(fault))?,
        };
        let metadata = self.metadata(header, &mut extensions)?;
        let is_file = match header.kind() {
            0 => !raw_path.ends_with(b"/"),
            b'0' | b'7' | b'S' => true,
            _ => false,
        };
        let kind = if is_file {
            EntryKind::File { size: self.begin_file(header, &extensions, size)? }
        } else if extensions.sparse.is_empty() {
            self.content = Content::default();
            self.kind(header, &mut extensions)?
        } else {
            return Err(self.fault("it is sparse and no regular file"));
        };
        if path.is_root() && !kind.is_directory() {
            return Err(self.fault("the root can only be a directory"));
        }
        Ok((Entry::new(path, kind, metadata), self.input.position()))
    }

    fn metadata(&self, header: &Header, extensions: &mut Extensions) -> Result<Metadata> {
        let fault = |fault| self.fault(fault);
        let id = |id: Option<u64>, stored: Result<u64, Fault>, reason| {
            let id = id.map_or(stored, Ok).map_err(fault)?;
            u32::try_from(id).ok().filter(|id| *id <= Metadata::MAX_ID).ok_or_else(|| self.fault(reason))
        };
        let mut metadata = Metadata::new(header.mode().map_err(fault)?);
        metadata.uid = id(extensions.uid, header.uid(), "its uid is not a number from 0 to 4294967294")?;
        metadata.gid = id(extensions.gid, header.gid(), "its gid is not a number from 0 to 4294967294")?;
        metadata.mtime = match extensions.mtime {
            Some(mtime) => mtime,
            None => Timestamp::from_seconds(header.mtime().map_err(fault)?),
        };
        metadata.xattrs = extensions.take_xattrs();
        Ok(metadata)
    }

    /// The kind of an entry that is no regular file.
    fn kind(&self, header: &Header, extensions: &mut Extensions) -> Result<EntryKind> {
        let mut target = || extensions.take_link_path().unwrap_or_else(|| header.link_name().to_vec());
        let device = || header.device().map_err(|fault| self.fault(fault));
        Ok(match header.kind() {
            b'1' => {
                let raw_target = target();
                let target = self.parse_path(&raw_target, &format!("its target {}: ", escape(&raw_target)))?;
                if target.is_root() {
                    return Err(self.fault("it is a hard link to nothing or to the root"));
                }
                EntryKind::HardLink { target }
            }
            b'2' => match target() {
                target if target.is_empty() => return Err(self.fault("it is a symbolic link without a target")),
                target if target.len() > MAX_TARGET => {
                    return Err(self.limit("bytes of a symbolic link's target", MAX_TARGET as u64));
                }
                target => EntryKind::Symlink { target },
            },
            b'3' => device().map(|(major, minor)| EntryKind::CharDevice { major, minor })?,
            b'4' => device().map(|(major, minor)| EntryKind::BlockDevice { major, minor })?,
            0 | b'5' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            other => {
                let what = format!("its type `{}`", escape(&[other]));
                return Err(Error::UnsupportedEntry { number: self.number, name: escape(&self.name), what });
            }
        })
    }

    /// Prepares to read a file's content; `stored` is its length in the stream. Answers its expanded size.
    fn begin_file(&mut self, header: &Header, extensions: &Extensions, stored: u64) -> Result<u64> {
        let form = extensions.sparse.form(&self.limits).map_err(|error| self.record_error(error))?;
        let (map, size, stored) = match (header.kind(), form) {
            (b'S', SparseForm::Dense) => {
                let size = header.gnu_real_size().map_err(|fault| self.fault(fault))?;
                (Some(self.read_gnu_map(header)?), size, stored)
            }
            (b'S', _) => return Err(self.fault("it is sparse in two formats")),
            (_, SparseForm::Dense) => (None, stored, stored),
            (_, SparseForm::Records(map, size)) => (Some(map), size, stored),
            (_, SparseForm::Data(size)) => {
                let (map, length) = read_map(&mut self.input, stored, &self.limits).map_err(|error| match error {
                    MapError::Record(error) => self.record_error(error),
                    MapError::Read(error) => error,
                })?;
                (Some(map), size, stored - length)
            }
        };
        let mut segments = std::mem::take(&mut self.content.segments);
        match map {
            Some(map) => segments = map.finish(size, stored).map_err(|fault| self.fault(fault))?,
            None => {
                segments.clear();
                segments.extend((size > 0).then_some(Segment { offset: 0, length: size }));
            }
        }
        self.expanded = self.expanded.saturating_add(size);
        if let Some(limit) = self.limits.layer_bytes.filter(|limit| self.expanded > *limit) {
            return Err(self.limit("bytes of the layer's files", limit));
        }
        self.content = Content { stored, padding: padding(stored), segments, segment: 0, position: 0, size };
        Ok(size)
    }

    /// The map of a sparse file in GNU's own format: some of it in the header, the rest in blocks that follow.
    fn read_gnu_map(&mut self, header: &Header) -> Result<SparseMap> {
        let mut map = SparseMap::default();
        let (entries, mut more) = header.gnu_sparse().map_err(|fault| self.fault(fault))?;
        map.push_gnu(entries, &self.limits).map_err(|error| self.record_error(error))?;
        let mut blocks = 0;
        while more {
            let Some(block) = self.read_block()? else { return Err(self.truncated()) };
            // Blocks without entries do not add segments: they are bounded by themselves.
            blocks += 1;
            if blocks > self.limits.sparse_segments {
                return Err(self.limit("blocks of a sparse map", self.limits.sparse_segments));
            }
            let (entries, another) = gnu_extension(&block);
            map.push_gnu(entries, &self.limits).map_err(|error| self.record_error(error))?;
            more = another;
        }
        Ok(map)
    }

    /// The path that a name of the archive stands for; `what` says whose it is, where not the entry's own.
    fn parse_path(&self, raw: &[u8], what: &str) -> Result<LayerPath> {
        LayerPath::parse(raw).map_err(|error| match error {
            Error::InvalidPath { reason, .. } => self.fault(&format!("{what}{reason}")),
            other => other,
        })
    }

    fn set_name(&mut self, name: &[u8]) {
        self.name.clear();
        self.name.extend(name.iter().take(512));
    }

    fn truncated(&self) -> Error {
        self.fault("the stream ends inside it")
    }

    fn fault(&self, reason: &str) -> Error {
        Error::InvalidEntry { number: self.number, name: escape(&self.name), reason: reason.to_owned() }
    }

    fn limit(&self, what: &'static str, limit: u64) -> Error {
        Error::EntryLimit { number: self.number, name: escape(&self.name), what, limit }
    }

    fn record_error(&self, error: RecordError) -> Error {
        match error {
            RecordError::Fault(fault) => self.fault(fault),
            RecordError::Limit(what, limit) => self.limit(what, limit),
        }
    }

    /// The next stretch of a file's data that is in the buffer, and where in the file it belongs.
    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>> {
        let Some(segment) = self.content.next_segment() else { return Ok(None) };
        let offset = self.content.position.max(segment.offset);
        if self.input.fill()?.is_empty() {
            return Err(self.truncated());
        }
        let bytes = self.input.take(segment.end() - offset)?;
        self.content.advance(offset, bytes.len());
        Ok(Some(Chunk { offset, bytes }))
    }

    /// Reads a file's content, holes as zeros.
    fn read_content(&mut self, to: &mut [u8]) -> Result<usize> {
        let position = self.content.position;
        let segment = self.content.next_segment();
        let hole_end = segment.map_or(self.content.size, |segment| segment.offset);
        if position < hole_end {
            let count = clamped(hole_end - position, to.len());
            to.iter_mut().take(count).for_each(|byte| *byte = 0);
            self.content.position += count as u64;
            return Ok(count);
        }
        let Some(segment) = segment else { return Ok(0) };
        let count = clamped(segment.end() - position, to.len());
        let Some(to) = to.get_mut(..count).filter(|to| !to.is_empty()) else { return Ok(0) };
        match self.input.read(to)? {
            0 => Err(self.truncated()),
            read => {
                self.content.advance(position, read);
                Ok(read)
            }
        }
    }
}

impl Content {
    /// The first segment with data that was not read.
    fn next_segment(&mut self) -> Option<Segment> {
        while let Some(segment) = self.segments.get(self.segment) {
            if self.position < segment.end() {
                return Some(*segment);
            }
            self.segment += 1;
        }
        None
    }

    /// Notes that `count` bytes of the data at `offset` in the file were read.
    fn advance(&mut self, offset: u64, count: usize) {
        self.position = offset + count as u64;
        self.stored -= count as u64;
    }
}

fn clamped(count: u64, max: usize) -> usize {
    usize::try_from(count).map_or(max, |count| count.min(max))
}

/// How many bytes fill up the last block of `size` bytes.
fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn joined<'a>(prefix: &[u8], name: &'a [u8]) -> Cow<'a, [u8]> {
    if prefix.is_empty() { name.into() } else { [prefix, b"/", name].concat().into() }
}

/// Data of a file as it lies in the reader's buffer.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Chunk<'a> {
    /// Where in the file it belongs.
    pub offset: u64,
    /// The data; never empty.
    pub bytes: &'a [u8],
}

/// An entry of a tar stream, and its content where it is a regular file.
///
/// Reading it as [`Read`] gives the content with its holes as zeros. [`TarEntry::next_chunk`] gives the data
/// without copying it, and leaves the holes out. Both may be mixed.
pub struct TarEntry<'a, R> {
    entry: Entry,
    data_offset: u64,
    reader: &'a mut TarReader<R>,
}

impl<R> fmt::Debug for TarEntry<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TarEntry").field("entry", &self.entry).finish_non_exhaustive()
    }
}

impl<R> TarEntry<'_, R> {
    /// The entry.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The entry alone; its content is passed over.
    #[must_use]
    pub fn into_entry(self) -> Entry {
        self.entry
    }

    /// Its number in the stream, from 1; headers that extend an entry are not counted.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.reader.number
    }

    /// Where in the plain tar stream its data begins, in bytes; the data of all its segments lies
    /// there without gaps.
    #[must_use]
    pub fn data_offset(&self) -> u64 {
        self.data_offset
    }

    /// Where in the file its data lies, in order; between segments there are holes. A file without
    /// holes has one segment, or none where it is empty.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        match self.entry.kind {
            EntryKind::File { .. } => &self.reader.content.segments,
            _ => &[],
        }
    }
}

impl<R: Read> TarEntry<'_, R> {
    /// The next piece of the file's data, in order and without its holes; `None` at its end.
    ///
    /// # Errors
    /// [`Error::is_corrupt`] where the stream ends inside the data, and errors of the reader below.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>> {
        self.reader.next_chunk()
    }
}

impl<R: Read> Read for TarEntry<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.reader.read_content(buf)?)
    }
}
