//! Telling a format by its first bytes.

use super::Compression;
use crate::error::{Error, Result};

/// How many bytes tell every format known here.
pub(super) const PREFIX: usize = 10;

/// RFC 1952, section 2.3.1: the two magic bytes and the only method there is.
const GZIP: &[u8] = &[0x1F, 0x8B, 0x08];
/// RFC 8878, section 3.1.1.
const ZSTD_FRAME: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];
/// RFC 8878, section 3.1.2: what follows the first byte, which is 0x50 to 0x5F.
const ZSTD_SKIPPABLE: &[u8] = &[0x2A, 0x4D, 0x18];
const XZ: &[u8] = &[0xFD, b'7', b'z', b'X', b'Z', 0x00];
/// The magic of bzip2's blocks; its file magic `BZh` alone may well begin a file name in a tar.
const BZIP2_BLOCK: &[u8] = &[0x31, 0x41, 0x59, 0x26, 0x53, 0x59];
/// What stands there in a bzip2 file of nothing.
const BZIP2_END: &[u8] = &[0x17, 0x72, 0x45, 0x38, 0x50, 0x90];

impl Compression {
    /// Tells gzip and zstd by the first bytes of a stream, or `None` where they are neither.
    ///
    /// Four bytes suffice. A skippable frame is zstd too.
    ///
    /// # Spec
    /// RFC 1952, section 2.3.1; RFC 8878, sections 3.1.1 and 3.1.2.
    #[must_use]
    pub fn sniff(prefix: &[u8]) -> Option<Self> {
        if prefix.starts_with(GZIP) {
            Some(Self::Gzip)
        } else if prefix.starts_with(ZSTD_FRAME) || is_skippable(prefix) {
            Some(Self::Zstd)
        } else {
            None
        }
    }
}

fn is_skippable(prefix: &[u8]) -> bool {
    matches!(prefix, [0x50..=0x5F, rest @ ..] if rest.starts_with(ZSTD_SKIPPABLE))
}

/// The format of a stream of which `prefix` is the beginning (all of it, where it is shorter than [`PREFIX`]).
///
/// # Errors
/// [`Error::is_unsupported`] for formats that are known and not supported.
pub(super) fn actual(prefix: &[u8], declared: Compression) -> Result<Compression> {
    if let Some(compression) = Compression::sniff(prefix) {
        return Ok(compression);
    }
    if let Some(what) = foreign(prefix) {
        return Err(Error::Unsupported {
            what: format!("a layer compressed with {what}"),
            hint: "compress it with gzip or zstd",
        });
    }
    Ok(if is_cut_short(prefix, declared) { declared } else { Compression::None })
}

fn foreign(prefix: &[u8]) -> Option<&'static str> {
    let block = match prefix {
        [b'B', b'Z', b'h', b'1'..=b'9', block @ ..] => block,
        _ if prefix.starts_with(XZ) => return Some("xz"),
        _ => return None,
    };
    (block.starts_with(BZIP2_BLOCK) || block.starts_with(BZIP2_END)).then_some("bzip2")
}

/// Whether a stream ended within the magic of its declared format: truncated, not uncompressed.
fn is_cut_short(prefix: &[u8], declared: Compression) -> bool {
    !prefix.is_empty()
        && match declared {
            Compression::None => false,
            Compression::Gzip => GZIP.starts_with(prefix),
            Compression::Zstd => {
                ZSTD_FRAME.starts_with(prefix)
                    || matches!(prefix, [0x50..=0x5F, rest @ ..] if ZSTD_SKIPPABLE.starts_with(rest))
            }
        }
}
