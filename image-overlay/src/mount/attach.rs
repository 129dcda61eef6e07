//! The calls that mount.

use std::{
    ffi::CString,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{CWD, Mode, OFlags},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, fsconfig_create, fsconfig_set_fd,
        fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount,
    },
};

use super::{Confinement, Durability, MountCalls, MountObstacle, Mounted, OverlayMount, OverlayXattrs};
use crate::error::{Error, Result};

/// The kernel takes one page of options; the smallest page has this size.
const PAGE: usize = 4096;

/// Why something could not be done.
enum Fault {
    /// The kernel does not know the calls, or not for this.
    Unknown,
    System(Errno),
    Obstacle(MountObstacle),
    Other(Error),
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

pub(super) fn mount(mount: &OverlayMount, target: &Path) -> Result<Mounted> {
    let place = open(target)?;
    let attached = check(mount).and_then(|()| match mount.calls {
        MountCalls::Stepwise => match stepwise(mount, &place) {
            Err(Fault::Unknown) => single(mount, &place, target),
            result => result,
        },
        MountCalls::Single => single(mount, &place, target),
    });
    attached.map(|mounted| Mounted::new(target, mounted)).map_err(|fault| fault.of(mount, target))
}

/// A handle of a mount that is nowhere in the tree, and goes with the handle whatever becomes of the process; `None`
/// where the kernel knows no such thing. An error names `target`.
pub(super) fn detached(mount: &OverlayMount, target: &Path) -> Result<Option<OwnedFd>> {
    match check(mount).and_then(|()| make(mount)) {
        Ok(mounted) => Ok(Some(mounted)),
        Err(Fault::Unknown) => Ok(None),
        Err(fault) => Err(fault.of(mount, target)),
    }
}

impl Fault {
    fn of(self, mount: &OverlayMount, target: &Path) -> Error {
        let (obstacle, errno) = match self {
            Self::Other(error) => return error,
            Self::Obstacle(obstacle) => (obstacle, None),
            Self::System(errno) => (MountObstacle::of(errno, mount), Some(errno)),
            Self::Unknown => (MountObstacle::Refused, Some(Errno::NOSYS)),
        };
        let source = errno.map(Into::into);
        Error::Mount { target: target.to_owned(), obstacle: Box::new(obstacle), source }
    }
}

/// What the kernel would refuse without saying why.
fn check(mount: &OverlayMount) -> Result<(), Fault> {
    let (count, limit) = (mount.lower.len(), OverlayMount::MAX_LOWER);
    let fewest = if mount.writable.is_some() { 1 } else { 2 };
    if count > limit {
        return Err(Fault::Obstacle(MountObstacle::TooManyLayers { count, limit }));
    }
    if count < fewest {
        return Err(Fault::Obstacle(MountObstacle::TooFewLayers));
    }
    Ok(())
}

/// What is said of the mount besides its directories.
fn options(mount: &OverlayMount) -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    // Off alone would still follow what a layer brings.
    let always = [("redirect_dir", Some("nofollow")), ("metacopy", Some("off")), ("index", Some("off"))];
    let userxattr = (mount.xattrs == OverlayXattrs::User).then_some(("userxattr", None));
    let is_volatile = mount.durability == Durability::Volatile && mount.writable.is_some();
    always.into_iter().chain(userxattr).chain(is_volatile.then_some(("volatile", None)))
}

/// The directories by the names of their options, the topmost first.
fn directories(mount: &OverlayMount) -> impl Iterator<Item = (&'static str, &Path)> {
    let writable = mount.writable.iter();
    let writable = writable.flat_map(|writable| [("upperdir", &*writable.upper), ("workdir", &*writable.work)]);
    mount.lower.iter().rev().map(|lower| ("lowerdir+", &**lower)).chain(writable)
}

/// Gives a handle of the mount.
fn stepwise(mount: &OverlayMount, place: &OwnedFd) -> Result<OwnedFd, Fault> {
    let mounted = make(mount)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(&mounted, c"", place, c"", flags)?;
    Ok(mounted)
}

/// Makes the mount, which is nowhere yet.
fn make(mount: &OverlayMount) -> Result<OwnedFd, Fault> {
    let fs = match fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC) {
        Err(Errno::NOSYS | Errno::PERM) => return Err(Fault::Unknown),
        result => result?,
    };
    for (key, path) in directories(mount) {
        let directory = open(path).map_err(Fault::Other)?;
        set_directory(fs.as_fd(), key, &directory)?;
    }
    for (key, value) in options(mount) {
        match value {
            Some(value) => fsconfig_set_string(&fs, key, value)?,
            None => fsconfig_set_flag(&fs, key)?,
        }
    }
    fsconfig_create(&fs)?;
    let mut attributes = MountAttrFlags::empty();
    attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, mount.writable.is_none());
    let confined = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    attributes.set(confined, mount.confinement == Confinement::NoSuidNoDev);
    Ok(fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

fn set_directory(fs: BorrowedFd<'_>, key: &str, directory: &OwnedFd) -> Result<(), Fault> {
    // Linux 6.13 takes handles, and shows the names behind them.
    if fsconfig_set_fd(fs, key, directory).is_ok() {
        return Ok(());
    }
    match fsconfig_set_string(fs, key, proc_path(directory)) {
        Err(Errno::INVAL) if key == "lowerdir+" => Err(Fault::Unknown),
        result => Ok(result?),
    }
}

/// Gives a handle of the mount.
fn single(mount: &OverlayMount, place: &OwnedFd, target: &Path) -> Result<OwnedFd, Fault> {
    let handles = |key| -> Result<Vec<OwnedFd>, Fault> {
        directories(mount).filter(|(name, _)| *name == key).map(|(_, path)| open(path).map_err(Fault::Other)).collect()
    };
    let (lower, upper, work) = (handles("lowerdir+")?, handles("upperdir")?, handles("workdir")?);
    let names = |handles: &[OwnedFd]| handles.iter().map(proc_path).collect::<Vec<_>>().join(":");
    let mut data = format!("lowerdir={}", names(&lower));
    if mount.writable.is_some() {
        data += &format!(",upperdir={},workdir={}", names(&upper), names(&work));
    }
    for (key, value) in options(mount) {
        data = match value {
            Some(value) => format!("{data},{key}={value}"),
            None => format!("{data},{key}"),
        };
    }
    if data.len() >= PAGE {
        let count = lower.len();
        return Err(Fault::Obstacle(MountObstacle::TooManyLayers { count, limit: count * PAGE / data.len() }));
    }
    let data = CString::new(data).map_err(|_| Errno::INVAL)?;
    let mut flags = MountFlags::empty();
    flags.set(MountFlags::RDONLY, mount.writable.is_none());
    flags.set(MountFlags::NOSUID | MountFlags::NODEV, mount.confinement == Confinement::NoSuidNoDev);
    rustix::mount::mount("overlay", proc_path(place), "overlay", flags, data.as_c_str())?;
    // The one of before is of what is below the mount now.
    open(target).map_err(Fault::Other)
}

/// A name that leads to the directory of a handle, and that holds no character that means anything.
pub(super) fn proc_path(handle: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}

fn open(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|e| Error::io("open", path, e.into()))
}
