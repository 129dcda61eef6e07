//! A table of contents as bytes.
//!
//! A version line, the stream's length, each entry, and the SHA-256 of all that. Numbers are
//! unsigned LEB128, and byte strings follow their length. A path says how many bytes it shares with the
//! path before it, since most share a directory.

use std::io::{self, Write};

use image_core::Timestamp;

use super::{Content, Entry, EntryKind, Error, Hasher, LayerToc, Result, Segment, TocEntry};
use crate::{entry::Metadata, path::LayerPath};

const VERSION: &[u8] = b"image-overlay toc 1\n";
const CHECKSUM_BYTES: usize = 64;

/// About what an entry takes in a tree beside its bytes here, a directory that a path implies, and a segment of a sparse file.
const NODE_BYTES: u64 = 160;
const IMPLIED_BYTES: u64 = 330;
const SEGMENT_BYTES: u64 = size_of::<Segment>() as u64;

/// Entries one behind the other, as bytes that are known to decode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Encoded {
    bytes: Vec<u8>,
    count: u64,
    /// How many directories paths imply, those left out that the path before has too.
    implied: u64,
    segments: u64,
}

impl Encoded {
    /// About how much memory the entries take, here and in a tree.
    pub(super) fn memory(&self) -> u64 {
        self.bytes.len() as u64 + self.count * NODE_BYTES + self.implied * IMPLIED_BYTES + self.segments * SEGMENT_BYTES
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Adds an entry behind the one whose path is `previous`.
    pub(super) fn push(&mut self, previous: &[u8], entry: &TocEntry) {
        let path = entry.entry.path.as_bytes();
        let (shared, rest) = beyond(previous, path);
        put_number(&mut self.bytes, shared as u64);
        put_bytes(&mut self.bytes, rest);
        self.implied += implied(rest);
        put_entry(&mut self.bytes, entry);
        self.count += 1;
        self.segments += segments_of(entry);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = TocEntry> {
        let mut input = Decoder { bytes: &self.bytes, at: 0 };
        let mut previous = LayerPath::root();
        // What cannot be decoded never came in: see `decode`.
        (0..self.count).map_while(move |_| {
            let entry = input.entry_after(&previous).ok()?;
            previous.clone_from(&entry.entry.path);
            Some(entry)
        })
    }
}

/// How many bytes a path has in common with the one before it, and the rest.
fn beyond<'p>(previous: &[u8], path: &'p [u8]) -> (usize, &'p [u8]) {
    let shared = path.iter().zip(previous).take_while(|(a, b)| a == b).count();
    (shared, path.get(shared..).unwrap_or_default())
}

/// How many directories the rest of a path may imply.
fn implied(rest: &[u8]) -> u64 {
    rest.iter().skip(1).filter(|byte| **byte == b'/').count() as u64
}

pub(super) fn write(toc: &LayerToc, mut out: impl Write) -> io::Result<()> {
    let mut header = VERSION.to_vec();
    put_number(&mut header, toc.tar_size);
    put_number(&mut header, toc.entries.count);
    let parts = [&header, &toc.entries.bytes];
    parts.iter().try_for_each(|part| out.write_all(part))?;
    out.write_all(checksum(&parts).as_bytes())
}

fn put_entry(out: &mut Vec<u8>, entry: &TocEntry) {
    let Metadata { mode, uid, gid, mtime, xattrs } = &entry.entry.metadata;
    for number in [*mode, *uid, *gid] {
        put_number(out, number.into());
    }
    put_signed(out, mtime.seconds());
    put_number(out, mtime.nanoseconds().into());
    put_number(out, xattrs.len() as u64);
    for (name, value) in xattrs {
        put_bytes(out, name);
        put_bytes(out, value);
    }
    match (&entry.entry.kind, &entry.content) {
        (EntryKind::Directory, _) => out.push(b'd'),
        (EntryKind::File { .. }, content) => put_content(out, content.as_ref()),
        (EntryKind::Symlink { target }, _) => {
            out.push(b'l');
            put_bytes(out, target);
        }
        (EntryKind::HardLink { target }, _) => {
            out.push(b'h');
            put_bytes(out, target.as_bytes());
        }
        (EntryKind::CharDevice { major, minor }, _) => put_device(out, b'c', *major, *minor),
        (EntryKind::BlockDevice { major, minor }, _) => put_device(out, b'b', *major, *minor),
        (EntryKind::Fifo, _) => out.push(b'p'),
    }
}

fn put_content(out: &mut Vec<u8>, content: Option<&Content>) {
    let Some(content) = content else { return out.push(b'-') };
    out.push(if content.sparse.is_some() { b's' } else { b'f' });
    put_number(out, content.size);
    put_number(out, content.offset);
    out.extend_from_slice(&content.sha256);
    if let Some(segments) = &content.sparse {
        put_number(out, segments.len() as u64);
        for segment in segments {
            put_number(out, segment.offset);
            put_number(out, segment.length);
        }
    }
}

fn put_device(out: &mut Vec<u8>, tag: u8, major: u32, minor: u32) {
    out.push(tag);
    put_number(out, major.into());
    put_number(out, minor.into());
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Folds the sign into the lowest bit.
fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_number(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn checksum(parts: &[impl AsRef<[u8]>]) -> String {
    let mut hasher = Hasher::sha256();
    parts.iter().for_each(|part| hasher.update(part.as_ref()));
    hasher.finish().encoded().to_owned()
}

pub(super) fn decode(mut bytes: Vec<u8>) -> Result<LayerToc> {
    let fault = |offset, reason| Err(Error::InvalidToc { offset, reason });
    if !bytes.starts_with(VERSION) {
        return fault(0, "it is of another version");
    }
    let Some((body, stored)) = bytes.len().checked_sub(CHECKSUM_BYTES).and_then(|end| bytes.split_at_checked(end))
    else {
        return fault(bytes.len(), "it ends too early");
    };
    if checksum(&[body]).as_bytes() != stored {
        return fault(body.len(), "its checksum does not match");
    }
    let mut input = Decoder { bytes: body, at: VERSION.len() };
    let tar_size = input.number()?;
    let count = input.number()?;
    let start = input.at;
    let mut previous = LayerPath::root();
    let (mut segments, mut directories) = (0, 0);
    for _ in 0..count {
        let entry = input.entry_after(&previous)?;
        directories += implied(beyond(previous.as_bytes(), entry.entry.path.as_bytes()).1);
        if entry
            .content
            .as_ref()
            .is_some_and(|content| content.offset > tar_size || content.stored_size() > tar_size - content.offset)
        {
            return Err(input.fault("a file's data lies outside the layer"));
        }
        segments += segments_of(&entry);
        previous = entry.entry.path;
    }
    if input.at != body.len() {
        return fault(input.at, "something follows its entries");
    }
    let end = body.len();
    bytes.truncate(end);
    bytes.drain(..start);
    Ok(LayerToc { entries: Encoded { bytes, count, implied: directories, segments }, tar_size })
}

fn segments_of(entry: &TocEntry) -> u64 {
    entry.content.as_ref().and_then(|content| content.sparse.as_ref()).map_or(0, |segments| segments.len() as u64)
}

struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    fn fault(&self, reason: &'static str) -> Error {
        Error::InvalidToc { offset: self.at, reason }
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let end = usize::try_from(count).ok().and_then(|count| self.at.checked_add(count));
        let piece = end.and_then(|end| self.bytes.get(self.at..end)).ok_or_else(|| self.fault("it ends too early"))?;
        self.at += piece.len();
        Ok(piece)
    }

    fn byte(&mut self) -> Result<u8> {
        let byte = self.bytes.get(self.at).copied().ok_or_else(|| self.fault("it ends too early"))?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.fault("a number is too large"))
    }

    fn small(&mut self) -> Result<u32> {
        u32::try_from(self.number()?).map_err(|_| self.fault("a number is too large"))
    }

    fn at_most(&mut self, max: u32) -> Result<u32> {
        let number = self.small()?;
        if number > max { Err(self.fault("a mode or an owner is out of range")) } else { Ok(number) }
    }

    fn signed(&mut self) -> Result<i64> {
        let folded = self.number()?;
        Ok((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }

    fn byte_string(&mut self) -> Result<&'a [u8]> {
        let count = self.number()?;
        self.take(count)
    }

    fn path_after(&mut self, previous: &[u8]) -> Result<LayerPath> {
        let shared = usize::try_from(self.number()?).ok().and_then(|shared| previous.get(..shared));
        let shared = shared.ok_or_else(|| self.fault("a path shares more than the path before it has"))?;
        let rest = self.byte_string()?;
        LayerPath::parse(&[shared, rest].concat())
    }

    fn entry_after(&mut self, previous: &LayerPath) -> Result<TocEntry> {
        let path = self.path_after(previous.as_bytes())?;
        let mode = self.at_most(0o7777)?;
        let mut metadata =
            Metadata::new(mode).with_owner(self.at_most(Metadata::MAX_ID)?, self.at_most(Metadata::MAX_ID)?);
        let (seconds, nanoseconds) = (self.signed()?, self.small()?);
        metadata.mtime = Timestamp::new(seconds, nanoseconds).ok_or_else(|| self.fault("a time is out of range"))?;
        for _ in 0..self.number()? {
            metadata.xattrs.insert(self.byte_string()?.to_vec(), self.byte_string()?.to_vec());
        }
        let tag = self.byte()?;
        let mut content = None;
        let kind = match tag {
            b'd' => EntryKind::Directory,
            b'f' | b's' => {
                let read = self.content(tag == b's')?;
                let size = read.size;
                content = Some(read);
                EntryKind::File { size }
            }
            b'l' => EntryKind::Symlink { target: self.byte_string()?.to_vec() },
            b'h' => EntryKind::HardLink { target: LayerPath::parse(self.byte_string()?)? },
            b'c' => EntryKind::CharDevice { major: self.small()?, minor: self.small()? },
            b'b' => EntryKind::BlockDevice { major: self.small()?, minor: self.small()? },
            b'p' => EntryKind::Fifo,
            _ => return Err(self.fault("an entry is of an unknown kind")),
        };
        Ok(TocEntry { entry: Entry::new(path, kind, metadata), content })
    }

    fn content(&mut self, is_sparse: bool) -> Result<Content> {
        let (size, offset) = (self.number()?, self.number()?);
        let sha256 = self.take(32)?.try_into().map_err(|_| self.fault("it ends too early"))?;
        let sparse = if is_sparse { Some(self.segments(size)?) } else { None };
        Ok(Content { offset, size, sha256, sparse })
    }

    fn segments(&mut self, size: u64) -> Result<Box<[Segment]>> {
        let mut segments = Vec::new();
        let mut end = 0;
        for _ in 0..self.number()? {
            let segment = Segment { offset: self.number()?, length: self.number()? };
            if segment.offset < end || segment.offset.checked_add(segment.length).is_none_or(|end| end > size) {
                return Err(self.fault("a segment is out of order or outside its file"));
            }
            end = segment.end();
            segments.push(segment);
        }
        Ok(segments.into())
    }
}
