//! Compression of layers: none, gzip, zstd.
//!
//! [`Decoder`] reads a stored layer, [`Encoder`] writes one. Both work on streams with
//! bounded memory, whatever the input is.
//!
//! # Determinism
//! The digest of a layer hangs on every byte of its compressed form, so what an
//! [`Encoder`] writes depends on the input, the format and the level alone: not on threads,
//! on how the input is cut into writes, on the processor, or on what other crates
//! of a program enable. This holds for one version of this crate; a later one
//! may compress differently. The digest of the uncompressed layer holds for ever.
//! For zstd the same is promised as long as the program is linked with the same
//! version of the zstd library.
//!
//! # Features
//! `gzip` and `zstd`; without them the type is there and asking for the format is an
//! error that names the feature.

use std::fmt;

mod decode;
mod encode;
#[cfg(feature = "gzip")]
mod gzip_encode;
#[cfg(feature = "gzip")]
mod gzip_piece;
mod options;
#[cfg(any(feature = "gzip", feature = "zstd"))]
mod piece;
#[cfg(any(feature = "gzip", feature = "zstd"))]
mod piece_writer;
#[cfg(any(feature = "gzip", feature = "zstd"))]
mod pool;
mod sniff;
mod source;
#[cfg(feature = "zstd")]
mod zstd_decode;
#[cfg(feature = "zstd")]
mod zstd_encode;

pub use decode::{DecodeOptions, Decoder};
pub use encode::Encoder;
pub use options::EncodeOptions;

/// How a stored layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, RFC 1952; every member counts.
    Gzip,
    /// Zstandard, RFC 8878; every frame counts.
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "uncompressed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

#[cfg(not(all(feature = "gzip", feature = "zstd")))]
impl Compression {
    /// The error of a format that this build leaves out.
    fn feature_off(self) -> crate::Error {
        let hint = match self {
            Self::Gzip => "enable the feature `gzip` of image-core",
            _ => "enable the feature `zstd` of image-core",
        };
        crate::Error::Unsupported { what: self.to_string(), hint }
    }
}
