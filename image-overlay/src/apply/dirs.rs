//! The directories that are being worked in.

use std::{
    collections::HashMap,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use image_core::Timestamp;
use rustix::{
    fs::{Mode, OFlags},
    io::{Errno, Result},
};

use crate::root::{FileId, Root, Status, grant_and_open, set_mtime};

/// How many directories are open at once.
const CAPACITY: usize = 128;
/// How many paths are known to lead to them: links give one directory as many paths as one likes.
const PATHS: usize = 4 * CAPACITY;

/// A directory that is being worked in.
#[derive(Debug)]
pub(super) struct OpenDir {
    fd: OwnedFd,
    /// What its time has to be when it is closed.
    mtime: Timestamp,
    /// What its mode has to be when it is closed, where it is another until then.
    mode: Option<u32>,
    /// Whether it gives an access list of its own to what is made in it.
    default_acl: bool,
    last_use: u64,
}

impl AsFd for OpenDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl OpenDir {
    /// Whether it gives an access list of its own to what is made in it.
    pub(super) fn has_default_acl(&self) -> bool {
        self.default_acl
    }

    fn close(self) -> Result<()> {
        set_mtime(&self.fd, self.mtime)?;
        match self.mode {
            Some(mode) => rustix::fs::fchmod(&self.fd, Mode::from_raw_mode(mode)),
            None => Ok(()),
        }
    }
}

/// The directories last worked in, held open.
///
/// The rule that makes this small: *a directory that is not open here has the attributes it should
/// have.* Making and removing children changes a directory's time; so its time is noted when it is
/// opened and set again when it is closed, and nothing needs to be remembered in between.
///
/// What is kept by path are handles, never the knowledge that a path is safe: as soon as a directory or
/// a link on the way may have gone, all paths are forgotten and resolved anew.
#[derive(Debug)]
pub(super) struct Dirs<'r> {
    root: &'r Root,
    /// Whether the caller needs the rights of an owner to work in a directory.
    needs_rights: bool,
    open: HashMap<FileId, OpenDir>,
    paths: HashMap<Box<[u8]>, FileId>,
    uses: u64,
}

impl<'r> Dirs<'r> {
    pub(super) fn new(root: &'r Root, needs_rights: bool) -> Self {
        Self { root, needs_rights, open: HashMap::new(), paths: HashMap::new(), uses: 0 }
    }

    pub(super) fn root(&self) -> &'r Root {
        self.root
    }

    /// Whether this is the root.
    pub(super) fn is_root(&self, id: FileId) -> Result<bool> {
        Ok(Status::of(self.root)?.id == id)
    }

    /// Opens the directory at a path below the root, links on the way followed inside the root.
    pub(super) fn find(&mut self, path: &[u8]) -> Result<FileId> {
        self.find_by(path, Root::resolve)
    }

    /// Opens the directory at a path below the root, unless a link is on the way.
    pub(super) fn find_without_links(&mut self, path: &[u8]) -> Result<FileId> {
        self.find_by(path, Root::resolve_without_links)
    }

    fn find_by(&mut self, path: &[u8], resolve: fn(&Root, &[u8], OFlags) -> Result<OwnedFd>) -> Result<FileId> {
        if let Some(id) = self.known(path) {
            return Ok(id);
        }
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        match resolve(self.root, path, flags | OFlags::RDONLY) {
            Err(Errno::ACCESS) if self.needs_rights => {
                let dir = resolve(self.root, path, flags | OFlags::PATH)?;
                let mode = Status::of(&dir)?.mode;
                let id = self.adopt(Some(path), grant_and_open(&dir)?)?;
                self.get_mut(id)?.mode = Some(mode);
                Ok(id)
            }
            dir => self.adopt(Some(path), dir?),
        }
    }

    /// The directory at a path, if it is open and known to be there.
    pub(super) fn known(&mut self, path: &[u8]) -> Option<FileId> {
        let id = *self.paths.get(path)?;
        self.uses += 1;
        self.open.get_mut(&id)?.last_use = self.uses;
        Some(id)
    }

    /// Takes a directory that was opened otherwise; `path` leads to it.
    pub(super) fn adopt(&mut self, path: Option<&[u8]>, fd: OwnedFd) -> Result<FileId> {
        let status = Status::of(&fd)?;
        self.uses += 1;
        if let Some(dir) = self.open.get_mut(&status.id) {
            dir.last_use = self.uses;
        } else {
            self.make_room()?;
            let mode = (self.needs_rights && status.mode & 0o700 != 0o700).then_some(status.mode);
            if mode.is_some() {
                rustix::fs::fchmod(&fd, Mode::from_raw_mode(status.mode | 0o700))?;
            }
            let default_acl = has_default_acl(&fd);
            let dir = OpenDir { fd, mtime: status.mtime, mode, default_acl, last_use: self.uses };
            self.open.insert(status.id, dir);
        }
        if let Some(path) = path {
            if self.paths.len() >= PATHS {
                self.paths.clear();
            }
            self.paths.insert(path.into(), status.id);
        }
        Ok(status.id)
    }

    /// An open directory. The one last found or adopted is always open, and the one before it.
    pub(super) fn get(&self, id: FileId) -> Result<&OpenDir> {
        self.open.get(&id).ok_or(Errno::STALE)
    }

    fn get_mut(&mut self, id: FileId) -> Result<&mut OpenDir> {
        self.open.get_mut(&id).ok_or(Errno::STALE)
    }

    /// Gives an open directory its mode and time by its entry. It has had its other attributes before.
    pub(super) fn set(&mut self, id: FileId, mode: u32, mtime: Timestamp) -> Result<()> {
        let needs_rights = self.needs_rights;
        let dir = self.get_mut(id)?;
        let for_now = if needs_rights { mode | 0o700 } else { mode };
        rustix::fs::fchmod(&dir.fd, Mode::from_raw_mode(for_now))?;
        dir.mode = (for_now != mode).then_some(mode);
        dir.mtime = mtime;
        dir.default_acl = has_default_acl(&dir.fd);
        Ok(())
    }

    /// Forgets which paths lead to the open directories: a link has gone.
    pub(super) fn forget_paths(&mut self) {
        self.paths.clear();
    }

    /// Closes all directories but `kept`: a directory is about to go with all below it.
    pub(super) fn close_but(&mut self, kept: Option<FileId>) -> Result<()> {
        self.paths.clear();
        let kept = kept.and_then(|id| self.open.remove_entry(&id));
        let closing = std::mem::take(&mut self.open);
        self.open.extend(kept);
        closing.into_values().try_for_each(OpenDir::close)
    }

    fn make_room(&mut self) -> Result<()> {
        if self.open.len() < CAPACITY {
            return Ok(());
        }
        let Some((&oldest, _)) = self.open.iter().min_by_key(|(_, dir)| dir.last_use) else { return Ok(()) };
        self.paths.retain(|_, id| *id != oldest);
        self.open.remove(&oldest).map_or(Ok(()), OpenDir::close)
    }
}

fn has_default_acl(dir: &OwnedFd) -> bool {
    rustix::fs::fgetxattr_query(dir, c"system.posix_acl_default").is_ok()
}
