//! Making small trees from literals.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::{self, Permissions},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, lchown, symlink},
    },
    path::Path,
};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, lsetxattr, makedev, mknodat, utimensat,
};

/// When everything was changed last that has no time of its own: 2020-01-01T00:00:00Z.
const MTIME: (i64, i64) = (1_577_836_800, 0);

#[derive(Debug, Clone)]
enum What {
    Directory,
    File(Vec<u8>),
    Symlink(OsString),
    HardLink(OsString),
    Node { file_type: FileType, major: u32, minor: u32 },
}

#[derive(Debug, Clone)]
struct Item {
    path: OsString,
    what: What,
    mode: u32,
    owner: Option<(u32, u32)>,
    mtime: (i64, i64),
    xattrs: BTreeMap<OsString, Vec<u8>>,
}

/// Makes a directory tree, in the order given; modes and times come out as given whatever the umask.
///
/// Paths are relative to the root, and may be any bytes; the root's own path is empty.
/// Parents that are not given are made with mode 0755. [`TreeBuilder::owner`], [`TreeBuilder::mtime`] and
/// [`TreeBuilder::xattr`] are about the node given last.
#[derive(Debug, Clone, Default)]
pub struct TreeBuilder {
    items: Vec<Item>,
}

impl TreeBuilder {
    /// An empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A directory.
    #[must_use]
    pub fn dir(self, path: impl AsRef<[u8]>, mode: u32) -> Self {
        self.item(path.as_ref(), What::Directory, mode)
    }

    /// A file.
    #[must_use]
    pub fn file(self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>, mode: u32) -> Self {
        self.item(path.as_ref(), What::File(content.as_ref().to_vec()), mode)
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.item(path.as_ref(), What::Symlink(os(target.as_ref())), 0o777)
    }

    /// One more name of what stands at `target`, a path in the tree. It has no metadata of its own.
    #[must_use]
    pub fn hard_link(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.item(path.as_ref(), What::HardLink(os(target.as_ref())), 0)
    }

    /// A named pipe.
    #[must_use]
    pub fn fifo(self, path: impl AsRef<[u8]>, mode: u32) -> Self {
        self.item(path.as_ref(), What::Node { file_type: FileType::Fifo, major: 0, minor: 0 }, mode)
    }

    /// A character device. Needs root.
    #[must_use]
    pub fn char_device(self, path: impl AsRef<[u8]>, mode: u32, major: u32, minor: u32) -> Self {
        self.item(path.as_ref(), What::Node { file_type: FileType::CharacterDevice, major, minor }, mode)
    }

    /// A block device. Needs root.
    #[must_use]
    pub fn block_device(self, path: impl AsRef<[u8]>, mode: u32, major: u32, minor: u32) -> Self {
        self.item(path.as_ref(), What::Node { file_type: FileType::BlockDevice, major, minor }, mode)
    }

    /// The owner of the node given last; whoever runs the test otherwise. Needs root.
    #[must_use]
    pub fn owner(self, uid: u32, gid: u32) -> Self {
        self.last(|item| item.owner = Some((uid, gid)))
    }

    /// The time of the node given last; the start of 2020 otherwise.
    #[must_use]
    pub fn mtime(self, seconds: i64, nanoseconds: i64) -> Self {
        self.last(|item| item.mtime = (seconds, nanoseconds))
    }

    /// An extended attribute of the node given last.
    #[must_use]
    pub fn xattr(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.last(|item| {
            item.xattrs.insert(os(name.as_ref()), value.as_ref().to_vec());
        })
    }

    /// Makes the tree in `root`, which is made where it is missing.
    ///
    /// # Panics
    /// Where the operating system refuses any of it.
    pub fn write_to(&self, root: &Path) {
        let each = |what: &str, step: &dyn Fn(&Path, &Item) -> io::Result<()>| {
            for item in &self.items {
                let full = if item.path.is_empty() { root.to_owned() } else { root.join(&item.path) };
                let result = step(&full, item);
                assert!(result.is_ok(), "cannot {what} {}: {result:?}", full.display());
            }
        };
        fs::create_dir_all(root).expect("the root of a test's tree can be made");
        each("make", &|full, item| item.make(root, full));
        each("set the attributes of", &|full, item| item.set_attributes(full));
        // Last, since making anything in a directory changes its time.
        each("set the time of", &|full, item| item.set_time(full));
    }

    fn item(mut self, path: &[u8], what: What, mode: u32) -> Self {
        self.items.push(Item { path: os(path), what, mode, owner: None, mtime: MTIME, xattrs: BTreeMap::new() });
        self
    }

    fn last(mut self, change: impl FnOnce(&mut Item)) -> Self {
        change(self.items.last_mut().expect("a node comes before its attributes"));
        self
    }
}

impl Item {
    fn make(&self, root: &Path, full: &Path) -> io::Result<()> {
        if let Some(parent) = full.parent() {
            fs::create_dir_all(parent)?;
        }
        match &self.what {
            What::Directory => fs::create_dir_all(full),
            What::File(content) => fs::write(full, content),
            What::Symlink(target) => symlink(target, full),
            What::HardLink(target) => fs::hard_link(root.join(target), full),
            What::Node { file_type, major, minor } => {
                Ok(mknodat(CWD, full, *file_type, Mode::from_raw_mode(self.mode), makedev(*major, *minor))?)
            }
        }
    }

    fn set_attributes(&self, full: &Path) -> io::Result<()> {
        if matches!(self.what, What::HardLink(_)) {
            return Ok(());
        }
        if let Some((uid, gid)) = self.owner {
            lchown(full, Some(uid), Some(gid))?;
        }
        for (name, value) in &self.xattrs {
            lsetxattr(full, name, value, XattrFlags::empty())?;
        }
        match self.what {
            What::Symlink(_) => Ok(()),
            _ => fs::set_permissions(full, Permissions::from_mode(self.mode)),
        }
    }

    fn set_time(&self, full: &Path) -> io::Result<()> {
        if matches!(self.what, What::HardLink(_)) {
            return Ok(());
        }
        let time = Timespec { tv_sec: self.mtime.0, tv_nsec: self.mtime.1 };
        let times = Timestamps { last_access: time, last_modification: time };
        Ok(utimensat(CWD, full, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

fn os(bytes: &[u8]) -> OsString {
    OsStr::from_bytes(bytes).to_owned()
}
