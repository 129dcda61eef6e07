//! Copying the content of one file to another.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::{fs::SeekFrom, io::Errno};

type Result<T, E = Errno> = std::result::Result<T, E>;

/// Bytes between two looks at the cancel token.
const STRIDE: usize = 1 << 20;

/// Makes an empty file of `size` bytes with the content of another: by sharing its blocks where the file system can, else by copying what is not a hole.
///
/// `check` is called now and then and ends the copying with its error.
pub(crate) fn copy_content<E: From<Errno>>(
    from: impl AsFd,
    to: impl AsFd,
    size: u64,
    check: &mut dyn FnMut() -> Result<(), E>,
) -> Result<(), E> {
    let (from, to) = (from.as_fd(), to.as_fd());
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let mut at = 0;
    while let Some((start, end)) = next_data(from, at, size)? {
        copy_range(from, to, start, end, check)?;
        at = end;
    }
    Ok(rustix::fs::ftruncate(to, size)?)
}

/// Where data begins at or after `at`, and where it ends.
fn next_data(file: BorrowedFd<'_>, at: u64, size: u64) -> Result<Option<(u64, u64)>> {
    if at >= size {
        return Ok(None);
    }
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(start) => Ok(Some((start, rustix::fs::seek(file, SeekFrom::Hole(start))?))),
        // Nothing but a hole is left.
        Err(Errno::NXIO) => Ok(None),
        // The file system knows no holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some((at, size))),
        Err(other) => Err(other),
    }
}

fn copy_range<E: From<Errno>>(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    start: u64,
    end: u64,
    check: &mut dyn FnMut() -> Result<(), E>,
) -> Result<(), E> {
    let (mut read_at, mut write_at) = (start, start);
    while read_at < end {
        check()?;
        let length = usize::try_from(end - read_at).unwrap_or(STRIDE).min(STRIDE);
        match rustix::fs::copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), length) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => {
                return copy_bytes(from, to, read_at, end, check);
            }
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}

fn copy_bytes<E: From<Errno>>(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    mut at: u64,
    end: u64,
    check: &mut dyn FnMut() -> Result<(), E>,
) -> Result<(), E> {
    let mut buffer = vec![0; 256 << 10];
    while at < end {
        check()?;
        let limit = usize::try_from(end - at).unwrap_or(buffer.len()).min(buffer.len());
        let read = rustix::io::pread(from, &mut buffer[..limit], at)?;
        if read == 0 {
            return Ok(());
        }
        write_at(to, &buffer[..read], at)?;
        at += read as u64;
    }
    Ok(())
}

/// Writes all of the bytes at a place in a file.
pub(crate) fn write_at(file: BorrowedFd<'_>, mut bytes: &[u8], mut offset: u64) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(file, bytes, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                offset += written as u64;
            }
            Err(Errno::INTR) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(())
}
