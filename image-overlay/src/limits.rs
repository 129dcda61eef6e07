//! How much a layer may ask of its reader.

/// Bounds on what one layer's tar stream may hold.
///
/// Every length in a stream is compared with its limit before memory is set aside for it.
/// The bytes of paths are bounded apart from this, by what Linux can name: see
/// [`LayerPath`](crate::LayerPath).
///
/// ```
/// use image_overlay::Limits;
/// let limits = Limits::default().with_layer_bytes(Some(10 << 30)).with_entries(100_000);
/// assert_eq!(limits.entries, 100_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Entries of one layer.
    pub entries: u64,
    /// Bytes of one layer's plain tar stream, and bytes of all its files with their holes; `None` is unlimited.
    pub layer_bytes: Option<u64>,
    /// Bytes of all layers of an image together, counted as those of one; `None` is unlimited.
    pub image_bytes: Option<u64>,
    /// Bytes of one file, holes included; `None` is unlimited.
    pub file_bytes: Option<u64>,
    /// Names in one path.
    pub path_names: u64,
    /// Bytes of extended headers and long names before one entry.
    pub extension_bytes: u64,
    /// Extended headers and long names before one entry.
    pub extension_headers: u64,
    /// Data segments of one sparse file.
    pub sparse_segments: u64,
    /// Extended attributes of one entry.
    pub xattrs: u64,
    /// Bytes of an extended attribute's name.
    pub xattr_name_bytes: u64,
    /// Bytes of an extended attribute's value.
    pub xattr_value_bytes: u64,
    /// Bytes of memory that are set aside for what is known of a layer's entries, and of all layers of an image,
    /// where they are [read into a table](crate::LayerToc::read). Applying a layer keeps no table.
    pub toc_bytes: u64,
}

/// What the layers below one have taken of the limits on all layers of an image.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Taken {
    /// Of [`Limits::image_bytes`].
    pub(crate) bytes: u64,
    /// Of [`Limits::toc_bytes`].
    pub(crate) toc_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 10_000_000,
            layer_bytes: None,
            image_bytes: None,
            file_bytes: None,
            path_names: 2048,
            extension_bytes: 1 << 20,
            extension_headers: 16,
            sparse_segments: 65_536,
            xattrs: 1024,
            xattr_name_bytes: 255,
            xattr_value_bytes: 64 << 10,
            toc_bytes: 1 << 30,
        }
    }
}

impl Limits {
    /// With this bound on the entries of one layer.
    #[must_use]
    pub const fn with_entries(self, entries: u64) -> Self {
        Self { entries, ..self }
    }

    /// With this bound on the bytes of one layer's plain tar stream.
    #[must_use]
    pub const fn with_layer_bytes(self, layer_bytes: Option<u64>) -> Self {
        Self { layer_bytes, ..self }
    }

    /// With this bound on the bytes of all layers of an image together.
    #[must_use]
    pub const fn with_image_bytes(self, image_bytes: Option<u64>) -> Self {
        Self { image_bytes, ..self }
    }

    /// With this bound on the bytes of one file.
    #[must_use]
    pub const fn with_file_bytes(self, file_bytes: Option<u64>) -> Self {
        Self { file_bytes, ..self }
    }

    /// With this bound on the names in one path.
    #[must_use]
    pub const fn with_path_names(self, path_names: u64) -> Self {
        Self { path_names, ..self }
    }

    /// With this bound on the bytes of extended headers and long names before one entry.
    #[must_use]
    pub const fn with_extension_bytes(self, extension_bytes: u64) -> Self {
        Self { extension_bytes, ..self }
    }

    /// With this bound on the extended headers and long names before one entry.
    #[must_use]
    pub const fn with_extension_headers(self, extension_headers: u64) -> Self {
        Self { extension_headers, ..self }
    }

    /// With this bound on the data segments of one sparse file.
    #[must_use]
    pub const fn with_sparse_segments(self, sparse_segments: u64) -> Self {
        Self { sparse_segments, ..self }
    }

    /// With this bound on the extended attributes of one entry.
    #[must_use]
    pub const fn with_xattrs(self, xattrs: u64) -> Self {
        Self { xattrs, ..self }
    }

    /// With this bound on the bytes of an extended attribute's name.
    #[must_use]
    pub const fn with_xattr_name_bytes(self, xattr_name_bytes: u64) -> Self {
        Self { xattr_name_bytes, ..self }
    }

    /// With this bound on the bytes of an extended attribute's value.
    #[must_use]
    pub const fn with_xattr_value_bytes(self, xattr_value_bytes: u64) -> Self {
        Self { xattr_value_bytes, ..self }
    }

    /// With this bound on the memory for tables of contents.
    #[must_use]
    pub const fn with_toc_bytes(self, toc_bytes: u64) -> Self {
        Self { toc_bytes, ..self }
    }
}
