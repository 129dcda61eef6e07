//! Telling archives, and reading what is in their compression.

use std::io::{self, Chain, Cursor, Read};

use image_core::{
    Compression,
    codec::{DecodeOptions, Decoder},
};

use crate::error::Result;

/// The most memory that decoding xz may take, in KiB: four times what its highest level needs.
#[cfg(feature = "xz")]
const XZ_MEMORY: u32 = 256 << 10;

/// The size of a tar header.
const HEADER: usize = 512;

/// Where the checksum of a tar header stands.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// How a file is compressed, by its first bytes.
enum Format {
    Plain,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

impl Format {
    fn of(prefix: &[u8]) -> Self {
        match (prefix, Compression::sniff(prefix)) {
            (_, Some(Compression::Gzip)) => Self::Gzip,
            (_, Some(Compression::Zstd)) => Self::Zstd,
            ([b'B', b'Z', b'h', b'1'..=b'9', ..], _) => Self::Bzip2,
            ([0xFD, b'7', b'z', b'X', b'Z', 0, ..], _) => Self::Xz,
            _ => Self::Plain,
        }
    }
}

/// What stands behind the first bytes of a file, and they.
type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

/// Reads a file without its compression, whichever of gzip, bzip2, xz, zstd and none it has.
///
/// All members, streams and frames of a file count, and memory is bounded.
pub(crate) fn decompress<'r>(mut file: impl Read + 'r) -> Result<Box<dyn Read + 'r>> {
    let mut prefix = Vec::new();
    file.by_ref().take(6).read_to_end(&mut prefix).map_err(|e| crate::Error::stream("read an archive", e))?;
    let format = Format::of(&prefix);
    let whole = Cursor::new(prefix).chain(file);
    Ok(match format {
        Format::Plain => Box::new(whole),
        Format::Gzip => Box::new(Decoder::new(whole, Compression::Gzip, &DecodeOptions::default())?),
        Format::Zstd => Box::new(Decoder::new(whole, Compression::Zstd, &DecodeOptions::default())?),
        Format::Bzip2 => bzip2(whole)?,
        Format::Xz => xz(whole)?,
    })
}

#[cfg(feature = "bzip2")]
#[expect(clippy::unnecessary_wraps, reason = "it fails without the feature")]
fn bzip2<'r>(file: Whole<impl Read + 'r>) -> Result<Box<dyn Read + 'r>> {
    Ok(Box::new(bzip2::read::MultiBzDecoder::new(file)))
}

#[cfg(not(feature = "bzip2"))]
fn bzip2<'r>(_: Whole<impl Read + 'r>) -> Result<Box<dyn Read + 'r>> {
    Err(crate::Error::FeatureOff { what: "an archive compressed by bzip2", feature: "bzip2" })
}

#[cfg(feature = "xz")]
#[expect(clippy::unnecessary_wraps, reason = "it fails without the feature")]
fn xz<'r>(file: Whole<impl Read + 'r>) -> Result<Box<dyn Read + 'r>> {
    Ok(Box::new(lzma_rust2::XzReader::new_mem_limit(io::BufReader::new(file), true, XZ_MEMORY)))
}

#[cfg(not(feature = "xz"))]
fn xz<'r>(_: Whole<impl Read + 'r>) -> Result<Box<dyn Read + 'r>> {
    Err(crate::Error::FeatureOff { what: "an archive compressed by xz", feature: "xz" })
}

/// Whether a file is a tar archive, by its first bytes once they are decompressed: a header whose checksum
/// is right. What cannot be decompressed is none.
///
/// # Spec
/// Dockerfile reference, § ADD: the content decides, not the name. POSIX.1-2017, pax, § ustar Interchange Format.
pub(crate) fn is_archive(file: impl Read) -> Result<bool> {
    let mut header = Vec::new();
    match decompress(file)?.take(HEADER as u64).read_to_end(&mut header) {
        Ok(_) => Ok(is_header(&header)),
        Err(e) if e.kind() == io::ErrorKind::OutOfMemory => Err(crate::Error::stream("decompress an archive", e)),
        Err(_) => Ok(false),
    }
}

fn is_header(header: &[u8]) -> bool {
    let Some(digits) = header.get(CHECKSUM).filter(|_| header.len() == HEADER) else { return false };
    let digits = digits.split(|byte| matches!(byte, 0)).next().unwrap_or_default();
    let stated = std::str::from_utf8(digits).ok().and_then(|text| i64::from_str_radix(text.trim(), 8).ok());
    let sum = |value: fn(u8) -> i64| {
        let byte = |(at, byte): (usize, &u8)| if CHECKSUM.contains(&at) { i64::from(b' ') } else { value(*byte) };
        header.iter().enumerate().map(byte).sum::<i64>()
    };
    // Some old writers sum signed bytes.
    stated.is_some_and(|stated| stated == sum(i64::from) || stated == sum(|byte| i64::from(byte.cast_signed())))
}
