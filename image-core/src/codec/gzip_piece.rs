//! One piece of a gzip stream.

use std::io;

use zlib_rs::{Deflate, DeflateConfig, DeflateError, DeflateFlush, Status};

use super::piece::{Compress, Place};

/// The same for all levels, as all that follows: bytes depend on it.
const PIECE: usize = 1 << 20;
/// The largest window of deflate (RFC 1951, section 2), and no header.
const WINDOW_BITS: i32 = -15;

/// The longest stored block (RFC 1951, section 3.2.4), and what it takes beside its bytes.
const STORED_BLOCK: usize = 65_535;
const STORED_HEADER: usize = 5;

/// Compresses pieces into whole bytes of raw deflate. Each but the last ends with a sync flush, an empty
/// stored block that brings the stream to a whole byte, so the pieces' bytes simply follow each other.
pub(super) struct GzipCompressor {
    config: DeflateConfig,
}

impl Compress for GzipCompressor {
    const NAME: &'static str = "gzip";
    /// The window.
    const LOOK_BACK: usize = 32 << 10;

    fn new(level: u8) -> io::Result<Self> {
        // A block has up to 2^(6 + mem_level) literals and matches, and codes of its own (section 3.2.7). The encoder's own choice
        // is 8; shorter blocks suit a layer's many small files better, and take time.
        let mem_level = if level < 5 { 7 } else { 6 };
        let config = DeflateConfig { window_bits: WINDOW_BITS, mem_level, ..DeflateConfig::new(level.into()) };
        Ok(Self { config })
    }

    fn piece_size(_level: u8) -> usize {
        PIECE
    }

    fn compress(&mut self, before: &[u8], input: &[u8], place: Place, output: &mut Vec<u8>) -> io::Result<usize> {
        let written = deflate(self.config, before, input, place, output)?;
        if written <= input.len() + STORED_HEADER * (input.len() / STORED_BLOCK + 2) {
            return Ok(written);
        }
        // What cannot be compressed is stored, in blocks as long as there are.
        let stored = DeflateConfig { window_bits: WINDOW_BITS, ..DeflateConfig::new(0) };
        deflate(stored, &[], input, place, output)
    }
}

/// A piece has a deflate of its own (a used one keeps its window when it is reset), which is shown what goes before.
fn deflate(
    config: DeflateConfig,
    before: &[u8],
    mut input: &[u8],
    place: Place,
    output: &mut Vec<u8>,
) -> io::Result<usize> {
    let mut deflate = Deflate::new_with_config(config);
    if !before.is_empty() {
        deflate.set_dictionary(before).map_err(refused)?;
    }
    let flush = match place {
        Place::Inner => DeflateFlush::SyncFlush,
        Place::Last => DeflateFlush::Finish,
    };
    let mut room = input.len() + input.len() / 8 + 64;
    let mut written = 0;
    loop {
        if output.is_empty() {
            // Pages that are never written to take no memory.
            *output = vec![0; room];
        } else if output.len() < room {
            output.resize(room, 0);
        }
        let (total_in, total_out) = (deflate.total_in(), deflate.total_out());
        let status = deflate.compress(input, &mut output[written..room], flush).map_err(refused)?;
        input = &input[difference(deflate.total_in(), total_in)..];
        written += difference(deflate.total_out(), total_out);
        let is_done = match place {
            Place::Inner => written < room,
            Place::Last => status == Status::StreamEnd,
        };
        if is_done {
            return Ok(written);
        }
        room *= 2;
    }
}

/// Both totals are of buffers in memory, so the difference of two is a `usize`.
fn difference(after: u64, before: u64) -> usize {
    usize::try_from(after - before).unwrap_or(usize::MAX)
}

fn refused(error: DeflateError) -> io::Error {
    io::Error::other(error.as_str())
}
