//! Choices for applying layers.

use crate::{limits::Limits, overlayfs::OverlayXattrs};

/// Whose the files become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ownership {
    /// As the layer says. Needs the privilege to change owners; without it, writing fails.
    AsIs,
    /// The caller's, whoever the layer names; one notice says so. Devices that the caller may
    /// not make are left out, with a notice each.
    Current,
}

impl Default for Ownership {
    /// [`Ownership::AsIs`] where the process is root's, otherwise [`Ownership::Current`].
    fn default() -> Self {
        if rustix::process::geteuid().is_root() { Self::AsIs } else { Self::Current }
    }
}

/// What becomes of an extended attribute that the file system or the kernel refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum RefusedXattr {
    /// It is left out, with a notice. But `security.capability` under [`Ownership::AsIs`] is an error:
    /// a program would silently lose what it needs.
    #[default]
    Skip,
    /// It is an error.
    Fail,
}

/// Choices for [`apply_layer`](crate::apply_layer).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyOptions {
    /// Whose the files become.
    pub ownership: Ownership,
    /// What becomes of refused extended attributes.
    pub refused_xattr: RefusedXattr,
    /// Bounds on each layer.
    pub limits: Limits,
    /// Which extended attributes the markers of a layer in the form of overlayfs are.
    pub overlay_xattrs: OverlayXattrs,
}

impl ApplyOptions {
    /// With this ownership.
    #[must_use]
    pub fn with_ownership(self, ownership: Ownership) -> Self {
        Self { ownership, ..self }
    }

    /// With refused extended attributes treated this way.
    #[must_use]
    pub fn with_refused_xattr(self, refused_xattr: RefusedXattr) -> Self {
        Self { refused_xattr, ..self }
    }

    /// With the markers of overlayfs in these extended attributes.
    #[must_use]
    pub fn with_overlay_xattrs(self, overlay_xattrs: OverlayXattrs) -> Self {
        Self { overlay_xattrs, ..self }
    }

    /// With these bounds.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}
