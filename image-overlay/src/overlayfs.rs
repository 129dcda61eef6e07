//! How overlayfs keeps a layer on disk: what a directory says of those below it.
//!
//! The markers of a tar stream have counterparts there: a device with the numbers 0:0 hides a name, and a
//! directory with an extended attribute hides what lower layers have in it.

#[cfg(target_os = "linux")]
use crate::root::Status;

/// Which extended attributes overlayfs obeys: a choice of the mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OverlayXattrs {
    /// `trusted.overlay.*`, which only root may set and see.
    #[default]
    Trusted,
    /// `user.overlay.*`: mounts with the option `userxattr`, as those in a user namespace.
    User,
}

/// What is put before the names of attributes that overlayfs obeys, in either namespace.
const PREFIXES: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];
/// Behind the prefix, it makes a name that overlayfs leaves alone, and shows without it since Linux 6.7.
const ESCAPE: &[u8] = b"overlay.";
/// The value of an opaque directory's attribute.
pub(crate) const OPAQUE: &[u8] = b"y";

impl OverlayXattrs {
    /// The attribute that says `y` on an opaque directory.
    #[must_use]
    pub fn opaque(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.opaque",
            Self::User => "user.overlay.opaque",
        }
    }
}

/// Whether this is the device that stands for nothing.
#[cfg(target_os = "linux")]
pub(crate) fn is_whiteout(status: &Status) -> bool {
    status.kind == rustix::fs::FileType::CharacterDevice && status.device == 0
}

/// The name under which a file can have an attribute that overlayfs would obey; `None` where it obeys none of this name.
pub(crate) fn escape_xattr(name: &[u8]) -> Option<Vec<u8>> {
    let prefix = PREFIXES.into_iter().find(|prefix| name.starts_with(prefix))?;
    Some([prefix, ESCAPE, name.get(prefix.len()..).unwrap_or_default()].concat())
}

/// What an attribute on disk is to overlayfs, without its prefix, as `opaque`; `None` where it is the file's own.
pub(crate) fn command(name: &[u8]) -> Option<&[u8]> {
    let command = PREFIXES.into_iter().find_map(|prefix| name.strip_prefix(prefix))?;
    (!command.starts_with(ESCAPE)).then_some(command)
}
