//! Owner, mode, extended attributes and times of a node, through its handle.

use std::{
    collections::BTreeMap,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd},
    sync::atomic::{AtomicBool, Ordering},
};

use image_core::Timestamp;
use rustix::{
    fs::{AtFlags, CWD, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags},
    io::{Errno, Result},
    path::Arg,
};

use super::{
    node::{Node, proc_path},
    sys::listxattrat,
};

/// Sets owner and group. The kernel takes set-id bits and file capabilities away: set them later.
pub(crate) fn chown(node: &Node, uid: u32, gid: u32) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::fs::chownat(node, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
}

/// Sets all of `0o7777`; the umask has no part in it. Symbolic links have no mode.
pub(crate) fn chmod(node: &Node, mode: u32) -> Result<()> {
    let mode = Mode::from_raw_mode(mode & 0o7777);
    match &node.by_path {
        None => rustix::fs::fchmod(node, mode),
        Some(path) => rustix::fs::chmodat(CWD, path, mode, AtFlags::empty()),
    }
}

/// Sets one extended attribute.
pub(crate) fn set_xattr(node: &Node, name: &[u8], value: &[u8]) -> Result<()> {
    match &node.by_path {
        None => rustix::fs::fsetxattr(node, name, value, XattrFlags::empty()),
        Some(path) => rustix::fs::setxattr(path, name, value, XattrFlags::empty()),
    }
}

/// Removes one extended attribute, if it is there.
pub(crate) fn remove_xattr(node: &Node, name: &[u8]) -> Result<()> {
    let removed = match &node.by_path {
        None => rustix::fs::fremovexattr(node, name),
        Some(path) => rustix::fs::removexattr(path, name),
    };
    match removed {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        result => result,
    }
}

/// The names of a file's or directory's extended attributes.
pub(crate) fn list_xattrs(fd: impl AsFd) -> Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    loop {
        // The list may grow between the two calls.
        let length = match rustix::fs::flistxattr_query(&fd) {
            Err(Errno::OPNOTSUPP) | Ok(0) => return Ok(Vec::new()),
            result => result?,
        };
        names.resize(length, 0);
        match rustix::fs::flistxattr(&fd, &mut names[..]) {
            Err(Errno::RANGE) => {}
            result => {
                names.truncate(result?);
                return Ok(names
                    .split(|&byte| byte == 0)
                    .filter(|name| !name.is_empty())
                    .map(<[u8]>::to_vec)
                    .collect());
            }
        }
    }
}

/// The most that the kernel lets a list of names, or a value, have.
const MAX_XATTR: usize = 64 << 10;

/// What suffices for the names that most files have, if any. The kernel takes as much memory as it is given.
const FEW_XATTRS: usize = 256;

/// All extended attributes of a name in a directory, not following it; none where the file system has none.
pub(crate) fn read_xattrs(dir: BorrowedFd<'_>, name: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut few = [0; FEW_XATTRS];
    match list_xattrs_at(dir, name, &mut few) {
        Err(Errno::OPNOTSUPP) | Ok(0) => Ok(BTreeMap::new()),
        Err(Errno::RANGE) => {
            let mut many = vec![0; MAX_XATTR];
            let length = list_xattrs_at(dir, name, &mut many)?;
            read_values(dir, name, &many[..length])
        }
        length => read_values(dir, name, &few[..length?]),
    }
}

/// Lists the names of the extended attributes of a name in a directory, not following it, each with a NUL byte behind it,
/// and gives the length of the list.
fn list_xattrs_at(dir: BorrowedFd<'_>, name: &[u8], list: &mut [u8]) -> Result<usize> {
    static IS_MISSING: AtomicBool = AtomicBool::new(false);
    if !IS_MISSING.load(Ordering::Relaxed) {
        match name.into_with_c_str(|name| listxattrat(dir, name, list)) {
            Err(Errno::NOSYS | Errno::PERM) => IS_MISSING.store(true, Ordering::Relaxed),
            result => return result,
        }
    }
    // By way of the handle's path, which takes the kernel longer to follow than all else.
    rustix::fs::llistxattr(path_in(dir, name), list)
}

/// The values of the extended attributes with these names.
fn read_values(dir: BorrowedFd<'_>, name: &[u8], names: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let path = path_in(dir, name);
    let mut value = [MaybeUninit::uninit(); MAX_XATTR];
    let mut xattrs = BTreeMap::new();
    for name in names.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        match rustix::fs::lgetxattr(&path, name, &mut value[..]) {
            // Somebody removed it.
            Err(Errno::NODATA) => {}
            result => drop(xattrs.insert(name.to_vec(), result?.0.to_vec())),
        }
    }
    Ok(xattrs)
}

/// A name in an open directory as a path, for calls that take nothing else.
fn path_in(dir: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    [proc_path(dir).as_bytes(), b"/", name].concat()
}

/// Reads one extended attribute of a name in a directory, not following it, and gives its length.
pub(crate) fn get_xattr(dir: BorrowedFd<'_>, name: &[u8], xattr: &str, value: &mut [u8]) -> Result<usize> {
    rustix::fs::lgetxattr(path_in(dir, name), xattr, value)
}

/// Sets the times of modification and of access, to the nanosecond.
pub(crate) fn set_mtime_and_atime(node: &Node, mtime: Timestamp) -> Result<()> {
    let times = Timestamps { last_access: timespec(mtime), last_modification: timespec(mtime) };
    let Some(path) = &node.by_path else { return rustix::fs::futimens(node, &times) };
    match rustix::fs::utimensat(node, c"", &times, AtFlags::EMPTY_PATH) {
        // Linux before 5.8.
        Err(Errno::INVAL) => rustix::fs::utimensat(CWD, path, &times, AtFlags::empty()),
        result => result,
    }
}

/// Sets the time of modification alone.
pub(crate) fn set_mtime(fd: impl AsFd, mtime: Timestamp) -> Result<()> {
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    rustix::fs::futimens(fd, &Timestamps { last_access, last_modification: timespec(mtime) })
}

/// Sets the time of modification of a name in a directory alone, not following it.
pub(crate) fn set_mtime_at(dir: BorrowedFd<'_>, name: &[u8], mtime: Timestamp) -> Result<()> {
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let times = Timestamps { last_access, last_modification: timespec(mtime) };
    rustix::fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

fn timespec(time: Timestamp) -> Timespec {
    Timespec { tv_sec: time.seconds(), tv_nsec: time.nanoseconds().into() }
}
