//! What each layer of an image changes, path by path.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use crate::{
    entry::Metadata,
    error::Result,
    image_tree::{ImageTree, Laid, LayerContent, Stack},
    path::LayerPath,
    toc::LayerToc,
    tree::{InodeId, NodeId, NodeRef},
};

/// What one layer does to the tree of the layers below it.
///
/// It is told by what the trees show before and after, so that links on the way and the order of entries do not matter:
/// a path is the place where something stands. Bytes are those of files, each once whatever its names.
///
/// ```
/// use image_core::{Ctx, MemoryBlobStore};
/// use image_overlay::{
///     Entry, EntryKind, LayerChanges, LayerPath, LayerWriter, Metadata, PackOptions, PathChangeKind, Whiteout,
/// };
/// let (store, ctx) = (MemoryBlobStore::default(), Ctx::default());
/// let motd = LayerPath::parse(b"motd")?;
/// let mut base = LayerWriter::new(&store, PackOptions::default())?;
/// base.append(Entry::new(motd.clone(), EntryKind::File { size: 2 }, Metadata::new(0o644)), &mut &b"hi"[..], &ctx)?;
/// let mut upper = LayerWriter::new(&store, PackOptions::default())?;
/// upper.whiteout(&Whiteout::Plain { target: motd }, &ctx)?;
///
/// let changes = LayerChanges::of_layers([&base.finish()?.toc, &upper.finish()?.toc], 100)?;
/// assert_eq!(changes[0].added.size, 2);
/// assert_eq!(changes[1].paths[0].kind, PathChangeKind::Removed);
/// assert_eq!(changes[1].paths[0].before, 2);
/// # Ok::<(), image_overlay::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LayerChanges {
    /// Paths where nothing was before.
    pub added: Changed,
    /// Paths where something else was before, and directories that have other attributes.
    pub modified: Changed,
    /// Paths where nothing is any more, all that was in removed directories among them.
    pub removed: Changed,
    /// The paths, those of most bytes first, then in the order of paths.
    pub paths: Vec<PathChange>,
    /// How many paths the list lacks, as it was cut.
    pub omitted: usize,
}

/// How much was changed in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Changed {
    /// How many paths.
    pub paths: u64,
    /// Bytes that the layer brings there; of removed paths, bytes that nobody sees any more.
    pub size: u64,
}

/// What a layer does to one path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathChange {
    /// The path.
    pub path: LayerPath,
    /// What happens to it.
    pub kind: PathChangeKind,
    /// Whether it is a directory; of a removed path, whether it was one.
    pub is_directory: bool,
    /// Bytes that the layer brings there.
    pub size: u64,
    /// Bytes that were there, or in the directory that was removed, and that nobody sees any more.
    pub before: u64,
    /// How many paths are gone: of a directory that was removed, all that was in it, and itself. 0 where something is there.
    pub gone: u64,
}

/// What happens to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth way")]
pub enum PathChangeKind {
    /// Nothing was there before.
    Added,
    /// Something else was there, or a directory with other attributes.
    Modified,
    /// Nothing is there any more.
    Removed,
}

impl LayerChanges {
    /// Of the layers of an image, base layer first. Of the paths of all layers together, at most `limit` are listed: of
    /// each layer equally many as far as it has so many, and of those the ones of most bytes.
    ///
    /// # Errors
    /// As [`ImageTree::push`].
    pub fn of_layers<'a>(layers: impl IntoIterator<Item = &'a LayerToc>, limit: usize) -> Result<Vec<Self>> {
        let mut stack = Stack::new();
        let mut seen = Seen::of(stack.tree());
        let mut all = Vec::new();
        for (position, toc) in layers.into_iter().enumerate() {
            let laid = stack.lay(position, toc)?;
            let mut changes = Self::default();
            for change in seen.changes(&stack, &laid, position) {
                changes.add(change);
            }
            changes.paths.sort_by_key(|change| Reverse(change.size.max(change.before)));
            changes.cut(limit);
            all.push(changes);
        }
        share(&mut all, limit);
        Ok(all)
    }

    fn add(&mut self, change: PathChange) {
        let of_kind = match change.kind {
            PathChangeKind::Added => &mut self.added,
            PathChangeKind::Modified => &mut self.modified,
            PathChangeKind::Removed => &mut self.removed,
        };
        let size = if change.kind == PathChangeKind::Removed { change.before } else { change.size };
        of_kind.size = of_kind.size.saturating_add(size);
        of_kind.paths += if change.kind == PathChangeKind::Removed { change.gone } else { 1 };
        self.paths.push(change);
    }

    fn cut(&mut self, limit: usize) {
        self.omitted += self.paths.len().saturating_sub(limit);
        self.paths.truncate(limit);
    }
}

/// Cuts the lists so that they have at most `limit` paths together.
fn share(all: &mut [LayerChanges], limit: usize) {
    let mut by_length: Vec<_> = all.iter_mut().collect();
    by_length.sort_by_key(|changes| changes.paths.len());
    let (mut left, count) = (limit, by_length.len());
    for (place, changes) in by_length.into_iter().enumerate() {
        changes.cut(left / (count - place));
        left -= changes.paths.len();
    }
}

/// What a tree showed when it was looked at last: the attributes of directories, which may change under one name.
struct Seen(HashMap<NodeId, Arc<Metadata>>);

impl Seen {
    fn of(tree: &ImageTree) -> Self {
        Self(tree.walk(tree.root()).map(|node| (node.id(), Arc::clone(node.timeless_metadata()))).collect())
    }

    /// What is not as it was before a layer was laid over the tree, by path.
    fn changes(&mut self, stack: &Stack, laid: &Laid, layer: usize) -> impl Iterator<Item = PathChange> + use<> {
        let mut changes = BTreeMap::new();
        let mut counted = HashSet::<InodeId>::new();
        for (path, node) in by_path(stack.tree(), &laid.came) {
            self.look_again(node);
            let is_own = node.content().is_some_and(|content| content.layer == layer);
            let size = if is_own && counted.insert(node.inode_id()) { node.kind().size() } else { 0 };
            changes.insert(path.clone(), PathChange { size, ..change(path, PathChangeKind::Added, node) });
        }
        for node in laid.named.iter().map(|dir| stack.tree().node(*dir)).filter(|dir| stack.shows(*dir)) {
            if self.look_again(node) {
                changes.insert(node.path(), change(node.path(), PathChangeKind::Modified, node));
            }
        }
        tell_gone(stack, &laid.went, &mut changes);
        changes.into_values()
    }

    /// Whether it is a directory that has other attributes than it had.
    fn look_again(&mut self, node: NodeRef<'_, LayerContent>) -> bool {
        let attributes = node.timeless_metadata();
        let known = node.is_directory().then(|| self.0.insert(node.id(), Arc::clone(attributes))).flatten();
        known.is_some_and(|known| !Arc::ptr_eq(&known, attributes))
    }
}

/// Names with their paths, in the order of these.
fn by_path<'a>(tree: &'a ImageTree, names: &[NodeId]) -> Vec<(LayerPath, NodeRef<'a, LayerContent>)> {
    let mut names: Vec<_> = names.iter().map(|name| (tree.node(*name).path(), tree.node(*name))).collect();
    names.sort_by(|(one, _), (other, _)| one.cmp(other));
    names
}

fn change(path: LayerPath, kind: PathChangeKind, node: NodeRef<'_, LayerContent>) -> PathChange {
    PathChange { path, kind, is_directory: node.is_directory(), size: 0, before: 0, gone: 0 }
}

/// Tells of the names that are gone. What went with a directory is told as one.
fn tell_gone(stack: &Stack, names: &[NodeId], changes: &mut BTreeMap<LayerPath, PathChange>) {
    let mut counted = HashSet::<InodeId>::new();
    // For each directory that is gone, what is told of it or of one above it.
    let mut part_of = HashMap::<NodeId, LayerPath>::new();
    for (path, node) in by_path(stack.tree(), names) {
        let path = part_of.get(&node.parent().id()).cloned().unwrap_or(path);
        let is_lost = !stack.shows(node) && counted.insert(node.inode_id());
        let lost = if is_lost { node.kind().size() } else { 0 };
        let change = changes.entry(path.clone()).or_insert_with(|| change(path.clone(), PathChangeKind::Removed, node));
        change.before = change.before.saturating_add(lost);
        if change.kind == PathChangeKind::Removed {
            change.gone += 1;
            if node.is_directory() {
                part_of.insert(node.id(), path);
            }
        } else {
            // Something else has the name now.
            change.kind = PathChangeKind::Modified;
        }
    }
}
