//! An open blob.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

use super::fs::map;
use crate::error::{Error, Result};

/// An open blob: its bytes from front to back, from any place, or all at once in memory.
///
/// It is as long as it was when opened and keeps its content when the store loses the blob.
/// Clones share the content, each with a position of its own; making one is cheap.
/// The bytes are not verified: see [`super::BlobSourceExt::open_verified`].
#[derive(Clone)]
pub struct Blob {
    content: Content,
    position: u64,
}

#[derive(Clone)]
enum Content {
    Memory(Bytes),
    File(Arc<OpenFile>),
}

struct OpenFile {
    file: File,
    path: PathBuf,
    size: u64,
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Blob");
        if let Content::File(open) = &self.content {
            debug.field("path", &open.path);
        }
        debug.field("size", &self.size()).field("position", &self.position).finish()
    }
}

impl Blob {
    /// A blob in memory.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Memory(bytes.into()), position: 0 }
    }

    /// A blob that is all of a file; `path` names it in errors. The file's own position is not used.
    ///
    /// # Errors
    /// The operating system's, where it cannot tell the file's size.
    pub fn from_file(file: File, path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let size = file.metadata().map_err(|e| Error::io("stat", &path, e))?.len();
        Ok(Self { content: Content::File(Arc::new(OpenFile { file, path, size })), position: 0 })
    }

    /// The size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::Memory(bytes) => bytes.len() as u64,
            Content::File(open) => open.size,
        }
    }

    /// The file that holds the blob and nothing else, where there is one.
    ///
    /// It is for reading, and shared with all clones: do not rely on its position.
    #[must_use]
    pub fn file(&self) -> Option<&File> {
        match &self.content {
            Content::Memory(_) => None,
            Content::File(open) => Some(&open.file),
        }
    }

    /// The path by which the blob was opened, where it is a file.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.content {
            Content::Memory(_) => None,
            Content::File(open) => Some(&open.path),
        }
    }

    /// All of the content, wherever the position is; a file is mapped, not read.
    ///
    /// A mapping costs address space and page cache, not memory of the process. The bytes stay
    /// valid for as long as they are held. Whoever truncates the file of a blob, which no user
    /// of this crate does, kills the process that touches the mapping: do not map the blobs
    /// of a layout that strangers can write to.
    ///
    /// # Errors
    /// The operating system's, or that the file is shorter than when it was opened.
    pub fn map(&self) -> Result<Bytes> {
        match &self.content {
            Content::Memory(bytes) => Ok(bytes.clone()),
            Content::File(open) => map::map(&open.file, open.size).map_err(|e| Error::io("map", &open.path, e)),
        }
    }

    /// Reads at an offset, without using or moving the position.
    ///
    /// # Errors
    /// The operating system's.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = usize::try_from(self.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buf.len().min(left);
        let Some(buf) = buf.get_mut(..wanted).filter(|buf| !buf.is_empty()) else { return Ok(0) };
        match &self.content {
            Content::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let rest = bytes.get(start..).unwrap_or_default();
                (&rest[..]).read(buf)
            }
            Content::File(open) => read_file_at(&open.file, buf, offset).map_err(|e| name_path(&open.path, e)),
        }
    }
}

/// Names the path in an error that is not a mere invitation to try again.
fn name_path(path: &Path, error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Interrupted => error,
        _ => Error::io("read", path, error).into(),
    }
}

#[cfg(unix)]
fn read_file_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(windows)]
fn read_file_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}

impl Read for Blob {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.read_at(buf, self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for Blob {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.size().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek to before the first byte of a blob"))?;
        Ok(self.position)
    }
}
