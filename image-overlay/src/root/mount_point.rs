//! Places for mounts: made where they are missing, and taken away again.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use image_core::Timestamp;
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags},
    io::Errno,
};

use super::{
    Root,
    attributes::set_mtime,
    status::Status,
    walk::{MAX_LINKS, Obstacle, walk_to},
};
use crate::{
    error::{Error, Result},
    path::LayerPath,
};

/// The permissions of directories and files that are made.
const DIR_MODE: Mode = Mode::from_raw_mode(0o755);
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// Directories and files of a [`Root`] that something is mounted on for a while.
///
/// Paths are resolved inside the root. What is missing is made, and [`MountPoints::remove`] takes it away again
/// unless it was filled in between, and gives the directories around it back their times.
///
/// ```
/// use image_overlay::{LayerPath, Root};
/// let dir = tempfile::tempdir()?;
/// std::os::unix::fs::symlink("/run/secrets", dir.path().join("keys"))?;
///
/// let root = Root::open(dir.path())?;
/// let mut points = root.mount_points();
/// let place = points.file(&LayerPath::parse(b"keys/token")?)?;
/// assert_eq!(place.as_bytes(), b"run/secrets/token");
/// assert!(dir.path().join("run/secrets/token").is_file());
/// points.remove()?;
/// assert!(!dir.path().join("run").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "what was made stays until it is removed"]
pub struct MountPoints<'a> {
    root: &'a Root,
    made: Vec<Made>,
}

/// One directory or file that was not there before.
#[derive(Debug)]
struct Made {
    parent: OwnedFd,
    name: Vec<u8>,
    /// The parent's time before and after.
    before: Timestamp,
    after: Timestamp,
}

impl Root {
    /// Begins to prepare places for mounts.
    pub fn mount_points(&self) -> MountPoints<'_> {
        MountPoints { root: self, made: Vec::new() }
    }
}

impl MountPoints<'_> {
    /// Makes sure of a directory, and tells where it is: a path that leads through no link.
    ///
    /// # Errors
    /// [`Error::is_denied`], or where something other than a directory is in the way.
    pub fn directory(&mut self, path: &LayerPath) -> Result<LayerPath> {
        let (_, names) = self.open_parent(path.as_bytes()).map_err(|e| failed(path, e))?;
        Ok(LayerPath::of_names(names.iter().map(Vec::as_slice)))
    }

    /// Makes sure of something that is no directory, and tells where it is: a path that leads through no link.
    ///
    /// # Errors
    /// [`Error::is_denied`], or where a directory is there, or something other than a directory is on the way.
    pub fn file(&mut self, path: &LayerPath) -> Result<LayerPath> {
        self.make_file(path.as_bytes()).map_err(|e| failed(path, e))
    }

    /// Leaves what was made so far where it is.
    pub fn keep(&mut self) {
        self.made.clear();
    }

    /// Removes what was made, the last first. What holds something by now stays.
    ///
    /// # Errors
    /// [`Error::is_denied`].
    pub fn remove(mut self) -> Result<()> {
        self.clear()
    }

    fn clear(&mut self) -> Result<()> {
        while let Some(made) = self.made.pop() {
            made.remove().map_err(|e| {
                Error::io("remove", LayerPath::of_names([made.name.as_slice()].into_iter()).to_string(), e.into())
            })?;
        }
        Ok(())
    }

    fn open_parent(&mut self, path: &[u8]) -> Result<(OwnedFd, Vec<Vec<u8>>), Errno> {
        let made = &mut self.made;
        walk_to(self.root.as_fd(), path, |dir, name, obstacle| match obstacle {
            Obstacle::NotDirectory => Err(Errno::NOTDIR),
            Obstacle::Missing => Made::directory(dir, name).map(|(new, fd)| {
                made.push(new);
                fd
            }),
        })
    }

    fn make_file(&mut self, path: &[u8]) -> Result<LayerPath, Errno> {
        let mut path = path.to_vec();
        for _ in 0..=MAX_LINKS {
            let (parent, name) = split(&path).ok_or(Errno::ISDIR)?;
            let name = name.to_vec();
            let (dir, names) = self.open_parent(parent)?;
            let place = || LayerPath::of_names(names.iter().map(Vec::as_slice).chain([name.as_slice()]));
            match Status::at(dir.as_fd(), &name)?.map(|status| status.kind) {
                None => {
                    self.made.push(Made::file(dir.as_fd(), &name)?);
                    return Ok(place());
                }
                Some(FileType::Directory) => return Err(Errno::ISDIR),
                Some(FileType::Symlink) => {
                    let target = rustix::fs::readlinkat(&dir, &*name, Vec::new())?.into_bytes();
                    path = if target.starts_with(b"/") {
                        target
                    } else {
                        [&names.join(&b'/'), &b"/"[..], &target].concat()
                    };
                }
                Some(_) => return Ok(place()),
            }
        }
        Err(Errno::LOOP)
    }
}

impl Drop for MountPoints<'_> {
    fn drop(&mut self) {
        // After an error there is a better one to tell.
        drop(self.clear());
    }
}

fn failed(path: &LayerPath, error: Errno) -> Error {
    Error::io("make a mount point at", path.to_string(), error.into())
}

/// The directory and the name of a path; `None` where it ends in none.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = path.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
    let (parent, name) = path.split_at_checked(at)?;
    (!matches!(name, b"" | b"." | b"..")).then_some((parent, name))
}

impl Made {
    fn directory(dir: BorrowedFd<'_>, name: &[u8]) -> Result<(Self, OwnedFd), Errno> {
        let made = Self::new(dir, name, || rustix::fs::mkdirat(dir, name, DIR_MODE))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(dir, name, flags, Mode::empty())?;
        // The umask may have taken something away.
        rustix::fs::fchmod(&fd, DIR_MODE)?;
        Ok((made, fd))
    }

    fn file(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Self, Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Self::new(dir, name, || {
            let fd = rustix::fs::openat(dir, name, flags, FILE_MODE)?;
            rustix::fs::fchmod(&fd, FILE_MODE)
        })
    }

    fn new(dir: BorrowedFd<'_>, name: &[u8], make: impl FnOnce() -> Result<(), Errno>) -> Result<Self, Errno> {
        // A handle of its own: where the name leads may be another place by the time of its removal.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = rustix::fs::openat(dir, c".", flags, Mode::empty())?;
        let before = Status::of(&parent)?.mtime;
        make()?;
        let after = Status::of(&parent)?.mtime;
        Ok(Self { parent, name: name.to_vec(), before, after })
    }

    fn remove(&self) -> Result<(), Errno> {
        let dir = self.parent.as_fd();
        let Some(status) = Status::at(dir, &self.name)? else { return Ok(()) };
        let untouched = Status::of(dir)?.mtime == self.after;
        let how = match status.kind {
            FileType::Directory => AtFlags::REMOVEDIR,
            FileType::RegularFile if status.size == 0 => AtFlags::empty(),
            _ => return Ok(()),
        };
        match rustix::fs::unlinkat(dir, &*self.name, how) {
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT) => return Ok(()),
            result => result?,
        }
        if untouched { set_mtime(dir, self.before) } else { Ok(()) }
    }
}
