//! What the layer being applied has brought so far.

use std::{
    collections::{HashMap, HashSet},
    os::fd::BorrowedFd,
};

use rustix::{
    fs::{FileType, Mode, OFlags},
    io::Result,
};

use super::keys::{Key, Keys};
use crate::{
    overlayfs::is_whiteout,
    root::{FileId, Status},
};

/// How a directory came to hold things of this layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    /// It stands for what this layer says alone: made by it, or what lower layers had in its place was hidden.
    pub(super) fresh: bool,
    /// All that is in it is this layer's.
    pub(super) ours: bool,
    /// This layer has an entry for it; otherwise deeper entries imply it.
    pub(super) named: bool,
}

/// Tells what this layer brought from what lower layers left.
///
/// Memory is bounded by what changes in directories of *lower* layers: of a directory that the layer
/// made itself everything is the layer's, and one record says so. A base layer costs one record per
/// directory and none per file.
///
/// Directories are known by inode, so that a name reached through a link is the same name. A record never
/// outlives its meaning: only this layer makes directories, and making one writes its record.
///
/// Other names in directories of lower layers are kept as [keys](Key) of them.
///
/// In the form of overlayfs the tree holds nothing but this layer, apart from markers and from what
/// [came up](Brought::came_up): those are the names that are kept, and directories without a record.
#[derive(Debug)]
pub(super) struct Brought {
    form: Form,
    dirs: HashMap<FileId, Origin>,
    names: HashSet<Key>,
    keys: Keys,
}

/// Where lower layers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// In the same tree.
    Plain,
    /// Elsewhere.
    Overlay,
}

impl Brought {
    /// Nothing so far.
    pub(super) fn new(form: Form) -> Self {
        Self { form, dirs: HashMap::new(), names: HashSet::new(), keys: Keys::default() }
    }

    /// What is known of a directory; `None` where this layer brought neither it nor anything in it.
    pub(super) fn origin(&self, dir: FileId) -> Option<Origin> {
        self.dirs.get(&dir).copied()
    }

    /// Notes how a directory came to be.
    pub(super) fn set_origin(&mut self, dir: FileId, origin: Origin) {
        self.dirs.insert(dir, origin);
    }

    /// Notes that an entry stands in this directory, which implies it and all above it up to the root.
    /// The root's origin is set before.
    pub(super) fn imply(&mut self, dir: FileId, fd: BorrowedFd<'_>) -> Result<()> {
        const IMPLIED: Origin = Origin { fresh: false, ours: false, named: false };
        if self.dirs.contains_key(&dir) {
            return Ok(());
        }
        self.dirs.insert(dir, IMPLIED);
        let mut below = dir;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut parent = rustix::fs::openat(fd, c"..", flags, Mode::empty())?;
        loop {
            let id = Status::of(&parent)?.id;
            // The second holds at the root of the machine, if someone moved the directory out of the root.
            if self.dirs.contains_key(&id) || id == below {
                return Ok(());
            }
            self.dirs.insert(id, IMPLIED);
            below = id;
            parent = rustix::fs::openat(&parent, c"..", flags, Mode::empty())?;
        }
    }

    /// Notes that this layer brought `name`, which is no directory.
    pub(super) fn add(&mut self, dir: FileId, name: &[u8]) {
        if self.is_ours(dir) {
            return;
        }
        let key = self.key(dir, name);
        match self.form {
            Form::Plain => self.names.insert(key),
            Form::Overlay => self.names.remove(&key),
        };
    }

    /// Notes that a file of a lower layer was put there.
    pub(super) fn came_up(&mut self, dir: FileId, name: &[u8]) {
        let key = self.key(dir, name);
        self.names.insert(key);
    }

    /// Notes that a directory of a lower layer was put there, or that one has gone.
    pub(super) fn forget(&mut self, dir: FileId) {
        self.dirs.remove(&dir);
    }

    /// Whether all that is in the directory is this layer's.
    pub(super) fn is_ours(&self, dir: FileId) -> bool {
        self.origin(dir).is_some_and(|origin| origin.ours)
    }

    /// Notes that nothing of lower layers is left in a directory that both have. Markers for it that come later
    /// find nothing to do, however many there are.
    pub(super) fn cleaned(&mut self, dir: FileId, fresh: bool) {
        if let Some(origin) = self.dirs.get_mut(&dir) {
            origin.ours = true;
            origin.fresh |= fresh;
        }
    }

    /// Whether this layer brought what stands at `name` in `dir`.
    pub(super) fn holds(&self, dir: FileId, name: &[u8], status: &Status) -> bool {
        match status.kind {
            _ if self.is_ours(dir) => true,
            FileType::Directory => self.origin(status.id).is_some(),
            _ if self.form == Form::Overlay => !is_whiteout(status) && !self.names.contains(&self.key(dir, name)),
            _ => self.names.contains(&self.key(dir, name)),
        }
    }

    fn key(&self, dir: FileId, name: &[u8]) -> Key {
        self.keys.of((dir, name))
    }
}
