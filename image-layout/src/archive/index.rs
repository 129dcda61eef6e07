//! What an archive holds, by name, while it is being read and when all of it was.

use std::{cell::OnceCell, collections::HashMap, io::Read};

use image_core::{
    Compression, Ctx, Error as CoreError,
    blob::{BlobSourceExt, BlobStore, BlobWriter, Committed, Expected},
    codec::{DecodeOptions, Decoder},
    observer::Task,
};

use super::{
    LoadOptions,
    intake::{Intake, Plain, read_layer, settled},
    members::{Member, MemberKind, Members},
    names::{clean, digest_of, display, resolve},
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
enum Content {
    /// In memory; what it is when taken for a layer is found out when somebody asks.
    Held { bytes: Vec<u8>, plain: OnceCell<Plain> },
    /// On its way into the store, and not visible there.
    Pending { writer: Box<dyn BlobWriter>, size: u64, plain: Plain },
    /// A blob.
    Stored { blob: Committed, plain: Plain },
}

enum Entry {
    /// Boxed, since there may be a great many entries, most of them links and small.
    File(Box<Content>),
    /// A link, and the name that it leads to; `None` where that is outside the archive.
    Link(Option<Vec<u8>>),
}

/// The members of an archive.
pub(super) struct Index<'a> {
    store: &'a dyn BlobStore,
    entries: HashMap<Vec<u8>, Entry>,
    held: u64,
    pending: usize,
    /// How many bytes a plain layer may have.
    layer_limit: u64,
    ctx: &'a Ctx,
}

impl<'a> Index<'a> {
    /// Reads an archive to its end.
    pub(super) fn read(
        reader: impl Read,
        store: &'a dyn BlobStore,
        options: &LoadOptions,
        task: &Task<'_>,
        ctx: &'a Ctx,
    ) -> Result<Self> {
        let decoder = Decoder::detect(reader, Compression::None, &DecodeOptions::default())?;
        let mut members = Members::new(decoder);
        let layer_limit = options.layer_bytes.unwrap_or(u64::MAX);
        let mut index = Self { store, entries: HashMap::new(), held: 0, pending: 0, layer_limit, ctx };
        let (mut count, mut name_bytes) = (0_u64, 0_u64);
        while let Some(member) = members.next()? {
            ctx.check()?;
            count += 1;
            let target = match &member.kind {
                MemberKind::Symlink(target) | MemberKind::HardLink(target) => target.len(),
                MemberKind::File(_) | MemberKind::Other => 0,
            };
            name_bytes = name_bytes.saturating_add(member.name.len() as u64).saturating_add(target as u64);
            within(count, "number of the archive's members", options.members)?;
            within(name_bytes, "names of the archive's members, in bytes", options.name_bytes)?;
            index.add(member, &mut Intake::new(&mut members, task, ctx))?;
        }
        members.drain()?;
        Ok(index)
    }

    /// Takes a member in. One whose name leads out of the archive is nothing; of one name the last counts.
    fn add<R: Read>(&mut self, member: Member, intake: &mut Intake<'_, R>) -> Result<()> {
        let Some(name) = clean(&member.name) else { return Ok(()) };
        let entry = match member.kind {
            MemberKind::File(size) => Entry::File(Box::new(self.ingest(&name, size, intake)?)),
            MemberKind::HardLink(target) => Entry::Link(clean(&target)),
            MemberKind::Symlink(target) => Entry::Link(resolve(&name, &target)),
            MemberKind::Other => return Ok(()),
        };
        if ROOTS.contains(&&*name) && self.entries.contains_key(&name) {
            return Err(Error::archive(&name, "it is there twice"));
        }
        if let Some(Entry::File(content)) = self.entries.insert(name, entry) {
            match *content {
                Content::Held { bytes, .. } => self.held -= bytes.len() as u64,
                Content::Pending { .. } => self.pending -= 1,
                Content::Stored { .. } => {}
            }
        }
        Ok(())
    }

    fn ingest<R: Read>(&mut self, name: &[u8], size: u64, intake: &mut Intake<'_, R>) -> Result<Content> {
        let starts_as_json = matches!(intake.members.peek()?.first(), Some(b'{' | b'[' | b' ' | b'\t' | b'\r' | b'\n'));
        let is_document = starts_as_json && size <= MAX_INDEX_SIZE;
        if (is_document || size <= SMALL) && self.held + size <= MAX_HELD {
            let mut bytes = Vec::new();
            intake.copy(&mut bytes)?;
            self.held += size;
            return Ok(Content::Held { bytes, plain: OnceCell::new() });
        }
        let expected = digest_of(name).map_or_else(Expected::any, |digest| Expected::sized(digest, size));
        let mut writer = self.store.create(&expected)?;
        let plain = intake.layer(&mut writer, self.layer_limit)?;
        if is_document || self.pending >= MAX_PENDING {
            return Ok(Content::Stored { blob: writer.commit()?, plain });
        }
        self.pending += 1;
        Ok(Content::Pending { writer, size, plain })
    }

    /// Whether there is a file of this name, itself or through links.
    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.find(name).is_ok()
    }

    /// The name of the file that a name leads to.
    fn find(&self, name: &[u8]) -> Result<Vec<u8>> {
        let missing = || Error::archive(name, "there is no such file in the archive");
        let mut at = clean(name).ok_or_else(missing)?;
        for _ in 0..=MAX_LINKS {
            match self.entries.get(&at) {
                None | Some(Entry::Link(None)) => return Err(missing()),
                Some(Entry::File(_)) => return Ok(at),
                Some(Entry::Link(Some(target))) => at.clone_from(target),
            }
        }
        Err(Error::archive(name, "it leads through more than 8 links"))
    }

    fn content(&self, name: &[u8]) -> Result<&Content> {
        match self.entries.get(&self.find(name)?) {
            Some(Entry::File(content)) => Ok(content),
            _ => Err(Error::archive(name, "there is no such file in the archive")),
        }
    }

    /// The bytes of a document.
    pub(super) fn document(&self, name: &[u8], limit: u64) -> Result<Vec<u8>> {
        let content = self.content(name)?;
        within(content.size(), &format!("archive: {}, in bytes", display(name)), limit)?;
        match content {
            Content::Held { bytes, .. } => Ok(bytes.clone()),
            Content::Stored { blob, .. } => {
                let mut bytes = Vec::new();
                let read = self.store.require(&blob.digest)?.read_to_end(&mut bytes);
                read.map_err(|error| CoreError::stream("read the document", error))?;
                Ok(bytes)
            }
            Content::Pending { .. } => Err(Error::archive(name, "it is not a JSON document")),
        }
    }

    /// The size of a file, and what it is as a layer.
    pub(super) fn layer(&self, name: &[u8]) -> Result<(u64, Plain)> {
        self.ctx.check()?;
        let content = self.content(name)?;
        let plain = match content {
            Content::Held { bytes, plain } => match plain.get() {
                Some(plain) => plain,
                None => {
                    let read = settled(read_layer(bytes.as_slice(), self.layer_limit))?;
                    plain.get_or_init(|| read)
                }
            },
            Content::Pending { plain, .. } | Content::Stored { plain, .. } => plain,
        };
        match plain {
            Plain::Broken(reason) => Err(Error::archive(name, reason.as_str())),
            plain => Ok((content.size(), plain.clone())),
        }
    }

    /// The size of a file.
    pub(super) fn size(&self, name: &[u8]) -> Result<u64> {
        Ok(self.content(name)?.size())
    }

    /// Makes a file a blob, if it is none yet. What is in memory is compared with what is `expected`;
    /// of everything else the answer tells what it is.
    pub(super) fn commit(&mut self, name: &[u8], expected: &Expected) -> Result<Committed> {
        let missing = || Error::archive(name, "there is no such file in the archive");
        let name = self.find(name)?;
        let Some(Entry::File(content)) = self.entries.remove(&name) else { return Err(missing()) };
        let (blob, plain) = match *content {
            Content::Held { bytes, plain } => {
                let mut writer = self.store.create(expected)?;
                writer.write_all(&bytes).map_err(|error| CoreError::stream("write the blob", error))?;
                let blob = writer.commit()?;
                // It stays what it is: documents are read again.
                self.entries.insert(name, Entry::File(Box::new(Content::Held { bytes, plain })));
                return Ok(blob);
            }
            Content::Pending { writer, plain, .. } => {
                self.pending -= 1;
                (writer.commit()?, plain)
            }
            Content::Stored { blob, plain } => (blob, plain),
        };
        self.entries.insert(name, Entry::File(Box::new(Content::Stored { blob: blob.clone(), plain })));
        Ok(blob)
    }
}

impl Content {
    fn size(&self) -> u64 {
        match self {
            Self::Held { bytes, .. } => bytes.len() as u64,
            Self::Pending { size, .. } => *size,
            Self::Stored { blob, .. } => blob.size,
        }
    }
}

/// Says what there is too much of.
pub(super) fn within(count: u64, what: &str, limit: u64) -> Result<()> {
    if count > limit { Err(CoreError::limit(what, limit).into()) } else { Ok(()) }
}
