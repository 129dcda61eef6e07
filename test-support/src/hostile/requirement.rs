//! What the cases are about.

/// A promise to those who are given layers, layouts and archives by strangers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the table of cases counts all of them")]
pub enum Requirement {
    /// Every name leads to a place inside the root.
    InsideTheRoot,
    /// What stands where an entry goes is replaced, never followed.
    LeavesAreNotFollowed,
    /// Links among the parents are followed as under chroot.
    LinksAsUnderChroot,
    /// The root stays a directory.
    RootStays,
    /// Hard links lead to what is in the root.
    HardLinks,
    /// Whiteouts hide what lower layers have, in the root, and nothing else.
    Whiteouts,
    /// Another process that exchanges directories and links leads nothing outside.
    Races,
    /// What is refused leaves nothing, and the error names layer, entry and cause, safely.
    NothingAfterErrors,
    /// Sizes, digests, diffIDs and checksums are all compared.
    ContentIsVerified,
    /// Only what is a digest becomes a path.
    Digests,
    /// A document has one meaning.
    Documents,
    /// A tar stream has one meaning.
    OneMeaningOfTar,
    /// Owners and modes are what the layer says, or it is refused.
    OwnersAndModes,
    /// What cannot be written is an error.
    WriteErrors,
    /// Nothing is set aside by a number of the input.
    NothingIsSetAside,
    /// Nothing recurses over input.
    NoRecursion,
    /// Only regular files of a layout are read.
    RegularFilesOnly,
    /// What is unusual and right is taken.
    Accepted,
    /// The host does not show in the tree.
    HostIndependence,
    /// What overlayfs would obey is never set as it is.
    OverlayNames,
    /// An archive is indexed and never unpacked.
    ArchivesAreIndexed,
    /// The layers of an archive are those that its configuration names.
    LayersOfArchives,
    /// Bytes of a document.
    DocumentBytes,
    /// Nesting of JSON.
    JsonNesting,
    /// Depth and number of indexes.
    IndexDepth,
    /// Layers of an image.
    LayersOfAnImage,
    /// Bytes and number of extended headers.
    ExtensionBytes,
    /// Bytes of paths and targets.
    PathBytes,
    /// Segments of sparse files.
    SparseSegments,
    /// Bytes and number of extended attributes.
    Xattrs,
    /// Entries of a layer.
    Entries,
    /// Bytes of a layer when it is plain.
    LayerBytes,
    /// The window of zstd.
    ZstdWindow,
}
