//! Going through directories on several threads, and putting together what they hold.

use std::{
    collections::{BTreeMap, HashMap},
    mem::{self, MaybeUninit},
    os::fd::{AsFd, BorrowedFd},
    sync::atomic::{AtomicUsize, Ordering},
};

use image_core::{
    Ctx,
    observer::NoticeKind,
    parallel::{self, Visit},
};
use rustix::{
    fs::{FileType, RawDir},
    io::Errno,
    process::geteuid,
};

use super::{DirContent, Sight};
use crate::{
    capture::Over,
    entry::{EntryKind, Metadata},
    error::{Error, Result},
    known::KnownFiles,
    path::LayerPath,
    root::{FileId, Root, Status, read_xattrs},
    rootless,
    source::InodeState,
    tree::{FileTree, NodeId, NodeRef},
    xattr::XattrClass,
};

/// How many names of a directory are handed over at once.
const BATCH: usize = 1024;

/// Lists so much of what is below a root. Gives with it every name of the files that have several.
pub(super) fn list(
    root: &Root,
    extent: Extent<'_>,
    sight: Sight,
    known: &KnownFiles,
    ctx: &Ctx,
) -> Result<(FileTree<DirContent>, Vec<NodeId>)> {
    let scan = Scan { root, sight, known, count: AtomicUsize::new(0), ctx };
    let mut assembly = Assembly::default();
    let first = scan.root(extent, &mut assembly)?;
    let list = |directory, visit: &mut Visit<'_, _, _>| scan.directory(&directory, visit);
    parallel::explore(parallel::threads(), first, list, |listing| {
        assembly.add(listing);
        Ok(())
    })?;
    Ok((assembly.tree, assembly.linked))
}

/// How much of a directory is looked at.
#[derive(Clone, Copy)]
pub(super) enum Extent<'a> {
    All,
    /// What this directory has names for.
    Beneath(NodeRef<'a, DirContent>, &'a Over<'a>),
}

impl<'a> Extent<'a> {
    /// How much is looked at of the directory of this name; `None` where it is enough to know that it is one.
    fn of(self, name: &[u8]) -> Option<Self> {
        let Self::Beneath(dir, over) = self else { return Some(Self::All) };
        let above = dir.child(name).filter(|above| above.is_directory())?;
        Some(if over.is_opaque(above) { Self::All } else { Self::Beneath(above, over) })
    }
}

struct Scan<'a> {
    root: &'a Root,
    sight: Sight,
    known: &'a KnownFiles,
    /// How many directories were found in others.
    count: AtomicUsize,
    ctx: &'a Ctx,
}

/// A directory that is still to be read.
struct Pending<'a> {
    number: usize,
    path: LayerPath,
    id: FileId,
    extent: Extent<'a>,
}

/// Some of what is in a directory.
struct Listing {
    /// The number of the directory.
    directory: usize,
    names: Vec<Listed>,
}

struct Listed {
    name: Vec<u8>,
    status: Status,
    kind: EntryKind,
    metadata: Metadata,
    /// The number of a directory.
    number: Option<usize>,
}

impl Scan<'_> {
    /// Takes the root into a tree, and gives it to be read.
    fn root<'e>(&self, extent: Extent<'e>, assembly: &mut Assembly) -> Result<Pending<'e>> {
        let path = LayerPath::root();
        let status = Status::of(self.root).map_err(|e| failed("stat", &path, e))?;
        let metadata = self.metadata(self.root.as_fd(), b".", &path, &status)?;
        let node = assembly.tree.root().id();
        assembly.tree.set_metadata(node, metadata);
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        assembly.directories.insert(number, node);
        Ok(Pending { number, path, id: status.id, extent })
    }

    fn directory<'e>(&self, at: &Pending<'e>, visit: &mut Visit<'_, Pending<'e>, Listing>) -> Result<()> {
        let dir = self.root.open_dir(&at.path)?;
        let fail = |e| failed("read", &at.path, e);
        if Status::of(&dir).map_err(fail)?.id != at.id {
            return Err(fail(Errno::STALE));
        }
        let mut names = Vec::new();
        let mut look = |name: &[u8]| -> Result<()> {
            self.ctx.check()?;
            names.extend(self.name(at, dir.as_fd(), name, visit)?);
            if names.len() == BATCH {
                visit.tell(Listing { directory: at.number, names: mem::take(&mut names) });
            }
            Ok(())
        };
        if let Extent::Beneath(above, _) = at.extent {
            above.children().try_for_each(|child| look(child.name()))?;
        } else {
            let mut buffer = [MaybeUninit::<u8>::uninit(); 32 << 10];
            let mut entries = RawDir::new(&dir, &mut buffer);
            while let Some(entry) = entries.next() {
                let entry = entry.map_err(fail)?;
                match entry.file_name().to_bytes() {
                    b"." | b".." => {}
                    name => look(name)?,
                }
            }
        }
        visit.tell(Listing { directory: at.number, names });
        Ok(())
    }

    /// Looks at one name; what is a directory is to be read.
    fn name<'e>(
        &self,
        parent: &Pending<'e>,
        dir: BorrowedFd<'_>,
        name: &[u8],
        visit: &mut Visit<'_, Pending<'e>, Listing>,
    ) -> Result<Option<Listed>> {
        let path = parent.path.join(name)?;
        let looked = Status::at(dir, name).map_err(|e| failed("stat", &path, e))?;
        // Somebody may have removed it.
        let Some(status) = looked else { return Ok(None) };
        let (name, number) = (name.to_vec(), None);
        let Some(kind) = kind(dir, &name, &status).map_err(|e| failed("read", &path, e))? else {
            self.ctx.notice(NoticeKind::Skipped, &path.to_string(), "a layer cannot hold a socket");
            let (kind, metadata) = (EntryKind::CharDevice { major: 0, minor: 0 }, Metadata::default());
            let is_whiteout = self.sight == Sight::Overlay;
            return Ok(is_whiteout.then_some(Listed { name, status, kind, metadata, number }));
        };
        let metadata = self.metadata(dir, &name, &path, &status)?;
        if status.kind != FileType::Directory {
            return Ok(Some(Listed { name, status, kind, metadata, number }));
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        if let Some(extent) = parent.extent.of(&name) {
            visit.find(Pending { number, path, id: status.id, extent });
        }
        Ok(Some(Listed { name, status, kind, metadata, number: Some(number) }))
    }

    fn metadata(&self, dir: BorrowedFd<'_>, name: &[u8], path: &LayerPath, status: &Status) -> Result<Metadata> {
        let mut xattrs = if self.has_no_xattrs(status) {
            BTreeMap::new()
        } else {
            read_xattrs(dir, name).map_err(|e| failed("read the extended attributes of", path, e))?
        };
        let mode = if status.kind == FileType::Symlink { 0o777 } else { status.mode };
        let (uid, gid) = match self.sight {
            Sight::Recorded => recorded_owner(xattrs.remove(rootless::XATTR), path, status)?,
            Sight::Plain | Sight::Overlay => (status.uid, status.gid),
        };
        let mut metadata = Metadata::new(mode).with_owner(uid, gid).with_mtime(status.mtime);
        metadata.xattrs = self.content_xattrs(xattrs, path);
        Ok(metadata)
    }

    /// Whether that is known without asking.
    fn has_no_xattrs(&self, status: &Status) -> bool {
        let is_file = status.kind == FileType::RegularFile && self.sight == Sight::Plain;
        is_file && self.known.has_no_xattrs(InodeState::of(status.id, status.ctime), status.size)
    }

    fn content_xattrs(&self, xattrs: BTreeMap<Vec<u8>, Vec<u8>>, path: &LayerPath) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let is_content = |name: &[u8]| match XattrClass::of(name) {
            XattrClass::Content => true,
            // Each file of such a machine has one.
            XattrClass::HostLabel => false,
            XattrClass::Overlay if self.sight == Sight::Overlay => true,
            class => {
                let message =
                    format!("extended attribute {} left out: {}", name.escape_ascii(), class.reason().unwrap_or(""));
                self.ctx.notice(NoticeKind::Skipped, &path.to_string(), &message);
                false
            }
        };
        xattrs.into_iter().filter(|(name, _)| is_content(name)).collect()
    }
}

/// The tree, as far as directories were read.
#[derive(Default)]
struct Assembly {
    tree: FileTree<DirContent>,
    /// Directories by their numbers.
    directories: HashMap<usize, NodeId>,
    /// Inodes with several names, by the name that came first.
    inodes: HashMap<FileId, NodeId>,
    /// Every name of a file that has several.
    linked: Vec<NodeId>,
}

impl Assembly {
    fn add(&mut self, listing: Listing) {
        let Some(&parent) = self.directories.get(&listing.directory) else { return };
        for Listed { name, status, kind, metadata, number } in listing.names {
            if number.is_none()
                && let Some(first) = self.inodes.get(&status.id)
            {
                self.linked.push(self.tree.link(parent, &name, *first));
                continue;
            }
            let content = matches!(kind, EntryKind::File { .. });
            let content = content.then_some(DirContent { id: status.id, changed: status.ctime });
            let node = self.tree.insert(parent, &name, kind, metadata, content);
            if let Some(number) = number {
                self.directories.insert(number, node);
            } else if status.links > 1 && status.kind != FileType::Socket {
                self.inodes.insert(status.id, node);
                self.linked.push(node);
            }
        }
    }
}

fn recorded_owner(record: Option<Vec<u8>>, path: &LayerPath, status: &Status) -> Result<(u32, u32)> {
    match record {
        Some(record) => {
            rootless::parse(&record).ok_or_else(|| failed("read the recorded owner of", path, Errno::INVAL))
        }
        None if status.uid == geteuid().as_raw() => Ok((0, 0)),
        None => Ok((status.uid, status.gid)),
    }
}

/// What is at a name; `None` for what a layer cannot hold.
fn kind(dir: BorrowedFd<'_>, name: &[u8], status: &Status) -> rustix::io::Result<Option<EntryKind>> {
    let (major, minor) = (rustix::fs::major(status.device), rustix::fs::minor(status.device));
    Ok(Some(match status.kind {
        FileType::RegularFile => EntryKind::File { size: status.size },
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => EntryKind::Symlink { target: rustix::fs::readlinkat(dir, name, Vec::new())?.into_bytes() },
        FileType::CharacterDevice => EntryKind::CharDevice { major, minor },
        FileType::BlockDevice => EntryKind::BlockDevice { major, minor },
        FileType::Fifo => EntryKind::Fifo,
        _ => return Ok(None),
    }))
}

fn failed(action: &'static str, path: &LayerPath, error: Errno) -> Error {
    Error::io(action, path.to_string(), error.into())
}
