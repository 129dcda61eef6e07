//! The stream below a reader: one buffer, and the position in the stream.

use std::io::{ErrorKind, Read};

use super::{
    failure::Failure,
    header::{BLOCK, Block},
};
use crate::{error::Error, limits::Limits};

const BUFFER: usize = 128 << 10;

/// A reader with a buffer that knows where it is and how far it may go.
pub(super) struct Input<R> {
    inner: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    position: u64,
    bounds: [Bound; 2],
}

/// How many bytes a layer may have.
struct Bound {
    at: u64,
    /// What the caller set it to.
    limit: u64,
    /// What there is too much of beyond it, be it in the stream or in its files.
    stream: &'static str,
    files: &'static str,
}

impl<R: Read> Input<R> {
    /// Begins with a layer before which an image had `before` bytes.
    pub(super) fn new(inner: R, limits: &Limits, before: u64) -> Self {
        let buffer = vec![0; BUFFER].into_boxed_slice();
        let image = limits.image_bytes.map_or(u64::MAX, |limit| limit.saturating_sub(before));
        let (layer, whole) = (limits.layer_bytes.unwrap_or(u64::MAX), limits.image_bytes.unwrap_or(u64::MAX));
        let (stream, files) = ("bytes of the layer's plain tar stream", "bytes of the layer's files");
        let layer = Bound { at: layer, limit: layer, stream, files };
        let (stream, files) = ("bytes of the plain layers of the image", "bytes of the files of the image's layers");
        let image = Bound { at: image, limit: whole, stream, files };
        Self { inner, buffer, start: 0, end: 0, position: 0, bounds: [layer, image] }
    }

    /// How many bytes of the stream were handed out.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn into_inner(self) -> R {
        self.inner
    }

    /// What is in the buffer, read anew where it is empty; nothing is left at the end of the stream only.
    fn fill(&mut self) -> Result<&[u8], Failure> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            self.read_more()?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    /// The next block, or `None` at the end of the stream, which may not be within the block.
    pub(super) fn block(&mut self) -> Result<Option<Block>, Failure> {
        if self.end - self.start < BLOCK {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            while self.end < BLOCK {
                if self.read_more()? == 0 {
                    return if self.end == 0 { Ok(None) } else { Err(Failure::Truncated) };
                }
            }
        }
        let mut block = [0; BLOCK];
        block.copy_from_slice(&self.buffer[self.start..self.start + BLOCK]);
        self.consume(BLOCK);
        Ok(Some(block))
    }

    /// At most `max` of the bytes that follow, and none only at the end of the stream.
    pub(super) fn take(&mut self, max: u64) -> Result<&[u8], Failure> {
        let available = self.fill()?.len();
        let count = usize::try_from(max).unwrap_or(usize::MAX).min(available);
        let start = self.start;
        self.consume(count);
        Ok(&self.buffer[start..start + count])
    }

    /// Reads into `to`, past the buffer where that saves a copy; 0 only at the end of the stream.
    pub(super) fn read(&mut self, to: &mut [u8]) -> Result<usize, Failure> {
        if self.start == self.end && to.len() >= self.buffer.len() {
            let count = read_some(&mut self.inner, to)?;
            self.position += count as u64;
            self.check_limit()?;
            return Ok(count);
        }
        let from = self.take(to.len() as u64)?;
        to[..from.len()].copy_from_slice(from);
        Ok(from.len())
    }

    /// Passes over `count` bytes, which must be there.
    pub(super) fn skip(&mut self, mut count: u64) -> Result<(), Failure> {
        while count > 0 {
            match self.take(count)?.len() {
                0 => return Err(Failure::Truncated),
                taken => count -= taken as u64,
            }
        }
        Ok(())
    }

    /// Passes over all that is left of the stream.
    pub(super) fn drain(&mut self) -> Result<(), Failure> {
        while !self.take(u64::MAX)?.is_empty() {}
        Ok(())
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        self.position += count as u64;
    }

    fn read_more(&mut self) -> Result<usize, Failure> {
        let count = read_some(&mut self.inner, &mut self.buffer[self.end..])?;
        self.end += count;
        self.check_limit()?;
        Ok(count)
    }

    fn check_limit(&self) -> Result<(), Failure> {
        let length = self.position + (self.end - self.start) as u64;
        match self.bounds.iter().find(|bound| length > bound.at) {
            Some(bound) => Err(Failure::Limit(bound.stream, bound.limit)),
            None => Ok(()),
        }
    }

    /// Fails where files of so many bytes are too many.
    pub(super) fn check_files(&self, bytes: u64) -> Result<(), Failure> {
        match self.bounds.iter().find(|bound| bytes > bound.at) {
            Some(bound) => Err(Failure::Limit(bound.files, bound.limit)),
            None => Ok(()),
        }
    }
}

fn read_some(reader: &mut impl Read, to: &mut [u8]) -> Result<usize, Failure> {
    loop {
        match reader.read(to) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            result => return result.map_err(|error| Error::stream("read the layer", error).into()),
        }
    }
}
