//! Writing a layer to be stored.

use std::{
    fmt,
    io::{self, Write},
};

#[cfg(feature = "gzip")]
use super::gzip_encode::GzipEncoder;
use super::{Compression, EncodeOptions};
#[cfg(feature = "zstd")]
use super::{piece_writer::PieceWriter, zstd_encode::ZstdCompressor};
use crate::error::{Error, Result};

/// Compresses what is written to it; [`Encoder::finish`] ends the stream.
///
/// The input is cut into pieces, which are compressed on several threads where the options say so:
///
/// - gzip: pieces of 1 MiB that may refer to the one before, in one member, as some readers stop after the first. Memory is about 6 MiB for each thread.
/// - zstd: pieces of 4 MiB, and of 16 MiB from level 9 on, each a frame with its size and a checksum; one frame
///   where the input is no longer than a piece. Memory for each thread is about 20 MiB, from level 9 on 90 MiB, at level 19
///   140 MiB and at level 22 300 MiB.
///
/// [`Write::flush`] flushes the writer below and nothing else: cutting the stream there would change its
/// bytes. An encoder that is dropped unfinished leaves a truncated stream behind, and waits for the pieces that are being
/// compressed.
///
/// # Errors
/// Writing fails with the error of the writer below. After an error every further write fails too.
///
/// # Spec
/// RFC 1952, section 2.3 (gzip member); RFC 8878, sections 3.1 and 3.1.1 (zstd frames).
pub struct Encoder<W: Write> {
    stream: Stream<W>,
    failed: bool,
}

enum Stream<W: Write> {
    Plain(W),
    #[cfg(feature = "gzip")]
    Gzip(Box<GzipEncoder<W>>),
    #[cfg(feature = "zstd")]
    Zstd(Box<PieceWriter<W, ZstdCompressor>>),
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
            Compression::Gzip => {
                Stream::Gzip(GzipEncoder::new(writer, level, options.threads).map(Box::new).map_err(not_begun)?)
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd => {
                let encoder = PieceWriter::new(writer, Vec::new(), level, options.threads);
                Stream::Zstd(encoder.map(Box::new).map_err(not_begun)?)
            }
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

#[cfg(any(feature = "gzip", feature = "zstd"))]
fn not_begun(error: io::Error) -> Error {
    Error::stream("begin the compressed stream", error)
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
            Stream::Zstd(encoder) => encoder.writer_mut(),
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
