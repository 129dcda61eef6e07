//! From many layers to one.

use image_core::{BlobStore, Ctx};

use crate::{
    change::Changes,
    error::Result,
    image_source::ImageSource,
    pack::{PackOptions, PackedLayer},
};

/// Writes one layer that makes the same tree as all layers of an image: what upper layers hide is not in it, names of one
/// file are links wherever its first name came from, and there are no whiteouts.
///
/// ```
/// use image_core::{Ctx, MemoryBlobStore};
/// use image_overlay::{ImageSource, Limits, PackOptions, flatten};
/// let ctx = Ctx::default();
/// let nothing = ImageSource::new(Vec::new(), "/tmp", &Limits::default(), &ctx)?;
/// let layer = flatten(&nothing, &MemoryBlobStore::default(), PackOptions::default(), &ctx)?;
/// assert_eq!(layer.toc.len(), 1); // the root
/// # Ok::<(), image_overlay::Error>(())
/// ```
///
/// # Errors
/// Content that is missing or corrupt, and errors of the store.
///
/// # Spec
/// OCI image-spec 1.1, layer.md, § Applying Changesets.
pub fn flatten(image: &ImageSource, store: &dyn BlobStore, options: PackOptions, ctx: &Ctx) -> Result<PackedLayer> {
    Changes::whole(image).pack(store, options, ctx)
}
