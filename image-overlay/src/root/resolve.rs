//! From a path to an open directory, inside the root.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    io::{Errno, Result},
};

use super::{
    Root,
    walk::{open_path, walk},
};

/// How often the kernel is asked again after a rename elsewhere kept it from being sure.
const ATTEMPTS: usize = 128;

/// Who resolves paths below a [`Root`]. Both follow the same rules: those of a chroot, with at most
/// 40 links, and links of `/proc` taken for the text that they show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resolution {
    /// The kernel, with `openat2` (Linux 5.6 and later).
    Kernel,
    /// This library, component by component: for older kernels and for sandboxes that forbid `openat2`.
    Walk,
}

impl Resolution {
    /// The kernel, unless it has no `openat2` or a sandbox denies it.
    pub(super) fn detect(dir: BorrowedFd<'_>) -> Self {
        match open_in_root(dir, b".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, ResolveFlags::empty()) {
            Err(Errno::NOSYS | Errno::PERM) => Self::Walk,
            _ => Self::Kernel,
        }
    }
}

impl Root {
    /// Opens the directory at `path` with these flags, following links inside the root.
    pub(crate) fn resolve(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
        match self.resolution {
            Resolution::Kernel => match open_in_root(self.as_fd(), path, flags, ResolveFlags::empty()) {
                // Where a rename elsewhere makes the kernel begin again, it goes on counting the links that it
                // has already been through: more than 20 of them may be too many for it by then.
                Err(Errno::LOOP) => open_by_walk(self.as_fd(), path, flags),
                result => result,
            },
            Resolution::Walk => open_by_walk(self.as_fd(), path, flags),
        }
    }

    /// Opens the directory at `path` with these flags; where a link is on the way or at its end, that fails with `LOOP` or `NOTDIR`.
    pub(crate) fn resolve_without_links(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
        if self.resolution == Resolution::Kernel {
            return open_in_root(self.as_fd(), path, flags, ResolveFlags::NO_SYMLINKS);
        }
        let mut dir = open_path(self, b".")?;
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            dir = open_path(&dir, name)?;
        }
        rustix::fs::openat(dir, c".", flags | OFlags::NOFOLLOW, Mode::empty())
    }
}

fn open_by_walk(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
    let dir = walk(root, path, |_, _, obstacle| Err(obstacle.errno()))?;
    rustix::fs::openat(dir, c".", flags | OFlags::NOFOLLOW, Mode::empty())
}

fn open_in_root(root: BorrowedFd<'_>, path: &[u8], flags: OFlags, also: ResolveFlags) -> Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | also;
    let path = if path.is_empty() { b"." } else { path };
    for _ in 1..ATTEMPTS {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)
}
