//! Memory maps of blobs: the only unsafe code of this crate.
#![expect(unsafe_code, reason = "a memory map is only as immutable as its file; blobs are")]

use std::{fs::File, io};

use bytes::Bytes;
use memmap2::MmapOptions;

/// Maps the first `size` bytes of a blob's file.
pub(in crate::blob) fn map(file: &File, size: u64) -> io::Result<Bytes> {
    let length = usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    if length == 0 {
        // An empty range cannot be mapped.
        return Ok(Bytes::new());
    }
    if file.metadata()?.len() < size {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file was truncated"));
    }
    // SAFETY: the memory is sound for as long as nobody writes to or truncates the file. Blobs are
    // immutable: stores make them under another name, rename them into place, and from then on only
    // unlink or replace them by rename, which leaves the mapped inode as it is. That other programs
    // keep to it is the condition that `Blob::map` states to its callers.
    let map = unsafe { MmapOptions::new().len(length).map(file)? };
    Ok(Bytes::from_owner(map))
}
