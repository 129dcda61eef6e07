//! A mount that goes when it is dropped.

use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, StatxFlags},
    io::Errno,
    mount::UnmountFlags,
};

use super::MountObstacle;
use crate::{
    error::{Error, Result},
    root::Root,
};

/// How often a mount that is in use is waited for.
const PAUSES: u32 = 10;

/// How long the first time; each other time twice as long as before, a second in all.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// Something that is mounted, until this is dropped.
///
/// Dropping it takes the mount out of the tree at once, and processes that still use it keep it alive, out of sight,
/// until they end. [`Mounted::unmount`] says whether there are any. What is mounted over it or in it goes with it.
#[derive(Debug)]
pub struct Mounted {
    target: PathBuf,
    /// Names this very mount, whatever is mounted over it or wherever it is moved.
    mount: Option<OwnedFd>,
}

impl Mounted {
    /// What a handle stands for, mounted over a directory.
    pub(super) fn new(target: &Path, mount: OwnedFd) -> Self {
        Self { target: target.to_owned(), mount: Some(mount) }
    }

    /// What is mounted over a directory.
    fn at(target: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mount = rustix::fs::openat(CWD, target, flags, Mode::empty());
        let mount = mount.map_err(|e| Error::io("open", target, e.into()))?;
        Ok(Self::new(target, mount))
    }

    /// Shows one directory over another.
    ///
    /// # Errors
    /// [`Error::Mount`], which is [`Error::is_denied`] where the process may not mount.
    pub fn bind(from: &Path, target: &Path) -> Result<Self> {
        rustix::mount::mount_bind(from, target).map_err(|errno| Error::Mount {
            target: target.to_owned(),
            obstacle: Box::new(if errno == Errno::PERM { MountObstacle::Denied } else { MountObstacle::Refused }),
            source: Some(errno.into()),
        })?;
        Self::at(target)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.target
    }

    /// What is mounted, as a root, even where something else is mounted over it by now.
    /// It must be dropped before the mount is.
    ///
    /// # Errors
    /// Where it cannot be opened for reading.
    pub fn root(&self) -> Result<Root> {
        let failed = |e: Errno| Error::io("open", &self.target, e.into());
        let mount = self.mount.as_ref().ok_or_else(|| failed(Errno::NOENT))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Root::from_fd(rustix::fs::openat(mount, c".", flags, Mode::empty()).map_err(failed)?))
    }

    /// Unmounts, so that nobody can write to its directories any more. Who uses it is waited for, up to a second: a program
    /// that another thread just started holds all files that are open here until it runs.
    ///
    /// # Errors
    /// [`Error::is_busy`] where processes still use it, or something is mounted over or in it: it is
    /// taken out of the tree all the same, and is gone when they let go of it.
    pub fn unmount(mut self) -> Result<()> {
        let mut pauses = (0..PAUSES).map(|doubled| FIRST_PAUSE * (1 << doubled));
        loop {
            let Some(mount) = self.mount.take() else { return Ok(()) };
            if mount_id(&mount, c"") != mount_id(CWD, &self.target) {
                self.mount = Some(mount);
                break;
            }
            // The handle counts as a user.
            drop(mount);
            match rustix::mount::unmount(&self.target, UnmountFlags::NOFOLLOW) {
                Err(Errno::BUSY) => self.mount = Self::at(&self.target)?.mount.take(),
                result => return result.map_err(|e| Error::io("unmount", &self.target, e.into())),
            }
            let Some(pause) = pauses.next() else { break };
            thread::sleep(pause);
        }
        let obstacle = Box::new(MountObstacle::Busy);
        Err(Error::Mount { target: self.target.clone(), obstacle, source: Some(Errno::BUSY.into()) })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let Some(mount) = &self.mount else { return };
        let path = format!("/proc/self/fd/{}", mount.as_raw_fd());
        // The kernel takes what is mounted over it first. It fails when this mount is gone.
        while rustix::mount::unmount(&path, UnmountFlags::DETACH).is_ok() {}
    }
}

/// Which mount this is on; `None` where the kernel does not say (before Linux 5.8).
fn mount_id(dir: impl AsFd, path: impl rustix::path::Arg) -> Option<u64> {
    let status =
        rustix::fs::statx(dir, path, AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW, StatxFlags::MNT_ID).ok()?;
    (status.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(status.stx_mnt_id)
}
