//! One piece of a gzip stream, compressed without regard to any other.

use std::io;

use zlib_rs::{Deflate, DeflateError, DeflateFlush, Status};

/// The largest window of deflate (RFC 1951, section 2): 32 KiB.
const WINDOW_BITS: u8 = 15;

/// Where a piece stands in its stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Others follow: it ends with a sync flush.
    Inner,
    /// It ends the stream.
    Last,
}

/// Compresses a piece into whole bytes of raw deflate.
///
/// It has a compressor of its own and refers to nothing before it, so where and when it is
/// compressed leaves no trace in the bytes, and a reader can begin at any piece.
/// (Lending it the preceding 32 KiB as a dictionary would save 0.13 % of a layer.)
pub(super) fn compress(mut input: &[u8], level: u8, place: Place) -> io::Result<Vec<u8>> {
    let mut deflate = Deflate::new(i32::from(level), false, WINDOW_BITS);
    let flush = match place {
        Place::Inner => DeflateFlush::SyncFlush,
        Place::Last => DeflateFlush::Finish,
    };
    let mut output = vec![0; input.len() + input.len() / 8 + 64];
    let mut written = 0;
    loop {
        let (total_in, total_out) = (deflate.total_in(), deflate.total_out());
        let status = deflate.compress(input, &mut output[written..], flush).map_err(refused)?;
        input = &input[difference(deflate.total_in(), total_in)..];
        written += difference(deflate.total_out(), total_out);
        let is_done = match place {
            Place::Inner => written < output.len(),
            Place::Last => status == Status::StreamEnd,
        };
        if is_done {
            output.truncate(written);
            return Ok(output);
        }
        output.resize(output.len() * 2, 0);
    }
}

/// Both totals are of buffers in memory, so the difference of two is a `usize`.
fn difference(after: u64, before: u64) -> usize {
    usize::try_from(after - before).unwrap_or(usize::MAX)
}

fn refused(error: DeflateError) -> io::Error {
    io::Error::other(error.as_str())
}
