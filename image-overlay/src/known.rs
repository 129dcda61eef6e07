//! What is known of the files of a directory for as long as they are as they were.

use std::io::{self, BufReader, BufWriter, Read, Write};

use image_core::{
    Ctx, Timestamp,
    hasher::{Hasher, HashingReader, HashingWriter},
};

use crate::{
    diff::same_time,
    error::{Error, Result},
    scan::DirSource,
    source::{InodeState, TreeSource},
};

/// What this form of file begins with.
const VERSION: &[u8] = b"image-overlay known 1\n";
/// Bytes of one file's part.
const FILE: usize = 69;
/// How many files are kept at most: 1 GiB of them.
const MAX_FILES: u64 = 1 << 24;
/// How far apart a file system's times are at most that have a fraction, in nanoseconds.
const FRACTION: i128 = 100_000_000;
/// How far apart those are that have none: FAT counts in twos.
const WHOLE: i128 = 2_000_000_000;

/// The digests of a directory's files, and which have extended attributes, by the state of their inodes.
///
/// For as long as an inode is the same, of the same size, and not changed since, its content and attributes are what they were:
/// nobody can set the time of an inode's change. So files need not be read where a tree is compared with the directory that knows
/// digests too, as an image's does.
///
/// ```
/// use image_core::Ctx;
/// use image_overlay::{DirSource, KnownFiles, Root};
/// # let (dir, ctx) = (tempfile::tempdir()?, Ctx::default());
/// # let path = dir.path();
/// let unpacked = DirSource::scan(Root::open(path)?, &ctx)?;
/// # let tree = DirSource::scan(Root::open(path)?, &ctx)?;
/// // Of the image that was unpacked there, just now.
/// let known = KnownFiles::of_copy(&tree, &unpacked, &ctx)?;
/// let mut kept = Vec::new();
/// known.write(&mut kept)?;
///
/// let later = DirSource::scan_known(Root::open(path)?, KnownFiles::read(&*kept)?, &ctx)?;
/// # drop(later);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownFiles {
    /// In the order of the inodes, each once.
    files: Vec<Known>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    inode: InodeState,
    size: u64,
    has_xattrs: bool,
    sha256: [u8; 32],
}

impl KnownFiles {
    /// Takes what a tree knows of its files for what a directory holds that is a copy of it, and has not changed since it was
    /// scanned but in ways that show.
    ///
    /// Files that changed at about the time of the scan are left out, since another change at that time would not show: those
    /// whose times are within a tenth of a second of the latest, and 2 seconds where times have no fraction. So are files of another
    /// size or time of modification than in the tree.
    ///
    /// # Errors
    /// [`Error::is_cancelled`].
    pub fn of_copy<T: TreeSource>(tree: &T, copy: &DirSource, ctx: &Ctx) -> Result<Self> {
        let mut files = Vec::new();
        for node in copy.tree().walk(copy.tree().root()) {
            ctx.check()?;
            let Some(inode) = copy.inode(node.id()) else { continue };
            let same = tree
                .tree()
                .get(&node.path())
                .filter(|same| same.kind() == node.kind() && same_time(same.metadata().mtime, node.metadata().mtime));
            if let Some(sha256) = same.and_then(|same| tree.known_digest(same.id())) {
                let has_xattrs = !node.attributes().xattrs.is_empty();
                files.push(Known { inode, size: node.kind().size(), has_xattrs, sha256 });
            }
        }
        files.sort_unstable_by_key(|file| file.inode.id);
        files.dedup_by_key(|file| file.inode.id);
        let latest = files.iter().map(|file| nanoseconds(file.inode.changed)).max().unwrap_or_default();
        files.retain(|file| {
            let step = if file.inode.changed.nanoseconds() == 0 { WHOLE } else { FRACTION };
            nanoseconds(file.inode.changed) + step < latest
        });
        files.truncate(usize::try_from(MAX_FILES).unwrap_or(usize::MAX));
        Ok(Self { files })
    }

    /// How many files are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The SHA-256 of a file of so many bytes, if its inode is as it was.
    #[must_use]
    pub fn digest(&self, inode: InodeState, size: u64) -> Option<[u8; 32]> {
        self.get(inode, size).map(|known| known.sha256)
    }

    /// Whether it is known of such a file that it has no extended attributes of the content's.
    pub(crate) fn has_no_xattrs(&self, inode: InodeState, size: u64) -> bool {
        self.get(inode, size).is_some_and(|known| !known.has_xattrs)
    }

    fn get(&self, inode: InodeState, size: u64) -> Option<&Known> {
        let place = self.files.binary_search_by_key(&inode.id, |file| file.inode.id).ok()?;
        self.files.get(place).filter(|known| known.inode == inode && known.size == size)
    }

    /// Writes all of it: a version line; how many files there are; of each the numbers of its file system and inode, its size,
    /// the seconds and nanoseconds of its change, 1 where it has extended attributes and 0 where not, and its digest; and the SHA-256
    /// of all that in hexadecimal. Numbers are big-endian, of 64 bits but for nanoseconds, which have 32, and the attributes, which have 8.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, out: impl Write) -> io::Result<()> {
        let mut out = BufWriter::new(HashingWriter::new(out, Hasher::sha256()));
        out.write_all(VERSION)?;
        out.write_all(&(self.files.len() as u64).to_be_bytes())?;
        self.files.iter().try_for_each(|file| out.write_all(&file.to_bytes()))?;
        let (mut out, hasher) = out.into_inner().map_err(io::IntoInnerError::into_error)?.into_parts();
        out.write_all(hasher.finish().encoded().as_bytes())?;
        out.flush()
    }

    /// Reads what [`KnownFiles::write`] wrote, of at most 16,777,216 files.
    ///
    /// # Errors
    /// [`Error::is_corrupt`] for anything else, and the errors of the reader.
    pub fn read(input: impl Read) -> Result<Self> {
        let mut input = HashingReader::new(BufReader::new(input), Hasher::sha256());
        let mut next = |bytes: &mut [u8]| {
            input.read_exact(bytes).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => Error::InvalidKnown { reason: "it ends early" },
                _ => Error::stream("read what is known of files", error),
            })
        };
        let mut version = [0; VERSION.len()];
        next(&mut version)?;
        if version != VERSION {
            return Err(Error::InvalidKnown { reason: "it begins as no such file" });
        }
        let mut count = [0; 8];
        next(&mut count)?;
        let count = u64::from_be_bytes(count);
        if count > MAX_FILES {
            return Err(Error::InvalidKnown { reason: "it is of too many files" });
        }
        let mut files = Vec::<Known>::new();
        for _ in 0..count {
            let mut bytes = [0; FILE];
            next(&mut bytes)?;
            let file = Known::from_bytes(&bytes).ok_or(Error::InvalidKnown { reason: "a time is none" })?;
            if files.last().is_some_and(|last| last.inode.id >= file.inode.id) {
                return Err(Error::InvalidKnown { reason: "it is in no order" });
            }
            files.push(file);
        }
        let (input, hasher) = input.into_parts();
        let (sum, mut rest) = (hasher.finish(), Vec::new());
        let limit = sum.encoded().len() as u64 + 1;
        input.take(limit).read_to_end(&mut rest).map_err(|e| Error::stream("read what is known of files", e))?;
        if rest != sum.encoded().as_bytes() {
            return Err(Error::InvalidKnown { reason: "its checksum is another" });
        }
        Ok(Self { files })
    }
}

impl Known {
    fn to_bytes(self) -> [u8; FILE] {
        let Self { inode, size, has_xattrs, sha256 } = self;
        let mut bytes = [0; FILE];
        let numbers = [inode.id.0, inode.id.1, size, inode.changed.seconds().cast_unsigned()].map(u64::to_be_bytes);
        let parts =
            [&numbers.concat()[..], &inode.changed.nanoseconds().to_be_bytes(), &[u8::from(has_xattrs)], &sha256]
                .concat();
        bytes.copy_from_slice(&parts);
        bytes
    }

    fn from_bytes(bytes: &[u8; FILE]) -> Option<Self> {
        let (numbers, rest) = bytes.split_first_chunk::<32>()?;
        let (nanoseconds, rest) = rest.split_first_chunk::<4>()?;
        let (has_xattrs, sha256) = rest.split_first()?;
        let number = |place: usize| Some(u64::from_be_bytes(*numbers.get(8 * place..)?.first_chunk()?));
        let changed = Timestamp::new(number(3)?.cast_signed(), u32::from_be_bytes(*nanoseconds))?;
        let inode = InodeState { id: (number(0)?, number(1)?), changed };
        Some(Self { inode, size: number(2)?, has_xattrs: *has_xattrs != 0, sha256: sha256.try_into().ok()? })
    }
}

/// Since 1970.
fn nanoseconds(time: Timestamp) -> i128 {
    i128::from(time.seconds()) * 1_000_000_000 + i128::from(time.nanoseconds())
}
