//! Layers as one file system tree, by the kernel: overlayfs mounts.
//!
//! - `attach`: the calls to the kernel.
//! - `mounted`: a mount that goes when it is dropped.
//! - `obstacle`: why a mount is not possible, in words that a person can act on.
//! - `probe`: what the machine can do.
//!
//! No directory's name is ever part of a mount option: directories are handed over as handles, so nothing in a name
//! (a comma, a colon, a backslash) means anything.

mod attach;
mod mounted;
mod obstacle;
mod probe;

use std::path::{Path, PathBuf};

pub use self::{
    mounted::Mounted,
    obstacle::MountObstacle,
    probe::{OverlaySupport, probe_overlay},
};
use crate::{error::Result, overlayfs::OverlayXattrs};

/// How the kernel is told what to mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum MountCalls {
    /// One directory at a time (`fsopen`, `fsconfig` with `lowerdir+`, `fsmount`, `move_mount`; Linux 6.7), for as many
    /// layers as the kernel mounts; [`MountCalls::Single`] where it does not know that.
    #[default]
    Stepwise,
    /// All of it in one string (`mount`), which has room for some 200 layers.
    Single,
}

/// Whether what is written to a mount survives a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Durability {
    /// What is synced is on the medium, and unmounting syncs all.
    #[default]
    Synced,
    /// Nothing is synced: after a crash the upper directory is good for nothing. Needs Linux 5.10.
    Volatile,
}

/// What programs and devices in a mount may do that they could not do elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Confinement {
    /// What they may do anywhere: set-user-id programs have their owner's rights, and devices are devices.
    #[default]
    None,
    /// Nothing (`nosuid`, `nodev`): set-id bits and file capabilities give no rights, and no device can be opened.
    NoSuidNoDev,
}

/// Where changes go.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Writable {
    upper: PathBuf,
    work: PathBuf,
}

/// Directories that are to be mounted over each other.
///
/// Nothing is written that needs the mount to be understood: directories are not renamed by reference (`redirect_dir`), and
/// files are copied up with their content (`metacopy=off`), so the upper directory is a layer of its own. References
/// that are in a layer all the same are not followed. Names of one file are not kept together when one is
/// copied up (`index=off`), whatever the machine's default is.
///
/// ```no_run
/// use image_overlay::OverlayMount;
/// use std::path::Path;
/// let mount = OverlayMount::writable(["base", "app"].map(Into::into), "upper", "work");
/// let mounted = mount.mount(Path::new("root"))?;
/// std::fs::remove_file(mounted.path().join("etc/motd"))?;
/// mounted.unmount()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Spec
/// Linux, Documentation/filesystems/overlayfs.rst.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlayMount {
    lower: Vec<PathBuf>,
    writable: Option<Writable>,
    xattrs: OverlayXattrs,
    durability: Durability,
    confinement: Confinement,
    calls: MountCalls,
}

impl OverlayMount {
    /// The most lower directories that the kernel mounts.
    pub const MAX_LOWER: usize = 500;

    /// These directories, base layer first, to be looked at alone. The kernel wants two at least.
    pub fn read_only(lower: impl IntoIterator<Item = PathBuf>) -> Self {
        let (xattrs, durability, confinement, calls) = Default::default();
        Self { lower: lower.into_iter().collect(), writable: None, xattrs, durability, confinement, calls }
    }

    /// These directories, base layer first, with changes going to `upper`. `work` must be an empty directory
    /// of the same file system. Neither may be part of another mount: the kernel does not prevent it, and what is
    /// written then is undefined.
    pub fn writable(
        lower: impl IntoIterator<Item = PathBuf>,
        upper: impl Into<PathBuf>,
        work: impl Into<PathBuf>,
    ) -> Self {
        let writable = Some(Writable { upper: upper.into(), work: work.into() });
        Self { writable, ..Self::read_only(lower) }
    }

    /// With the mount's marks in these attributes.
    #[must_use]
    pub fn with_xattrs(self, xattrs: OverlayXattrs) -> Self {
        Self { xattrs, ..self }
    }

    /// With changes as durable as this.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// With programs and devices confined so.
    #[must_use]
    pub fn with_confinement(self, confinement: Confinement) -> Self {
        Self { confinement, ..self }
    }

    /// Mounted by these calls.
    #[must_use]
    pub fn with_calls(self, calls: MountCalls) -> Self {
        Self { calls, ..self }
    }

    /// Mounts over a directory.
    ///
    /// # Errors
    /// [`Error::Mount`](crate::Error::Mount), which is [`Error::is_denied`](crate::Error::is_denied) or
    /// [`Error::is_unsupported`](crate::Error::is_unsupported) where the machine is in the way; an error of the file
    /// system for a directory that cannot be opened.
    pub fn mount(&self, target: &Path) -> Result<Mounted> {
        attach::mount(self, target)
    }
}
