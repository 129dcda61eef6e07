//! Making one name in an open directory. What is there is never followed and never replaced.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::{AtFlags, CWD, Dev, FileType, Mode, OFlags},
    io::{Errno, Result},
    process::geteuid,
};

use super::status::Status;

/// A handle of a node that was just made, for its attributes.
#[derive(Debug)]
pub(crate) struct Node {
    pub(super) fd: OwnedFd,
    /// How else the node is named where the handle is good for naming only (`O_PATH`).
    pub(super) by_path: Option<String>,
    pub(crate) status: Status,
}

impl Node {
    /// Of a file or directory that is open for reading or writing.
    pub(crate) fn open(fd: OwnedFd) -> Result<Self> {
        let status = Status::of(&fd)?;
        Ok(Self { fd, by_path: None, status })
    }

    /// Of whatever has this name, which must be of this kind and have no other name: another process may have put
    /// something else there, as a link to a file elsewhere. A pipe or device has to be this process's own too, as what it
    /// made is, since the link may have become the file's only name.
    fn named(dir: BorrowedFd<'_>, name: &[u8], kind: FileType) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(dir, name, flags, Mode::empty())?;
        let status = Status::of(&fd)?;
        let is_own = kind == FileType::Symlink || status.uid == geteuid().as_raw();
        if status.kind != kind || status.links > 1 || !is_own {
            return Err(Errno::STALE);
        }
        let by_path = Some(proc_path(fd.as_fd()));
        Ok(Self { fd, by_path, status })
    }

    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Another handle of the same open file.
pub(crate) fn own(fd: impl AsFd) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, 0)
}

/// A name that leads to the very inode of a handle, for calls that take no `O_PATH` handle.
pub(super) fn proc_path(fd: BorrowedFd<'_>) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Opens a regular file for reading, not following a link and not waiting for the writer of a FIFO.
pub(crate) fn open_file(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

/// Makes an empty regular file and opens it for writing. The umask applies to `mode`.
pub(crate) fn create_file(dir: BorrowedFd<'_>, name: &[u8], mode: u32) -> Result<Node> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Node::open(rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(mode))?)
}

/// Makes an empty directory for its owner alone and opens it.
pub(crate) fn make_dir(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Node> {
    rustix::fs::mkdirat(dir, name, Mode::RWXU)?;
    Node::open(writable_dir(dir, name)?)
}

/// Makes a symbolic link.
pub(crate) fn make_symlink(dir: BorrowedFd<'_>, name: &[u8], target: &[u8]) -> Result<Node> {
    rustix::fs::symlinkat(target, dir, name)?;
    Node::named(dir, name, FileType::Symlink)
}

/// Makes a device or a FIFO. The umask applies to `mode`.
pub(crate) fn make_node(dir: BorrowedFd<'_>, name: &[u8], kind: FileType, device: Dev, mode: u32) -> Result<Node> {
    rustix::fs::mknodat(dir, name, kind, Mode::from_raw_mode(mode), device)?;
    Node::named(dir, name, kind)
}

/// Gives the inode at `old` in `old_dir` another name; a symbolic link is linked itself.
pub(crate) fn link(old_dir: BorrowedFd<'_>, old: &[u8], dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    rustix::fs::linkat(old_dir, old, dir, name, AtFlags::empty())
}

/// Gives an open file another name; fails with `NOENT` where it has none any more.
pub(crate) fn link_open(file: impl AsFd, dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    rustix::fs::linkat(CWD, proc_path(file.as_fd()), dir, name, AtFlags::SYMLINK_FOLLOW)
}

/// Opens a directory for reading, not following a link.
pub(crate) fn open_dir(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

/// Opens a directory for reading, not following a link, and where its mode forbids that its owner
/// opens it, gives the owner all rights first.
pub(crate) fn writable_dir(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd> {
    match open_dir(dir, name) {
        Err(Errno::ACCESS) => {}
        result => return result,
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    grant_and_open(&fd)
}

/// Gives the owner of a directory that is open for naming all rights, and opens it for reading.
pub(crate) fn grant_and_open(dir: &OwnedFd) -> Result<OwnedFd> {
    let mode = Mode::from_raw_mode(Status::of(dir)?.mode | 0o700);
    rustix::fs::chmodat(CWD, proc_path(dir.as_fd()), mode, AtFlags::empty())?;
    open_dir(dir.as_fd(), b".")
}
