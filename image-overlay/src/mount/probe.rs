//! What the machine can mount.

use std::{fs, io, path::Path};

use super::{
    Durability, MountObstacle, OverlayMount, OverlayXattrs,
    attach::{self, proc_path},
};
use crate::error::{Error, Result};

/// What overlayfs can do with the file system of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OverlaySupport {
    /// Which attributes this process may keep the mount's marks in.
    pub xattrs: OverlayXattrs,
    /// The least durable mount there is.
    pub durability: Durability,
}

/// Finds out whether overlayfs can be mounted with upper directories beside each other in `scratch`, by doing it: in a
/// directory that is gone again afterwards, a file and a directory are removed and made anew through a mount. The mount
/// itself is nowhere to be seen, where the kernel can do that, so no process that is killed leaves one.
///
/// # Errors
/// [`Error::Mount`], whose obstacle says why not; an error of the file system where `scratch` cannot be written to.
pub fn probe_overlay(scratch: &Path) -> Result<OverlaySupport> {
    let mut last = None;
    for xattrs in [OverlayXattrs::Trusted, OverlayXattrs::User] {
        for durability in [Durability::Volatile, Durability::Synced] {
            match try_out(scratch, xattrs, durability) {
                Ok(()) => return Ok(OverlaySupport { xattrs, durability }),
                Err(error) => last = Some(error),
            }
        }
    }
    Err(last.unwrap_or_else(|| Error::io("probe", scratch, io::ErrorKind::Unsupported.into())))
}

fn try_out(scratch: &Path, xattrs: OverlayXattrs, durability: Durability) -> Result<()> {
    let temporary = tempfile::Builder::new().prefix(".overlay-probe-").tempdir_in(scratch);
    let temporary = temporary.map_err(|e| Error::io("create a directory in", scratch, e))?;
    let at = |name: &str| temporary.path().join(name);
    for name in ["lower", "lower/d", "upper", "work", "merged"] {
        fs::create_dir(at(name)).map_err(|e| Error::io("create", at(name), e))?;
    }
    fs::write(at("lower/d/f"), "").map_err(|e| Error::io("write", at("lower/d/f"), e))?;
    let mount =
        OverlayMount::writable([at("lower")], at("upper"), at("work")).with_xattrs(xattrs).with_durability(durability);
    let tried = match attach::detached(&mount, scratch)? {
        Some(mounted) => replace_directory(&Path::new(&proc_path(&mounted)).join("d")),
        None => {
            let mounted = mount.mount(&at("merged"))?;
            let tried = replace_directory(&at("merged/d"));
            mounted.unmount()?;
            tried
        }
    };
    tried.map_err(|source| {
        let obstacle = Box::new(MountObstacle::UnsuitableUpper { upper: scratch.to_owned() });
        Error::Mount { target: scratch.to_owned(), obstacle, source: Some(source) }
    })
}

/// Takes both kinds of marks: what was removed is hidden by a device, and what was replaced by a directory's attribute.
fn replace_directory(dir: &Path) -> io::Result<()> {
    fs::remove_file(dir.join("f"))?;
    fs::remove_dir(dir)?;
    fs::create_dir(dir)?;
    match fs::read_dir(dir)?.next() {
        None => Ok(()),
        Some(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}
