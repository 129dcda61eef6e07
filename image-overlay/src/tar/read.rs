//! Reading a layer's tar stream, entry by entry.

use std::{
    fmt,
    io::{self, Read},
};

use super::{
    content::{Content, padding},
    decode,
    failure::Failure,
    header::{BLOCK, Block, Header},
    input::Input,
    pax::Extensions,
    sparse::Segment,
};
use crate::{
    entry::{Entry, EntryKind},
    error::{Error, Result},
    limits::Limits,
};

/// How many bytes of a name are kept for errors.
const NAME_IN_ERRORS: usize = 512;

/// Reads the entries of a plain tar stream in one pass.
///
/// It holds one entry's metadata and a fixed buffer, whatever the stream says. What is malformed
/// is an error and never skipped. After an error the stream yields no more entries.
///
/// Choices where formats and tools differ:
/// - PAX records win over GNU's long names and over the header block; a later record wins over an
///   earlier one, also of another extended header before the same entry; global extended headers are
///   checked and ignored.
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

impl<R> fmt::Debug for TarReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TarReader").field("state", &self.state).field("number", &self.number).finish_non_exhaustive()
    }
}

impl<R: Read> TarReader<R> {
    /// Reads `reader`, which needs no buffer of its own.
    pub fn new(reader: R, limits: &Limits) -> Self {
        Self::after(0, reader, limits)
    }

    /// Reads a layer of an image whose layers below it have so many [bytes](TarReader::bytes).
    pub(crate) fn after(before: u64, reader: R, limits: &Limits) -> Self {
        Self {
            input: Input::new(reader, limits, before),
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
            State::Failed => return Err(self.error("it follows an entry that could not be read".into())),
        }
        // Stays so unless all goes well.
        self.state = State::Failed;
        match self.read_entry() {
            Ok(Some((entry, data_offset))) => {
                self.state = State::Reading;
                Ok(Some(TarEntry { entry, data_offset, reader: self }))
            }
            Ok(None) => {
                self.state = State::Ended;
                Ok(None)
            }
            Err(failure) => Err(self.error(failure)),
        }
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
        self.input.drain().map_err(|failure| self.error(failure))?;
        Ok(self.input.position())
    }

    /// How many bytes count against the limits: those of the stream so far, or of its files with their holes.
    pub(crate) fn bytes(&self) -> u64 {
        self.input.position().max(self.expanded)
    }

    /// The reader below. What was read ahead is lost, unless [`TarReader::drain`] came before.
    pub fn into_inner(self) -> R {
        self.input.into_inner()
    }

    /// Passes over what is left of the entry at hand, and reads headers up to and with those of a
    /// real entry. Answers it with its place in the stream.
    fn read_entry(&mut self) -> Result<Option<(Entry, u64)>, Failure> {
        self.content.finish(&mut self.input)?;
        self.number += 1;
        self.name.clear();
        let mut extensions = Extensions::default();
        let (mut headers, mut bytes) = (0, 0_u64);
        while let Some(header) = self.read_header()? {
            if self.number == 1 && !header.has_checksum() {
                // Nor is its name one.
                return Err("this is no tar archive: its first header has no checksum".into());
            }
            self.set_name(header.name());
            header.verify()?;
            if !matches!(header.kind(), b'x' | b'g' | b'L' | b'K') {
                return self.open(&header, extensions).map(Some);
            }
            let size = header.size()?;
            headers += 1;
            bytes = bytes.saturating_add(size);
            within(headers, "extended headers", self.limits.extension_headers)?;
            within(bytes, "bytes of extended headers and long names", self.limits.extension_bytes)?;
            self.read_body(size)?;
            self.extend(&mut extensions, header.kind())?;
        }
        if headers > 0 {
            return Err("an extended header has no entry after it".into());
        }
        Ok(None)
    }

    /// The next header, or `None` at the archive's end.
    fn read_header(&mut self) -> Result<Option<Header>, Failure> {
        const ZEROS: Block = [0; BLOCK];
        match self.input.block()? {
            None => Ok(None),
            Some(ZEROS) => match self.input.block()? {
                None | Some(ZEROS) => Ok(None),
                Some(_) => Err("a lone block of zeros stands before it".into()),
            },
            Some(block) => Ok(Some(Header::new(block))),
        }
    }

    /// Reads the body of an extended header, whose size is within its limit.
    fn read_body(&mut self, size: u64) -> Result<(), Failure> {
        self.body.clear();
        let mut left = size;
        while left > 0 {
            let bytes = self.input.take(left)?;
            if bytes.is_empty() {
                return Err(Failure::Truncated);
            }
            self.body.extend_from_slice(bytes);
            left -= bytes.len() as u64;
        }
        self.input.skip(padding(size))
    }

    /// Takes what an extended header's body says of the entry to come.
    fn extend(&self, extensions: &mut Extensions, kind: u8) -> Result<(), Failure> {
        match kind {
            b'L' => extensions.set_gnu_path(&self.body),
            b'K' => extensions.set_gnu_link_path(&self.body),
            b'g' => Extensions::default().add_records(&self.body, &self.limits)?,
            _ => extensions.add_records(&self.body, &self.limits)?,
        }
        Ok(())
    }

    /// Makes an entry of its header and of what was said of it before.
    fn open(&mut self, header: &Header, mut extensions: Extensions) -> Result<(Entry, u64), Failure> {
        let name = decode::name(header, &mut extensions);
        self.set_name(&name);
        within(self.number, "entries of the layer", self.limits.entries)?;
        let path = decode::path(&name)?;
        let stored = extensions.size.map_or_else(|| header.size(), Ok)?;
        let metadata = decode::metadata(header, &mut extensions)?;
        let kind = if decode::is_file(header, &name) {
            self.content.begin(header, &extensions, stored, &mut self.input, &self.limits)?;
            EntryKind::File { size: self.content.size() }
        } else {
            decode::kind(header, &mut extensions)?
        };
        if path.is_root() && !kind.is_directory() {
            return Err("the root can only be a directory".into());
        }
        self.expanded = self.expanded.saturating_add(kind.size());
        within(kind.size(), "bytes of the file", self.limits.file_bytes.unwrap_or(u64::MAX))?;
        within(path.components().count() as u64, "names of its path", self.limits.path_names)?;
        self.input.check_files(self.expanded)?;
        Ok((Entry::new(path, kind, metadata), self.input.position()))
    }

    fn set_name(&mut self, name: &[u8]) {
        self.name.clear();
        self.name.extend(name.iter().take(NAME_IN_ERRORS));
    }

    fn error(&self, failure: Failure) -> Error {
        failure.at(self.number, &self.name)
    }
}

fn within(count: u64, what: &'static str, limit: u64) -> Result<(), Failure> {
    if count > limit { Err(Failure::Limit(what, limit)) } else { Ok(()) }
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
        self.reader.content.segments()
    }
}

impl<R: Read> TarEntry<'_, R> {
    /// The next piece of the file's data, in order and without its holes; `None` at its end.
    ///
    /// # Errors
    /// [`Error::is_corrupt`] where the stream ends inside the data, and errors of the reader below.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>> {
        let TarReader { content, input, number, name, .. } = &mut *self.reader;
        content.next_chunk(input).map_err(|failure| failure.at(*number, name))
    }
}

impl<R: Read> Read for TarEntry<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let TarReader { content, input, .. } = &mut *self.reader;
        let result = content.read(input, buf);
        result.map_err(|failure| self.reader.error(failure).into())
    }
}
