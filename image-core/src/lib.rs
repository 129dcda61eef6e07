//! The vocabulary of container images: digests, a content-addressed blob store,
//! OCI and Docker documents, and the codecs layers are stored with.
//!
//! Everything here is synchronous and free of ambient state: no environment, no
//! clock and no output of its own. Long operations take a [`Ctx`].
//!
//! ```
//! use image_core::{BlobSourceExt, BlobStoreExt, Descriptor, MediaType, MemoryBlobStore};
//!
//! let store = MemoryBlobStore::default();
//! let blob = store.put_bytes(b"a layer")?;
//! let descriptor = Descriptor::new(MediaType::OciLayer, blob.digest, blob.size);
//! assert_eq!(store.read_bytes(&descriptor, 1 << 20)?, &b"a layer"[..]); // verified
//! # Ok::<(), image_core::Error>(())
//! ```
//!
//! # Tour
//! - [`digest`], [`id`]: names of content and the roles they play.
//! - [`hasher`], [`verify`]: hashing and verifying readers and writers.
//! - [`blob`]: [`blob::BlobSource`], [`blob::BlobStore`] and their implementations.
//! - [`media_type`], [`descriptor`], [`manifest`], [`index`], [`config`],
//!   [`history`]: the documents; [`document`] keeps their exact bytes. [`edit`]: from one image to the next.
//!   [`artifact`]: what is about an image.
//! - [`gc`]: removing blobs that nothing needs any more.
//! - [`codec`]: none, gzip and zstd. [`parallel`]: decompressing ahead, and looking at many things at once.
//! - [`platform`], [`mod@reference`]: names of platforms and images, and [`resolve`],
//!   the seam from a name to an [`Image`].
//! - [`Ctx`]: observer, cancel token and clock.
//!
//! # Platforms
//! Unix systems and Windows; what [`FsBlobStore`] does otherwise on Windows is told [there](blob::fs#windows).
//!
//! # Limits
//! No tar, no root file system and no registry: see the sibling crates.
//!
//! # Features
//! - `gzip`, `zstd` (default): reading and writing layers of that format. Without them the formats are still
//!   named and recognised.
//! - `oci-spec`: conversions to and from the types of the oci-spec crate.
//! - `conformance`: the suite that every blob store must pass, for implementers.

pub mod artifact;
pub mod blob;
pub mod cancel;
pub mod clock;
pub mod codec;
pub mod config;
pub mod ctx;
pub mod descriptor;
pub mod digest;
pub mod document;
pub mod edit;
pub mod error;
pub mod gc;
pub mod hasher;
pub mod history;
pub mod id;
pub mod image;
pub mod index;
#[cfg(feature = "oci-spec")]
pub mod interop;
mod json;
pub mod manifest;
pub mod media_type;
pub mod observer;
pub mod parallel;
pub mod platform;
pub mod reference;
pub mod resolve;
pub mod verify;

pub use artifact::Artifact;
pub use blob::FsBlobStore;
pub use blob::{Blob, BlobSource, BlobSourceExt, BlobStore, BlobStoreExt, MemoryBlobStore};
pub use cancel::CancelToken;
pub use clock::{Clock, FixedClock, SystemClock, Timestamp};
pub use codec::Compression;
pub use config::{ContainerConfig, Healthcheck, ImageConfig, RootFs};
pub use ctx::Ctx;
pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest};
pub use document::Document;
pub use edit::ImageEdit;
pub use error::{Error, Result};
pub use history::History;
pub use id::{ChainId, DiffId, ImageId};
pub use image::Image;
pub use index::ImageIndex;
pub use manifest::ImageManifest;
pub use media_type::MediaType;
pub use observer::{Event, Observer};
pub use platform::Platform;
pub use reference::Reference;
pub use resolve::ImageResolver;
