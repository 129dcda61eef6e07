//! The members of an archive, in one pass.

use std::io::{BufRead, BufReader, Read};

use image_core::Error as CoreError;

use super::header::{BLOCK, Block, Fault, Header};
use crate::error::{Error, Result};

/// How much is read at once, in bytes.
const BUFFER: usize = 128 << 10;

/// The most bytes of extended headers and long names before one member.
const MAX_EXTENSION_BYTES: u64 = 1 << 20;

/// The most extended headers and long names before one member.
const MAX_EXTENSIONS: u32 = 16;

/// What an archive holds under one name.
#[derive(Debug)]
pub(super) struct Member {
    /// As it is written.
    pub(super) name: Vec<u8>,
    pub(super) kind: MemberKind,
}

#[derive(Debug)]
pub(super) enum MemberKind {
    /// A regular file, and its size in bytes.
    File(u64),
    /// A symbolic link, and what it points at.
    Symlink(Vec<u8>),
    /// Another name of a member.
    HardLink(Vec<u8>),
    /// A directory, a device or a FIFO: nothing of an image.
    Other,
}

/// Reads the members of a plain tar stream.
///
/// The stream is no layer: owners, times and extended attributes mean nothing in it, and members that no
/// image names are passed over, whatever they are called. What is malformed is an error.
pub(super) struct Members<R> {
    input: BufReader<R>,
    /// Bytes of the member at hand that were not read.
    left: u64,
    /// Bytes that fill up its last block.
    padding: u64,
    /// Of the member at hand, for errors.
    name: Vec<u8>,
    /// Whether there was a header: what has none is no archive.
    is_archive: bool,
}

/// What extended headers say of the member that follows them.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link_path: Option<Vec<u8>>,
    gnu_path: Option<Vec<u8>>,
    gnu_link_path: Option<Vec<u8>>,
    size: Option<u64>,
}

impl<R: Read> Members<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            input: BufReader::with_capacity(BUFFER, reader),
            left: 0,
            padding: 0,
            name: Vec::new(),
            is_archive: false,
        }
    }

    /// The next member, passing over what was not read of the one before; `None` at the archive's end.
    pub(super) fn next(&mut self) -> Result<Option<Member>> {
        self.skip_rest()?;
        self.name.clear();
        let (mut extensions, mut count, mut bytes) = (Extensions::default(), 0, 0_u64);
        while let Some(header) = self.header()? {
            if self.name.is_empty() {
                self.name = header.name();
            }
            let kind = header.kind();
            if !matches!(kind, b'x' | b'g' | b'L' | b'K') {
                return self.open(&header, extensions).map(Some);
            }
            let size = header.size().map_err(|fault| self.fault(fault))?;
            count += 1;
            bytes = bytes.saturating_add(size);
            if count > MAX_EXTENSIONS || bytes > MAX_EXTENSION_BYTES {
                return Err(self.fault("it has more than 16 extended headers, or more than 1 MiB of them"));
            }
            let body = self.body(size)?;
            match kind {
                b'L' => extensions.gnu_path = gnu_name(&body),
                b'K' => extensions.gnu_link_path = gnu_name(&body),
                b'g' => Extensions::default().add(&body).map_err(|fault| self.fault(fault))?,
                _ => extensions.add(&body).map_err(|fault| self.fault(fault))?,
            }
        }
        if count > 0 {
            return Err(self.fault("an extended header has no member after it"));
        }
        Ok(None)
    }

    /// The first bytes of the member at hand, and none only where it has none.
    pub(super) fn peek(&mut self) -> Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        // Twice, as a borrow that is given away keeps the first from being looked at.
        if fill(&mut self.input)?.is_empty() {
            return Err(self.truncated());
        }
        let bytes = fill(&mut self.input)?;
        Ok(bytes.get(..left).unwrap_or(bytes))
    }

    /// Reads of the member at hand; 0 at its end.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        let Some(buf) = buf.get_mut(..wanted).filter(|buf| !buf.is_empty()) else { return Ok(0) };
        let count = read_some(&mut self.input, buf)?;
        if count == 0 {
            return Err(self.truncated());
        }
        self.left -= count as u64;
        Ok(count)
    }

    /// Reads what is left of the stream behind the archive's end, so that readers below verify all of it.
    pub(super) fn drain(&mut self) -> Result<()> {
        loop {
            match fill(&mut self.input)?.len() {
                0 => return Ok(()),
                count => self.input.consume(count),
            }
        }
    }

    /// An error that names the member at hand.
    pub(super) fn fault(&self, reason: &str) -> Error {
        Error::archive(&self.name, reason)
    }

    fn truncated(&self) -> Error {
        if self.is_archive {
            self.fault("the archive ends inside it")
        } else {
            self.no_archive("it is too short for one")
        }
    }

    fn no_archive(&self, why: Fault) -> Error {
        self.fault(&format!("it is not a tar archive, plain or in gzip or zstd: {why}"))
    }

    fn skip_rest(&mut self) -> Result<()> {
        let mut left = self.left.saturating_add(self.padding);
        (self.left, self.padding) = (0, 0);
        while left > 0 {
            let available = fill(&mut self.input)?.len();
            if available == 0 {
                return Err(self.truncated());
            }
            let count = available.min(usize::try_from(left).unwrap_or(usize::MAX));
            self.input.consume(count);
            left -= count as u64;
        }
        Ok(())
    }

    /// The next header, or `None` at the archive's end: two blocks of zeros, or the end of the stream.
    fn header(&mut self) -> Result<Option<Header>> {
        const ZEROS: Block = [0; BLOCK];
        match self.block()? {
            None => Ok(None),
            Some(ZEROS) => match self.block()? {
                None | Some(ZEROS) => Ok(None),
                Some(_) => Err(self.fault("a lone block of zeros stands before what follows it")),
            },
            Some(block) => match Header::parse(block) {
                Ok(header) => {
                    self.is_archive = true;
                    Ok(Some(header))
                }
                Err(fault) if self.is_archive => Err(self.fault(fault)),
                Err(fault) => Err(self.no_archive(fault)),
            },
        }
    }

    fn block(&mut self) -> Result<Option<Block>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match read_some(&mut self.input, rest)? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(self.truncated()),
                count => filled += count,
            }
        }
        Ok(Some(block))
    }

    /// The body of an extended header, whose size is within its limit.
    fn body(&mut self, size: u64) -> Result<Vec<u8>> {
        self.left = size;
        self.padding = padding(size);
        let mut body = Vec::new();
        let mut buffer = [0; BLOCK];
        loop {
            match self.read(&mut buffer)? {
                0 => break,
                count => body.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            }
        }
        self.skip_rest()?;
        Ok(body)
    }

    /// Makes a member of its header and of what was said of it before.
    fn open(&mut self, header: &Header, extensions: Extensions) -> Result<Member> {
        let name = extensions.path.or(extensions.gnu_path).unwrap_or_else(|| header.name());
        self.name.clone_from(&name);
        let target = || {
            let target = extensions.link_path.or(extensions.gnu_link_path);
            target.unwrap_or_else(|| header.link_name().to_vec())
        };
        let kind = match header.kind() {
            0 if name.ends_with(b"/") => MemberKind::Other,
            0 | b'0' | b'7' => {
                let size = match extensions.size {
                    Some(size) => size,
                    None => header.size().map_err(|fault| self.fault(fault))?,
                };
                (self.left, self.padding) = (size, padding(size));
                MemberKind::File(size)
            }
            b'1' => MemberKind::HardLink(target()),
            b'2' => MemberKind::Symlink(target()),
            b'3'..=b'6' => MemberKind::Other,
            _ => return Err(self.fault("it is of a type that no archive of images holds")),
        };
        Ok(Member { name, kind })
    }
}

impl Extensions {
    /// Takes all records of an extended header's body; a later one wins, and an empty one takes the earlier back.
    fn add(&mut self, body: &[u8]) -> Result<(), Fault> {
        let mut rest = body;
        while !rest.is_empty() {
            let (record, after) = frame(rest).ok_or("an extended header's record has a wrong length")?;
            rest = after;
            let equals = record.iter().position(|byte| *byte == b'=').filter(|at| *at > 0);
            let (keyword, value) = record.split_at(equals.ok_or("an extended header's record has no name or value")?);
            let value = value.get(1..).unwrap_or_default();
            match keyword {
                b"path" => self.path = name(value)?,
                b"linkpath" => self.link_path = name(value)?,
                b"size" if value.is_empty() => self.size = None,
                b"size" => self.size = Some(decimal(value).ok_or("an extended header's size is not a number")?),
                _ if keyword.starts_with(b"GNU.sparse.") => return Err("it is a sparse file"),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The content of the first record, between its length and its newline, and what follows it.
fn frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(bytes.get(..space)?)?).ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    Some((record.get(space + 1..)?.strip_suffix(b"\n")?, rest))
}

/// A number from 0 to 2^63-1 in decimal digits.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(text).ok()?.parse().ok().filter(|number| i64::try_from(*number).is_ok())
}

fn name(value: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    if value.contains(&0) {
        return Err("an extended header's name holds a NUL byte");
    }
    Ok(if value.is_empty() { None } else { Some(value.to_vec()) })
}

fn gnu_name(body: &[u8]) -> Option<Vec<u8>> {
    body.split(|byte| *byte == 0).next().filter(|name| !name.is_empty()).map(<[u8]>::to_vec)
}

/// How many bytes fill up the last block of `size` bytes.
pub(super) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn fill(input: &mut BufReader<impl Read>) -> Result<&[u8]> {
    while input.buffer().is_empty() {
        match input.fill_buf() {
            Ok([]) => break,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CoreError::stream("read the archive", error).into()),
        }
    }
    Ok(input.buffer())
}

fn read_some(input: &mut impl Read, buf: &mut [u8]) -> Result<usize> {
    loop {
        match input.read(buf) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            result => return result.map_err(|error| CoreError::stream("read the archive", error).into()),
        }
    }
}
