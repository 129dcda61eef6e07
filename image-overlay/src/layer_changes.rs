//! What each layer of an image changes, path by path.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    entry::Metadata,
    error::Result,
    image_tree::{ImageTree, LayerContent},
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
        let mut tree = ImageTree::new();
        let mut seen = Seen::default();
        seen.look(&tree, 0);
        let mut all = Vec::new();
        for (position, toc) in layers.into_iter().enumerate() {
            tree.push(position, toc)?;
            let mut changes = Self::default();
            for change in seen.look(&tree, position) {
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

/// What a tree showed when it was looked at last.
#[derive(Default)]
struct Seen {
    /// How often it was looked at.
    round: u32,
    names: Vec<NodeId>,
    /// For each name, in which round it was seen last; 0 is never.
    name_rounds: Vec<u32>,
    inode_rounds: Vec<u32>,
    /// The attributes of directories, which may change under one name.
    directories: HashMap<NodeId, Arc<Metadata>>,
}

impl Seen {
    /// Looks at the tree, and tells what is not as it was before a layer was laid over it, by path.
    fn look(&mut self, tree: &ImageTree, layer: usize) -> Vec<PathChange> {
        self.round += 1;
        let names = std::mem::take(&mut self.names);
        let mut changes = BTreeMap::new();
        for node in tree.walk(tree.root()) {
            self.names.push(node.id());
            if let Some(change) = self.see(node, layer) {
                changes.insert(change.path.clone(), change);
            }
        }
        self.tell_gone(tree, &names, &mut changes);
        changes.into_values().collect()
    }

    /// What is new about a name.
    fn see(&mut self, node: NodeRef<'_, LayerContent>, layer: usize) -> Option<PathChange> {
        let was_seen = mark(&mut self.name_rounds, node.id().index(), self.round) != 0;
        let is_first_name = mark(&mut self.inode_rounds, node.inode_id().index(), self.round) != self.round;
        let is_directory = node.is_directory();
        let mut has_other_attributes = false;
        if is_directory {
            let attributes = node.timeless_metadata();
            let known = self.directories.insert(node.id(), Arc::clone(attributes));
            has_other_attributes = known.is_some_and(|known| !Arc::ptr_eq(&known, attributes));
        }
        let kind = match (was_seen, has_other_attributes) {
            (false, _) => PathChangeKind::Added,
            (true, true) => PathChangeKind::Modified,
            (true, false) => return None,
        };
        let is_own = is_first_name && node.content().is_some_and(|content| content.layer == layer);
        let size = if is_own { node.kind().size() } else { 0 };
        Some(PathChange { path: node.path(), kind, is_directory, size, before: 0, gone: 0 })
    }

    /// Tells which of these names are gone. What went with a directory is told as one.
    fn tell_gone(&self, tree: &ImageTree, names: &[NodeId], changes: &mut BTreeMap<LayerPath, PathChange>) {
        let mut counted = BTreeSet::<InodeId>::new();
        // For each directory that is gone, what is told of it or of one above it.
        let mut part_of = BTreeMap::<NodeId, LayerPath>::new();
        let is_gone = |node: &NodeRef<'_, _>| self.name_rounds.get(node.id().index()) != Some(&self.round);
        for node in names.iter().map(|name| tree.node(*name)).filter(is_gone) {
            let is_directory = node.is_directory();
            let path = part_of.get(&node.parent().id()).cloned().unwrap_or_else(|| node.path());
            let is_visible = self.inode_rounds.get(node.inode_id().index()) == Some(&self.round);
            let lost = if !is_visible && counted.insert(node.inode_id()) { node.kind().size() } else { 0 };
            let change = changes.entry(path.clone()).or_insert_with(|| PathChange {
                path: path.clone(),
                kind: PathChangeKind::Removed,
                is_directory,
                size: 0,
                before: 0,
                gone: 0,
            });
            change.before = change.before.saturating_add(lost);
            if change.kind == PathChangeKind::Removed {
                change.gone += 1;
                if is_directory {
                    part_of.insert(node.id(), path);
                }
            } else {
                // Something else has the name now.
                change.kind = PathChangeKind::Modified;
            }
        }
    }
}

/// Notes a round at a place, and gives the one that was noted there before.
fn mark(rounds: &mut Vec<u32>, place: usize, round: u32) -> u32 {
    if rounds.len() <= place {
        rounds.resize(place + 1, 0);
    }
    rounds.get_mut(place).map_or(0, |noted| std::mem::replace(noted, round))
}
