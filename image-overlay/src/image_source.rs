//! An image as a tree whose files can be read.

use std::{path::PathBuf, sync::Arc};

use image_core::{Ctx, Image};

use crate::{
    content::{Contents, LayerBlob},
    error::{Error, Result},
    image_tree::{ImageTree, LayerContent},
    limits::Limits,
    source::{OpenFile, TreeSource},
    tree::{FileTree, NodeId},
};

/// The root file system of an image, read out of its layers.
#[derive(Debug)]
pub struct ImageSource {
    layers: Vec<LayerBlob>,
    tree: Arc<ImageTree>,
    spool: PathBuf,
}

impl ImageSource {
    /// Reads and verifies these layers, base layer first. What is asked for out of compressed layers goes to
    /// nameless temporary files in `spool`. No layers make an empty tree.
    ///
    /// # Errors
    /// As [`LayerBlob::toc`] and [`ImageTree::push`].
    pub fn new(layers: Vec<LayerBlob>, spool: impl Into<PathBuf>, limits: &Limits, ctx: &Ctx) -> Result<Self> {
        let tree = Arc::new(ImageTree::read(&layers, limits, ctx)?);
        Ok(Self::of_tree(layers, tree, spool))
    }

    /// Takes layers whose tree is known: the one that is made of their tables of contents, each pushed at its position.
    #[must_use]
    pub fn of_tree(layers: Vec<LayerBlob>, tree: Arc<ImageTree>, spool: impl Into<PathBuf>) -> Self {
        Self { layers, tree, spool: spool.into() }
    }

    /// Reads and verifies the layers of an image, as [`ImageSource::new`] does.
    ///
    /// # Errors
    /// As [`ImageSource::new`].
    pub fn of_image(image: &Image, spool: impl Into<PathBuf>, limits: &Limits, ctx: &Ctx) -> Result<Self> {
        Self::new(LayerBlob::of_image(image), spool, limits, ctx)
    }
}

impl TreeSource for ImageSource {
    type Content = LayerContent;

    fn tree(&self) -> &ImageTree {
        &self.tree
    }

    fn files<'s>(&'s self, wanted: &[NodeId], ctx: &'s Ctx) -> Result<OpenFile<'s>> {
        let wanted = wanted.iter().filter_map(|file| self.tree.node(*file).content());
        let contents = Contents::fetch(&self.layers, wanted, &self.spool, ctx)?;
        Ok(Box::new(move |file| {
            let content = content(&self.tree, file)?;
            Ok(Box::new(contents.open(content)?))
        }))
    }

    /// Of a sparse file that of its data alone is known.
    fn known_digest(&self, file: NodeId) -> Option<[u8; 32]> {
        let content = &self.tree.node(file).content()?.content;
        content.sparse.is_none().then_some(content.sha256)
    }
}

fn content(tree: &FileTree<LayerContent>, file: NodeId) -> Result<&LayerContent> {
    let node = tree.node(file);
    node.content().ok_or_else(|| Error::inapplicable(&node.path(), "it is no regular file"))
}
