//! Opening files of a context, and their extended attributes.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
};

use image_overlay::{LayerPath, XattrClass};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

/// How files are opened: no symlink is followed, and no fifo's writer waited for.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// How directories on the way to a file are opened, which need not be readable where the system has handles for that.
#[cfg(target_os = "linux")]
const ON_THE_WAY: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const ON_THE_WAY: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens a file below a directory without following any symlink, and without waiting for a fifo's writer.
pub(super) fn open_beneath(root: &OwnedFd, path: &LayerPath) -> Result<File, Errno> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(root, path.as_bytes(), FILE, Mode::empty(), beneath) {
            Err(Errno::NOSYS | Errno::PERM) => {}
            other => return other.map(File::from),
        }
    }
    // Without openat2: component by component.
    let mut here = rustix::fs::openat(root, c".", ON_THE_WAY, Mode::empty())?;
    let (parent, name) = (path.parent().unwrap_or_default(), path.file_name().unwrap_or(b"."));
    for name in parent.components() {
        here = rustix::fs::openat(&here, name, ON_THE_WAY, Mode::empty())?;
    }
    open_in(&here, name)
}

/// Opens a directory below another, or that one anew.
pub(super) fn open_directory(root: &OwnedFd, path: &LayerPath) -> Result<OwnedFd, Errno> {
    if path.is_root() {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        return rustix::fs::openat(root, c".", flags, Mode::empty());
    }
    open_beneath(root, path).map(OwnedFd::from)
}

/// Opens a file by its name in a directory.
pub(super) fn open_in(directory: &OwnedFd, name: &[u8]) -> Result<File, Errno> {
    rustix::fs::openat(directory, name, FILE, Mode::empty()).map(File::from)
}

/// The extended attributes of an open file that belong into an image.
pub(super) fn xattrs(file: impl AsFd) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Errno> {
    let mut found = BTreeMap::new();
    let mut few = [MaybeUninit::<u8>::uninit(); 1 << 10];
    let mut many = Vec::new();
    let names = match rustix::fs::flistxattr(&file, &mut few) {
        Ok(([], _)) | Err(Errno::NOTSUP) => return Ok(found),
        Ok((names, _)) => &*names,
        // The kernel knows no list of more than 64 KiB.
        Err(Errno::RANGE) => {
            many.resize(64 << 10, 0);
            let length = rustix::fs::flistxattr(&file, &mut many[..])?;
            &many[..length]
        }
        Err(e) => return Err(e),
    };
    for name in names.split(|b| *b == 0).filter(|name| belongs(name)) {
        let mut value = vec![0_u8; 64 << 10];
        match rustix::fs::fgetxattr(&file, name, &mut value[..]) {
            Ok(len) => value.truncate(len),
            Err(Errno::NODATA) => continue,
            Err(e) => return Err(e),
        }
        found.insert(name.to_vec(), value);
    }
    Ok(found)
}

/// Whether an extended attribute of a context's file belongs to the file rather than to this machine.
pub(super) fn belongs(name: &[u8]) -> bool {
    XattrClass::of(name) == XattrClass::Content && (name.starts_with(b"user.") || name == b"security.capability")
}

/// Reads, and again where a signal came in between.
pub(super) fn read_in(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
