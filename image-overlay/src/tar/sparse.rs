//! Files with holes: where their data lies.

use std::io::Read;

use super::{
    failure::Failure,
    header::{BLOCK, Block, Fault, parse_size},
    input::Input,
    pax::name,
};
use crate::limits::Limits;

/// A stretch of a file that is data; between segments there are holes, which read as zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a stretch is an offset and a length")]
pub struct Segment {
    /// Where it begins in the file.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

impl Segment {
    /// Where it ends in the file.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

const TOO_MANY: &str = "segments of a sparse file";
const NOT_A_MAP: Fault = "its sparse map is malformed";
const MAP_TRUNCATED: Fault = "its sparse map is truncated";

/// The segments of a sparse file as they are read, within a limit.
#[derive(Debug, Default)]
pub(super) struct SparseMap {
    segments: Vec<Segment>,
}

impl SparseMap {
    fn push(&mut self, offset: u64, length: u64, limits: &Limits) -> Result<(), Failure> {
        self.segments.push(Segment { offset, length });
        if self.segments.len() as u64 > limits.sparse_segments {
            return Err(Failure::Limit(TOO_MANY, limits.sparse_segments));
        }
        Ok(())
    }

    fn push_pairs(&mut self, numbers: &[u64], limits: &Limits) -> Result<(), Failure> {
        let (pairs, rest) = numbers.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(NOT_A_MAP.into());
        }
        pairs.iter().try_for_each(|&[offset, length]| self.push(offset, length, limits))
    }

    /// The entries of one block of GNU's own format, up to the first that is empty.
    pub(super) fn push_gnu(&mut self, entries: &[u8], limits: &Limits) -> Result<(), Failure> {
        for entry in entries.as_chunks::<24>().0 {
            if entry[0] == 0 {
                break;
            }
            let (offset, length) = entry.split_at(12);
            let number = |field| parse_size(field).ok_or(NOT_A_MAP);
            self.push(number(offset)?, number(length)?, limits)?;
        }
        Ok(())
    }

    /// The segments, where they are in order, apart, within `size` and as long as the `stored` data.
    pub(super) fn finish(mut self, size: u64, stored: u64) -> Result<Vec<Segment>, Fault> {
        let mut end = 0;
        let mut length = 0_u64;
        for segment in &self.segments {
            let segment_end = segment.offset.checked_add(segment.length).ok_or(NOT_A_MAP)?;
            if segment.offset < end || segment_end > size {
                return Err("its sparse map is out of order or outside the file");
            }
            end = segment_end;
            length += segment.length;
        }
        if length != stored {
            return Err("its sparse map does not cover its data");
        }
        self.segments.retain(|segment| segment.length > 0);
        Ok(self.segments)
    }
}

/// The entries of an extension block of GNU's own format, and whether another follows.
pub(super) fn gnu_extension(block: &Block) -> (&[u8], bool) {
    (&block[..504], block[504] != 0)
}

/// What PAX records say of a sparse file, in GNU's formats 0.0, 0.1 and 1.0.
#[derive(Debug, Default)]
pub(super) struct SparseRecords {
    pub(super) name: Option<Vec<u8>>,
    major: Option<u64>,
    minor: Option<u64>,
    size: Option<u64>,
    count: Option<u64>,
    /// Offsets and lengths in turn, of format 0.0 or 0.1.
    numbers: Vec<u64>,
    seen: bool,
}

/// Where the map of a sparse file is.
#[derive(Debug)]
pub(super) enum SparseForm {
    /// The file is not sparse.
    Dense,
    /// In the records: the map, and the file's expanded size.
    Records(SparseMap, u64),
    /// At the beginning of the data; the file's expanded size.
    Data(u64),
}

impl SparseRecords {
    /// Takes a record by its keyword without `GNU.sparse.`.
    pub(super) fn add(&mut self, keyword: &[u8], value: &[u8], limits: &Limits) -> Result<(), Failure> {
        let number = || parse_decimal(value).ok_or(NOT_A_MAP);
        self.seen = true;
        match keyword {
            b"name" => self.name = name(value)?,
            b"major" => self.major = Some(number()?),
            b"minor" => self.minor = Some(number()?),
            b"size" | b"realsize" => self.size = Some(number()?),
            b"numblocks" => self.count = Some(number()?),
            b"map" => {
                self.numbers.clear();
                for digits in value.split(|&byte| byte == b',').filter(|_| !value.is_empty()) {
                    self.push(parse_decimal(digits).ok_or(NOT_A_MAP)?, limits)?;
                }
            }
            b"offset" | b"numbytes" => {
                if (keyword == b"offset") != self.numbers.len().is_multiple_of(2) {
                    return Err(NOT_A_MAP.into());
                }
                self.push(number()?, limits)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, number: u64, limits: &Limits) -> Result<(), Failure> {
        if self.numbers.len() as u64 / 2 >= limits.sparse_segments {
            return Err(Failure::Limit(TOO_MANY, limits.sparse_segments));
        }
        self.numbers.push(number);
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.seen
    }

    /// Which format the records are of, and what it says.
    pub(super) fn form(&self, limits: &Limits) -> Result<SparseForm, Failure> {
        if self.is_empty() {
            return Ok(SparseForm::Dense);
        }
        let size = self.size.ok_or("it is a sparse file without an expanded size")?;
        match (self.major.unwrap_or(0), self.minor.unwrap_or(0)) {
            (0, 0 | 1) => {
                if self.count != Some(self.numbers.len() as u64 / 2) {
                    return Err("its sparse map has another number of segments than it says".into());
                }
                let mut map = SparseMap::default();
                map.push_pairs(&self.numbers, limits)?;
                Ok(SparseForm::Records(map, size))
            }
            (1, 0) => Ok(SparseForm::Data(size)),
            _ => Err("its sparse format is of an unknown version".into()),
        }
    }
}

/// Reads the map of format 1.0: decimal numbers, each on a line, in whole blocks.
/// Answers it with its length in the stream.
pub(super) fn read_map<R: Read>(
    input: &mut Input<R>,
    stored: u64,
    limits: &Limits,
) -> Result<(SparseMap, u64), Failure> {
    let mut lines = MapLines { input, block: [0; BLOCK], at: BLOCK, read: 0, stored };
    let count = lines.number()?;
    if count > limits.sparse_segments {
        return Err(Failure::Limit(TOO_MANY, limits.sparse_segments));
    }
    let mut map = SparseMap::default();
    for _ in 0..count {
        map.push(lines.number()?, lines.number()?, limits)?;
    }
    Ok((map, lines.read))
}

struct MapLines<'a, R> {
    input: &'a mut Input<R>,
    block: Block,
    at: usize,
    read: u64,
    stored: u64,
}

impl<R: Read> MapLines<'_, R> {
    fn number(&mut self) -> Result<u64, Failure> {
        // 2^63-1 has 19 digits.
        let mut digits = [0; 19];
        for length in 0..=digits.len() {
            match (self.byte()?, digits.get_mut(length)) {
                (b'\n', _) => return Ok(digits.get(..length).and_then(parse_decimal).ok_or(NOT_A_MAP)?),
                (digit, Some(place)) => *place = digit,
                (_, None) => break,
            }
        }
        Err(NOT_A_MAP.into())
    }

    fn byte(&mut self) -> Result<u8, Failure> {
        if self.at == BLOCK {
            self.at = 0;
            self.read += BLOCK as u64;
            if self.read > self.stored {
                return Err(MAP_TRUNCATED.into());
            }
            self.block = self.input.block()?.ok_or(Failure::Truncated)?;
        }
        let byte = self.block.get(self.at).copied().ok_or(NOT_A_MAP)?;
        self.at += 1;
        Ok(byte)
    }
}

/// A number of decimal digits alone, up to 2^63-1.
pub(super) fn parse_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0_i64, |number, &byte| match byte {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(i64::from(byte - b'0')),
        _ => None,
    })?;
    u64::try_from(number).ok()
}
