//! Encoding gzip: one member, the same bytes on any number of threads.

use std::{
    io::{self, Write},
    num::NonZeroUsize,
};

use zlib_rs::crc32::crc32;

use super::{gzip_piece::GzipCompressor, piece_writer::PieceWriter};

/// Writes one gzip member made of pieces.
pub(super) struct GzipEncoder<W> {
    pieces: PieceWriter<W, GzipCompressor>,
    crc: u32,
    /// Length of the input modulo 2^32, as the trailer has it.
    length: u32,
}

impl<W: Write> GzipEncoder<W> {
    pub(super) fn new(writer: W, level: u8, threads: Option<NonZeroUsize>) -> io::Result<Self> {
        let pieces = PieceWriter::new(writer, header(level).into(), level, threads)?;
        Ok(Self { pieces, crc: 0, length: 0 })
    }

    pub(super) fn writer_mut(&mut self) -> &mut W {
        self.pieces.writer_mut()
    }

    /// Takes as much of `buf` as fits the piece at hand.
    pub(super) fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let taken = self.pieces.write(buf)?;
        self.crc = crc32(self.crc, &buf[..taken]);
        #[expect(clippy::cast_possible_truncation, reason = "at most a piece")]
        let count = taken as u32;
        self.length = self.length.wrapping_add(count);
        Ok(taken)
    }

    pub(super) fn finish(self) -> io::Result<W> {
        let mut writer = self.pieces.finish()?;
        writer.write_all(&self.crc.to_le_bytes())?;
        writer.write_all(&self.length.to_le_bytes())?;
        Ok(writer)
    }
}

/// RFC 1952, section 2.3: no name, no time (0), operating system unknown (255).
fn header(level: u8) -> [u8; 10] {
    let extra_flags = match level {
        1 => 4, // fastest
        9 => 2, // smallest
        _ => 0,
    };
    [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, extra_flags, 255]
}
