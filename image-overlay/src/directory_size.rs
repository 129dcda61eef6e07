//! Which directories of an image hold its bytes, and which layers brought them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use crate::{image_tree::ImageTree, path::LayerPath, tree::InodeId};

/// A directory of an image, and the bytes of the files in it: as their entries say, each once whatever its names.
///
/// ```
/// use image_core::{Ctx, MemoryBlobStore};
/// use image_overlay::{DirectorySize, Entry, EntryKind, ImageTree, LayerPath, LayerWriter, Metadata, PackOptions};
/// let (store, ctx) = (MemoryBlobStore::default(), Ctx::default());
/// let mut layer = LayerWriter::new(&store, PackOptions::default())?;
/// for (path, content) in [("etc/motd", "hi"), ("usr/bin/tool", "#!tool"), ("usr/lib/x", "x")] {
///     let kind = EntryKind::File { size: content.len() as u64 };
///     let entry = Entry::new(LayerPath::parse(path.as_bytes())?, kind, Metadata::new(0o644));
///     layer.append(entry, &mut content.as_bytes(), &ctx)?;
/// }
/// let tree = ImageTree::of_layers([&layer.finish()?.toc])?;
/// let sizes = DirectorySize::of_tree(&tree, 3);
/// let found: Vec<_> = sizes.iter().map(|dir| (dir.path.to_string(), dir.size)).collect();
/// assert_eq!(found, [("/".into(), 9), ("/usr".into(), 7), ("/usr/bin".into(), 6)]);
/// # Ok::<(), image_overlay::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirectorySize {
    /// The directory.
    pub path: LayerPath,
    /// The directory that it is in, by its place in the list; `None` for the root.
    pub parent: Option<usize>,
    /// How many regular files are in it, however deep.
    pub files: u64,
    /// Their bytes.
    pub size: u64,
    /// Of these, the bytes of files that are in no other directory of the list, by layer; the base layer first.
    /// Layers that bring none are left out.
    pub own: Vec<LayerShare>,
}

/// What a layer brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerShare {
    /// The layer, by its position in the image; the base layer is 0.
    pub layer: usize,
    /// How many bytes.
    pub size: u64,
}

impl DirectorySize {
    /// The directories of an image that hold most, at most `limit` of them: the root first, each after the one that
    /// it is in. What is in directories that are not listed counts for the nearest one above that is.
    ///
    /// Directories that hold no bytes are not listed, except for the root, which always is.
    #[must_use]
    pub fn of_tree(tree: &ImageTree, limit: usize) -> Vec<Self> {
        let all = measure(tree);
        let listed = largest(&all, limit);
        let mut found: Vec<Self> = Vec::with_capacity(listed.len());
        // For each directory, the listed one that its own files count for.
        let mut counts_for = Vec::with_capacity(all.len());
        let mut shares: Vec<BTreeMap<usize, u64>> = Vec::with_capacity(listed.len());
        for (place, dir) in all.into_iter().enumerate() {
            let parent = dir.parent.map(|parent| counts_for.get(parent).copied().unwrap_or(0));
            let target = match parent {
                Some(parent) if !listed.contains(&place) => parent,
                _ => {
                    found.push(Self { path: dir.path, parent, files: dir.files, size: dir.size, own: Vec::new() });
                    shares.push(BTreeMap::new());
                    found.len() - 1
                }
            };
            counts_for.push(target);
            if let Some(shares) = shares.get_mut(target) {
                for (layer, size) in dir.layers {
                    add(shares.entry(layer).or_default(), size);
                }
            }
        }
        for (dir, shares) in found.iter_mut().zip(shares) {
            let shares = shares.into_iter().filter(|(_, size)| *size > 0);
            dir.own = shares.map(|(layer, size)| LayerShare { layer, size }).collect();
        }
        found
    }
}

/// What is in a directory.
struct Measured {
    path: LayerPath,
    parent: Option<usize>,
    /// With all below it.
    files: u64,
    size: u64,
    /// Without what is in directories below it.
    layers: BTreeMap<usize, u64>,
}

/// All directories, each after the one that it is in.
fn measure(tree: &ImageTree) -> Vec<Measured> {
    let mut all = Vec::<Measured>::new();
    let mut places = BTreeMap::new();
    let mut seen = BTreeSet::<InodeId>::new();
    for node in tree.walk(tree.root()) {
        let parent = places.get(&node.parent().id()).copied();
        if node.is_directory() {
            places.insert(node.id(), all.len());
            all.push(Measured { path: node.path(), parent, files: 0, size: 0, layers: BTreeMap::new() });
        } else if let (Some(content), Some(dir)) = (node.content(), parent.and_then(|parent| all.get_mut(parent)))
            && seen.insert(node.inode_id())
        {
            let size = node.kind().size();
            dir.files += 1;
            add(&mut dir.size, size);
            add(dir.layers.entry(content.layer).or_default(), size);
        }
    }
    for place in (0..all.len()).rev() {
        let Measured { parent, files, size, .. } = all[place];
        if let Some(parent) = parent.and_then(|parent| all.get_mut(parent)) {
            parent.files += files;
            add(&mut parent.size, size);
        }
    }
    all
}

/// Adds bytes. A few files that are nothing but holes have together more than 64 bits count: then it is as many as those do.
fn add(sum: &mut u64, size: u64) {
    *sum = sum.saturating_add(size);
}

/// The places of those that hold most. None is among them without the one that it is in.
fn largest(all: &[Measured], limit: usize) -> BTreeSet<usize> {
    let mut children = BTreeMap::<usize, Vec<usize>>::new();
    for (place, dir) in all.iter().enumerate().filter(|(_, dir)| dir.size > 0) {
        if let Some(parent) = dir.parent {
            children.entry(parent).or_default().push(place);
        }
    }
    let mut listed = BTreeSet::new();
    let mut next = BinaryHeap::from([(u64::MAX, Reverse(0))]);
    while let Some((_, Reverse(place))) = next.pop() {
        if listed.len() >= limit.max(1) {
            break;
        }
        listed.insert(place);
        for child in children.remove(&place).unwrap_or_default() {
            next.push((all.get(child).map_or(0, |dir| dir.size), Reverse(child)));
        }
    }
    listed
}
