//! How overlayfs keeps a layer on disk: what a directory says of those below it.
//!
//! The markers of a tar stream have counterparts there: a device with the numbers 0:0 hides a name, and a
//! directory with an extended attribute hides what lower layers have in it.

#[cfg(target_os = "linux")]
use crate::root::Status;

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
/// The value of an opaque directory's attribute.
#[cfg(target_os = "linux")]
pub(crate) const OPAQUE: &[u8] = b"y";

impl OverlayXattrs {
    /// What the names of the attributes begin with.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.",
            Self::User => "user.overlay.",
        }
    }

    /// The attribute that says `y` on an opaque directory.
    #[must_use]
    pub fn opaque(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.opaque",
            Self::User => "user.overlay.opaque",
        }
    }

    /// The prefix of either choice that a name begins with.
    #[cfg(target_os = "linux")]
    fn prefix_of(name: &[u8]) -> Option<&'static [u8]> {
        [Self::Trusted, Self::User].map(|xattrs| xattrs.prefix().as_bytes()).into_iter().find(|p| name.starts_with(p))
    }
}

/// Whether this is the device that stands for nothing.
#[cfg(target_os = "linux")]
pub(crate) fn is_whiteout(status: &Status) -> bool {
    status.kind == rustix::fs::FileType::CharacterDevice && status.device == 0
}

/// The name under which a file can have an attribute that overlayfs would obey; `None` where it obeys none of this name.
#[cfg(target_os = "linux")]
pub(crate) fn escape_xattr(name: &[u8]) -> Option<Vec<u8>> {
    let prefix = OverlayXattrs::prefix_of(name)?;
    Some([prefix, ESCAPE, name.get(prefix.len()..).unwrap_or_default()].concat())
}

/// What an attribute on disk is to overlayfs, without its prefix, as `opaque`; `None` where it is the file's own.
#[cfg(target_os = "linux")]
pub(crate) fn command(name: &[u8]) -> Option<&[u8]> {
    let command = name.get(OverlayXattrs::prefix_of(name)?.len()..)?;
    (!command.starts_with(ESCAPE)).then_some(command)
}
