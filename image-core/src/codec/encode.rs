//! Writing a layer to be stored.

use std::{
    fmt,
    io::{self, Write},
};

#[cfg(feature = "gzip")]
use super::gzip_encode::GzipEncoder;
use super::{Compression, EncodeOptions};
use crate::error::{Error, Result};

/// Compresses what is written to it; [`Encoder::finish`] ends the stream.
///
/// gzip is one member, as some readers stop after the first. Its input is cut into pieces of 1 MiB,
/// which are compressed independently, on several threads where the options say so; memory is about 6 MiB per thread.
/// zstd is one frame with a checksum.
///
/// [`Write::flush`] flushes the writer below and nothing else: cutting the stream there would change its
/// bytes. An encoder that is dropped unfinished leaves a truncated stream behind.
///
/// # Errors
/// Writing fails with the error of the writer below. After an error every further write fails too.
///
/// # Spec
/// RFC 1952, section 2.3 (gzip member); RFC 8878, section 3.1.1 (zstd frame).
pub struct Encoder<W: Write> {
    stream: Stream<W>,
    failed: bool,
}

enum Stream<W: Write> {
    Plain(W),
    #[cfg(feature = "gzip")]
    Gzip(GzipEncoder<W>),
    #[cfg(feature = "zstd")]
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    /// Compresses into `writer`.
    ///
    /// # Errors
    /// [`Error::is_unsupported`] for a level that the format does not have, or where its feature is off.
    pub fn new(writer: W, options: &EncodeOptions) -> Result<Self> {
        #[cfg_attr(
            not(any(feature = "gzip", feature = "zstd")),
            expect(unused_variables, reason = "levels are of gzip and zstd")
        )]
        let level = options.checked_level()?;
        let stream = match options.compression {
            Compression::None => Stream::Plain(writer),
            #[cfg(feature = "gzip")]
            Compression::Gzip => Stream::Gzip(GzipEncoder::new(writer, level, options.threads)),
            #[cfg(feature = "zstd")]
            Compression::Zstd => Stream::Zstd(zstd_encoder(writer, level)?),
            #[cfg(not(all(feature = "gzip", feature = "zstd")))]
            absent => return Err(absent.feature_off()),
        };
        Ok(Self { stream, failed: false })
    }

    /// Ends the stream and gives the writer back, not flushed.
    ///
    /// # Errors
    /// [`Error::Stream`] where the writer fails, or an earlier write did.
    pub fn finish(self) -> Result<W> {
        if self.failed {
            return Err(Error::stream("finish the compressed stream", failed_before()));
        }
        match self.stream {
            Stream::Plain(writer) => Ok(writer),
            #[cfg(feature = "gzip")]
            Stream::Gzip(encoder) => encoder.finish(),
            #[cfg(feature = "zstd")]
            Stream::Zstd(encoder) => encoder.finish(),
        }
        .map_err(|e| Error::stream("finish the compressed stream", e))
    }

    fn guard(&mut self) -> io::Result<&mut Stream<W>> {
        if self.failed { Err(failed_before()) } else { Ok(&mut self.stream) }
    }

    fn noting_failure<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.failed = matches!(&result, Err(e) if e.kind() != io::ErrorKind::Interrupted);
        result
    }
}

#[cfg(feature = "zstd")]
fn zstd_encoder<W: Write>(writer: W, level: u8) -> Result<zstd::stream::write::Encoder<'static, W>> {
    zstd::stream::write::Encoder::new(writer, i32::from(level))
        .and_then(|mut encoder| encoder.include_checksum(true).map(|()| encoder))
        .map_err(|e| Error::stream("set up the zstd encoder", e))
}

fn failed_before() -> io::Error {
    io::Error::other("an earlier write to this stream failed")
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let result = match self.guard()? {
            Stream::Plain(writer) => writer.write(buf),
            #[cfg(feature = "gzip")]
            Stream::Gzip(encoder) => encoder.write(buf),
            #[cfg(feature = "zstd")]
            Stream::Zstd(encoder) => encoder.write(buf),
        };
        self.noting_failure(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = match self.guard()? {
            Stream::Plain(writer) => writer,
            #[cfg(feature = "gzip")]
            Stream::Gzip(encoder) => encoder.writer_mut(),
            #[cfg(feature = "zstd")]
            Stream::Zstd(encoder) => encoder.get_mut(),
        }
        .flush();
        self.noting_failure(result)
    }
}

impl<W: Write> fmt::Debug for Encoder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("failed", &self.failed).finish_non_exhaustive()
    }
}
