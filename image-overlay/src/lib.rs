//! Container images as file trees: the tar streams that layers are, and what they mean.
//!
//! ```
//! use image_core::{Ctx, MemoryBlobStore};
//! use image_overlay::{Entry, EntryKind, ImageTree, LayerPath, LayerWriter, Metadata, PackOptions, Whiteout};
//!
//! let (store, ctx) = (MemoryBlobStore::default(), Ctx::default());
//! let motd = LayerPath::parse(b"etc/motd")?;
//!
//! let mut base = LayerWriter::new(&store, PackOptions::default())?;
//! base.append(Entry::new(motd.clone(), EntryKind::File { size: 3 }, Metadata::new(0o644)), &mut &b"hi\n"[..], &ctx)?;
//! let base = base.finish()?;
//!
//! let mut upper = LayerWriter::new(&store, PackOptions::default())?;
//! upper.whiteout(&Whiteout::Plain { target: motd.clone() }, &ctx)?;
//! let upper = upper.finish()?;
//!
//! let tree = ImageTree::of_layers([&base.toc])?;
//! assert_eq!(tree.get(&motd).map(|file| file.kind().size()), Some(3));
//! let tree = ImageTree::of_layers([&base.toc, &upper.toc])?;
//! assert!(tree.get(&motd).is_none());
//! # Ok::<(), image_overlay::Error>(())
//! ```
//!
//! # Tour
//! - [`path`], [`entry`], [`whiteout`], [`xattr`], [`oddity`]: what a layer says, parsed once. [`idmap`]: other owners.
//! - [`tar`]: reading and writing layers as streams, within [`Limits`].
//! - [`toc`]: what a layer holds and where, without its content.
//! - [`tree`], [`image_tree`]: a stack of layers as one tree, without extracting it;
//!   [`content`]: reading files out of it.
//! - [`pack`]: making a layer.
//! - [`scan`], [`image_source`]: a directory or an image as a [`source`] to compare; [`known`]: what of a directory need not be read again; [`mod@diff`]: what has
//!   to be laid over one tree to make it another, as [`change`]s that are packed to a layer;
//!   [`capture`]: what an overlay mount shows, from its upper directory, as such a source.
//! - [`mod@flatten`]: many layers as one; [`usage`]: what each of them adds, hides and wastes; [`layer_changes`]: what
//!   each of them does to which path; [`directory_size`]: which directories hold the bytes.
//! - [`root`]: a root file system as a directory handle that nothing leads out of;
//!   [`apply`]: laying one layer over it, or making a layer of [`overlayfs`] of it; [`mod@unpack`]: all layers of an
//!   image. Linux only.
//! - [`mount`]: layers as one tree by the kernel; [`snapshot`]: the layers of many images on disk, each once, to be
//!   mounted, changed and collected. Linux only.
//!
//! # Platforms
//! What reads, compares and makes layers is for all; what is said to be Linux only is not there elsewhere.
//!
//! # Limits
//! What one entry may hold is bounded by [`Limits`]; memory does not grow with the size of files.

#[cfg(target_os = "linux")]
pub mod apply;
#[cfg(target_os = "linux")]
pub mod capture;
pub mod change;
pub mod content;
mod counted;
pub mod diff;
pub mod directory_size;
pub mod entry;
pub mod error;
mod filled;
pub mod flatten;
pub mod idmap;
pub mod image_source;
pub mod image_tree;
#[cfg(target_os = "linux")]
pub mod known;
pub mod layer_changes;
pub mod limits;
#[cfg(target_os = "linux")]
pub mod mount;
pub mod oddity;
pub mod overlayfs;
pub mod pack;
pub mod path;
#[cfg(target_os = "linux")]
pub mod root;
#[cfg(target_os = "linux")]
mod rootless;
mod same_content;
#[cfg(target_os = "linux")]
pub mod scan;
#[cfg(target_os = "linux")]
pub mod snapshot;
pub mod source;
pub mod tar;
pub mod toc;
pub mod tree;
#[cfg(target_os = "linux")]
pub mod unpack;
pub mod usage;
pub mod whiteout;
pub mod xattr;

#[cfg(target_os = "linux")]
pub use apply::{
    Applied, ApplyOptions, DevicePolicy, DirLinks, Ownership, PathFilter, Strictness, XattrPolicy, apply_layer,
    apply_overlay_layer,
};
#[cfg(target_os = "linux")]
pub use capture::{CapturedContent, CapturedSource, UpperDir};
pub use change::{Change, Changes};
pub use content::{Contents, LayerBlob};
pub use diff::{Comparison, DiffOptions, diff};
pub use directory_size::{DirectorySize, LayerShare};
pub use entry::{Entry, EntryKind, Metadata};
pub use error::{Error, Result};
pub use flatten::flatten;
pub use idmap::{IdMap, IdMaps, IdRange};
pub use image_source::ImageSource;
pub use image_tree::{ImageTree, LayerContent};
#[cfg(target_os = "linux")]
pub use known::KnownFiles;
pub use layer_changes::{Changed, LayerChanges, PathChange, PathChangeKind};
pub use limits::Limits;
#[cfg(target_os = "linux")]
pub use mount::{
    Confinement, Durability, MountCalls, MountObstacle, Mounted, OverlayMount, OverlaySupport, probe_overlay,
};
pub use oddity::Oddity;
pub use overlayfs::OverlayXattrs;
pub use pack::{LayerWriter, PackOptions, PackedLayer};
pub use path::LayerPath;
#[cfg(target_os = "linux")]
pub use root::{MountPoints, Resolution, Root};
#[cfg(target_os = "linux")]
pub use scan::{DirContent, DirSource};
#[cfg(target_os = "linux")]
pub use snapshot::{
    Access, Active, Collected, CopyForm, Keep, OverlayForm, RootFs, SnapshotDirs, SnapshotForm, SnapshotId,
    SnapshotInfo, SnapshotKey, SnapshotProblem, SnapshotUsage, Snapshots, View,
};
pub use source::{InodeState, OpenFile, TreeSource};
pub use tar::{Segment, TarEntry, TarReader, TarWriter};
pub use toc::{Content, LayerToc, TocEntry};
pub use tree::{FileTree, Follow, InodeId, NodeId, NodeRef, PathMap, Resolved};
#[cfg(target_os = "linux")]
pub use unpack::{UnpackOptions, Unpacked, unpack};
pub use usage::{LayerUsage, RepeatedPath, Usage, WastedPath};
pub use whiteout::Whiteout;
pub use xattr::XattrClass;
