//! One piece of a stream, compressed without regard to how any other was.

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
/// What it makes of a piece hangs on its bytes, those that go before it in the stream, the level and the place alone, not on
/// what it compressed before: which thread compresses a piece, and when, leaves no trace in the bytes.
pub(super) trait Compress: Sized + Send + 'static {
    /// What threads that compress are called.
    const NAME: &'static str;
    /// How many bytes before a piece it may refer to.
    const LOOK_BACK: usize;

    /// Begins to compress at a level that the format has.
    fn new(level: u8) -> io::Result<Self>;

    /// How much input a piece holds at a level, in bytes. The compressed bytes, so digests, depend on it.
    fn piece_size(level: u8) -> usize;

    /// Compresses a piece into `output`, which may hold anything, and tells how many bytes at the beginning of that
    /// are the result. The stream's bytes before the piece, up to [`Compress::LOOK_BACK`] of them, are `before`.
    fn compress(&mut self, before: &[u8], input: &[u8], place: Place, output: &mut Vec<u8>) -> io::Result<usize>;
}

/// Input and, once compressed, the output; used again for later input.
pub(super) struct Piece {
    /// How much input it holds at most.
    size: usize,
    /// What goes before the piece in its stream, and behind that the piece.
    input: Vec<u8>,
    /// Where in that it begins.
    start: usize,
    output: Vec<u8>,
    written: usize,
}

impl Piece {
    /// A piece that takes memory as its input grows, for streams that may be short.
    pub(super) fn growing(size: usize) -> Self {
        Self { size, input: Vec::new(), start: 0, output: Vec::new(), written: 0 }
    }

    /// A piece with memory for all of its input at once, for streams that fill more than one.
    pub(super) fn allocated<C: Compress>(size: usize) -> Self {
        Self { input: Vec::with_capacity(C::LOOK_BACK + size), ..Self::growing(size) }
    }

    /// How much more input it takes.
    fn room(&self) -> usize {
        self.size - (self.input.len() - self.start)
    }

    pub(super) fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// Takes as much of `bytes` as there is room for, and tells how much that is.
    pub(super) fn fill(&mut self, bytes: &[u8]) -> usize {
        let taken = &bytes[..bytes.len().min(self.room())];
        self.input.extend_from_slice(taken);
        taken.len()
    }

    /// Becomes the piece behind `previous`.
    pub(super) fn follow<C: Compress>(&mut self, previous: &Self) {
        self.input.clear();
        self.input.extend_from_slice(&previous.input[previous.input.len().saturating_sub(C::LOOK_BACK)..]);
        self.start = self.input.len();
    }

    /// Becomes the piece behind itself.
    pub(super) fn advance<C: Compress>(&mut self) {
        self.input.drain(..self.input.len().saturating_sub(C::LOOK_BACK));
        self.start = self.input.len();
    }

    pub(super) fn compress(&mut self, compressor: &mut impl Compress, place: Place) -> io::Result<()> {
        let (before, input) = self.input.split_at(self.start);
        self.written = compressor.compress(before, input, place, &mut self.output)?;
        Ok(())
    }

    /// What [`Piece::compress`] made of the input.
    pub(super) fn compressed(&self) -> &[u8] {
        &self.output[..self.written]
    }
}
