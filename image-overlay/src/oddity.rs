//! What a layer may hold that means something, but not what it should.

use std::fmt;

#[cfg(target_os = "linux")]
use image_core::observer::NoticeKind;

/// Something odd in a layer. It has a meaning, in which tools agree more or less; but nobody who packs a tree writes it.
///
/// # Spec
/// OCI image-spec 1.1, layer.md, § Change Types and § Whiteouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Oddity {
    /// A path stands in the layer a second time: the later entry wins.
    Duplicate,
    /// A name that aufs keeps for itself: it is left out.
    ReservedName,
    /// An extended attribute that is a command to overlayfs: it is not obeyed.
    OverlayXattr,
    /// A file stands where a directory is needed for the entry: it is replaced.
    FileInTheWay,
    /// A marker that is no empty file: it is taken for one.
    MarkerWithContent,
}

#[cfg(target_os = "linux")]
impl Oddity {
    /// What becomes of it where it is no error.
    pub(crate) fn notice_kind(self) -> NoticeKind {
        match self {
            Self::ReservedName => NoticeKind::Skipped,
            Self::Duplicate | Self::OverlayXattr | Self::FileInTheWay | Self::MarkerWithContent => NoticeKind::Altered,
        }
    }
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duplicate => "it replaces what the same layer brought before",
            Self::ReservedName => "the name is reserved for aufs",
            Self::OverlayXattr => "it has an extended attribute that is a command to overlayfs",
            Self::FileInTheWay => "a file is in the way of the directory it stands in",
            Self::MarkerWithContent => "it is a marker, and should be an empty file",
        })
    }
}
