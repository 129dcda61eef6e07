//! The content of the entry at hand: where its data lies, and how far it was read.

use std::io::Read;

use super::{
    failure::Failure,
    header::{BLOCK, Header},
    input::Input,
    pax::Extensions,
    read::Chunk,
    sparse::{Segment, SparseForm, SparseMap, gnu_extension, read_map},
};
use crate::limits::Limits;

#[derive(Debug, Default)]
pub(super) struct Content {
    /// Bytes of data in the stream that were not read.
    stored: u64,
    /// Bytes in the stream that fill up the last block.
    padding: u64,
    /// Where the data lies in the file.
    segments: Vec<Segment>,
    /// Which segment is at hand, or next.
    segment: usize,
    /// Where in the file reading is.
    position: u64,
    /// How long the file is, with its holes.
    size: u64,
}

impl Content {
    /// Begins the content of a regular file, whose length in the stream is `stored`. Of sparse files,
    /// the map is read where it is not in the headers.
    pub(super) fn begin<R: Read>(
        &mut self,
        header: &Header,
        extensions: &Extensions,
        stored: u64,
        input: &mut Input<R>,
        limits: &Limits,
    ) -> Result<(), Failure> {
        self.reset();
        self.padding = padding(stored);
        (self.size, self.stored) = (stored, stored);
        let map = match (header.kind(), extensions.sparse.form(limits)?) {
            (b'S', SparseForm::Dense) => {
                self.size = header.gnu_real_size()?;
                read_gnu_map(header, input, limits)?
            }
            (b'S', _) => return Err("it is sparse in two formats".into()),
            (_, SparseForm::Dense) => {
                self.segments.extend((stored > 0).then_some(Segment { offset: 0, length: stored }));
                return Ok(());
            }
            (_, SparseForm::Records(map, size)) => {
                self.size = size;
                map
            }
            (_, SparseForm::Data(size)) => {
                let (map, length) = read_map(input, stored, limits)?;
                (self.size, self.stored) = (size, stored - length);
                map
            }
        };
        self.segments = map.finish(self.size, self.stored)?;
        Ok(())
    }

    /// Forgets all but memory that dense files use again.
    fn reset(&mut self) {
        let mut segments = std::mem::take(&mut self.segments);
        segments.clear();
        segments.shrink_to(1);
        *self = Self { segments, ..Self::default() };
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Passes over what was not read, up to the next header.
    pub(super) fn finish<R: Read>(&mut self, input: &mut Input<R>) -> Result<(), Failure> {
        let left = self.stored + self.padding;
        self.reset();
        input.skip(left)
    }

    /// The next stretch of data that is in the buffer, and where in the file it belongs.
    pub(super) fn next_chunk<'a, R: Read>(&mut self, input: &'a mut Input<R>) -> Result<Option<Chunk<'a>>, Failure> {
        let Some(segment) = self.next_segment() else { return Ok(None) };
        let offset = self.position.max(segment.offset);
        let bytes = input.take(segment.end() - offset)?;
        if bytes.is_empty() {
            return Err(Failure::Truncated);
        }
        self.advance(offset, bytes.len());
        Ok(Some(Chunk { offset, bytes }))
    }

    /// Reads with holes as zeros; 0 only at the end.
    pub(super) fn read<R: Read>(&mut self, input: &mut Input<R>, to: &mut [u8]) -> Result<usize, Failure> {
        let segment = self.next_segment();
        let hole_end = segment.map_or(self.size, |segment| segment.offset);
        let end = if self.position < hole_end { hole_end } else { segment.map_or(self.position, Segment::end) };
        let count = usize::try_from(end - self.position).map_or(to.len(), |count| count.min(to.len()));
        let Some(to) = to.get_mut(..count).filter(|to| !to.is_empty()) else { return Ok(0) };
        if self.position < hole_end {
            to.fill(0);
            self.position += count as u64;
            return Ok(count);
        }
        match input.read(to)? {
            0 => Err(Failure::Truncated),
            count => {
                self.advance(self.position, count);
                Ok(count)
            }
        }
    }

    /// The first segment with data that was not read.
    fn next_segment(&mut self) -> Option<Segment> {
        while let Some(segment) = self.segments.get(self.segment) {
            if self.position < segment.end() {
                return Some(*segment);
            }
            self.segment += 1;
        }
        None
    }

    /// Notes that `count` bytes of the data at `offset` in the file were read.
    fn advance(&mut self, offset: u64, count: usize) {
        self.position = offset + count as u64;
        self.stored -= count as u64;
    }
}

/// The map of a sparse file in GNU's own format: some of it in the header, the rest in blocks that follow.
fn read_gnu_map<R: Read>(header: &Header, input: &mut Input<R>, limits: &Limits) -> Result<SparseMap, Failure> {
    let mut map = SparseMap::default();
    let (entries, mut more) = header.gnu_sparse()?;
    map.push_gnu(entries, limits)?;
    let mut blocks = 0;
    while more {
        // Blocks without entries do not add segments: they are bounded by themselves.
        blocks += 1;
        if blocks > limits.sparse_segments {
            return Err(Failure::Limit("blocks of a sparse map", limits.sparse_segments));
        }
        let block = input.block()?.ok_or(Failure::Truncated)?;
        let (entries, another) = gnu_extension(&block);
        map.push_gnu(entries, limits)?;
        more = another;
    }
    Ok(map)
}

/// How many bytes fill up the last block of `size` bytes.
pub(super) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}
