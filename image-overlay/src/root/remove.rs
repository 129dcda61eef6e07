//! Removing what is at a name, and all below it.

use std::{
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use image_core::Ctx;
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, RawDir, SeekFrom},
    io::Errno,
};

use super::{
    Root,
    node::writable_dir,
    status::{FileId, Status},
};
use crate::{error::Error, path::LayerPath};

type Result<T, E = Errno> = std::result::Result<T, E>;

impl Root {
    /// Removes what is at `path`, with all below it; nothing there is fine. Links on the way are followed inside the
    /// root, one at the end is removed itself, and a directory of another file system is not entered.
    ///
    /// # Errors
    /// [`Error::is_denied`], [`Error::is_cancelled`], or where something is mounted below, or `path` is the root.
    pub fn remove(&self, path: &LayerPath, ctx: &Ctx) -> Result<(), Error> {
        let failed = |e: Errno| Error::io("remove", path.to_string(), e.into());
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(failed(Errno::BUSY)) };
        let parent = match self.open_dir(&parent) {
            Err(error) if error.is_not_found() => return Ok(()),
            result => result?,
        };
        remove(parent.as_fd(), name, &mut || ctx.check().map_err(Stop::Cancelled)).map_err(|stop| match stop {
            Stop::Cancelled(error) => error.into(),
            Stop::Failed(error) => failed(error),
        })
    }
}

/// Why a removal ends early.
enum Stop {
    Cancelled(image_core::Error),
    Failed(Errno),
}

impl From<Errno> for Stop {
    fn from(error: Errno) -> Self {
        Self::Failed(error)
    }
}

/// How many names of subdirectories are held per level.
const BATCH: usize = 1024;

/// Removes `name` from `dir`, with all below it where it is a directory; nothing there is fine.
///
/// Links are removed and never followed, and a directory of another file system is not entered.
/// Of a directory tree one directory is open at a time, and memory grows with its depth alone.
/// `check` is called for each directory and ends the removal with its error.
pub(crate) fn remove<E: From<Errno>>(
    dir: BorrowedFd<'_>,
    name: &[u8],
    check: &mut dyn FnMut() -> Result<(), E>,
) -> Result<(), E> {
    match unlink(dir, name)? {
        Unlinked::Gone => return Ok(()),
        Unlinked::Directory => {}
    }
    loop {
        match writable_dir(dir, name) {
            Ok(child) => remove_children(child, check)?,
            Err(Errno::NOENT) => return Ok(()),
            // Another process put something else there.
            Err(Errno::NOTDIR | Errno::LOOP) => {}
            Err(other) => return Err(other.into()),
        }
        match unlink(dir, name)? {
            Unlinked::Gone => return Ok(()),
            Unlinked::Directory => check()?,
        }
    }
}

/// Removes all that is in a directory, as [`remove`] does.
pub(crate) fn remove_children<E: From<Errno>>(dir: OwnedFd, check: &mut dyn FnMut() -> Result<(), E>) -> Result<(), E> {
    let top = Status::of(&dir)?.id;
    let mut current = dir;
    let mut levels = vec![Level { id: top, name: Vec::new(), pending: Vec::new() }];
    while let Some(level) = levels.last_mut() {
        check()?;
        if level.pending.is_empty() && sweep(&current, &mut level.pending)? == 0 {
            let Some(done) = levels.pop() else { break };
            let Some(parent) = levels.last() else { break };
            current = climb(&current, parent.id)?;
            unlink(current.as_fd(), &done.name)?;
            continue;
        }
        let Some(name) = level.pending.pop() else { continue };
        let child = match writable_dir(current.as_fd(), &name) {
            // Another process removed or replaced it: the next sweep sees what is there.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            result => result?,
        };
        let id = Status::of(&child)?.id;
        if id.device != top.device {
            return Err(Errno::XDEV.into());
        }
        levels.push(Level { id, name, pending: Vec::new() });
        current = child;
    }
    Ok(())
}

struct Level {
    id: FileId,
    /// In the directory of the level above.
    name: Vec<u8>,
    /// Subdirectories to descend into.
    pending: Vec<Vec<u8>>,
}

/// Goes up, if that leads where the way down began.
pub(crate) fn climb(dir: &OwnedFd, expected: FileId) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let parent = rustix::fs::openat(dir, c"..", flags, Mode::empty())?;
    if Status::of(&parent)?.id == expected { Ok(parent) } else { Err(Errno::STALE) }
}

/// Removes what is not a directory or is an empty one, notes the other directories, and counts what it saw.
fn sweep(dir: &OwnedFd, pending: &mut Vec<Vec<u8>>) -> Result<usize> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); 32 << 10];
    rustix::fs::seek(dir, SeekFrom::Start(0))?;
    let mut entries = RawDir::new(dir, &mut buffer);
    let mut seen = 0;
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        seen += 1;
        let gone = match entry.file_type() {
            FileType::Directory => remove_empty(dir.as_fd(), name)?,
            _ => unlink(dir.as_fd(), name)?,
        };
        if matches!(gone, Unlinked::Directory) {
            pending.push(name.to_vec());
            if pending.len() == BATCH {
                break;
            }
        }
    }
    Ok(seen)
}

enum Unlinked {
    Gone,
    /// A directory that is not empty.
    Directory,
}

fn unlink(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Unlinked> {
    match with_rights(dir, || rustix::fs::unlinkat(dir, name, AtFlags::empty())) {
        Ok(()) | Err(Errno::NOENT) => Ok(Unlinked::Gone),
        // POSIX asks for EPERM where Linux says EISDIR, and some file systems follow it.
        Err(error @ (Errno::ISDIR | Errno::PERM)) => match remove_empty(dir, name) {
            Err(Errno::NOTDIR) => Err(error),
            result => result,
        },
        Err(other) => Err(other),
    }
}

fn remove_empty(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Unlinked> {
    match with_rights(dir, || rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)) {
        Ok(()) | Err(Errno::NOENT) => Ok(Unlinked::Gone),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(Unlinked::Directory),
        Err(other) => Err(other),
    }
}

/// Tries again with all rights for the owner where the directory's mode forbids it.
fn with_rights(dir: BorrowedFd<'_>, mut change: impl FnMut() -> Result<()>) -> Result<()> {
    match change() {
        Err(Errno::ACCESS) => {
            rustix::fs::fchmod(dir, Mode::RWXU)?;
            change()
        }
        result => result,
    }
}
