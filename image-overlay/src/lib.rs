//! Container images as file trees: the tar streams that layers are, and what they mean.
//!
//! # Tour
//! - [`path`], [`entry`], [`whiteout`], [`xattr`]: what a layer says, parsed once.
//! - [`tar`]: reading and writing layers as streams, within [`Limits`].
//! - [`toc`]: what a layer holds and where, without its content.
//! - [`tree`], [`image_tree`]: a stack of layers as one tree, without extracting it;
//!   [`content`]: reading files out of it.
//! - [`pack`]: making a layer.

pub mod content;
pub mod entry;
pub mod error;
pub mod image_tree;
pub mod limits;
pub mod pack;
pub mod path;
pub mod tar;
pub mod toc;
pub mod tree;
pub mod whiteout;
pub mod xattr;

pub use content::{Contents, LayerBlob};
pub use entry::{Entry, EntryKind, Metadata};
pub use error::{Error, Result};
pub use image_tree::{ImageTree, LayerContent};
pub use limits::Limits;
pub use pack::{LayerWriter, PackOptions, PackedLayer};
pub use path::LayerPath;
pub use tar::{Segment, TarEntry, TarReader, TarWriter};
pub use toc::{Content, LayerToc, TocEntry};
pub use tree::{FileTree, Follow, InodeId, NodeId, NodeRef, Resolved};
pub use whiteout::Whiteout;
pub use xattr::XattrClass;
