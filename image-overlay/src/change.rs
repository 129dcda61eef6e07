//! The changes between two trees.

use std::collections::HashMap;

use image_core::{
    BlobStore, Ctx, Descriptor, DiffId,
    observer::{Outcome, TaskKind},
};

use crate::{
    entry::{Entry, EntryKind},
    error::Result,
    pack::{LayerWriter, PackOptions, PackedLayer},
    path::LayerPath,
    source::TreeSource,
    tree::{FileTree, InodeId, NodeId, NodeRef},
    whiteout::Whiteout,
    xattr::XattrClass,
};

/// One change of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the specification has these three types of changes")]
pub enum Change {
    /// The lower tree has nothing there.
    Add(Entry),
    /// The lower tree has something else there; or it is a directory in which something changed.
    Modify(Entry),
    /// The upper tree has nothing there. Nothing is said of what was below it.
    Delete(LayerPath),
}

impl Change {
    /// What changed.
    #[must_use]
    pub fn path(&self) -> &LayerPath {
        match self {
            Self::Add(entry) | Self::Modify(entry) => &entry.path,
            Self::Delete(path) => path,
        }
    }

    /// The change as `A`, `C` or `D`, as `docker diff` has them.
    #[must_use]
    pub fn letter(&self) -> char {
        match self {
            Self::Add(_) => 'A',
            Self::Modify(_) => 'C',
            Self::Delete(_) => 'D',
        }
    }
}

/// What kind of change, and where: names are of the upper tree, but for what was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Add(NodeId),
    Modify(NodeId),
    Delete(NodeId),
}

/// What has to be laid over a lower tree to make it an upper tree.
///
/// The changes are in the order in which a layer holds them; each takes a few bytes. [`diff`](crate::diff()) makes them.
#[derive(Debug)]
pub struct Changes<'a, L: TreeSource, U: TreeSource> {
    pub(crate) lower: &'a L,
    pub(crate) upper: &'a U,
    pub(crate) marks: Vec<Mark>,
    /// The names of files that have several, in order.
    pub(crate) links: HardLinks,
}

impl<'a, T: TreeSource> Changes<'a, T, T> {
    /// All of a tree, its root included, to be laid over nothing.
    pub fn whole(tree: &'a T) -> Self {
        let files = tree.tree();
        let marks = files.walk(files.root()).map(|node| Mark::Add(node.id())).collect();
        Self { lower: tree, upper: tree, marks, links: HardLinks::of(files) }
    }
}

impl<L: TreeSource, U: TreeSource> Changes<'_, L, U> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether the trees are the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// The changes. Of hard links the first name is the file, and the others are links to it.
    pub fn iter(&self) -> impl Iterator<Item = Change> {
        self.marks.iter().map(|mark| match *mark {
            Mark::Add(node) => Change::Add(self.entry(node)),
            Mark::Modify(node) => Change::Modify(self.entry(node)),
            Mark::Delete(node) => Change::Delete(self.lower.tree().node(node).path()),
        })
    }

    fn entry(&self, node: NodeId) -> Entry {
        let tree = self.upper.tree();
        let node = tree.node(node);
        let kind = match self.links.first(node) {
            Some(first) if first != node.id() => EntryKind::HardLink { target: tree.node(first).path() },
            _ => node.kind().clone(),
        };
        let mut metadata = node.metadata();
        metadata.xattrs.retain(|name, _| XattrClass::of(name) == XattrClass::Content);
        Entry::new(node.path(), kind, metadata)
    }

    /// Writes the changes as a layer into a store.
    ///
    /// # Errors
    /// What a layer cannot hold, as a file whose name is that of a whiteout; a file that cannot be read, or is
    /// of another size by now; and those of the store.
    ///
    /// # Spec
    /// OCI image-spec 1.1, layer.md, § Representing Changes.
    pub fn pack(&self, store: &dyn BlobStore, options: PackOptions, ctx: &Ctx) -> Result<PackedLayer> {
        let mut layer = LayerWriter::new(store, options)?;
        self.write(&mut layer, ctx)?;
        layer.finish()
    }

    /// As [`Changes::pack`], for who needs no table of contents: no file is hashed by itself, which is quicker.
    /// What it gives is what [`ImageEdit::push_layer`](image_core::ImageEdit::push_layer) takes.
    ///
    /// # Errors
    /// As [`Changes::pack`].
    pub fn pack_without_toc(
        &self,
        store: &dyn BlobStore,
        options: PackOptions,
        ctx: &Ctx,
    ) -> Result<(Descriptor, DiffId)> {
        let mut layer = LayerWriter::new(store, options)?.without_file_digests();
        self.write(&mut layer, ctx)?;
        let PackedLayer { descriptor, diff_id, .. } = layer.finish()?;
        Ok((descriptor, diff_id))
    }

    /// Writes the changes into a layer that has nothing yet.
    ///
    /// # Errors
    /// As [`Changes::pack`].
    pub fn write(&self, layer: &mut LayerWriter, ctx: &Ctx) -> Result<()> {
        let task = ctx.begin(TaskKind::Pack, "layer", None);
        let open = self.upper.files(&self.written_files(), ctx)?;
        for (mark, change) in self.marks.iter().zip(self.iter()) {
            let (entry, node) = match (change, mark) {
                (Change::Add(entry) | Change::Modify(entry), Mark::Add(node) | Mark::Modify(node)) => (entry, *node),
                (change, _) => {
                    layer.whiteout(&Whiteout::Plain { target: change.path().clone() }, ctx)?;
                    continue;
                }
            };
            let size = entry.kind.size();
            match entry.kind {
                EntryKind::File { .. } => layer.append(entry, &mut *open(node)?, ctx)?,
                _ => layer.append(entry, &mut std::io::empty(), ctx)?,
            };
            task.advance(size, 1);
        }
        task.end(Outcome::Done);
        Ok(())
    }

    /// The files whose content the layer will hold.
    fn written_files(&self) -> Vec<NodeId> {
        let tree = self.upper.tree();
        let is_written = |node: &NodeId| {
            let node = tree.node(*node);
            node.content().is_some() && self.links.first(node).is_none_or(|first| first == node.id())
        };
        let nodes = self.marks.iter().filter_map(|mark| match mark {
            Mark::Add(node) | Mark::Modify(node) => Some(*node),
            Mark::Delete(_) => None,
        });
        nodes.filter(is_written).collect()
    }
}

/// The files of a tree that have more than one name in it.
#[derive(Debug, Default)]
pub(crate) struct HardLinks(HashMap<InodeId, Vec<NodeId>>);

impl HardLinks {
    pub(crate) fn of<C>(tree: &FileTree<C>) -> Self {
        let mut counts = HashMap::<InodeId, u32>::new();
        let files = || tree.walk(tree.root()).filter(|node| !node.is_directory());
        for file in files() {
            *counts.entry(file.inode_id()).or_default() += 1;
        }
        counts.retain(|_, count| *count > 1);
        let mut names = HashMap::<InodeId, Vec<NodeId>>::new();
        for file in files().filter(|file| counts.contains_key(&file.inode_id())) {
            names.entry(file.inode_id()).or_default().push(file.id());
        }
        Self(names)
    }

    /// All names of a file in canonical order, if it has several.
    pub(crate) fn names<C>(&self, file: NodeRef<'_, C>) -> Option<&[NodeId]> {
        self.0.get(&file.inode_id()).map(Vec::as_slice)
    }

    /// The first name of a file that has several.
    fn first<C>(&self, file: NodeRef<'_, C>) -> Option<NodeId> {
        self.names(file)?.first().copied()
    }
}
