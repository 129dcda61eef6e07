//! One header block: its fields, their numbers, its checksum.

use std::ops::Range;

pub(super) const BLOCK: usize = 512;

pub(super) type Block = [u8; BLOCK];

/// A rule of the format that is broken.
pub(super) type Fault = &'static str;

const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK_NAME: Range<usize> = 157..257;
const MAGIC_AND_VERSION: Range<usize> = 257..265;
const MAGIC: Range<usize> = 257..263;
const DEVICE_MAJOR: Range<usize> = 329..337;
const DEVICE_MINOR: Range<usize> = 337..345;
const PREFIX: Range<usize> = 345..500;
const STAR_PREFIX: Range<usize> = 345..476;
const STAR_TRAILER: Range<usize> = 508..512;
const GNU_ATIME: Range<usize> = 345..357;
const GNU_CTIME: Range<usize> = 357..369;
const GNU_SPARSE: Range<usize> = 386..482;
const GNU_SPARSE_MORE: usize = 482;
const GNU_REAL_SIZE: Range<usize> = 483..495;

pub(super) const NAME_BYTES: usize = NAME.end - NAME.start;
pub(super) const PREFIX_BYTES: usize = PREFIX.end - PREFIX.start;

/// The dialect of a header, which says what its last 255 bytes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    V7,
    Ustar,
    Star,
    Gnu,
}

/// A header block as it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    block: Block,
    dialect: Dialect,
}

impl Header {
    /// Takes a block for a header. Its checksum is for [`Header::verify`].
    pub(super) fn new(block: Block) -> Self {
        let dialect = match &block[MAGIC] {
            b"ustar\0" if &block[STAR_TRAILER] == b"tar\0" => Dialect::Star,
            b"ustar\0" => Dialect::Ustar,
            _ if &block[MAGIC_AND_VERSION] == b"ustar  \0" => Dialect::Gnu,
            _ => Dialect::V7,
        };
        Self { block, dialect }
    }

    /// Whether there is a checksum at all, right or wrong; what is no tar has none.
    pub(super) fn has_checksum(&self) -> bool {
        parse_octal(&self.block[CHECKSUM]).is_some()
    }

    /// Compares the checksum, which old writers computed over signed bytes.
    pub(super) fn verify(&self) -> Result<(), Fault> {
        let stored = parse_octal(&self.block[CHECKSUM]).ok_or("its header's checksum is not a number")?;
        let spaces = i64::from(b' ') * 8;
        let [mut unsigned, mut signed] = [spaces, spaces];
        for &byte in self.block[..CHECKSUM.start].iter().chain(&self.block[CHECKSUM.end..]) {
            unsigned += i64::from(byte);
            signed += i64::from(byte.cast_signed());
        }
        if stored == unsigned || stored == signed { Ok(()) } else { Err("its header's checksum does not match") }
    }

    pub(super) fn kind(&self) -> u8 {
        self.block[TYPE]
    }

    pub(super) fn name(&self) -> &[u8] {
        text(&self.block[NAME])
    }

    /// What stands before the name, where the dialect has it.
    ///
    /// Go before 1.8 wrote a prefix into headers that it marked as GNU's, where times stand
    /// otherwise: what is no time is such a prefix.
    pub(super) fn prefix(&self) -> &[u8] {
        match self.dialect {
            Dialect::V7 => b"",
            Dialect::Ustar => text(&self.block[PREFIX]),
            Dialect::Star => text(&self.block[STAR_PREFIX]),
            Dialect::Gnu => {
                let is_time = |field: Range<usize>| parse_number(&self.block[field]).is_some();
                let prefix = text(&self.block[PREFIX]);
                let is_prefix = !(is_time(GNU_ATIME) && is_time(GNU_CTIME)) && prefix.is_ascii();
                if is_prefix { prefix } else { b"" }
            }
        }
    }

    pub(super) fn link_name(&self) -> &[u8] {
        text(&self.block[LINK_NAME])
    }

    pub(super) fn size(&self) -> Result<u64, Fault> {
        parse_size(&self.block[SIZE]).ok_or("its size is not a number from 0 to 2^63-1")
    }

    pub(super) fn mode(&self) -> Result<u32, Fault> {
        let mode = parse_number(&self.block[MODE]).filter(|mode| *mode >= 0).ok_or("its mode is not a number")?;
        // All bits but the lowest twelve are dropped: some writers put the kind of file there.
        u32::try_from(mode & 0o7777).map_err(|_| "its mode is not a number")
    }

    pub(super) fn uid(&self) -> Result<u64, Fault> {
        parse_size(&self.block[UID]).ok_or("its uid is not a number from 0 to 4294967294")
    }

    pub(super) fn gid(&self) -> Result<u64, Fault> {
        parse_size(&self.block[GID]).ok_or("its gid is not a number from 0 to 4294967294")
    }

    pub(super) fn mtime(&self) -> Result<i64, Fault> {
        parse_number(&self.block[MTIME]).ok_or("its mtime is not a number")
    }

    /// Major and minor number, within what Linux can make.
    pub(super) fn device(&self) -> Result<(u32, u32), Fault> {
        let number = |field: Range<usize>, max| {
            let number = if self.dialect == Dialect::V7 { Some(0) } else { parse_number(&self.block[field]) };
            let fault = "its device number is out of range";
            u32::try_from(number.ok_or(fault)?).ok().filter(|number| *number <= max).ok_or(fault)
        };
        Ok((number(DEVICE_MAJOR, 0xfff)?, number(DEVICE_MINOR, 0xf_ffff)?))
    }

    /// The sparse map of GNU's own format: its entries, and whether more blocks of them follow.
    pub(super) fn gnu_sparse(&self) -> Result<(&[u8], bool), Fault> {
        if self.dialect != Dialect::Gnu {
            return Err("it is a GNU sparse file with a header of another format");
        }
        Ok((&self.block[GNU_SPARSE], self.block[GNU_SPARSE_MORE] != 0))
    }

    pub(super) fn gnu_real_size(&self) -> Result<u64, Fault> {
        parse_size(&self.block[GNU_REAL_SIZE]).ok_or("its expanded size is not a number from 0 to 2^63-1")
    }
}

/// A field's bytes up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or(field)
}

/// A number that counts bytes or names an owner.
pub(super) fn parse_size(field: &[u8]) -> Option<u64> {
    parse_number(field).and_then(|number| u64::try_from(number).ok())
}

/// A number in octal digits, or in two's complement where the first bit says so.
pub(super) fn parse_number(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => parse_binary(field),
        _ => parse_octal(field),
    }
}

fn parse_binary(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    // The first byte gives its second bit as the sign and six bits of the number.
    let start = i64::from(first & 0x7f) - if first & 0x40 != 0 { 0x80 } else { 0 };
    rest.iter().try_fold(start, |number, &byte| number.checked_mul(256)?.checked_add(i64::from(byte)))
}

fn parse_octal(field: &[u8]) -> Option<i64> {
    let start = field.iter().position(|byte| !matches!(byte, b' ' | 0)).unwrap_or(field.len());
    let digits = text(field.get(start..)?).trim_ascii_end();
    digits.iter().try_fold(0_i64, |number, &byte| match byte {
        b'0'..=b'7' => number.checked_mul(8)?.checked_add(i64::from(byte - b'0')),
        _ => None,
    })
}

/// A header block that is being written, in ustar's format.
#[derive(Debug)]
pub(super) struct HeaderBuilder {
    block: Block,
}

impl HeaderBuilder {
    /// A header of this kind with all numbers 0.
    pub(super) fn new(kind: u8) -> Self {
        let mut block = [0; BLOCK];
        block[TYPE] = kind;
        block[MAGIC_AND_VERSION].copy_from_slice(b"ustar\x0000");
        let mut header = Self { block };
        for field in [MODE, UID, GID, SIZE, MTIME, DEVICE_MAJOR, DEVICE_MINOR] {
            header.octal(field, 0);
        }
        header
    }

    /// Sets name and prefix; what does not fit is cut off.
    pub(super) fn name(&mut self, prefix: &[u8], name: &[u8]) {
        self.text(PREFIX, prefix);
        self.text(NAME, name);
    }

    /// Sets the link name; what does not fit is cut off.
    pub(super) fn link_name(&mut self, name: &[u8]) {
        self.text(LINK_NAME, name);
    }

    pub(super) fn mode(&mut self, mode: u32) -> bool {
        self.octal(MODE, mode.into())
    }

    pub(super) fn uid(&mut self, uid: u64) -> bool {
        self.octal(UID, uid)
    }

    pub(super) fn gid(&mut self, gid: u64) -> bool {
        self.octal(GID, gid)
    }

    pub(super) fn size(&mut self, size: u64) -> bool {
        self.octal(SIZE, size)
    }

    pub(super) fn mtime(&mut self, seconds: i64) -> bool {
        u64::try_from(seconds).is_ok_and(|seconds| self.octal(MTIME, seconds))
    }

    pub(super) fn device(&mut self, major: u32, minor: u32) -> bool {
        self.octal(DEVICE_MAJOR, major.into()) && self.octal(DEVICE_MINOR, minor.into())
    }

    /// The block with its checksum.
    pub(super) fn finish(mut self) -> Block {
        self.block[CHECKSUM].fill(b' ');
        let sum: u64 = self.block.iter().map(|&byte| u64::from(byte)).sum();
        self.octal(CHECKSUM.start..CHECKSUM.end - 1, sum);
        self.block
    }

    fn text(&mut self, field: Range<usize>, bytes: &[u8]) {
        self.block[field].iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    }

    /// Writes all the digits that a field holds before its closing NUL.
    /// A number that does not fit leaves the field as it is and answers false.
    fn octal(&mut self, field: Range<usize>, mut number: u64) -> bool {
        let digits = field.end - field.start - 1;
        if number >> (3 * digits) != 0 {
            return false;
        }
        self.block[field.end - 1] = 0;
        for place in self.block[field.start..field.end - 1].iter_mut().rev() {
            *place = b'0' + (number & 7).to_le_bytes()[0];
            number >>= 3;
        }
        true
    }
}
