//! Reading a stored layer.

use std::io::{self, Read};

#[cfg(feature = "gzip")]
use flate2::bufread::MultiGzDecoder;

#[cfg(feature = "zstd")]
use super::zstd_decode::ZstdDecoder;
use super::{Compression, sniff, source::Source};
use crate::error::{Error, Result};

/// Limits of decoding.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeOptions {
    /// The largest zstd window that is read, as a power of two: 10 to 31.
    ///
    /// A decoder may hold that many bytes. The default, 27 for 128 MiB, is the one of the `zstd` program
    /// and suffices for every level that it has without `--long`.
    pub max_window_log: u32,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { max_window_log: 27 }
    }
}

impl DecodeOptions {
    /// Sets the largest zstd window that is read, as a power of two.
    #[must_use]
    pub fn with_max_window_log(mut self, log: u32) -> Self {
        self.max_window_log = log;
        self
    }
}

/// Reads the uncompressed bytes of a stored layer.
///
/// All of the stream counts: every gzip member and every zstd frame, each with its checksum
/// verified, and the reader below is read to its end before this one returns 0. So a verifying
/// reader below has seen all of it too. A stream that ends too early is an error, never an end.
///
/// Bytes after the last member or frame are an error, zeros among them: RFC 1952 knows no
/// padding and no checksum would cover it. (Go's `compress/gzip` refuses them as well;
/// GNU gzip drops zeros in silence and anything else with a warning.)
///
/// Memory is bounded: fixed buffers, 64 KiB per gzip header field, and for zstd the window that
/// [`DecodeOptions::max_window_log`] allows. How much comes out is for the caller to bound.
///
/// # Errors
/// Reading fails with an [`Error`] inside an [`io::Error`], which [`Error::recover`] takes out:
/// [`Error::is_corrupt`] for a stream that breaks its format or is cut short,
/// [`Error::LimitExceeded`] for a window too large. Errors of the reader below pass unchanged.
/// After an error every further read fails too.
///
/// # Spec
/// RFC 1952, section 2.2 (members); RFC 8878, section 3.1 (frames).
///
/// # Examples
/// ```
/// use std::io::{Read, Write};
/// use image_core::codec::{Compression, DecodeOptions, Decoder, EncodeOptions, Encoder};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut encoder = Encoder::new(Vec::new(), &EncodeOptions::new(Compression::None))?;
/// encoder.write_all(b"a layer")?;
/// let stored = encoder.finish()?;
///
/// let mut decoder = Decoder::detect(stored.as_slice(), Compression::Gzip, &DecodeOptions::default())?;
/// assert_eq!(decoder.compression(), Compression::None); // whatever its media type said
/// let mut layer = Vec::new();
/// decoder.read_to_end(&mut layer)?;
/// assert_eq!(layer, b"a layer");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Decoder<R> {
    compression: Compression,
    stream: Stream<R>,
    failed: bool,
}

#[derive(Debug)]
enum Stream<R> {
    Plain(Source<R>),
    #[cfg(feature = "gzip")]
    Gzip(Box<MultiGzDecoder<Source<R>>>),
    #[cfg(feature = "zstd")]
    Zstd(ZstdDecoder<R>),
}

impl<R: Read> Decoder<R> {
    /// Decodes `reader` as `compression`, whatever it holds.
    ///
    /// A stream of no bytes is corrupt gzip and corrupt zstd here.
    ///
    /// # Errors
    /// [`Error::is_unsupported`] where the feature of that format is off or an option is out of range.
    pub fn new(reader: R, compression: Compression, options: &DecodeOptions) -> Result<Self> {
        Self::open(Source::new(reader), compression, options)
    }

    /// Decodes `reader` as what its first bytes say it is, given what its media type says.
    ///
    /// Where the two disagree the bytes win: [`Decoder::compression`] says what they are.
    /// A stream of no bytes is an empty layer. One that begins like neither gzip nor
    /// zstd is uncompressed, unless it ends within the magic of the declared format:
    /// then it is a truncated stream of that format.
    ///
    /// # Errors
    /// [`Error::is_unsupported`] for bzip2 and xz and where the feature of the format is off;
    /// [`Error::Stream`] where the reader fails.
    pub fn detect(reader: R, declared: Compression, options: &DecodeOptions) -> Result<Self> {
        let mut source = Source::new(reader);
        let prefix = source.peek(sniff::PREFIX).map_err(|e| Error::stream("read the compressed stream", e))?;
        let compression = sniff::actual(prefix, declared)?;
        Self::open(source, compression, options)
    }

    #[cfg_attr(not(feature = "zstd"), expect(unused_variables, reason = "all options are of zstd"))]
    fn open(source: Source<R>, compression: Compression, options: &DecodeOptions) -> Result<Self> {
        let stream = match compression {
            Compression::None => Stream::Plain(source),
            #[cfg(feature = "gzip")]
            Compression::Gzip => Stream::Gzip(Box::new(MultiGzDecoder::new(source))),
            #[cfg(feature = "zstd")]
            Compression::Zstd => Stream::Zstd(ZstdDecoder::new(source, options.max_window_log)?),
            #[cfg(not(all(feature = "gzip", feature = "zstd")))]
            absent => return Err(absent.feature_off()),
        };
        Ok(Self { compression, stream, failed: false })
    }
}

impl<R> Decoder<R> {
    /// What the stream is compressed with.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Gives the reader below back; what was read ahead from it is lost.
    pub fn into_inner(self) -> R {
        match self.stream {
            Stream::Plain(source) => source,
            #[cfg(feature = "gzip")]
            Stream::Gzip(decoder) => decoder.into_inner(),
            #[cfg(feature = "zstd")]
            Stream::Zstd(decoder) => decoder.into_source(),
        }
        .into_inner()
    }

    fn source(&self) -> &Source<R> {
        match &self.stream {
            Stream::Plain(source) => source,
            #[cfg(feature = "gzip")]
            Stream::Gzip(decoder) => decoder.get_ref(),
            #[cfg(feature = "zstd")]
            Stream::Zstd(decoder) => decoder.source(),
        }
    }

    /// Tells an error of the reader below from one of the decoder.
    fn explain(&self, error: io::Error) -> io::Error {
        if self.source().has_failed() {
            return error;
        }
        let compression = self.compression;
        Error::recover(error).unwrap_or_else(|error| Error::Corrupt { compression, source: said_once(error) }).into()
    }
}

/// What a decoder says, without the words that [`Error::Corrupt`] says already.
fn said_once(error: io::Error) -> io::Error {
    match error.to_string().strip_prefix("corrupt gzip stream ") {
        Some(rest) => io::Error::new(error.kind(), format!("it {rest}")),
        None => error,
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.failed {
            return Err(io::Error::other("an earlier read of this stream failed"));
        }
        let result = match &mut self.stream {
            Stream::Plain(source) => source.read(buf),
            #[cfg(feature = "gzip")]
            Stream::Gzip(decoder) => decoder.read(buf),
            #[cfg(feature = "zstd")]
            Stream::Zstd(decoder) => decoder.read(buf),
        };
        self.failed = result.is_err();
        result.map_err(|error| self.explain(error))
    }
}
