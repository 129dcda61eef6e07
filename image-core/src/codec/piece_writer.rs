//! A stream of pieces that are compressed apart from each other, the same bytes on any number of threads.

use std::{
    io::{self, Write},
    mem,
    num::NonZeroUsize,
};

use super::{
    piece::{Compress, Piece, Place},
    pool::Pool,
};
use crate::parallel;

/// Cuts what is written to it into pieces, has them compressed, and writes the results one behind the other.
pub(super) struct PieceWriter<W, C> {
    writer: W,
    /// What goes before the first piece, until it is written.
    head: Vec<u8>,
    level: u8,
    workers: Workers,
    /// Of the calling thread, for when there are no others.
    compressor: C,
    /// The next piece as far as it is known.
    piece: Piece,
    /// Pieces to be used again.
    spare: Vec<Piece>,
}

enum Workers {
    /// To be started once there is more than one piece.
    Wanted(usize),
    Started(Pool),
}

impl<W: Write, C: Compress> PieceWriter<W, C> {
    /// Without a number of threads there are as many as processors, at most eight.
    pub(super) fn new(writer: W, head: Vec<u8>, level: u8, threads: Option<NonZeroUsize>) -> io::Result<Self> {
        Ok(Self {
            writer,
            head,
            level,
            workers: Workers::Wanted(threads.unwrap_or_else(parallel::threads).get()),
            compressor: C::new(level)?,
            piece: Piece::growing(C::piece_size(level)),
            spare: Vec::new(),
        })
    }

    pub(super) fn writer_mut(&mut self) -> &mut W {
        &mut self.writer
    }

    /// Takes as much of `buf` as fits the piece at hand.
    pub(super) fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        // A full piece waits for the next byte: only then is it not the last one.
        if self.piece.is_full() && !buf.is_empty() {
            self.start_workers();
            self.dispatch(Place::Inner)?;
        }
        Ok(self.piece.fill(buf))
    }

    /// Ends the stream with the piece at hand, which is empty where all of the stream is.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.dispatch(Place::Last)?;
        self.drain(|_| true)?;
        Ok(self.writer)
    }

    fn start_workers(&mut self) {
        if let Workers::Wanted(threads) = self.workers {
            let threads = if threads > 1 { threads } else { 0 };
            self.workers = Workers::Started(Pool::start::<C>(threads, self.level));
        }
    }

    /// Sends the piece at hand on its way.
    fn dispatch(&mut self, place: Place) -> io::Result<()> {
        self.drain(Pool::is_full)?;
        if let Workers::Started(pool) = &mut self.workers
            && !pool.is_empty()
        {
            let mut next = self.spare.pop().unwrap_or_else(|| Piece::allocated::<C>(C::piece_size(self.level)));
            next.follow::<C>(&self.piece);
            return pool.submit(mem::replace(&mut self.piece, next), place);
        }
        self.piece.compress(&mut self.compressor, place)?;
        emit(&mut self.writer, &mut self.head, &self.piece)?;
        self.piece.advance::<C>();
        Ok(())
    }

    /// Writes compressed pieces, oldest first, while there are some and `more` wants it.
    fn drain(&mut self, more: impl Fn(&Pool) -> bool) -> io::Result<()> {
        while let Workers::Started(pool) = &mut self.workers
            && more(pool)
            && let Some(answer) = pool.next()
        {
            let piece = answer?;
            emit(&mut self.writer, &mut self.head, &piece)?;
            self.spare.push(piece);
        }
        Ok(())
    }
}

fn emit(writer: &mut impl Write, head: &mut Vec<u8>, piece: &Piece) -> io::Result<()> {
    writer.write_all(&mem::take(head))?;
    writer.write_all(piece.compressed())
}
