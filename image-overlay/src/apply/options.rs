//! Choices for applying layers.

use std::{fmt, sync::Arc};

use crate::{idmap::IdMaps, limits::Limits, overlayfs::OverlayXattrs, path::LayerPath};

/// Whose the files become.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ownership {
    /// As the layer says. Needs the privilege to change owners; without it, writing fails.
    AsIs,
    /// As the layer says, by ids of another range, as for a user namespace. An id without a counterpart
    /// is an error. Needs the privilege to change owners.
    Mapped(IdMaps),
    /// The caller's, whoever the layer names; one notice says so. Devices that the caller may
    /// not make are left out, with a notice each, and hard links to them.
    Current,
    /// As [`Ownership::Current`], and files and directories whose owner is not root are noted to be that owner's in the extended
    /// attribute `user.rootlesscontainers`, as umoci and others do. Linux allows none on other files: a
    /// notice names those.
    Recorded,
}

impl Default for Ownership {
    /// [`Ownership::AsIs`] where the process is root's, otherwise [`Ownership::Current`].
    fn default() -> Self {
        if rustix::process::geteuid().is_root() { Self::AsIs } else { Self::Current }
    }
}

impl Ownership {
    /// Whether files become those of the owners that the layer names, in one way or another.
    pub(super) fn is_given(&self) -> bool {
        matches!(self, Self::AsIs | Self::Mapped(_))
    }
}

/// What becomes of a layer's extended attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum XattrPolicy {
    /// They are set, and one that the file system or the kernel refuses is an error.
    Require,
    /// They are set, and one that is refused is left out, with a notice. But `security.capability` is an error where
    /// [owners](Ownership) are given: a program would silently lose what it needs.
    #[default]
    Warn,
    /// None is set, with one notice for all.
    Skip,
}

/// What becomes of devices that the caller may not make, where owners are [given](Ownership).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum DevicePolicy {
    /// They are an error.
    #[default]
    Require,
    /// They are left out, with a notice each, and hard links to them: as root of a user namespace may give owners, and
    /// may not make devices.
    LeaveOut,
}

/// What becomes of what means something, but not what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Strictness {
    /// It is read as tools read it, with a notice.
    #[default]
    Lenient,
    /// It is an error.
    Strict,
}

/// What becomes of a symbolic link to a directory where a layer has a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum DirLinks {
    /// The directory replaces it.
    #[default]
    Replace,
    /// It stays, and the directory it leads to inside the root gets the attributes. For trees that were changed after layers were
    /// laid, so that `/lib` is a link by now; it is not what the layers mean.
    Keep,
}

/// Chooses the entries of a layer that are applied, by path; a marker goes by the path of what it hides.
///
/// ```
/// use image_overlay::{ApplyOptions, PathFilter};
/// let no_docs = PathFilter::new(|path| !path.as_bytes().starts_with(b"usr/share/doc/"));
/// let options = ApplyOptions::default().with_filter(no_docs);
/// ```
#[derive(Clone)]
pub struct PathFilter(Arc<dyn Fn(&LayerPath) -> bool + Send + Sync>);

impl PathFilter {
    /// A filter that lets pass what `passes` says.
    pub fn new(passes: impl Fn(&LayerPath) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(passes))
    }

    /// Whether entries of this path are applied.
    #[must_use]
    pub fn passes(&self, path: &LayerPath) -> bool {
        (self.0)(path)
    }
}

impl fmt::Debug for PathFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PathFilter").finish_non_exhaustive()
    }
}

impl PartialEq for PathFilter {
    /// Whether they are clones of one filter.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for PathFilter {}

/// Choices for [`apply_layer`](crate::apply_layer).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyOptions {
    /// Whose the files become.
    pub ownership: Ownership,
    /// What becomes of extended attributes.
    pub xattrs: XattrPolicy,
    /// What becomes of devices that the caller may not make.
    pub devices: DevicePolicy,
    /// What becomes of oddities.
    pub strictness: Strictness,
    /// What becomes of links to directories.
    pub dir_links: DirLinks,
    /// Which entries are applied; without it, all.
    pub filter: Option<PathFilter>,
    /// Bounds on each layer.
    pub limits: Limits,
    /// What the layers below have of [`Limits::image_bytes`] already: the sum of their
    /// [`Applied::counted_bytes`](crate::Applied::counted_bytes).
    pub bytes_below: u64,
    /// Which extended attributes the markers of a layer in the form of overlayfs are.
    pub overlay_xattrs: OverlayXattrs,
}

impl ApplyOptions {
    /// With this ownership.
    #[must_use]
    pub fn with_ownership(self, ownership: Ownership) -> Self {
        Self { ownership, ..self }
    }

    /// Whether a device that may not be made is no error.
    pub(super) fn leaves_devices_out(&self) -> bool {
        !self.ownership.is_given() || self.devices == DevicePolicy::LeaveOut
    }

    /// With extended attributes treated this way.
    #[must_use]
    pub fn with_xattrs(self, xattrs: XattrPolicy) -> Self {
        Self { xattrs, ..self }
    }

    /// With devices treated this way.
    #[must_use]
    pub fn with_devices(self, devices: DevicePolicy) -> Self {
        Self { devices, ..self }
    }

    /// With oddities treated this way.
    #[must_use]
    pub fn with_strictness(self, strictness: Strictness) -> Self {
        Self { strictness, ..self }
    }

    /// With links to directories treated this way.
    #[must_use]
    pub fn with_dir_links(self, dir_links: DirLinks) -> Self {
        Self { dir_links, ..self }
    }

    /// With only those entries applied that pass the filter; a notice names each that does not.
    #[must_use]
    pub fn with_filter(self, filter: PathFilter) -> Self {
        Self { filter: Some(filter), ..self }
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

    /// With so many bytes of layers below, that count against [`Limits::image_bytes`].
    #[must_use]
    pub fn with_bytes_below(self, bytes_below: u64) -> Self {
        Self { bytes_below, ..self }
    }
}
