//! Encoding gzip: one member, the same bytes on any number of threads.

use std::{
    io::{self, Write},
    mem,
    num::NonZeroUsize,
    thread,
};

use zlib_rs::crc32::crc32;

use super::{
    gzip_piece::{Piece, Place},
    gzip_pool::Pool,
};

/// More threads than this gain little: reading and hashing the layer are then the slower part.
const MAX_DEFAULT_THREADS: usize = 8;

/// Writes one gzip member made of pieces that are compressed independently.
///
/// Each piece but the last ends with a sync flush, an empty stored block that brings the stream
/// to a whole byte, so the pieces' bytes simply follow each other.
pub(super) struct GzipEncoder<W> {
    writer: W,
    level: u8,
    workers: Workers,
    has_header: bool,
    /// The next piece as far as it is known.
    piece: Piece,
    /// Pieces to be used again.
    spare: Vec<Piece>,
    crc: u32,
    /// Length of the input modulo 2^32, as the trailer has it.
    length: u32,
}

enum Workers {
    /// To be started once there is more than one piece.
    Wanted(usize),
    Started(Pool),
}

impl<W: Write> GzipEncoder<W> {
    pub(super) fn new(writer: W, level: u8, threads: Option<NonZeroUsize>) -> Self {
        Self {
            writer,
            level,
            workers: Workers::Wanted(threads.map_or_else(available_threads, NonZeroUsize::get)),
            has_header: false,
            piece: Piece::default(),
            spare: Vec::new(),
            crc: 0,
            length: 0,
        }
    }

    pub(super) fn writer_mut(&mut self) -> &mut W {
        &mut self.writer
    }

    /// Takes as much of `buf` as fits the piece at hand.
    pub(super) fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        // A full piece waits for the next byte: only then is it not the last one.
        if self.piece.is_full() && !buf.is_empty() {
            self.dispatch()?;
        }
        let taken = self.piece.fill(buf);
        self.crc = crc32(self.crc, taken);
        #[expect(clippy::cast_possible_truncation, reason = "at most a piece")]
        let count = taken.len() as u32;
        self.length = self.length.wrapping_add(count);
        Ok(taken.len())
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        let mut last = mem::take(&mut self.piece);
        last.compress(self.level, Place::Last)?;
        self.drain(|_| true)?;
        self.emit(&last)?;
        self.writer.write_all(&self.crc.to_le_bytes())?;
        self.writer.write_all(&self.length.to_le_bytes())?;
        Ok(self.writer)
    }

    /// Sends a full piece, known not to be the last, on its way.
    fn dispatch(&mut self) -> io::Result<()> {
        if let Workers::Wanted(threads) = self.workers {
            let threads = if threads > 1 { threads } else { 0 };
            self.workers = Workers::Started(Pool::start(threads, self.level));
        }
        self.drain(Pool::is_full)?;
        if let Workers::Started(pool) = &mut self.workers
            && !pool.is_empty()
        {
            let next = self.spare.pop().unwrap_or_else(Piece::allocated);
            return pool.submit(mem::replace(&mut self.piece, next));
        }
        let mut piece = mem::take(&mut self.piece);
        piece.compress(self.level, Place::Inner)?;
        self.emit(&piece)?;
        piece.clear();
        self.piece = piece;
        Ok(())
    }

    /// Writes compressed pieces, oldest first, while there are some and `more` wants it.
    fn drain(&mut self, more: impl Fn(&Pool) -> bool) -> io::Result<()> {
        while let Workers::Started(pool) = &mut self.workers
            && more(pool)
            && let Some(answer) = pool.next()
        {
            let mut piece = answer?;
            self.emit(&piece)?;
            piece.clear();
            self.spare.push(piece);
        }
        Ok(())
    }

    fn emit(&mut self, piece: &Piece) -> io::Result<()> {
        if !mem::replace(&mut self.has_header, true) {
            self.writer.write_all(&header(self.level))?;
        }
        self.writer.write_all(piece.compressed())
    }
}

fn available_threads() -> usize {
    thread::available_parallelism().map_or(1, |n| n.get().min(MAX_DEFAULT_THREADS))
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
