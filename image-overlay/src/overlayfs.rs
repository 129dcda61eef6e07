//! How overlayfs keeps a layer on disk: what a directory says of those below it.
//!
//! The markers of a tar stream have counterparts there: a device with the numbers 0:0 hides a name, and a
//! directory with an extended attribute hides what lower layers have in it.

/// Which extended attributes overlayfs obeys: a choice of the mount. Those of the other name mean nothing to it.
///
/// # Spec
/// Linux, Documentation/filesystems/overlayfs.rst, § User xattr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OverlayXattrs {
    /// `trusted.overlay.*`, which only root may set and see.
    #[default]
    Trusted,
    /// `user.overlay.*`: mounts with the option `userxattr`, as those in a user namespace.
    User,
}

/// Behind the prefix, it makes a name that overlayfs leaves alone, and shows without it since Linux 6.7.
#[cfg(target_os = "linux")]
pub(crate) const ESCAPE: &[u8] = b"overlay.";

impl OverlayXattrs {
    /// What the names of the attributes begin with.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.",
            Self::User => "user.overlay.",
        }
    }
}
