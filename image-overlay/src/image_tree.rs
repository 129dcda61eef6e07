//! The root file system of an image, as one tree in memory: its layers' tables of contents merged
//! by the whiteout rules, without extracting anything.

use std::collections::HashSet;

use image_core::{Ctx, Image};

use crate::{
    content::LayerBlob,
    entry::{Entry, EntryKind, Metadata},
    error::{Error, Result},
    limits::Limits,
    path::LayerPath,
    toc::{Content, LayerToc},
    tree::{FileTree, Follow, NodeId},
    whiteout::Whiteout,
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
        let mut tree = Self::new();
        for (position, layer) in LayerBlob::of_image(image).iter().enumerate() {
            tree.push(position, &layer.toc(limits, ctx)?)?;
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
    ///
    /// # Errors
    /// An entry that cannot be applied, by name: a root that is not a directory, a hard link to
    /// nothing or to a directory, more than 40 symlinks on the way.
    pub fn push(&mut self, position: usize, toc: &LayerToc) -> Result<()> {
        self.hide(toc)?;
        for entry in toc.entries() {
            if Whiteout::classify(&entry.entry.path)?.is_none() {
                let content = entry.content.map(|content| LayerContent { layer: position, content });
                self.apply(&entry.entry, content)?;
            }
        }
        Ok(())
    }

    /// Takes away what the layer's whiteouts hide.
    fn hide(&mut self, toc: &LayerToc) -> Result<()> {
        let mut brought = None;
        for entry in toc.entries() {
            let Some(whiteout) = Whiteout::classify(&entry.entry.path)? else { continue };
            let brought = brought.get_or_insert_with(|| brought_directories(toc));
            let directory = match &whiteout {
                Whiteout::Opaque { dir } => dir.clone(),
                Whiteout::Plain { target } => target.parent().unwrap_or_default(),
                Whiteout::Reserved => continue,
            };
            let Some(directory) = self.lower_directory(&directory, brought)? else { continue };
            match &whiteout {
                Whiteout::Plain { target } => {
                    let hidden = target.file_name().and_then(|name| self.node(directory).child(name));
                    if let Some(hidden) = hidden.map(|node| node.id()) {
                        self.remove(hidden);
                    }
                }
                _ => {
                    let hidden: Vec<NodeId> = self.node(directory).children().map(|node| node.id()).collect();
                    hidden.into_iter().for_each(|node| self.remove(node));
                }
            }
        }
        Ok(())
    }

    /// The directory of lower layers that a path of this layer means: symlinks are followed, unless
    /// the layer itself puts a directory in their place, and with it hides what they led to.
    fn lower_directory(&self, path: &LayerPath, brought: &HashSet<LayerPath>) -> Result<Option<NodeId>> {
        let mut here = self.root();
        let mut prefix = LayerPath::root();
        for name in path.components() {
            prefix = prefix.join(name)?;
            let Some(mut node) = here.child(name) else { return Ok(None) };
            if let EntryKind::Symlink { .. } = node.kind() {
                if brought.contains(&prefix) {
                    return Ok(None);
                }
                let Some(target) = self.lookup(node.path().as_bytes(), Follow::Last)? else { return Ok(None) };
                node = target;
            }
            if !node.is_directory() {
                return Ok(None);
            }
            here = node;
        }
        Ok(Some(here.id()))
    }

    fn apply(&mut self, entry: &Entry, content: Option<LayerContent>) -> Result<()> {
        let Some(name) = entry.path.file_name() else {
            if entry.kind != EntryKind::Directory {
                return Err(Error::inapplicable(&entry.path, "the root of the layer is not a directory"));
            }
            self.set_metadata(self.root().id(), entry.metadata.clone());
            return Ok(());
        };
        let parent = self.make_parent(&entry.path)?;
        match &entry.kind {
            EntryKind::HardLink { target } => {
                let Some(target) = self.lookup(target.as_bytes(), Follow::NotLast)? else {
                    return Err(Error::inapplicable(
                        &entry.path,
                        format!("hard link to {target}, which does not exist"),
                    ));
                };
                if target.is_directory() {
                    return Err(Error::inapplicable(
                        &entry.path,
                        format!("hard link to {}, a directory", target.path()),
                    ));
                }
                let target = target.id();
                self.link(parent, name, target);
            }
            kind => {
                self.insert(parent, name, kind.clone(), entry.metadata.clone(), content);
            }
        }
        Ok(())
    }

    /// The directory that an entry goes into: missing ones are made, symlinks followed inside the
    /// root, and what is no directory is replaced by one.
    fn make_parent(&mut self, path: &LayerPath) -> Result<NodeId> {
        let Some(parent) = path.parent() else { return Ok(self.root().id()) };
        if let Some(node) = self.get(&parent).filter(|node| node.is_directory()) {
            return Ok(node.id());
        }
        let resolved = self.resolve(parent.as_bytes(), Follow::Last)?;
        let mut here = self.root().id();
        for name in resolved.path.components() {
            here = match self.node(here).child(name).filter(|node| node.is_directory()) {
                Some(node) => node.id(),
                None => self.insert(here, name, EntryKind::Directory, Metadata::new(0o755), None),
            };
        }
        Ok(here)
    }
}

/// The paths at which the layer itself puts a directory, or implies one by what is deeper.
fn brought_directories(toc: &LayerToc) -> HashSet<LayerPath> {
    let directories = toc.entries().filter(|entry| entry.entry.kind == EntryKind::Directory);
    directories.map(|entry| entry.entry.path).collect()
}
