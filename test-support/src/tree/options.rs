//! What of a tree counts.

/// What [`super::Tree::scan_with`] takes in: everything, but for what is left out.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct TreeOptions {
    pub(super) no_owners: bool,
    pub(super) no_modes: bool,
    pub(super) no_mtimes: bool,
    pub(super) no_directory_mtimes: bool,
    pub(super) whole_seconds: bool,
    pub(super) no_xattrs: bool,
    pub(super) no_links: bool,
    pub(super) no_root: bool,
}

impl TreeOptions {
    /// Without owners, for trees that no root made.
    #[must_use]
    pub fn without_owners(self) -> Self {
        Self { no_owners: true, ..self }
    }

    /// Without modes.
    #[must_use]
    pub fn without_modes(self) -> Self {
        Self { no_modes: true, ..self }
    }

    /// Without any times.
    #[must_use]
    pub fn without_mtimes(self) -> Self {
        Self { no_mtimes: true, ..self }
    }

    /// Without the times of directories, which change with what is in them.
    #[must_use]
    pub fn without_directory_mtimes(self) -> Self {
        Self { no_directory_mtimes: true, ..self }
    }

    /// With times rounded down to the second.
    #[must_use]
    pub fn with_whole_seconds(self) -> Self {
        Self { whole_seconds: true, ..self }
    }

    /// Without extended attributes.
    #[must_use]
    pub fn without_xattrs(self) -> Self {
        Self { no_xattrs: true, ..self }
    }

    /// Without telling hard links from copies.
    #[must_use]
    pub fn without_hard_links(self) -> Self {
        Self { no_links: true, ..self }
    }

    /// Without the root directory itself.
    #[must_use]
    pub fn without_root(self) -> Self {
        Self { no_root: true, ..self }
    }
}
