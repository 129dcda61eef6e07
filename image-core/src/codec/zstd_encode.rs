//! Encoding zstd: a frame for each piece, the same bytes on any number of threads.

use std::io;

use zstd::zstd_safe::{self, CCtx, CParameter};

use super::piece::{Compress, Place};

/// Where levels begin that search larger windows, by the library's table.
const HIGH: u8 = 9;
/// Both logarithms of pieces, and so all bytes, hold for ever.
const PIECE_LOG: u32 = 22;
/// A piece of a high level is larger: it would lose more by being cut off from those before it.
const HIGH_PIECE_LOG: u32 = 24;
/// The level that finds short matches by a table which is larger than a processor's nearest caches, by the library's table.
const WIDE: u8 = 3;
/// Its table of short matches has so many entries in place of 2^16 for a whole piece: 64 KiB, which are looked up sooner. Layers grow by less
/// than a third of a percent.
const SHORT_LOG: u32 = 14;

/// Compresses each piece into a frame with its size and a checksum; a reader can begin at any one.
pub(super) struct ZstdCompressor {
    context: CCtx<'static>,
}

impl Compress for ZstdCompressor {
    const NAME: &'static str = "zstd";
    /// Frames know nothing of each other.
    const LOOK_BACK: usize = 0;

    fn new(level: u8) -> io::Result<Self> {
        let mut context = CCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        let mut set = |parameter| context.set_parameter(parameter).map(drop).map_err(refused);
        set(CParameter::CompressionLevel(level.into()))?;
        set(CParameter::ChecksumFlag(true))?;
        if level < HIGH {
            // All of the piece, which costs nothing as it is in memory anyway, and makes up for its being cut off.
            set(CParameter::WindowLog(PIECE_LOG))?;
        }
        if level == WIDE {
            set(CParameter::ChainLog(SHORT_LOG))?;
        }
        Ok(Self { context })
    }

    fn piece_size(level: u8) -> usize {
        1 << if level < HIGH { PIECE_LOG } else { HIGH_PIECE_LOG }
    }

    /// The context keeps its parameters and nothing else from one piece to the next.
    fn compress(&mut self, _before: &[u8], input: &[u8], _place: Place, output: &mut Vec<u8>) -> io::Result<usize> {
        output.clear();
        output.reserve(zstd_safe::compress_bound(input.len()));
        self.context.compress2(output, input).map_err(refused)
    }
}

fn refused(code: usize) -> io::Error {
    io::Error::other(zstd_safe::get_error_name(code))
}
