//! The compressed side of a decoder.

use std::io::{self, BufRead, Read};

const CAPACITY: usize = 64 << 10;

/// A buffered reader that can look ahead and knows whether the reader below failed.
///
/// The second is what tells an I/O error from a corrupt stream once a decoder reports one.
#[derive(Debug)]
pub(super) struct Source<R> {
    inner: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    failed: bool,
}

impl<R> Source<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, buffer: vec![0; CAPACITY].into(), start: 0, end: 0, failed: false }
    }

    /// Whether the reader below returned an error.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    pub(super) fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Source<R> {
    /// The next `count` bytes, which stay unread; fewer only where the stream ends.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.end - self.start < count {
            let free = &mut self.buffer[self.end..];
            match read_below(&mut self.inner, free, &mut self.failed)? {
                0 => break,
                n => self.end += n,
            }
        }
        Ok(&self.buffer[self.start..self.end.min(self.start + count)])
    }
}

impl<R: Read> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            self.end = read_below(&mut self.inner, &mut self.buffer, &mut self.failed)?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end && buf.len() >= CAPACITY {
            return read_below(&mut self.inner, buf, &mut self.failed);
        }
        let mut buffered = self.fill_buf()?;
        let n = buffered.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}

fn read_below(inner: &mut impl Read, buf: &mut [u8], failed: &mut bool) -> io::Result<usize> {
    loop {
        match inner.read(buf) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => {
                *failed |= result.is_err();
                return result;
            }
        }
    }
}
