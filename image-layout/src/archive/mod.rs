//! Images in one file: what `docker save`, `podman save`, `skopeo` and `ctr` write.
//!
//! Two forms are read, and archives that are both at once:
//! - Docker's: `manifest.json` names each image's config, layers and tags.
//! - OCI's: an image layout in a tar.
//!
//! [`OciLayout::load`](crate::OciLayout::load) takes all images of an archive into a layout; [`load()`] stores them in any
//! blob store and leaves their naming to the caller.
//!
//! # Reading
//! An archive is read once, from front to back, so it may come from a pipe; its members may be in any
//! order, and all of it may be compressed. Layers go into the store as they come, compressed as they are, or as
//! [`LoadOptions::encode`] says where they are not.
//! They become blobs when all that is said of them has proved right; an archive that is not
//! right leaves nothing behind but, at worst, blobs without a name. The archive is never unpacked:
//! its members are looked up by name, links among them included.
//!
//! # Writing
//! [`save`] writes what both kinds of readers understand: an OCI layout with Docker's `manifest.json` beside it, or the
//! layout alone. The same images under the same names make the same bytes on every machine.

mod budget;
mod docker_json;
mod docker_read;
mod docker_write;
mod header;
mod index;
mod intake;
mod load;
mod members;
mod names;
mod oci;
mod plain_size;
mod storing;

pub use docker_write::{ArchiveFormat, SaveOptions, save, save_to_file};
pub use load::{LoadOptions, Loaded, load};
