//! A file of an archive on its way into a store, compressed where it is not.

use std::{
    io::{self, Write},
    mem,
};

use image_core::{
    Compression, DiffId, Error as CoreError,
    blob::BlobWriter,
    codec::{EncodeOptions, Encoder},
    hasher::Hasher,
};

use super::intake::Plain;
use crate::error::Result;

/// The blob that a file becomes.
pub(super) enum Storing<'a> {
    /// What it is its first bytes will tell.
    Undecided { prefix: Vec<u8>, blob: Box<dyn BlobWriter>, options: &'a EncodeOptions },
    /// It is stored as it is.
    AsIs(Box<dyn BlobWriter>),
    /// It is compressed, and hashed before.
    Compressed { encoder: Box<Encoder<Box<dyn BlobWriter>>>, hasher: Box<Hasher>, compression: Compression },
    /// It could not be begun.
    Failed,
}

/// How many bytes tell what a file is compressed with.
const PREFIX: usize = 4;

impl<'a> Storing<'a> {
    /// For a file that is stored as it is, or by these options if it turns out not to be compressed.
    pub(super) fn new(blob: Box<dyn BlobWriter>, options: Option<&'a EncodeOptions>) -> Self {
        match options {
            Some(options) => Self::Undecided { prefix: Vec::new(), blob, options },
            None => Self::AsIs(blob),
        }
    }

    /// Whether it is known that what is stored is not the file as it is.
    pub(super) fn is_compressing(&self) -> bool {
        matches!(self, Self::Compressed { .. })
    }

    /// The blob with all of the file, to be committed, and what the file is then: `plain` if it was stored as it is.
    pub(super) fn finish(self, plain: Plain) -> Result<(Box<dyn BlobWriter>, Plain)> {
        match self.decide()? {
            Self::AsIs(blob) | Self::Undecided { blob, .. } => Ok((blob, plain)),
            Self::Compressed { encoder, hasher, compression } => {
                let diff_id = DiffId::from_digest(hasher.finish());
                let plain = if let Plain::Same = plain { Plain::Compressed(compression, diff_id) } else { plain };
                Ok((encoder.finish()?, plain))
            }
            Self::Failed => Err(CoreError::stream("write the blob", failed_before()).into()),
        }
    }

    /// Goes on by what came so far.
    fn decide(self) -> Result<Self, CoreError> {
        let Self::Undecided { prefix, blob, options } = self else { return Ok(self) };
        let mut decided = match Compression::sniff(&prefix) {
            Some(_) => Self::AsIs(blob),
            None => {
                let encoder = Box::new(Encoder::new(blob, options)?);
                Self::Compressed { encoder, hasher: Box::default(), compression: options.compression }
            }
        };
        decided.write_all(&prefix).map_err(|error| CoreError::stream("write the blob", error))?;
        Ok(decided)
    }
}

impl Write for Storing<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Undecided { prefix, .. } => {
                prefix.extend_from_slice(buf);
                if prefix.len() >= PREFIX {
                    *self = mem::replace(self, Self::Failed).decide()?;
                }
                Ok(buf.len())
            }
            Self::AsIs(blob) => blob.write(buf),
            Self::Compressed { encoder, hasher, .. } => {
                let count = encoder.write(buf)?;
                hasher.update(buf.get(..count).unwrap_or_default());
                Ok(count)
            }
            Self::Failed => Err(failed_before()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failed_before() -> io::Error {
    io::Error::other("an earlier write to this blob failed")
}
