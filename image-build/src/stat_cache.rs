//! What is known of files that did not change since they were read, so that they need not be read again.
//!
//! One file for each tree, `<device>-<inode>-<file system>` of its root in hexadecimal: a version line, the time at which it was
//! begun, a record of fixed length for each file, in the order of device and inode, and the SHA-256 of all that. Times
//! and numbers are big-endian, so that records are in the order of their bytes and are searched as they lie.
//!
//! A record holds what tells one state of a file from another ([`Status`]), and serves only while all of it is as it was.
//! An edit that keeps size and time of modification changes the time of change, which only the kernel sets; a new file
//! under an old inode number has another one too. Two states can look alike only if both fall into one tick of the file
//! system's clock: so a file whose times are not safely older than the moment at which it began to be read is not
//! recorded, and is read again the next time. Where the clock was set back since, nothing is believed.
//!
//! What is cut short, damaged or of another version counts as nothing. Nothing is kept of files on an image that is
//! mounted (SquashFS, say), nor of those of other file systems mounted in the tree: the times in an image are those that
//! its maker wrote, and another one may come to stand in its place.
//!
//! Not noticed is who writes into a file through a memory map that was written to before the file was read: the kernel
//! dates such writes when the pages are first touched. A file system of the network dates files by its server's clock: an
//! edit in the very tick of the one before, with the same size, is not noticed if that clock is seconds behind.

use std::{
    cmp::Ordering,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use image_core::{
    Digest, Timestamp,
    hasher::{Sha256, ThreadedHasher},
};

use crate::{
    context::status::{Status, TreeRoot},
    error::{Error, Result},
    temporary::{Temporary, set_time},
};

const VERSION: &[u8] = b"image-build stat 1\n";

/// Version, seconds and nanoseconds of the time.
const HEADER: usize = VERSION.len() + 12;

/// Device, inode, size, two times, flags, SHA-256.
const RECORD: usize = 8 * 3 + 12 * 2 + 1 + 32;

/// The largest cache that is read, in bytes: ten million files.
const MAX_SIZE: u64 = 1 << 30;

/// How many records are written at once.
const WRITTEN: usize = 1 << 12;

/// How many bytes are read at once.
const READ: usize = 1 << 20;

/// How much older than the moment of reading a file's times must be, in seconds: the coarsest clock of a file system
/// (FAT's) counts two.
const SAFE_AGE: i64 = 2;

/// A directory of what is known of the files of trees, for many processes at once.
///
/// It holds one file for each tree, which is replaced whole, and may be deleted at any time at the cost of reading.
#[derive(Debug, Clone)]
pub struct StatCache {
    directory: PathBuf,
    temporary: Temporary,
}

/// What is known of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) sha256: [u8; 32],
    /// Whether it has extended attributes, which are not kept here.
    pub(crate) has_xattrs: bool,
}

impl StatCache {
    /// Opens the cache in a directory, which is made where it is missing.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        fs::create_dir_all(&directory).map_err(|e| Error::io("create", &directory, e))?;
        let temporary = Temporary::open(directory.join("tmp"))?;
        Ok(Self { directory, temporary })
    }

    fn path_for(&self, root: &TreeRoot) -> PathBuf {
        self.directory.join(format!("{:x}-{:x}-{:x}", root.device, root.inode, root.file_system))
    }

    /// What is known of the files of the tree with this root.
    pub(crate) fn load(&self, root: &TreeRoot) -> Result<Loaded> {
        let now = self.clock()?;
        if !root.is_dated {
            return Ok(Loaded { begun: now, bytes: Vec::new() });
        }
        let path = self.path_for(root);
        let failed = |e| Error::io("read", &path, e);
        let bytes = match File::open(&path) {
            Ok(file) => {
                // When it last served.
                set_time(&file, now).map_err(failed)?;
                read(file).map_err(failed)?
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(failed(e)),
        };
        // Set back, the clock may give a change the time of an earlier one.
        let bytes = bytes.filter(|bytes| time_at(bytes, VERSION.len()) <= now);
        Ok(Loaded { begun: now, bytes: bytes.unwrap_or_default() })
    }

    /// Keeps what is known of the files of the tree with this root, in place of what was known. `begun` is the time
    /// of [`Loaded`]: files that changed since, or just before, are left out, and those of other file systems.
    pub(crate) fn save(&self, root: &TreeRoot, begun: Timestamp, mut files: Vec<(&Status, &Fact)>) -> Result<()> {
        if !root.is_dated {
            return Ok(());
        }
        let safe = Timestamp::from_seconds(begun.seconds().saturating_sub(SAFE_AGE));
        files.retain(|(status, _)| status.device == root.device && status.latest() < safe);
        files.sort_unstable_by_key(|(status, _)| (status.device, status.inode));
        files.dedup_by_key(|(status, _)| (status.device, status.inode));
        let path = self.path_for(root);
        let failed = |e| Error::io("write", &path, e);
        let (mut file, mut hasher) = (self.temporary.file().map_err(failed)?, Sha256::default());
        let mut bytes = VERSION.to_vec();
        put_time(&mut bytes, begun);
        for files in files.chunks(WRITTEN) {
            files.iter().for_each(|(status, fact)| put(&mut bytes, status, fact));
            hasher.update(&bytes);
            file.write_all(&bytes).map_err(failed)?;
            bytes.clear();
        }
        hasher.update(&bytes);
        bytes.extend_from_slice(&hasher.finish());
        file.write_all(&bytes).map_err(failed)?;
        file.persist(&path).map_err(|e| failed(e.error))?;
        Ok(())
    }

    /// The time as the file system tells it, which is what files are dated by.
    pub(crate) fn clock(&self) -> Result<Timestamp> {
        let failed = |e| Error::io("write", self.temporary.path(), e);
        let mut file = self.temporary.file().map_err(failed)?;
        file.write_all(b"now").map_err(failed)?;
        let stat = rustix::fs::fstat(file.as_file()).map_err(|e| failed(e.into()))?;
        Ok(Status::of(&stat).latest())
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.directory
    }
}

/// Reads a cache; `None` for one that is not whole.
fn read(mut file: File) -> io::Result<Option<Vec<u8>>> {
    let size = Some(file.metadata()?.len()).filter(|size| *size <= MAX_SIZE);
    let body = size.and_then(|size| usize::try_from(size).ok()?.checked_sub(32));
    let is_possible = |body: &usize| *body >= HEADER && (body - HEADER).is_multiple_of(RECORD);
    let Some(body) = body.filter(is_possible) else { return Ok(None) };
    let (mut bytes, mut hasher, mut expected) = (vec![0; body], ThreadedHasher::sha256(), [0; 32]);
    let mut fill = || {
        for part in bytes.chunks_mut(READ) {
            file.read_exact(part)?;
            hasher.update(part);
        }
        file.read_exact(&mut expected)
    };
    match fill() {
        Ok(()) => {
            let is_whole = bytes.starts_with(VERSION) && hasher.finish() == Digest::from_sha256(expected);
            Ok(is_whole.then_some(bytes))
        }
        // It was cut short meanwhile.
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}

/// What is known of the files of a tree.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// When it was read, as the file system tells the time.
    pub(crate) begun: Timestamp,
    bytes: Vec<u8>,
}

impl Loaded {
    /// What is known where nothing is kept.
    pub(crate) fn nothing() -> Self {
        Self { begun: Timestamp::UNIX_EPOCH, bytes: Vec::new() }
    }

    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.len() <= HEADER
    }

    /// What is known of files, to be asked in the order of their inodes.
    pub(crate) fn lookup(&self) -> Lookup<'_> {
        Lookup { records: self.bytes.get(HEADER..).unwrap_or_default(), next: 0, expected: Vec::with_capacity(RECORD) }
    }
}

/// Finds records. One that follows the last one found, as those of a directory's files mostly do, is found at once.
#[derive(Debug)]
pub(crate) struct Lookup<'a> {
    records: &'a [u8],
    /// The place of the record behind the last one that was found.
    next: usize,
    /// What a record is compared with.
    expected: Vec<u8>,
}

impl Lookup<'_> {
    /// What is known of a file in this state.
    pub(crate) fn get(&mut self, status: &Status) -> Option<Fact> {
        let wanted = (status.device, status.inode);
        let (mut low, mut high) = self.bounds(wanted);
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.key(middle)?.cmp(&wanted) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => {
                    self.next = middle + 1;
                    return self.fact(middle, status);
                }
            }
        }
        None
    }

    /// Where a record must lie, if it is there: steps from the expected place, each twice as long as the one before.
    fn bounds(&self, wanted: (u64, u64)) -> (usize, usize) {
        let is_before = |place: usize| self.key(place).is_some_and(|key| key < wanted);
        if self.next > 0 && !is_before(self.next - 1) {
            return (0, self.next);
        }
        let (mut low, mut high) = (self.next, self.next + 1);
        while is_before(high - 1) {
            (low, high) = (high, high + 2 * (high - low));
        }
        (low, high.min(self.records.len() / RECORD))
    }

    /// Device and inode of a record.
    fn key(&self, place: usize) -> Option<(u64, u64)> {
        let (device, rest) = self.record(place)?.split_first_chunk()?;
        Some((u64::from_be_bytes(*device), u64::from_be_bytes(*rest.first_chunk()?)))
    }

    fn record(&self, place: usize) -> Option<&[u8]> {
        self.records.get(place * RECORD..(place + 1) * RECORD)
    }

    /// The fact in a record, if it is about this state.
    fn fact(&mut self, place: usize, status: &Status) -> Option<Fact> {
        let (flags, sha256) = self.record(place)?.get(48..)?.split_first()?;
        let fact = Fact { sha256: sha256.try_into().ok()?, has_xattrs: *flags == 1 };
        self.expected.clear();
        put(&mut self.expected, status, &fact);
        (self.record(place)? == self.expected).then_some(fact)
    }
}

fn put(out: &mut Vec<u8>, status: &Status, fact: &Fact) {
    for number in [status.device, status.inode, status.size] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    put_time(out, status.modified);
    put_time(out, status.changed);
    out.push(u8::from(fact.has_xattrs));
    out.extend_from_slice(&fact.sha256);
}

fn put_time(out: &mut Vec<u8>, time: Timestamp) {
    out.extend_from_slice(&time.seconds().to_be_bytes());
    out.extend_from_slice(&time.nanoseconds().to_be_bytes());
}

/// The time that stands at a place of a whole cache.
fn time_at(bytes: &[u8], at: usize) -> Timestamp {
    let seconds = bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(i64::MAX, i64::from_be_bytes);
    let nanos = bytes.get(at + 8..at + 12).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    Timestamp::new(seconds, nanos).unwrap_or(Timestamp::from_seconds(i64::MAX))
}
