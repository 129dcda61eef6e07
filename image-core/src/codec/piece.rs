//! One piece of a stream, compressed without regard to any other.

use std::io;

/// Where a piece stands in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Others follow.
    Inner,
    /// It ends the stream.
    Last,
}

/// Compresses pieces of one format.
///
/// What it makes of a piece hangs on that piece, the level and the place alone, not on what it compressed
/// before: which thread compresses a piece, and when, leaves no trace in the bytes.
pub(super) trait Compress: Sized + Send + 'static {
    /// What threads that compress are called.
    const NAME: &'static str;

    /// Begins to compress at a level that the format has.
    fn new(level: u8) -> io::Result<Self>;

    /// How much input a piece holds at a level, in bytes. The compressed bytes, so digests, depend on it.
    fn piece_size(level: u8) -> usize;

    /// Compresses a piece into `output`, which may hold anything, and tells how many bytes at the beginning of that
    /// are the result.
    fn compress(&mut self, input: &[u8], place: Place, output: &mut Vec<u8>) -> io::Result<usize>;
}

/// Input and, once compressed, the output; used again for later input.
pub(super) struct Piece {
    /// How much input it holds at most.
    size: usize,
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
}

impl Piece {
    /// A piece that takes memory as its input grows, for streams that may be short.
    pub(super) fn growing(size: usize) -> Self {
        Self { size, input: Vec::new(), output: Vec::new(), written: 0 }
    }

    /// A piece with memory for all of its input at once, for streams that fill more than one.
    pub(super) fn allocated(size: usize) -> Self {
        Self { input: Vec::with_capacity(size), ..Self::growing(size) }
    }

    pub(super) fn is_full(&self) -> bool {
        self.input.len() == self.size
    }

    /// Takes as much of `bytes` as there is room for, and tells how much that is.
    pub(super) fn fill(&mut self, bytes: &[u8]) -> usize {
        let taken = &bytes[..bytes.len().min(self.size - self.input.len())];
        self.input.extend_from_slice(taken);
        taken.len()
    }

    /// Forgets the input.
    pub(super) fn clear(&mut self) {
        self.input.clear();
    }

    pub(super) fn compress(&mut self, compressor: &mut impl Compress, place: Place) -> io::Result<()> {
        self.written = compressor.compress(&self.input, place, &mut self.output)?;
        Ok(())
    }

    /// What [`Piece::compress`] made of the input.
    pub(super) fn compressed(&self) -> &[u8] {
        &self.output[..self.written]
    }
}
