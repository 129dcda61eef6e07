//! The root file system of an image, as one tree in memory: its layers' tables of contents merged
//! by the whiteout rules, without extracting anything.

mod merge;
mod stack;

use image_core::{Ctx, Image};

use self::merge::{Merge, Touched};
pub(crate) use self::stack::{Bytes, Laid, Stack};
use crate::{
    content::LayerBlob,
    error::Result,
    limits::{Limits, Taken},
    toc::{Content, LayerToc},
    tree::FileTree,
};

/// Where the bytes of a file of an image are: in which layer, and where in its plain tar.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerContent {
    /// The layer, by its position in the image; the base layer is 0.
    pub layer: usize,
    /// The place in it.
    pub content: Content,
}

impl LayerContent {
    /// A place in a layer.
    #[must_use]
    pub fn new(layer: usize, content: Content) -> Self {
        Self { layer, content }
    }
}

/// The root file system of an image, merged from its layers.
///
/// # Spec
/// OCI image-spec 1.1, layer.md, § Applying Changesets and § Whiteouts.
pub type ImageTree = FileTree<LayerContent>;

impl ImageTree {
    /// The tree of an image, whose layers are read and verified.
    ///
    /// # Errors
    /// As [`LayerBlob::toc`] and [`ImageTree::push`].
    pub fn of_image(image: &Image, limits: &Limits, ctx: &Ctx) -> Result<Self> {
        Self::read(&LayerBlob::of_image(image), limits, ctx)
    }

    /// The tree of layers that are read and verified, within limits on all of them together.
    pub(crate) fn read(layers: &[LayerBlob], limits: &Limits, ctx: &Ctx) -> Result<Self> {
        let mut tree = Self::new();
        let mut taken = Taken::default();
        for (position, layer) in layers.iter().enumerate() {
            let toc = layer.toc_above(&mut taken, limits, ctx)?;
            tree.push(position, &toc).map_err(|error| layer.named(error, ctx))?;
        }
        Ok(tree)
    }

    /// The tree of these layers, base layer first.
    ///
    /// # Errors
    /// As [`ImageTree::push`].
    pub fn of_layers<'a>(layers: impl IntoIterator<Item = &'a LayerToc>) -> Result<Self> {
        let mut tree = Self::new();
        for (position, toc) in layers.into_iter().enumerate() {
            tree.push(position, toc)?;
        }
        Ok(tree)
    }

    /// Applies one more layer.
    ///
    /// Whiteouts hide what lower layers brought, and nothing of this one, wherever they stand in it.
    /// The tree is the one that applying the layers to a directory makes.
    ///
    /// # Errors
    /// An entry that cannot be applied, by name: a root that is not a directory, a hard link to
    /// nothing, to a directory or to itself, more than 40 symlinks on the way. The tree is of no use then.
    pub fn push(&mut self, position: usize, toc: &LayerToc) -> Result<()> {
        self.merge(position, toc).map(drop)
    }

    fn merge(&mut self, position: usize, toc: &LayerToc) -> Result<Touched> {
        let mut merge = Merge::new(self, position, toc);
        toc.entries().try_for_each(|entry| merge.add(entry))?;
        Ok(merge.finish())
    }
}
