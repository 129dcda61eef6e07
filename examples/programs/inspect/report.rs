//! What the report tells of an image's layers and files, as the libraries find it.

use image_core::{Ctx, Image};
use image_overlay::{DirectorySize, ImageTree, LayerBlob, LayerChanges, Limits, Result, Usage};

/// How many directories the map of the root file system shows.
const DIRECTORIES: usize = 800;
/// How many paths the lists of changes hold, in all layers together.
const CHANGED_PATHS: usize = 20_000;

/// What there is to tell.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) usage: Usage,
    pub(crate) directories: Vec<DirectorySize>,
    pub(crate) changes: Vec<LayerChanges>,
}

impl Report {
    /// Reads all layers of an image, and verifies them.
    pub(crate) fn of_image(image: &Image, limits: &Limits, ctx: &Ctx) -> Result<Self> {
        let tocs = LayerBlob::tocs_of_image(image, limits, ctx)?;
        let tree = ImageTree::of_layers(&tocs)?;
        Ok(Self {
            usage: Usage::of_layers(&tocs)?,
            directories: DirectorySize::of_tree(&tree, DIRECTORIES),
            changes: LayerChanges::of_layers(&tocs, CHANGED_PATHS)?,
        })
    }
}
