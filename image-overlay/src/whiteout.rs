//! Whiteouts: entries that hide what lower layers have.
//!
//! No other file knows the `.wh.` prefix.

use image_core::Timestamp;

use crate::{
    entry::{Entry, EntryKind, Metadata},
    error::{Error, Result},
    oddity::Oddity,
    path::{LayerPath, escape},
};

const PREFIX: &[u8] = b".wh.";
const RESERVED_PREFIX: &[u8] = b".wh..wh.";
const OPAQUE_NAME: &[u8] = b".wh..wh..opq";

/// What a marker in a layer hides. It hides what lower layers have, never what its own layer brings,
/// wherever in the layer it stands.
///
/// ```
/// use image_overlay::{LayerPath, Whiteout};
/// let marker = LayerPath::parse(b"etc/.wh.motd")?;
/// let hidden = LayerPath::parse(b"etc/motd")?;
/// assert_eq!(Whiteout::classify(&marker)?, Some(Whiteout::Plain { target: hidden }));
/// # Ok::<(), image_overlay::Error>(())
/// ```
///
/// # Spec
/// OCI image-spec 1.1, layer.md, § Whiteouts and § Opaque Whiteout.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "each reader of a layer must treat every marker")]
pub enum Whiteout {
    /// Hides one path and all below it.
    Plain {
        /// The path.
        target: LayerPath,
    },
    /// Hides all that is below a directory, not the directory.
    Opaque {
        /// The directory.
        dir: LayerPath,
    },
    /// A name that aufs keeps for itself, as `.wh..wh.plnk` and all below it: to be ignored.
    Reserved,
}

impl Whiteout {
    /// What `path` means as a marker; `None` where it is an ordinary path.
    ///
    /// # Errors
    /// [`Error::is_corrupt`] where what follows the prefix is empty, `.` or `..`, and where a directory
    /// on the way has a marker's name: such names cannot be content.
    pub fn classify(path: &LayerPath) -> Result<Option<Self>> {
        let refuse = |reason| Err(Error::InvalidPath { path: escape(path.as_bytes()), reason });
        let Some(first) = path.components().position(|name| name.starts_with(PREFIX)) else { return Ok(None) };
        if path.components().nth(first).is_some_and(|name| name.starts_with(RESERVED_PREFIX) && name != OPAQUE_NAME) {
            return Ok(Some(Self::Reserved));
        }
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
        if first + 1 != path.components().count() {
            return refuse("a whiteout's name stands for a directory");
        }
        if name == OPAQUE_NAME {
            return Ok(Some(Self::Opaque { dir }));
        }
        match name.strip_prefix(PREFIX) {
            None | Some(b"" | b"." | b"..") => refuse("a whiteout that names nothing to hide"),
            Some(hidden) => Ok(Some(Self::Plain { target: dir.join(hidden)? })),
        }
    }

    /// What it is about: the path that it hides, or the directory below which it hides; `None` for [`Whiteout::Reserved`].
    #[must_use]
    pub fn subject(&self) -> Option<&LayerPath> {
        match self {
            Self::Plain { target } => Some(target),
            Self::Opaque { dir } => Some(dir),
            Self::Reserved => None,
        }
    }

    /// What is odd about this marker as an entry of this kind.
    pub(crate) fn oddity(&self, kind: &EntryKind) -> Option<Oddity> {
        match self {
            Self::Reserved => Some(Oddity::ReservedName),
            _ => (*kind != EntryKind::File { size: 0 }).then_some(Oddity::MarkerWithContent),
        }
    }

    /// The path of this marker in a layer; `None` for [`Whiteout::Reserved`] and for the root,
    /// which cannot be hidden.
    ///
    /// # Errors
    /// Where the path is longer than a path may be.
    pub fn marker_path(&self) -> Result<Option<LayerPath>> {
        match self {
            Self::Plain { target } => match (target.parent(), target.file_name()) {
                (Some(dir), Some(name)) => dir.join(&plain_name(name)).map(Some),
                _ => Ok(None),
            },
            Self::Opaque { dir } => dir.join(OPAQUE_NAME).map(Some),
            Self::Reserved => Ok(None),
        }
    }

    /// This marker as an entry of a layer: an empty regular file of root with mode 0, as the
    /// reference tools write it. `None` as for [`Whiteout::marker_path`].
    ///
    /// # Errors
    /// As [`Whiteout::marker_path`].
    pub fn to_entry(&self, mtime: Timestamp) -> Result<Option<Entry>> {
        let entry = |path| Entry::new(path, EntryKind::File { size: 0 }, Metadata::new(0).with_mtime(mtime));
        Ok(self.marker_path()?.map(entry))
    }
}

/// Why an entry is refused that a link leads into a directory with such a name.
pub(crate) const THROUGH_LINK: &str = "a symbolic link leads it to a whiteout's name";

/// Whether no file can have this name, since it would be read as a marker.
pub(crate) fn is_marker_name(name: &[u8]) -> bool {
    name.starts_with(PREFIX)
}

/// The name of the marker that hides `name`.
#[must_use]
pub fn plain_name(name: &[u8]) -> Vec<u8> {
    [PREFIX, name].concat()
}
