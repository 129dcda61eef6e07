//! Lists of files: what a step took, so that a later one can say what is different.
//!
//! A version line, each file in canonical order of paths, and the SHA-256 of all that. Numbers are
//! unsigned LEB128, byte strings follow their length, and a path says how many bytes it shares with
//! the one before it. Lists are written, read and compared as streams: they may be as large as a context.

use std::io::{self, BufReader, Read, Seek, Write};

use image_core::hasher::Sha256;
use serde::{Deserialize, Serialize};

const VERSION: &[u8] = b"image-build files 1\n";

/// The most bytes of a path.
const MAX_PATH: u64 = 1 << 16;

/// How many files a comparison names.
const NAMED: usize = 10;

/// A file that a step took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedFile {
    pub(crate) path: Vec<u8>,
    /// A letter for the kind of file.
    pub(crate) kind: u8,
    pub(crate) mode: u32,
    /// Where owners are kept.
    pub(crate) owner: (u32, u32),
    /// The beginning of a digest of content, target or device number.
    pub(crate) content: [u8; 16],
    /// The beginning of a digest of extended attributes.
    pub(crate) attributes: [u8; 4],
}

/// What is different in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FileDifference {
    /// It was not there.
    Added,
    /// It is not there any more.
    Removed,
    /// It is left out by an ignore file now, there or not.
    Ignored,
    /// It is of another kind: a file was a symlink, say.
    Kind,
    /// The content, or what a symlink points to.
    Content,
    /// The mode.
    #[non_exhaustive]
    Mode {
        /// The one before.
        old: u32,
        /// The one now.
        new: u32,
    },
    /// The owner.
    #[non_exhaustive]
    Owner {
        /// User and group before.
        old: (u32, u32),
        /// User and group now.
        new: (u32, u32),
    },
    /// The extended attributes.
    Attributes,
}

/// A file that is different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileChange {
    /// The path where the file was taken from; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// What is different.
    pub differences: Vec<FileDifference>,
}

/// The files that are different.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileChanges {
    /// How many.
    pub count: u64,
    /// The first ten by path.
    pub first: Vec<FileChange>,
}

impl FileChanges {
    fn add(&mut self, path: &[u8], differences: Vec<FileDifference>) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(FileChange { path: String::from_utf8_lossy(path).into_owned(), differences });
        }
    }

    fn compare(&mut self, old: &ListedFile, new: &ListedFile) {
        let mut differences = Vec::new();
        if old.kind != new.kind {
            differences.push(FileDifference::Kind);
        } else if old.content != new.content {
            differences.push(FileDifference::Content);
        }
        if old.mode != new.mode {
            differences.push(FileDifference::Mode { old: old.mode, new: new.mode });
        }
        if old.owner != new.owner {
            differences.push(FileDifference::Owner { old: old.owner, new: new.owner });
        }
        if old.attributes != new.attributes {
            differences.push(FileDifference::Attributes);
        }
        if !differences.is_empty() {
            self.add(&new.path, differences);
        }
    }
}

/// Writes a list.
pub(crate) struct ListWriter<W: Write> {
    out: W,
    hasher: Sha256,
    previous: Vec<u8>,
    /// What is written next.
    buffer: Vec<u8>,
}

impl<W: Write> ListWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, hasher: Sha256::default(), previous: Vec::new(), buffer: VERSION.to_vec() }
    }

    /// Adds a file; paths come in canonical order.
    pub(crate) fn push(&mut self, file: &ListedFile) -> io::Result<()> {
        let shared = file.path.iter().zip(&self.previous).take_while(|(a, b)| a == b).count();
        let rest = file.path.get(shared..).unwrap_or_default();
        for number in [shared as u64, rest.len() as u64] {
            put_number(&mut self.buffer, number);
        }
        self.buffer.extend_from_slice(rest);
        self.buffer.push(file.kind);
        for number in [file.mode, file.owner.0, file.owner.1] {
            put_number(&mut self.buffer, number.into());
        }
        self.buffer.extend_from_slice(&file.content);
        self.buffer.extend_from_slice(&file.attributes);
        self.previous.clone_from(&file.path);
        if self.buffer.len() >= 32 << 10 { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hasher.update(&self.buffer);
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the rest, and gives the SHA-256 that stands at the end.
    pub(crate) fn finish(mut self) -> io::Result<(W, [u8; 32])> {
        self.flush()?;
        let sha256 = self.hasher.finish();
        self.out.write_all(&sha256)?;
        Ok((self.out, sha256))
    }
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Reads a list.
pub(crate) struct ListReader<R> {
    input: io::Take<BufReader<R>>,
    previous: Vec<u8>,
}

impl<R: Read + Seek> ListReader<R> {
    /// Reads a list through to see that it is whole, then begins; `None` where it is not.
    pub(crate) fn open(mut input: R) -> io::Result<Option<Self>> {
        let length = input.seek(io::SeekFrom::End(0))?;
        let Some(body) = length.checked_sub(32 + VERSION.len() as u64) else { return Ok(None) };
        input.rewind()?;
        let mut version = vec![0; VERSION.len()];
        input.read_exact(&mut version)?;
        let mut hasher = Sha256::default();
        hasher.update(&version);
        let mut buffer = vec![0; 64 << 10];
        let mut rest = (&mut input).take(body);
        loop {
            match rest.read(&mut buffer)? {
                0 => break,
                count => hasher.update(&buffer[..count]),
            }
        }
        let mut stored = [0; 32];
        input.read_exact(&mut stored)?;
        if version != VERSION || stored != hasher.finish() {
            return Ok(None);
        }
        input.seek(io::SeekFrom::Start(VERSION.len() as u64))?;
        Ok(Some(Self { input: BufReader::new(input).take(body), previous: Vec::new() }))
    }

    /// The next file; `None` behind the last.
    pub(crate) fn next(&mut self) -> io::Result<Option<ListedFile>> {
        let mut first = [0];
        if self.input.read(&mut first)? == 0 {
            return Ok(None);
        }
        let shared = self.number_from(first[0])?;
        let rest = self.number()?;
        let shared = usize::try_from(shared).ok().and_then(|shared| self.previous.get(..shared));
        let mut path = shared.filter(|_| rest <= MAX_PATH).ok_or(io::ErrorKind::InvalidData)?.to_vec();
        if (&mut self.input).take(rest).read_to_end(&mut path)? as u64 != rest {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut kind = [0];
        self.input.read_exact(&mut kind)?;
        let (mode, owner) = (self.small()?, (self.small()?, self.small()?));
        let (mut content, mut attributes) = ([0; 16], [0; 4]);
        self.input.read_exact(&mut content)?;
        self.input.read_exact(&mut attributes)?;
        self.previous.clone_from(&path);
        Ok(Some(ListedFile { path, kind: kind[0], mode, owner, content, attributes }))
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut byte = [0];
        self.input.read_exact(&mut byte)?;
        self.number_from(byte[0])
    }

    fn number_from(&mut self, mut byte: u8) -> io::Result<u64> {
        let mut number = 0_u64;
        for shift in (0..63).step_by(7) {
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
            let mut next = [0];
            self.input.read_exact(&mut next)?;
            byte = next[0];
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    fn small(&mut self) -> io::Result<u32> {
        u32::try_from(self.number()?).map_err(|_| io::ErrorKind::InvalidData.into())
    }
}

/// Compares an old list with the files of now, which come one by one in canonical order.
pub(crate) struct Comparison<R> {
    old: ListReader<R>,
    next: Option<ListedFile>,
    changes: FileChanges,
}

impl<R: Read + Seek> Comparison<R> {
    pub(crate) fn new(mut old: ListReader<R>) -> io::Result<Self> {
        let next = old.next()?;
        Ok(Self { old, next, changes: FileChanges::default() })
    }

    pub(crate) fn push(&mut self, new: &ListedFile) -> io::Result<()> {
        while let Some(old) = self.next.take_if(|old| old.path == new.path || order(&old.path, &new.path).is_lt()) {
            self.next = self.old.next()?;
            if old.path == new.path {
                self.changes.compare(&old, new);
                return Ok(());
            }
            self.changes.add(&old.path, vec![FileDifference::Removed]);
        }
        self.changes.add(&new.path, vec![FileDifference::Added]);
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<FileChanges> {
        while let Some(old) = self.next.take() {
            self.changes.add(&old.path, vec![FileDifference::Removed]);
            self.next = self.old.next()?;
        }
        Ok(self.changes)
    }
}

/// The canonical order of paths: component by component, bytewise.
fn order(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    a.split(|b| *b == b'/').cmp(b.split(|b| *b == b'/'))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn file(path: &str, content: u8) -> ListedFile {
        let path = path.as_bytes().to_vec();
        ListedFile { path, kind: b'f', mode: 0o644, owner: (0, 0), content: [content; 16], attributes: [0; 4] }
    }

    fn list(files: &[ListedFile]) -> Vec<u8> {
        let mut writer = ListWriter::new(Vec::new());
        files.iter().for_each(|file| writer.push(file).unwrap());
        writer.finish().unwrap().0
    }

    fn compare(old: &[ListedFile], new: &[ListedFile]) -> FileChanges {
        let reader = ListReader::open(Cursor::new(list(old))).unwrap().unwrap();
        let mut comparison = Comparison::new(reader).unwrap();
        new.iter().for_each(|file| comparison.push(file).unwrap());
        comparison.finish().unwrap()
    }

    #[test]
    fn a_list_is_read_as_it_was_written_and_not_at_all_where_it_is_damaged() {
        let mut files: Vec<_> = (0..2000).map(|n| file(&format!("dir/{n:05}"), 7)).collect();
        files.push(ListedFile { mode: 0o7777, owner: (u32::MAX, 300), attributes: [9; 4], ..file("e", 1) });
        let bytes = list(&files);
        let mut reader = ListReader::open(Cursor::new(&bytes)).unwrap().unwrap();
        let mut read = Vec::new();
        while let Some(file) = reader.next().unwrap() {
            read.push(file);
        }
        assert_eq!(read, files);
        for at in [0, 5, 20, 700, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(ListReader::open(Cursor::new(damaged)).unwrap().is_none(), "byte {at}");
            assert!(ListReader::open(Cursor::new(&bytes[..at])).unwrap().is_none(), "cut at {at}");
        }
    }

    #[test]
    fn a_comparison_names_what_is_different() {
        let old = [file("a", 1), file("a/b", 1), file("a.txt", 1), file("c", 1)];
        assert_eq!(compare(&old, &old), FileChanges::default());
        let mut new = [file("a", 1), file("a/c", 1), file("a.txt", 2), file("c", 1)];
        (new[3].mode, new[3].owner, new[3].attributes) = (0o755, (1, 2), [1; 4]);
        let changes = compare(&old, &new);
        let said: Vec<_> = changes.first.iter().map(|change| (&*change.path, &*change.differences)).collect();
        let all = [
            FileDifference::Mode { old: 0o644, new: 0o755 },
            FileDifference::Owner { old: (0, 0), new: (1, 2) },
            FileDifference::Attributes,
        ];
        assert_eq!(
            said,
            [
                ("a/b", &[FileDifference::Removed][..]),
                ("a/c", &[FileDifference::Added]),
                ("a.txt", &[FileDifference::Content]),
                ("c", &all),
            ]
        );
    }

    #[test]
    fn a_comparison_names_ten_and_counts_all() {
        let new: Vec<_> = (0..25).map(|n| file(&format!("{n:02}"), 1)).collect();
        let changes = compare(&[], &new);
        assert_eq!((changes.count, changes.first.len()), (25, 10));
        assert_eq!(changes.first[9].path, "09");
        assert_eq!(compare(&new, &[]).count, 25);
    }
}
