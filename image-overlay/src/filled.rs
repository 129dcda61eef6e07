//! Reading in whole buffers.

use std::io::{self, ErrorKind, Read};

/// Reads until the buffer is full or the stream at its end, and gives what was read.
pub(crate) fn fill<'b>(reader: &mut dyn Read, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(buffer.get(..length).unwrap_or_default())
}
