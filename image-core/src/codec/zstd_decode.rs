//! Decoding zstd.

use std::{
    fmt,
    io::{self, BufRead, Read},
};

use zstd::zstd_safe::{self, DCtx, DParameter, InBuffer, OutBuffer, zstd_sys::ZSTD_ErrorCode};

use super::source::Source;
use crate::error::{Error, Result};

/// Decodes every frame of a stream, skippable ones included, checksums verified.
pub(super) struct ZstdDecoder<R> {
    source: Source<R>,
    context: DCtx<'static>,
    max_window_log: u32,
    /// Whether a frame has just ended: the only place where the stream may.
    between_frames: bool,
}

impl<R> ZstdDecoder<R> {
    pub(super) fn new(source: Source<R>, max_window_log: u32) -> Result<Self> {
        let refused = || Error::Unsupported {
            what: format!("a zstd window limit of 2^{max_window_log} bytes"),
            hint: "the exponent must be 10 to 31",
        };
        // To the library 0 is a default of its own.
        if max_window_log == 0 {
            return Err(refused());
        }
        let mut context = DCtx::create();
        context.set_parameter(DParameter::WindowLogMax(max_window_log)).map_err(|_| refused())?;
        Ok(Self { source, context, max_window_log, between_frames: false })
    }

    pub(super) fn source(&self) -> &Source<R> {
        &self.source
    }

    pub(super) fn into_source(self) -> Source<R> {
        self.source
    }
}

impl<R: Read> Read for ZstdDecoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let available = self.source.fill_buf()?;
            let at_end = available.is_empty();
            if at_end && self.between_frames {
                return Ok(0);
            }
            let mut input = InBuffer::around(available);
            let mut output = OutBuffer::around(&mut *buf);
            let due = self
                .context
                .decompress_stream(&mut output, &mut input)
                .map_err(|code| decoder_error(code, self.max_window_log))?;
            let (consumed, produced) = (input.pos(), output.pos());
            self.source.consume(consumed);
            self.between_frames = due == 0;
            if produced > 0 {
                return Ok(produced);
            }
            if at_end && !self.between_frames {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ends within a frame"));
            }
        }
    }
}

/// The library's error codes are negated and stable: zstd_errors.h pins the values.
fn decoder_error(code: usize, max_window_log: u32) -> io::Error {
    if code.wrapping_neg() == ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge as usize {
        Error::limit("window of the zstd stream", 1 << max_window_log).into()
    } else {
        io::Error::new(io::ErrorKind::InvalidData, zstd_safe::get_error_name(code))
    }
}

impl<R: fmt::Debug> fmt::Debug for ZstdDecoder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZstdDecoder").field("source", &self.source).finish_non_exhaustive()
    }
}
