//! The root of a file system tree, as a directory handle that nothing leads out of.
//!
//! A [`Root`] is to its tree what a chroot is to a process: absolute links begin at it, `..` at it
//! stays there. Below it every operation is on a pair of an open directory and one name in it, and no
//! operation follows a link in that name. So neither a hostile tree nor a process that exchanges
//! directories and links while we work can turn an operation to the outside.
//!
//! - `resolve`: from a path to an open directory, by the kernel or by `walk`, component by component.
//! - `node`: making one name: file, directory, link, device.
//! - `attributes`: owner, mode, extended attributes and times, through handles.
//! - `copy`: the content of one file, with its holes, to another.
//! - `mount_point`: places for mounts, made and taken away again.
//! - `remove`: taking a name and all below it away.
//! - `status`: what is at a name or behind a handle.
//! - `sys`: a system call that rustix does not have, the one place of unsafe code.

mod attributes;
mod copy;
mod mount_point;
mod node;
mod remove;
mod resolve;
mod status;
mod sys;
mod walk;

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::fs::{CWD, Mode, OFlags};

pub(crate) use attributes::{
    chmod, chown, get_xattr, list_xattrs, read_xattrs, remove_xattr, set_mtime, set_mtime_and_atime, set_mtime_at,
    set_xattr,
};
pub(crate) use copy::{copy_content, write_at};
pub use mount_point::MountPoints;
pub(crate) use node::{
    Node, create_file, grant_and_open, link, link_open, make_dir, make_node, make_symlink, open_dir, open_file, own,
    writable_dir,
};
pub(crate) use remove::{climb, remove, remove_children};
pub use resolve::Resolution;
pub(crate) use status::{FileId, Status, is_empty_dir};
pub(crate) use walk::{MAX_LINKS, MAX_STEPS, Obstacle, open_path, walk};

use crate::{
    error::{Error, Result},
    path::LayerPath,
};

/// A directory that is the root of a file system tree.
///
/// ```
/// use image_overlay::{LayerPath, Root};
/// let dir = tempfile::tempdir()?;
/// std::fs::create_dir_all(dir.path().join("usr/lib"))?;
/// std::os::unix::fs::symlink("/usr/lib", dir.path().join("lib"))?;
///
/// let root = Root::open(dir.path())?;
/// // The link leads to `usr/lib` of this tree, not to that of the machine.
/// let lib = root.open_dir(&LayerPath::parse(b"lib")?)?;
/// # drop(lib);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    resolution: Resolution,
}

impl Root {
    /// Opens a directory of the machine as a root. Links in `path` are followed.
    ///
    /// # Errors
    /// [`Error::is_not_found`], [`Error::is_denied`], or where `path` is no directory.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|e| Error::io("open", path, e.into()))?;
        Ok(Self::from_fd(fd))
    }

    /// Takes an open directory as a root; it must be open for reading.
    #[must_use]
    pub fn from_fd(fd: OwnedFd) -> Self {
        let resolution = Resolution::detect(fd.as_fd());
        Self { fd, resolution }
    }

    /// Resolves paths this way. Without it, by the kernel where it can.
    #[must_use]
    pub fn with_resolution(self, resolution: Resolution) -> Self {
        Self { resolution, ..self }
    }

    /// How paths are resolved.
    #[must_use]
    pub fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// Opens a directory below the root for reading, following links inside the root.
    ///
    /// # Errors
    /// [`Error::is_not_found`] where nothing is there, [`Error::is_denied`], or where it is no directory
    /// or lies behind more than 40 links.
    pub fn open_dir(&self, path: &LayerPath) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.resolve(path.as_bytes(), flags).map_err(|e| Error::io("open", path.to_string(), e.into()))
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
