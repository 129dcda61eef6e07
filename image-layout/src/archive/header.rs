//! One header block of an archive.

use std::ops::Range;

pub(super) const BLOCK: usize = 512;

pub(super) type Block = [u8; BLOCK];

/// A rule of the format that is broken.
pub(super) type Fault = &'static str;

const NAME: Range<usize> = 0..100;
const SIZE: Range<usize> = 124..136;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK_NAME: Range<usize> = 157..257;
const MAGIC_AND_VERSION: Range<usize> = 257..265;
const PREFIX: Range<usize> = 345..500;
/// Mode, uid, gid and time of what is written.
const FIXED: [(Range<usize>, u64); 4] = [(100..108, 0o644), (108..116, 0), (116..124, 0), (136..148, 0)];

/// A header block as it was read, its checksum right.
#[derive(Debug)]
pub(super) struct Header(Block);

impl Header {
    pub(super) fn parse(block: Block) -> Result<Self, Fault> {
        let stored = octal(&block[CHECKSUM]).ok_or("its header's checksum is not a number")?;
        let sum = |value: fn(u8) -> i64| -> i64 {
            let outside = block[..CHECKSUM.start].iter().chain(&block[CHECKSUM.end..]);
            outside.map(|byte| value(*byte)).sum::<i64>() + i64::from(b' ') * 8
        };
        // Old writers computed it over signed bytes.
        let is_right = [sum(i64::from), sum(|byte| byte.cast_signed().into())].contains(&stored);
        if is_right { Ok(Self(block)) } else { Err("its header's checksum does not match") }
    }

    pub(super) fn kind(&self) -> u8 {
        self.0[TYPE]
    }

    pub(super) fn name(&self) -> Vec<u8> {
        // GNU's headers have other things where ustar's have the prefix.
        match text(&self.0[PREFIX]) {
            prefix
                if &self.0[MAGIC_AND_VERSION.start..MAGIC_AND_VERSION.start + 6] == b"ustar\0"
                    && !prefix.is_empty() =>
            {
                [prefix, b"/", text(&self.0[NAME])].concat()
            }
            _ => text(&self.0[NAME]).to_vec(),
        }
    }

    pub(super) fn link_name(&self) -> &[u8] {
        text(&self.0[LINK_NAME])
    }

    pub(super) fn size(&self) -> Result<u64, Fault> {
        number(&self.0[SIZE])
            .and_then(|size| u64::try_from(size).ok())
            .ok_or("its size is not a number from 0 to 2^63-1")
    }
}

/// A field's bytes up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or(field)
}

/// A number in octal digits, or in binary where the first bit says so.
fn number(field: &[u8]) -> Option<i64> {
    match field.split_first() {
        Some((0x80, rest)) => {
            rest.iter().try_fold(0_i64, |number, &byte| number.checked_mul(256)?.checked_add(byte.into()))
        }
        Some((first, _)) if first & 0x80 != 0 => None,
        _ => octal(field),
    }
}

fn octal(field: &[u8]) -> Option<i64> {
    let start = field.iter().position(|byte| !matches!(byte, b' ' | 0)).unwrap_or(field.len());
    text(field.get(start..)?).trim_ascii_end().iter().try_fold(0_i64, |number, &byte| match byte {
        b'0'..=b'7' => number.checked_mul(8)?.checked_add((byte - b'0').into()),
        _ => None,
    })
}

/// The header of a regular file of root, made at 1970-01-01; its name is ASCII. A name that is too long for a header, as that of
/// a SHA-512 blob is, stands in an extended one before it.
pub(super) fn file(name: &str, size: u64) -> Vec<u8> {
    let mut blocks = Vec::with_capacity(BLOCK);
    if name.len() > NAME.len() {
        let record = record("path", name);
        blocks.extend(header("PaxHeaders/path", b'x', record.len() as u64));
        blocks.extend(&record);
        blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
    }
    blocks.extend(header(name, b'0', size));
    blocks
}

/// A record of an extended header, which begins with its own length.
fn record(keyword: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {keyword}={value}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}").into_bytes()
}

/// A header with as much of a name as it has room for.
fn header(name: &str, kind: u8, size: u64) -> Block {
    let mut block = [0; BLOCK];
    block[NAME].iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    block[TYPE] = kind;
    block[MAGIC_AND_VERSION].copy_from_slice(b"ustar\x0000");
    for (field, number) in FIXED {
        write_octal(&mut block[field], number);
    }
    write_size(&mut block[SIZE], size);
    block[CHECKSUM].fill(b' ');
    let sum = block.iter().map(|&byte| u64::from(byte)).sum();
    write_octal(&mut block[CHECKSUM.start..CHECKSUM.end - 1], sum);
    block
}

/// Octal digits where they suffice, as for 8 GiB; past that binary, which Go, GNU tar and Python read.
fn write_size(field: &mut [u8], size: u64) {
    if size >> 33 == 0 {
        return write_octal(field, size);
    }
    field.iter_mut().rev().zip(size.to_le_bytes()).for_each(|(to, byte)| *to = byte);
    field[0] = 0x80;
}

/// All the digits that a field holds before its closing NUL.
fn write_octal(field: &mut [u8], mut number: u64) {
    for place in field.iter_mut().rev().skip(1) {
        *place = b'0' + (number & 7).to_le_bytes()[0];
        number >>= 3;
    }
}
