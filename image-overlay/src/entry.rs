//! What a layer says of one path.

use std::collections::BTreeMap;

use image_core::Timestamp;

use crate::path::LayerPath;

/// One entry of a layer: a path, what is there, and its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Where.
    pub path: LayerPath,
    /// What.
    pub kind: EntryKind,
    /// With which attributes.
    pub metadata: Metadata,
}

impl Entry {
    /// An entry of these parts.
    #[must_use]
    pub fn new(path: LayerPath, kind: EntryKind, metadata: Metadata) -> Self {
        Self { path, kind, metadata }
    }
}

/// What is at a path.
///
/// # Spec
/// OCI image-spec 1.1, layer.md, § File Types. Sockets have no form in a layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the specification's list is closed, and each reader must treat all of it")]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Length of its content in bytes, holes included.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// What it says, byte for byte.
        target: Vec<u8>,
    },
    /// Another name of a file.
    HardLink {
        /// The file's other name, below the root.
        target: LayerPath,
    },
    /// A character device.
    CharDevice {
        /// Its driver.
        major: u32,
        /// Its number among the driver's.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Its driver.
        major: u32,
        /// Its number among the driver's.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

impl EntryKind {
    /// Whether this is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        matches!(self, Self::Directory)
    }

    /// Length of a regular file's content in bytes; 0 for everything else.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::File { size } => *size,
            _ => 0,
        }
    }
}

/// The attributes of an entry.
///
/// # Spec
/// OCI image-spec 1.1, layer.md, § File Attributes. Names of users and groups are not kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Metadata {
    /// Permission, set-id and sticky bits: within `0o7777`.
    pub mode: u32,
    /// Numeric owner, at most [`Metadata::MAX_ID`].
    pub uid: u32,
    /// Numeric group, at most [`Metadata::MAX_ID`].
    pub gid: u32,
    /// Time of modification.
    pub mtime: Timestamp,
    /// Extended attributes by full name, as `user.comment`.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Metadata {
    /// The largest user and group id: the number after it means "leave as it is" to the kernel.
    pub const MAX_ID: u32 = u32::MAX - 1;

    /// Attributes with this mode, of root, at 1970-01-01, without extended attributes.
    #[must_use]
    pub fn new(mode: u32) -> Self {
        Self { mode, ..Self::default() }
    }

    /// With these owners.
    #[must_use]
    pub fn with_owner(self, uid: u32, gid: u32) -> Self {
        Self { uid, gid, ..self }
    }

    /// With this time of modification.
    #[must_use]
    pub fn with_mtime(self, mtime: Timestamp) -> Self {
        Self { mtime, ..self }
    }

    /// With this extended attribute as well.
    #[must_use]
    pub fn with_xattr(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.xattrs.insert(name.into(), value.into());
        self
    }
}
