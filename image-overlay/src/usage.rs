//! What each layer of an image adds, hides and wastes.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    error::Result,
    image_tree::{Bytes, ImageTree, LayerContent, Stack},
    path::LayerPath,
    toc::LayerToc,
    tree::{InodeId, NodeRef},
    whiteout::Whiteout,
};

/// How an image spends its bytes: those of files, as their entries say, before compression and without headers. More than
/// 64 bits count, as those of a few files that are holes, are told as the most that they count.
///
/// ```
/// use image_core::{Ctx, MemoryBlobStore};
/// use image_overlay::{Entry, EntryKind, LayerPath, LayerWriter, Metadata, PackOptions, Usage};
/// let (store, ctx) = (MemoryBlobStore::default(), Ctx::default());
/// let layer = |content: &[u8]| {
///     let mut layer = LayerWriter::new(&store, PackOptions::default())?;
///     let kind = EntryKind::File { size: content.len() as u64 };
///     layer.append(Entry::new(LayerPath::parse(b"motd")?, kind, Metadata::new(0o644)), &mut &*content, &ctx)?;
///     layer.finish()
/// };
/// let (base, upper) = (layer(b"one")?, layer(b"seven")?);
/// let usage = Usage::of_layers([&base.toc, &upper.toc])?;
/// assert_eq!((usage.layers[0].wasted, usage.layers[1].hidden), (3, 3));
/// assert_eq!(usage.efficiency, 3.0 / 8.0);
/// # Ok::<(), image_overlay::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Usage {
    /// The layers, base layer first.
    pub layers: Vec<LayerUsage>,
    /// From 0 to 1, as dive computes it: the sum of what each path takes at least, by the sum of what it takes in all layers
    /// together. A path takes what its entry says, a whiteout of a directory as much as what it hides, and one of a file nothing.
    pub efficiency: f64,
    /// The paths that more than one layer has or hides, the one that takes most first.
    pub repeated: Vec<RepeatedPath>,
    /// Where the bytes are that nobody sees, the path that wastes most first. They add up to [`Usage::wasted`].
    pub wasted_paths: Vec<WastedPath>,
}

/// How one layer spends its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LayerUsage {
    /// Bytes of the files that it brings.
    pub added: u64,
    /// Bytes of files that nobody sees any more because of it.
    pub hidden: u64,
    /// Bytes of its own files that nobody sees in the image.
    pub wasted: u64,
}

/// A path that more than one layer has or hides.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepeatedPath {
    /// The path.
    pub path: LayerPath,
    /// How often.
    pub count: u64,
    /// What it takes in all layers together, in bytes.
    pub size: u64,
}

/// A path of which layers bring files that nobody sees in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WastedPath {
    /// The path; of a file with several names, the first that it was given.
    pub path: LayerPath,
    /// How many files that stood there nobody sees.
    pub count: u64,
    /// Their bytes.
    pub size: u64,
}

impl Usage {
    /// Of an image of these layers, base layer first.
    ///
    /// # Errors
    /// As [`ImageTree::push`].
    pub fn of_layers<'a>(layers: impl IntoIterator<Item = &'a LayerToc>) -> Result<Self> {
        let mut stack = Stack::new();
        let mut paths = Paths::default();
        let mut ledger = Vec::<[Bytes; 3]>::new();
        for (position, toc) in layers.into_iter().enumerate() {
            paths.add(toc, stack.tree())?;
            let laid = stack.lay(position, toc)?;
            let added = toc.entries().map(|entry| Bytes::from(entry.entry.kind.size())).sum();
            ledger.push([added, added + laid.lost - laid.gained, added]);
        }
        let mut unseen = BTreeMap::<LayerPath, (u64, Bytes)>::new();
        for file in stack.files().filter(|file| file.kind().size() > 0) {
            let size = Bytes::from(file.kind().size());
            if !stack.shows(file) {
                let (count, sum) = unseen.entry(file.path()).or_default();
                *count += 1;
                *sum += size;
            } else if let Some([_, _, wasted]) = file.content().and_then(|content| ledger.get_mut(content.layer)) {
                *wasted -= size;
            }
        }
        let layers = ledger.into_iter().map(|layer| {
            let [added, hidden, wasted] = layer.map(told);
            LayerUsage { added, hidden, wasted }
        });
        let (efficiency, wasted_paths) = (paths.efficiency(), wasted_paths(unseen));
        Ok(Self { layers: layers.collect(), efficiency, repeated: paths.repeated(), wasted_paths })
    }

    /// Bytes of all layers that nobody sees.
    #[must_use]
    pub fn wasted(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.wasted))
    }
}

/// The number that is told of so many bytes.
fn told(bytes: Bytes) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Bytes of the regular files below a name, each once whatever its names.
fn bytes(start: NodeRef<'_, LayerContent>, tree: &ImageTree) -> Bytes {
    let mut seen = BTreeSet::<InodeId>::new();
    let is_first = |node: &NodeRef<'_, _>| !node.is_linked() || seen.insert(node.inode_id());
    let files = tree.walk(start).filter(|node| node.content().is_some()).filter(is_first);
    files.map(|file| Bytes::from(file.kind().size())).sum()
}

/// The files that layers brought and nobody sees, the path that wastes most first.
fn wasted_paths(unseen: BTreeMap<LayerPath, (u64, Bytes)>) -> Vec<WastedPath> {
    let tell = |(path, (count, size))| WastedPath { path, count, size: told(size) };
    let mut paths: Vec<_> = unseen.into_iter().map(tell).collect();
    paths.sort_by_key(|path| Reverse(path.size));
    paths
}

/// What each path takes.
#[derive(Default)]
struct Paths(BTreeMap<LayerPath, Taken>);

#[derive(Default)]
struct Taken {
    count: u64,
    total: Bytes,
    least: Bytes,
}

impl Paths {
    /// Counts one layer; `below` is the tree of those under it.
    fn add(&mut self, toc: &LayerToc, below: &ImageTree) -> Result<()> {
        let entries: BTreeMap<_, _> = toc.entries().map(|entry| (entry.entry.path, entry.entry.kind)).collect();
        let mut following = entries.keys().skip(1);
        for (path, kind) in &entries {
            let has_children = following.next().is_some_and(|next| next.starts_with(path));
            match Whiteout::classify(path)? {
                None if has_children => {}
                None => self.count(path.clone(), kind.size().into()),
                Some(Whiteout::Plain { target }) => {
                    let hidden = below.get(&target).filter(|node| node.is_directory());
                    self.count(target, hidden.map_or(0, |hidden| bytes(hidden, below)));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn count(&mut self, path: LayerPath, size: Bytes) {
        let taken = self.0.entry(path).or_insert_with(|| Taken { least: Bytes::MAX, ..Taken::default() });
        taken.count += 1;
        taken.total += size;
        taken.least = taken.least.min(size);
    }

    fn efficiency(&self) -> f64 {
        let sum = |of: fn(&Taken) -> Bytes| self.0.values().map(of).sum::<Bytes>();
        match (sum(|taken| taken.least), sum(|taken| taken.total)) {
            (_, 0) => 1.0,
            (least, total) => least as f64 / total as f64,
        }
    }

    fn repeated(self) -> Vec<RepeatedPath> {
        let repeated = self.0.into_iter().filter(|(_, taken)| taken.count > 1);
        let mut repeated: Vec<_> = repeated
            .map(|(path, Taken { count, total, .. })| RepeatedPath { path, count, size: told(total) })
            .collect();
        repeated.sort_by_key(|path| Reverse(path.size));
        repeated
    }
}
