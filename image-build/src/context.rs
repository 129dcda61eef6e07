//! The build context: the directory that COPY takes files from.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::CStr,
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use image_core::{
    Ctx, Timestamp,
    observer::{NoticeKind, Outcome, TaskKind},
};
use image_overlay::{EntryKind, FileTree, LayerPath, Metadata, NodeId, NodeRef, XattrClass};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};

use crate::{
    error::{Error, Result},
    files::{Fetched, FileFacts, SourceFiles},
    fingerprint,
    ignore::{Ignore, Verdict},
};

/// A directory whose files can be copied into an image.
///
/// It is opened once; everything in it is reached through that handle, no symlink leads out of it,
/// and what `.dockerignore` excludes is not seen at all. It is listed when something is first
/// copied from it, and a file is read only when it is copied.
#[derive(Debug)]
pub struct BuildContext {
    path: PathBuf,
    root: OwnedFd,
    ignore: Ignore,
    tree: OnceLock<ContextTree>,
}

/// The files of a build context.
pub(crate) type ContextTree = FileTree<ContextFile>;

/// What is known of a regular file of the context.
#[derive(Debug)]
pub(crate) struct ContextFile {
    /// What was found when it was read.
    pub(crate) facts: OnceLock<FileFacts>,
}

/// What tells one state of a file from another, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    device: u64,
    inode: u64,
    /// In bytes.
    pub(crate) size: u64,
    modified: Timestamp,
    changed: Timestamp,
}

impl Status {
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            modified: timestamp(stat.st_mtime, stat.st_mtime_nsec),
            changed: timestamp(stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

fn timestamp(seconds: i64, nanoseconds: impl TryInto<u32>) -> Timestamp {
    nanoseconds.try_into().ok().and_then(|nanos| Timestamp::new(seconds, nanos)).unwrap_or_default()
}

impl BuildContext {
    /// Opens a directory; `ignore` says which of its files are not part of the context.
    ///
    /// # Errors
    /// [`Error::is_not_found`], [`Error::is_denied`], or where it is no directory.
    pub fn open(path: impl Into<PathBuf>, ignore: Ignore) -> Result<Self> {
        let path = path.into();
        let root = rustix::fs::open(&path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| Error::io("open the build context", &path, e.into()))?;
        Ok(Self { path, root, ignore, tree: OnceLock::new() })
    }

    /// The path that it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What of it is left out.
    pub(crate) fn ignore(&self) -> &Ignore {
        &self.ignore
    }

    /// Lists the files, once.
    pub(crate) fn list(&self, ctx: &Ctx) -> Result<&ContextTree> {
        if let Some(tree) = self.tree.get() {
            return Ok(tree);
        }
        let tree = Listing::new(self, ctx)?.run()?;
        Ok(self.tree.get_or_init(|| tree))
    }

    /// Opens a regular file below the context, by its path without symlinks.
    pub(crate) fn open_file(&self, path: &LayerPath) -> Result<(File, Stat)> {
        let failed = |e: Errno| Error::io("read", self.path_of(path), e.into());
        let file = open_beneath(&self.root, path).map_err(failed)?;
        let stat = rustix::fs::fstat(&file).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::changed(self.path_of(path)));
        }
        Ok((file, stat))
    }

    /// The path of a file of the context, for errors.
    pub(crate) fn path_of(&self, path: &LayerPath) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        self.path.join(std::ffi::OsStr::from_bytes(path.as_bytes()))
    }
}

/// Opens a file below a directory without following any symlink, and without waiting for a fifo's writer.
fn open_beneath(root: &OwnedFd, path: &LayerPath) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(root, path.as_bytes(), flags, Mode::empty(), beneath) {
        Err(Errno::NOSYS | Errno::PERM) => {}
        other => return other.map(File::from),
    }
    // Without openat2: component by component.
    let mut here = rustix::fs::openat(root, c".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let (parent, name) = (path.parent().unwrap_or_default(), path.file_name().unwrap_or(b"."));
    for name in parent.components() {
        let directory = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
        here = rustix::fs::openat(&here, name, directory, Mode::empty())?;
    }
    rustix::fs::openat(&here, name, flags, Mode::empty()).map(File::from)
}

/// The work of listing a context.
struct Listing<'a> {
    context: &'a BuildContext,
    ctx: &'a Ctx,
    tree: ContextTree,
    /// The first name of each file that has several, by device and inode.
    linked: HashMap<(u64, u64), NodeId>,
}

impl<'a> Listing<'a> {
    fn new(context: &'a BuildContext, ctx: &'a Ctx) -> Result<Self> {
        Ok(Self { context, ctx, tree: ContextTree::new(), linked: HashMap::new() })
    }

    fn run(mut self) -> Result<ContextTree> {
        let context = self.context;
        let task = self.ctx.begin(TaskKind::Fingerprint, &format!("list {}", context.path.display()), None);
        let root = LayerPath::root();
        let open = |path: &LayerPath| -> Result<OwnedFd, Errno> {
            if path.is_root() {
                let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
                return rustix::fs::openat(&context.root, c".", flags, Mode::empty());
            }
            open_beneath(&context.root, path).map(OwnedFd::from)
        };
        let mut todo = vec![(root, self.tree.root().id(), Verdict::default())];
        // Directories that are left out but for what exceptions bring back below them.
        let mut excluded = Vec::new();
        while let Some((path, id, verdict)) = todo.pop() {
            self.ctx.check()?;
            let failed = |e: Errno| Error::io("list", context.path_of(&path), e.into());
            let directory = open(&path).map_err(failed)?;
            let names = names(&directory).map_err(failed)?;
            for (name, kind) in names {
                let child = path.join(&name)?;
                let verdict = context.ignore.verdict(verdict, child.as_bytes());
                if verdict.is_excluded() && !may_hold_exceptions(&context.ignore, verdict, &child, kind) {
                    continue;
                }
                let Some((id, is_directory)) = self.add(&directory, id, &name, &child)? else { continue };
                if verdict.is_excluded() {
                    excluded.push(id);
                }
                if is_directory {
                    todo.push((child, id, verdict));
                }
            }
            task.advance(0, 1);
        }
        for id in excluded.into_iter().rev() {
            if self.tree.node(id).children().next().is_none() {
                self.tree.remove(id);
            }
        }
        task.end(Outcome::Done);
        Ok(self.tree)
    }

    /// Adds one name; `None` for what is left out.
    fn add(
        &mut self,
        directory: &OwnedFd,
        parent: NodeId,
        name: &[u8],
        path: &LayerPath,
    ) -> Result<Option<(NodeId, bool)>> {
        let failed = |e: Errno| Error::io("read", self.context.path_of(path), e.into());
        let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Gone since it was listed.
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(failed(e)),
        };
        let metadata = Metadata::new(stat.st_mode & 0o7777)
            .with_owner(stat.st_uid, stat.st_gid)
            .with_mtime(timestamp(stat.st_mtime, stat.st_mtime_nsec));
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => EntryKind::Directory,
            FileType::RegularFile => return Ok(Some((self.add_file(parent, name, &stat, metadata), false))),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(directory, name, Vec::new()).map_err(failed)?;
                EntryKind::Symlink { target: target.into_bytes() }
            }
            FileType::Socket => {
                let subject = self.context.path_of(path).display().to_string();
                self.ctx.notice(NoticeKind::Skipped, &subject, "a socket cannot be copied into an image");
                return Ok(None);
            }
            _ => EntryKind::Fifo,
        };
        let is_directory = kind == EntryKind::Directory;
        Ok(Some((self.tree.insert(parent, name, kind, metadata, None), is_directory)))
    }

    fn add_file(&mut self, parent: NodeId, name: &[u8], stat: &Stat, metadata: Metadata) -> NodeId {
        let key = (stat.st_dev, stat.st_ino);
        if stat.st_nlink > 1
            && let Some(first) = self.linked.get(&key)
        {
            return self.tree.link(parent, name, *first);
        }
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        let file = ContextFile { facts: OnceLock::new() };
        let id = self.tree.insert(parent, name, EntryKind::File { size }, metadata, Some(file));
        if stat.st_nlink > 1 {
            self.linked.insert(key, id);
        }
        id
    }
}

/// Whether a path that is left out is a directory in which a later exception may bring something back.
fn may_hold_exceptions(ignore: &Ignore, verdict: Verdict, path: &LayerPath, kind: Option<FileType>) -> bool {
    matches!(kind, None | Some(FileType::Directory)) && !ignore.may_skip(verdict, path.as_bytes())
}

/// A name in a directory, with its type where the file system tells.
type Name = (Vec<u8>, Option<FileType>);

/// The names in a directory but `.` and `..`.
fn names(directory: &OwnedFd) -> Result<Vec<Name>, Errno> {
    let is_name = |name: &CStr| !matches!(name.to_bytes(), b"." | b"..");
    Dir::read_from(directory)?
        .filter(|entry| entry.as_ref().map_or(true, |entry| is_name(entry.file_name())))
        .map(|entry| {
            let entry = entry?;
            let kind = Some(entry.file_type()).filter(|kind| *kind != FileType::Unknown);
            Ok((entry.file_name().to_bytes().to_vec(), kind))
        })
        .collect()
}

/// The extended attributes of an open file that belong into an image.
pub(crate) fn xattrs(file: impl AsFd) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Errno> {
    let mut found = BTreeMap::new();
    let mut names = vec![0_u8; 0];
    loop {
        match rustix::fs::flistxattr(&file, &mut names[..]) {
            Ok(0) | Err(Errno::NOTSUP) => return Ok(found),
            Ok(len) if len <= names.len() => {
                names.truncate(len);
                break;
            }
            Ok(len) => names.resize(len, 0),
            Err(Errno::RANGE) => names.clear(),
            Err(e) => return Err(e),
        }
    }
    for name in names.split(|b| *b == 0).filter(|name| belongs(name)) {
        let mut value = vec![0_u8; 64 << 10];
        match rustix::fs::fgetxattr(&file, name, &mut value[..]) {
            Ok(len) => value.truncate(len),
            Err(Errno::NODATA) => continue,
            Err(e) => return Err(e),
        }
        found.insert(name.to_vec(), value);
    }
    Ok(found)
}

/// Whether an extended attribute of a context's file belongs to the file rather than to this machine.
fn belongs(name: &[u8]) -> bool {
    XattrClass::of(name) == XattrClass::Content && (name.starts_with(b"user.") || name == b"security.capability")
}

/// A build context that was listed.
pub(crate) struct ContextFiles<'a> {
    context: &'a BuildContext,
    tree: &'a ContextTree,
    name: String,
}

impl<'a> ContextFiles<'a> {
    pub(crate) fn new(context: &'a BuildContext, name: impl Into<String>, ctx: &Ctx) -> Result<Self> {
        Ok(Self { context, tree: context.list(ctx)?, name: name.into() })
    }
}

impl SourceFiles for ContextFiles<'_> {
    type Content = ContextFile;

    fn tree(&self) -> &ContextTree {
        self.tree
    }

    fn fingerprint(&self, files: &[NodeRef<'_, ContextFile>], ctx: &Ctx) -> Result<()> {
        fingerprint::files(self.context, files, ctx)
    }

    fn facts(&self, file: NodeRef<'_, ContextFile>) -> Result<FileFacts> {
        let facts = file.content().and_then(|content| content.facts.get());
        facts.cloned().ok_or_else(|| Error::changed(self.context.path_of(&file.path())))
    }

    fn fetch<'a>(
        &'a self,
        _: &[NodeRef<'_, ContextFile>],
        _: &Path,
        _: &Ctx,
    ) -> Result<Box<dyn Fetched<ContextFile> + 'a>> {
        Ok(Box::new(Open(self.context)))
    }

    fn keeps_owner(&self) -> bool {
        false
    }

    fn name(&self) -> &str {
        &self.name
    }
}

struct Open<'a>(&'a BuildContext);

impl Fetched<ContextFile> for Open<'_> {
    fn open(&self, file: NodeRef<'_, ContextFile>) -> Result<Box<dyn Read>> {
        let (file, _) = self.0.open_file(&file.path())?;
        Ok(Box::new(file))
    }
}

/// Reads a file that may be read only so far, and says so where there is more.
pub(crate) fn read_in(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
