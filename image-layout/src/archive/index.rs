//! What an archive holds, by name, while it is being read and when all of it was.

use std::{
    cell::OnceCell,
    collections::BTreeMap,
    io::{self, Read, Write},
};

use image_core::{
    Compression, Error as CoreError,
    blob::{BlobSourceExt, BlobStore, BlobWriter, Committed, Expected},
    codec::{DecodeOptions, Decoder, EncodeOptions, Encoder},
    observer::Task,
};

use super::{
    LoadOptions,
    budget::{Budget, Counted},
    intake::{Intake, Plain, read_layer, settled},
    members::{Member, MemberKind, Members},
    names::{clean, digest_of, display, resolve},
    storing::Storing,
};
use crate::{
    error::{Error, Result},
    index_file::MAX_INDEX_SIZE,
};

/// What is no larger is held in memory, whatever it is, in bytes.
const SMALL: u64 = 4 << 10;

/// How much is held in memory at most, in bytes. Documents past that go to the store.
const MAX_HELD: u64 = 16 << 20;

/// How many files are kept open at most until it is known who needs them. Files past that become
/// blobs as they come, and wait for garbage collection where no image needs them.
const MAX_PENDING: usize = 128;

/// How many links lead to a member at most.
const MAX_LINKS: usize = 8;

/// The files that say what images there are. There may be one of each.
const ROOTS: [&[u8]; 2] = [b"manifest.json", b"index.json"];

/// A regular file of an archive.
enum File {
    /// In memory; what it is when taken for a layer is found out when somebody asks.
    Held { bytes: Box<[u8]>, plain: OnceCell<Box<Plain>> },
    /// In the store.
    Streamed(Box<Streamed>),
}

enum Streamed {
    /// On its way, and not visible.
    Pending { writer: Box<dyn BlobWriter>, size: u64, plain: Plain },
    /// A blob.
    Stored { blob: Committed, plain: Plain },
}

/// What has a name. There may be a great many, most of them links and small: so it is small itself.
enum Entry {
    File(File),
    /// A link, and the name that it leads to; `None` where that is outside the archive.
    Link(Option<Box<[u8]>>),
}

/// The members of an archive.
pub(super) struct Index<'a> {
    store: &'a dyn BlobStore,
    /// In a tree, which does not double as it grows.
    entries: BTreeMap<Box<[u8]>, Entry>,
    held: u64,
    pending: usize,
    budget: &'a Budget<'a>,
    /// What plain files are compressed with that are no documents.
    encode: Option<&'a EncodeOptions>,
    /// Whether there was any, or may be one among those in memory.
    has_compressed: bool,
    /// What was compressed of what is in memory, by name.
    packed: BTreeMap<Box<[u8]>, (Committed, Plain)>,
}

impl<'a> Index<'a> {
    /// Reads an archive to its end.
    pub(super) fn read(
        reader: impl Read,
        store: &'a dyn BlobStore,
        options: &'a LoadOptions,
        task: &Task<'_>,
        budget: &'a Budget<'a>,
    ) -> Result<Self> {
        let decoder = Decoder::detect(reader, Compression::None, &DecodeOptions::default())?;
        let mut members = Members::new(Counted::new(decoder, budget));
        let encode = options.encode.as_ref().filter(|encode| encode.compression != Compression::None);
        if let Some(encode) = encode {
            // What it cannot do is said before anything is read.
            Encoder::new(io::sink(), encode)?;
        }
        let (entries, packed) = (BTreeMap::new(), BTreeMap::new());
        let mut index = Self { store, entries, held: 0, pending: 0, budget, encode, has_compressed: false, packed };
        let (mut count, mut name_bytes) = (0_u64, 0_u64);
        while let Some(member) = members.next()? {
            budget.ctx().check()?;
            count += 1;
            let target = match &member.kind {
                MemberKind::Symlink(target) | MemberKind::HardLink(target) => target.len(),
                MemberKind::File(_) | MemberKind::Other => 0,
            };
            name_bytes = name_bytes.saturating_add(member.name.len() as u64).saturating_add(target as u64);
            within(count, "number of the archive's members", options.members)?;
            within(name_bytes, "names of the archive's members, in bytes", options.name_bytes)?;
            index.add(member, &mut Intake::new(&mut members, task, budget))?;
        }
        members.drain()?;
        Ok(index)
    }

    /// Takes a member in. One whose name leads out of the archive is nothing; of one name the last counts.
    fn add<R: Read>(&mut self, member: Member, intake: &mut Intake<'_, R>) -> Result<()> {
        let Some(name) = clean(&member.name) else { return Ok(()) };
        let entry = match member.kind {
            MemberKind::File(size) => Entry::File(self.ingest(&name, size, intake)?),
            MemberKind::HardLink(target) => Entry::Link(clean(&target).map(Vec::into_boxed_slice)),
            MemberKind::Symlink(target) => Entry::Link(resolve(&name, &target).map(Vec::into_boxed_slice)),
            MemberKind::Other => return Ok(()),
        };
        if ROOTS.contains(&&*name) && self.entries.contains_key(&*name) {
            return Err(Error::archive(&name, "it is there twice"));
        }
        match self.entries.insert(name.into_boxed_slice(), entry) {
            Some(Entry::File(File::Held { bytes, .. })) => self.held -= bytes.len() as u64,
            Some(Entry::File(File::Streamed(file))) => self.pending -= usize::from(file.is_pending()),
            Some(Entry::Link(_)) | None => {}
        }
        Ok(())
    }

    fn ingest<R: Read>(&mut self, name: &[u8], size: u64, intake: &mut Intake<'_, R>) -> Result<File> {
        let starts_as_json = matches!(intake.members.peek()?.first(), Some(b'{' | b'[' | b' ' | b'\t' | b'\r' | b'\n'));
        let is_document = starts_as_json && size <= MAX_INDEX_SIZE;
        if (is_document || size <= SMALL) && self.held + size <= MAX_HELD {
            let mut bytes = Vec::new();
            intake.copy(&mut bytes)?;
            self.held += size;
            self.has_compressed |= self.encode.is_some() && !starts_as_json && Compression::sniff(&bytes).is_none();
            return Ok(File::Held { bytes: bytes.into_boxed_slice(), plain: OnceCell::new() });
        }
        let encode = self.encode.filter(|_| !is_document);
        let named = digest_of(name).filter(|_| encode.is_none());
        let expected = named.map_or_else(Expected::any, |digest| Expected::sized(digest, size));
        let mut storing = Storing::new(self.store.create(&expected)?, encode);
        let plain = intake.layer(&mut storing)?;
        self.has_compressed |= storing.is_compressing();
        let (mut writer, plain) = storing.finish(plain)?;
        if is_document || self.pending >= MAX_PENDING {
            return Ok(File::Streamed(Box::new(Streamed::Stored { blob: writer.commit()?, plain })));
        }
        // Many may wait: a thread for each would be too much.
        writer.flush().map_err(|error| CoreError::stream("write the blob", error))?;
        self.pending += 1;
        Ok(File::Streamed(Box::new(Streamed::Pending { writer, size, plain })))
    }

    /// Whether files are, or will be, compressed that the archive has as they are.
    pub(super) fn has_compressed(&self) -> bool {
        self.has_compressed
    }

    /// Whether there is a file of this name, itself or through links.
    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.find(name).is_ok()
    }

    /// The file that a name leads to, and the file's own name.
    fn find(&self, name: &[u8]) -> Result<(Box<[u8]>, &File)> {
        let mut at = clean(name).ok_or_else(|| missing(name))?.into_boxed_slice();
        for _ in 0..=MAX_LINKS {
            match self.entries.get(&at) {
                None | Some(Entry::Link(None)) => return Err(missing(name)),
                Some(Entry::Link(Some(target))) => at.clone_from(target),
                Some(Entry::File(file)) => return Ok((at, file)),
            }
        }
        Err(Error::archive(name, "it leads through more than 8 links"))
    }

    /// The bytes of a document.
    pub(super) fn document(&self, name: &[u8], limit: u64) -> Result<Vec<u8>> {
        let (_, file) = self.find(name)?;
        within(file.size(), &format!("archive: {}, in bytes", display(name)), limit)?;
        self.budget.admit_document(name, file.size())?;
        let file = match file {
            File::Held { bytes, .. } => return Ok(bytes.to_vec()),
            File::Streamed(file) => file,
        };
        let Streamed::Stored { blob, .. } = &**file else {
            return Err(Error::archive(name, "it is not a JSON document"));
        };
        let mut bytes = Vec::new();
        let read = self.store.require(&blob.digest)?.read_to_end(&mut bytes);
        read.map_err(|error| CoreError::stream("read the document", error))?;
        Ok(bytes)
    }

    /// The size of a file, and what it is as a layer.
    pub(super) fn layer(&self, name: &[u8]) -> Result<(u64, Plain)> {
        self.budget.ctx().check()?;
        let (_, file) = self.find(name)?;
        let plain = match file {
            File::Held { bytes, plain } => match plain.get() {
                Some(plain) => plain,
                None => {
                    let read = settled(read_layer(&**bytes, self.budget))?;
                    plain.get_or_init(|| Box::new(read))
                }
            },
            File::Streamed(file) => file.plain(),
        };
        match plain {
            Plain::Broken(reason) => Err(Error::archive(name, reason.as_str())),
            plain => Ok((file.size(), plain.clone())),
        }
    }

    /// The size of a file.
    pub(super) fn size(&self, name: &[u8]) -> Result<u64> {
        Ok(self.find(name)?.1.size())
    }

    /// Makes a layer a blob, if it is none yet, and tells what it is there.
    pub(super) fn commit_layer(&mut self, name: &[u8]) -> Result<(Committed, Plain)> {
        let (_, plain) = self.layer(name)?;
        let (at, file) = self.find(name)?;
        match (file, self.encode) {
            (File::Held { bytes, .. }, Some(encode)) => {
                if let Some(packed) = self.packed.get(&at) {
                    return Ok(packed.clone());
                }
                let mut storing = Storing::new(self.store.create(&Expected::any())?, Some(encode));
                storing.write_all(bytes).map_err(|error| CoreError::stream("write the blob", error))?;
                let (writer, plain) = storing.finish(plain)?;
                let packed = (writer.commit()?, plain);
                self.packed.insert(at, packed.clone());
                Ok(packed)
            }
            _ => Ok((self.commit(name, &Expected::any())?, plain)),
        }
    }

    /// Makes a file a blob, if it is none yet. What is in memory is compared with what is `expected`;
    /// of everything else the answer tells what it is.
    pub(super) fn commit(&mut self, name: &[u8], expected: &Expected) -> Result<Committed> {
        let (at, file) = self.find(name)?;
        if let File::Held { bytes, .. } = file {
            // It stays what it is: documents are read again.
            let mut writer = self.store.create(expected)?;
            writer.write_all(bytes).map_err(|error| CoreError::stream("write the blob", error))?;
            return Ok(writer.commit()?);
        }
        let Some(Entry::File(File::Streamed(file))) = self.entries.remove(&at) else { return Err(missing(name)) };
        let (blob, plain) = match *file {
            Streamed::Pending { writer, plain, .. } => {
                self.pending -= 1;
                (writer.commit()?, plain)
            }
            Streamed::Stored { blob, plain } => (blob, plain),
        };
        let stored = Streamed::Stored { blob: blob.clone(), plain };
        self.entries.insert(at, Entry::File(File::Streamed(Box::new(stored))));
        Ok(blob)
    }
}

impl File {
    fn size(&self) -> u64 {
        match self {
            Self::Held { bytes, .. } => bytes.len() as u64,
            Self::Streamed(file) => match &**file {
                Streamed::Pending { size, .. } => *size,
                Streamed::Stored { blob, .. } => blob.size,
            },
        }
    }
}

impl Streamed {
    fn is_pending(&self) -> bool {
        matches!(self, Self::Pending { .. })
    }

    fn plain(&self) -> &Plain {
        match self {
            Self::Pending { plain, .. } | Self::Stored { plain, .. } => plain,
        }
    }
}

fn missing(name: &[u8]) -> Error {
    Error::archive(name, "there is no such file in the archive")
}

/// Says what there is too much of.
pub(super) fn within(count: u64, what: &str, limit: u64) -> Result<()> {
    if count > limit { Err(CoreError::limit(what, limit).into()) } else { Ok(()) }
}
