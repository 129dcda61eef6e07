//! Why overlayfs cannot be mounted.

use std::{fmt, path::PathBuf};

use rustix::io::Errno;

use super::OverlayMount;

/// What is in the way of a mount. Its text says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MountObstacle {
    /// The process may not mount.
    Denied,
    /// The kernel has no overlayfs.
    NoOverlayfs,
    /// The kernel does not take this directory for an upper one: its file system lacks what overlayfs needs.
    UnsuitableUpper {
        /// The directory.
        upper: PathBuf,
    },
    /// Fewer lower directories than the kernel mounts without an upper one.
    TooFewLayers,
    /// More lower directories than the kernel mounts.
    TooManyLayers {
        /// How many.
        count: usize,
        /// How many it mounts.
        limit: usize,
    },
    /// One directory is given twice, or within another.
    Overlap,
    /// Another mount uses the upper or the work directory, or the mount itself is in use.
    Busy,
    /// Something else.
    Refused,
}

impl MountObstacle {
    /// What an error of the kernel's means for this mount.
    pub(super) fn of(errno: Errno, mount: &OverlayMount) -> Self {
        match errno {
            Errno::PERM | Errno::ACCESS => Self::Denied,
            Errno::NODEV => Self::NoOverlayfs,
            Errno::LOOP => Self::Overlap,
            Errno::BUSY => Self::Busy,
            // Whiteouts and attributes are tried out at mounting.
            Errno::INVAL | Errno::OPNOTSUPP | Errno::IO | Errno::ROFS => match &mount.writable {
                Some(writable) => Self::UnsuitableUpper { upper: writable.upper.clone() },
                None => Self::Refused,
            },
            _ => Self::Refused,
        }
    }
}

impl MountObstacle {
    /// Whether another machine, or another directory of this one, could do it.
    pub(crate) fn is_unsupported(&self) -> bool {
        matches!(self, Self::NoOverlayfs | Self::UnsuitableUpper { .. } | Self::TooManyLayers { .. })
    }
}

impl fmt::Display for MountObstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str(
                "this process may not mount: run it as root, or in a user namespace of its own \
                 (`unshare --user --map-root-user --mount`)",
            ),
            Self::NoOverlayfs => f.write_str("the kernel has no overlayfs: load it (`modprobe overlay`)"),
            Self::UnsuitableUpper { upper } => write!(
                f,
                "the kernel does not take {} for an upper directory: choose one on ext4, xfs, btrfs or tmpfs, \
                 that is on no overlay itself and that nothing else mounts (`dmesg` says more)",
                upper.display()
            ),
            Self::TooFewLayers => f.write_str("without an upper directory it takes two lower ones"),
            Self::TooManyLayers { count, limit } => {
                write!(f, "{count} layers, and no more than {limit} can be mounted: flatten the image")
            }
            Self::Overlap => f.write_str("one directory is given twice, or within another"),
            Self::Busy => f.write_str("it is in use: end the processes that use it, or unmount the other mount"),
            Self::Refused => f.write_str("the kernel refused it (`dmesg` may say why)"),
        }
    }
}
