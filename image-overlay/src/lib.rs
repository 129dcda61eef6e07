//! Container images as file trees: the tar streams that layers are, and what they mean.
//!
//! # Tour
//! - [`path`], [`entry`], [`whiteout`], [`xattr`]: what a layer says, parsed once.
//! - [`tar`]: reading and writing layers as streams, within [`Limits`].
//! - [`toc`]: what a layer holds and where, without its content.

pub mod entry;
pub mod error;
pub mod limits;
pub mod path;
pub mod tar;
pub mod toc;
pub mod whiteout;
pub mod xattr;

pub use entry::{Entry, EntryKind, Metadata};
pub use error::{Error, Result};
pub use limits::Limits;
pub use path::LayerPath;
pub use tar::{Segment, TarEntry, TarReader, TarWriter};
pub use toc::{LayerToc, TocEntry};
pub use whiteout::Whiteout;
pub use xattr::XattrClass;
