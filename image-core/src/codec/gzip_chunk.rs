//! One piece of a gzip stream, compressed without regard to any other.

use std::io;

use zlib_rs::{Deflate, DeflateError, DeflateFlush, Status};

/// How far back deflate can refer (RFC 1951, section 2), so how much of the input before it a piece can use.
pub(super) const WINDOW: usize = 32 << 10;
const WINDOW_BITS: u8 = 15;

/// A piece of the input and what came before it.
///
/// It has a compressor of its own and carries all of its input, so where and when it is compressed
/// leaves no trace in the bytes.
pub(super) struct Chunk {
    /// The last bytes of the input before this piece, then the piece.
    pub(super) bytes: Vec<u8>,
    /// Where the piece begins in `bytes`.
    pub(super) start: usize,
    /// Whether the stream ends with this piece.
    pub(super) last: bool,
    pub(super) level: u8,
}

impl Chunk {
    /// Compresses the piece into whole bytes of raw deflate.
    pub(super) fn compress(&self) -> io::Result<Vec<u8>> {
        let (before, mut input) = self.bytes.split_at(self.start);
        let mut deflate = Deflate::new(i32::from(self.level), false, WINDOW_BITS);
        if !before.is_empty() {
            deflate.set_dictionary(before).map_err(refused)?;
        }
        let flush = if self.last { DeflateFlush::Finish } else { DeflateFlush::SyncFlush };
        let mut output = vec![0; input.len() + input.len() / 8 + 64];
        let mut written = 0;
        loop {
            let (total_in, total_out) = (deflate.total_in(), deflate.total_out());
            let status = deflate.compress(input, &mut output[written..], flush).map_err(refused)?;
            input = &input[difference(deflate.total_in(), total_in)..];
            written += difference(deflate.total_out(), total_out);
            // A sync flush is complete once it leaves room; the end of the stream says so.
            let done = if self.last { status == Status::StreamEnd } else { written < output.len() };
            if done {
                output.truncate(written);
                return Ok(output);
            }
            output.resize(output.len() * 2, 0);
        }
    }
}

/// Both totals are of buffers in memory, so the difference of two is a `usize`.
fn difference(after: u64, before: u64) -> usize {
    usize::try_from(after - before).unwrap_or(usize::MAX)
}

fn refused(error: DeflateError) -> io::Error {
    io::Error::other(error.as_str())
}
