//! Container images at rest: OCI image layouts, the names in them, and whether what they hold is whole.
//!
//! ```
//! use image_core::{Document, ImageIndex, MediaType, blob::BlobStoreExt};
//! use image_layout::OciLayout;
//! # let dir = tempfile::tempdir().map_err(|e| image_core::Error::io("create", "", e))?;
//! # let path = dir.path().join("images");
//! let layout = OciLayout::create(&path)?;
//! let index = Document::new(ImageIndex::new(Vec::new()))?;
//! layout.blobs().put_document(&index)?;
//! layout.tag("nothing:yet", &index.descriptor(MediaType::OciIndex))?;
//!
//! let found = OciLayout::open(&path)?.resolve("docker.io/library/nothing:yet")?;
//! assert_eq!(&found.digest, index.digest());
//! # Ok::<(), image_layout::Error>(())
//! ```
//!
//! # Tour
//! - [`layout`]: [`OciLayout`], the directory: create, open.
//! - [`index_file`]: `index.json`, read, and changed under a lock.
//! - [`tag`]: names of images: tag, untag, list, find.
//! - [`select`]: from a name to the image for a platform, through nested indexes.
//! - [`resolver`]: the same behind [`image_core::ImageResolver`].
//! - [`archive`]: images in one file, of Docker or OCI: load, save.
//! - [`mod@copy`]: an image, or all of an index, from any blob store to any other.
//! - [`referrers`]: what is about an image: signatures, attestations.
//! - [`roots`]: what garbage collection must keep.
//! - [`fsck`]: every reachable blob hashed, every document checked.
//!
//! # Platforms
//! Unix systems and Windows; durability and locks are as good as the system's, and on Windows as [there](image_core::blob::fs#windows).
//!
//! # Limits
//! Layers are never looked into except to verify them. A layout may be hostile: only regular files are read,
//! without following symbolic links, and never more than a bounded number of bytes of a document.

#![forbid(unsafe_code)]

pub mod archive;
mod bounds;
pub mod copy;
mod copy_referrers;
mod dir;
pub mod error;
pub mod fsck;
pub mod index_file;
pub mod layout;
pub mod ref_name;
pub mod referrers;
pub mod resolver;
pub mod roots;
pub mod select;
pub mod tag;

pub use archive::{ArchiveFormat, LoadOptions, Loaded, SaveOptions, save, save_to_file};
pub use copy::{Copied, CopyOptions, copy};
pub use error::{Error, Result};
pub use layout::OciLayout;
pub use tag::Tag;
