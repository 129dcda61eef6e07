//! Writing a layer's tar stream, the same bytes on every machine.

use std::{
    fmt,
    io::{ErrorKind, Read, Write},
};

use super::{
    decode::MAX_TARGET,
    header::{BLOCK, HeaderBuilder, NAME_BYTES, PREFIX_BYTES},
    pax,
};
use crate::{
    entry::{Entry, EntryKind, Metadata},
    error::{Error, Result},
    path::escape,
    xattr::XattrClass,
};

const BUFFER: usize = 64 << 10;
const ZEROS: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// The name of every extended header: it is never seen by who knows the format.
const PAX_NAME: &[u8] = b"././@PaxHeader";

/// Writes entries as a tar stream that depends on the entries alone.
///
/// An entry is a ustar header where that can hold it, and PAX records before it for what it cannot.
/// Times are whole seconds, rounded down; there are no times of access and change and no
/// names of users and groups; the root is `./`, names of directories end with a slash; two blocks
/// of zeros end the stream.
///
/// Entries are written in the order they come.
///
/// # Spec
/// OCI image-spec 1.1, layer.md, § File Attributes; POSIX.1-2017, pax, § ustar Interchange Format.
pub struct TarWriter<W> {
    inner: W,
    buffer: Box<[u8]>,
    records: Vec<u8>,
    /// How many bytes were written.
    position: u64,
    /// An entry was begun and not ended.
    broken: bool,
}

impl<W> fmt::Debug for TarWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TarWriter").field("broken", &self.broken).finish_non_exhaustive()
    }
}

impl<W: Write> TarWriter<W> {
    /// Writes into `writer`, several times for each entry.
    pub fn new(writer: W) -> Self {
        Self { inner: writer, buffer: vec![0; BUFFER].into(), records: Vec::new(), position: 0, broken: false }
    }

    /// Writes one entry; `content` is read for a regular file only, and to its end.
    /// Returns where in the stream its content begins, in bytes.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for what a layer may not hold or what this format cannot say, before
    /// anything is written: among them extended attributes of a [class](XattrClass) other than content.
    /// [`Error::ContentLength`] where `content` is shorter or longer than the entry's size, and errors of
    /// `content` and of the writer below; after these the stream is lost.
    pub fn append(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<u64> {
        if self.broken {
            return Err(unwritable(entry, "an entry before it could not be written"));
        }
        check(entry)?;
        self.broken = true;
        self.write_headers(entry)?;
        let start = self.position;
        if let EntryKind::File { size } = entry.kind {
            self.copy(entry, size, content)?;
            self.pad(size)?;
        }
        self.broken = false;
        Ok(start)
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// Those of the writer below. A stream that an error of [`TarWriter::append`] left broken is refused.
    pub fn finish(mut self) -> Result<W> {
        if self.broken {
            let path = String::from("/");
            return Err(Error::Unwritable { path, reason: "the layer ends inside an entry that could not be written" });
        }
        self.write(&ZEROS)?;
        self.inner.flush().map_err(|error| Error::stream("write the layer", error))?;
        Ok(self.inner)
    }

    fn write_headers(&mut self, entry: &Entry) -> Result<()> {
        self.records.clear();
        let header = header(entry, &mut self.records);
        if !self.records.is_empty() {
            let size = self.records.len() as u64;
            let mut extended = HeaderBuilder::new(b'x');
            extended.name(b"", PAX_NAME);
            extended.size(size);
            self.write(&extended.finish())?;
            self.inner.write_all(&self.records).map_err(|error| Error::stream("write the layer", error))?;
            self.position += size;
            self.pad(size)?;
        }
        self.write(&header.finish())
    }

    fn copy(&mut self, entry: &Entry, size: u64, content: &mut dyn Read) -> Result<()> {
        let mut copied = 0;
        loop {
            // One byte more than is due, so that content that is too long is noticed.
            let due = usize::try_from(size - copied).unwrap_or(usize::MAX).saturating_add(1);
            let count = due.min(self.buffer.len());
            let bytes = match content.read(&mut self.buffer[..count]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result.map_err(|error| Error::stream("read a file's content", error))?,
            };
            copied += bytes as u64;
            if copied > size || bytes == 0 && copied < size {
                let path = escape(entry.path.as_bytes());
                return Err(Error::ContentLength { path, expected: size, actual: copied });
            }
            if bytes == 0 {
                return Ok(());
            }
            self.inner.write_all(&self.buffer[..bytes]).map_err(|error| Error::stream("write the layer", error))?;
            self.position += bytes as u64;
        }
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let count = usize::try_from(size.wrapping_neg() % BLOCK as u64).unwrap_or(0);
        self.write(&ZEROS[..count])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.inner.write_all(bytes).map_err(|error| Error::stream("write the layer", error))?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

fn unwritable(entry: &Entry, reason: &'static str) -> Error {
    Error::Unwritable { path: escape(entry.path.as_bytes()), reason }
}

/// Refuses what a reader of this crate would refuse, and what must not enter a layer.
fn check(entry: &Entry) -> Result<()> {
    let refuse = |reason| Err(unwritable(entry, reason));
    let Metadata { uid, gid, xattrs, .. } = &entry.metadata;
    if *uid > Metadata::MAX_ID || *gid > Metadata::MAX_ID {
        return refuse("its uid or gid is 4294967295");
    }
    if entry.path.is_root() && !entry.kind.is_directory() {
        return refuse("the root can only be a directory");
    }
    for name in xattrs.keys() {
        if name.is_empty() || name.contains(&0) || name.contains(&b'=') {
            return refuse("the name of an extended attribute is empty or holds `=` or a NUL byte");
        }
        if let Some(reason) = XattrClass::of(name).reason() {
            return refuse(reason);
        }
    }
    match &entry.kind {
        EntryKind::Symlink { target } if target.is_empty() => refuse("its target is empty"),
        EntryKind::Symlink { target } if target.contains(&0) => refuse("its target holds a NUL byte"),
        EntryKind::Symlink { target } if target.len() > MAX_TARGET => refuse("its target is longer than 4095 bytes"),
        EntryKind::HardLink { target } if target.is_root() => refuse("it is a hard link to the root"),
        EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor }
            if *major > 0xfff || *minor > 0xf_ffff =>
        {
            refuse("its device number is out of range")
        }
        EntryKind::File { size } if i64::try_from(*size).is_err() => refuse("it is longer than 2^63-1 bytes"),
        _ => Ok(()),
    }
}

/// The header of an entry; what it cannot hold goes into `records`.
fn header(entry: &Entry, records: &mut Vec<u8>) -> HeaderBuilder {
    let metadata = &entry.metadata;
    let mut header = HeaderBuilder::new(type_of(&entry.kind));
    let mut record = |fits: bool, keyword: &[u8], value: &dyn fmt::Display| {
        if !fits {
            pax::append_record(records, keyword, value.to_string().as_bytes());
        }
    };
    header.mode(metadata.mode & 0o7777);
    record(header.uid(metadata.uid.into()), b"uid", &metadata.uid);
    record(header.gid(metadata.gid.into()), b"gid", &metadata.gid);
    record(header.size(entry.kind.size()), b"size", &entry.kind.size());
    record(header.mtime(metadata.mtime.seconds()), b"mtime", &metadata.mtime.seconds());
    if let EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } = entry.kind {
        header.device(major, minor);
    }

    let name = name_of(entry);
    match split(&name) {
        Some((prefix, name)) => header.name(prefix, name),
        None => {
            pax::append_record(records, b"path", &name);
            header.name(b"", &name);
        }
    }
    let target = match &entry.kind {
        EntryKind::Symlink { target } => target,
        EntryKind::HardLink { target } => target.as_bytes(),
        _ => b"",
    };
    header.link_name(target);
    if target.len() > NAME_BYTES {
        pax::append_record(records, b"linkpath", target);
    }
    for (name, value) in &metadata.xattrs {
        pax::append_xattr(records, name, value);
    }
    header
}

fn type_of(kind: &EntryKind) -> u8 {
    match kind {
        EntryKind::File { .. } => b'0',
        EntryKind::HardLink { .. } => b'1',
        EntryKind::Symlink { .. } => b'2',
        EntryKind::CharDevice { .. } => b'3',
        EntryKind::BlockDevice { .. } => b'4',
        EntryKind::Directory => b'5',
        EntryKind::Fifo => b'6',
    }
}

fn name_of(entry: &Entry) -> Vec<u8> {
    let path = entry.path.as_bytes();
    match &entry.kind {
        _ if entry.path.is_root() => b"./".to_vec(),
        EntryKind::Directory => [path, b"/"].concat(),
        _ => path.to_vec(),
    }
}

/// Prefix and name as a ustar header holds them, the prefix as long as may be; `None` where it cannot.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME_BYTES {
        return Some((b"", path));
    }
    let body = path.strip_suffix(b"/").unwrap_or(path);
    let slash = body.iter().take(PREFIX_BYTES + 1).rposition(|&byte| byte == b'/')?;
    let (prefix, rest) = path.split_at_checked(slash)?;
    let name = rest.strip_prefix(b"/")?;
    (name.len() <= NAME_BYTES && !prefix.is_empty()).then_some((prefix, name))
}
