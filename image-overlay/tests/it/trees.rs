//! Random trees, made on disk, and the same trees as images.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use image_core::{Compression, Ctx, MemoryBlobStore, codec::EncodeOptions};
use image_overlay::{
    ApplyOptions, Changes, DiffOptions, DirSource, ImageSource, LayerBlob, Limits, PackOptions, PackedLayer, Root,
    TreeSource, apply_layer, diff,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use test_support::{Tree, TreeBuilder, TreeOptions};

/// What a path is made as.
#[derive(Debug, Clone)]
enum What {
    Dir,
    File(&'static str),
    Symlink(&'static str),
    Fifo,
    Char(u32),
    Block(u32),
    /// One more name for the file of this number, if there is any.
    Link(usize),
}

#[derive(Debug, Clone)]
struct Attributes {
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    xattr: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub(crate) struct Item(String, What, Attributes);

/// A tree: each path once, all parents given.
#[derive(Debug, Clone)]
pub(crate) struct Spec(Vec<Item>);

impl Spec {
    fn new(items: impl IntoIterator<Item = Item>) -> Self {
        let mut made = BTreeMap::<String, bool>::new();
        let mut files = Vec::new();
        // Of another mode than the root that no layer names, so that an empty tree says something too.
        let mut all = vec![Item(String::new(), What::Dir, Attributes { mode: 0o711, ..plain() })];
        for Item(path, what, attributes) in items {
            let parents: Vec<_> =
                path.match_indices('/').filter_map(|(at, _)| path.get(..at)).map(str::to_owned).collect();
            if made.contains_key(&path) || parents.iter().any(|parent| made.get(parent) == Some(&false)) {
                continue;
            }
            if matches!(what, What::Link(_)) && files.is_empty() {
                continue;
            }
            for parent in parents {
                if made.insert(parent.clone(), true).is_none() {
                    all.push(Item(parent, What::Dir, plain()));
                }
            }
            let is_dir = matches!(what, What::Dir);
            made.insert(path.clone(), is_dir);
            let what = match what {
                What::Link(number) => What::Link(files[number % files.len()]),
                _ => what,
            };
            if !is_dir && !matches!(what, What::Link(_)) {
                files.push(all.len());
            }
            all.push(Item(path, what, attributes));
        }
        Self(all)
    }

    /// Whether a file has more than one name.
    pub(crate) fn has_links(&self) -> bool {
        self.0.iter().any(|Item(_, what, _)| matches!(what, What::Link(_)))
    }

    /// Makes the tree in a directory. Needs root.
    pub(crate) fn write(&self, root: &Path) {
        let mut tree = TreeBuilder::new();
        for Item(path, what, attributes) in &self.0 {
            let mode = attributes.mode;
            tree = match what {
                What::Dir => tree.dir(path, mode),
                What::File(content) => tree.file(path, content, mode),
                What::Symlink(target) => tree.symlink(path, target),
                What::Fifo => tree.fifo(path, mode),
                What::Char(minor) => tree.char_device(path, mode, 1, *minor),
                What::Block(minor) => tree.block_device(path, mode, 7, *minor),
                What::Link(number) => {
                    tree = tree.hard_link(path, &self.0[*number].0);
                    continue;
                }
            };
            tree = tree.owner(attributes.owner.0, attributes.owner.1).mtime(attributes.mtime.0, attributes.mtime.1);
            if let Some(value) = attributes.xattr {
                tree = tree.xattr("trusted.test", value);
            }
        }
        tree.write_to(root);
    }
}

fn plain() -> Attributes {
    Attributes { mode: 0o755, owner: (0, 0), mtime: (1000, 0), xattr: None }
}

fn arb_attributes() -> impl Strategy<Value = Attributes> {
    let one = (
        select(&[0o755, 0o4711, 0o1777, 0o600, 0][..]),
        select(&[(0, 0), (1, 2)][..]),
        // Times are equal, or differ in what a layer can say.
        select(&[(1000, 0), (1000, 500), (-1, 0), (1001, 500)][..]),
        option::of(select(&["v", "w"][..])),
    );
    let one = one.prop_map(|(mode, owner, mtime, xattr)| Attributes { mode, owner, mtime, xattr });
    prop_oneof![2 => Just(plain()), 1 => one]
}

fn arb_item() -> impl Strategy<Value = Item> {
    let path = vec(select(&["a", "b", "-c", "d.e"][..]), 1..4).prop_map(|names| names.join("/"));
    let what = prop_oneof![
        3 => Just(What::Dir),
        6 => select(&["", "x", "y", "xyz"][..]).prop_map(What::File),
        2 => select(&["a", "../b", "/nowhere"][..]).prop_map(What::Symlink),
        1 => Just(What::Fifo),
        1 => (3..5_u32).prop_map(What::Char),
        1 => (3..5_u32).prop_map(What::Block),
        4 => (0..8_usize).prop_map(What::Link),
    ];
    (path, what, arb_attributes()).prop_map(|(path, what, attributes)| Item(path, what, attributes))
}

/// Two trees that have much in common.
pub(crate) fn arb_trees() -> impl Strategy<Value = (Spec, Spec)> {
    let common = vec((arb_item(), prop::bool::weighted(0.8)), 0..10);
    (common, vec(arb_item(), 0..5), vec(arb_item(), 0..5), any::<bool>()).prop_map(|(common, one, other, first)| {
        let kept: Vec<_> = common.iter().filter(|(_, kept)| *kept).map(|(item, _)| item.clone()).collect();
        let one = Spec::new(common.into_iter().map(|(item, _)| item).chain(one));
        let other =
            if first { Spec::new(other.into_iter().chain(kept)) } else { Spec::new(kept.into_iter().chain(other)) };
        (one, other)
    })
}

/// Some trees of which each has much in common with the one before.
pub(crate) fn arb_stack() -> impl Strategy<Value = Vec<Spec>> {
    vec(arb_trees(), 1..4).prop_map(|pairs| pairs.into_iter().flat_map(|(one, other)| [one, other]).collect())
}

pub(crate) fn scan(path: &Path) -> DirSource {
    DirSource::scan(Root::open(path).unwrap(), &Ctx::default()).unwrap()
}

/// An image of these layers, plain or compressed.
pub(crate) fn image(store: &MemoryBlobStore, layers: &[&PackedLayer]) -> ImageSource {
    let source = || Arc::new(store.clone());
    let blob = |layer: &&PackedLayer| LayerBlob::new(source(), layer.descriptor.clone(), layer.diff_id.clone());
    let layers = layers.iter().map(blob).collect();
    ImageSource::new(layers, std::env::temp_dir(), &Limits::default(), &Ctx::default()).unwrap()
}

pub(crate) fn empty() -> ImageSource {
    image(&MemoryBlobStore::default(), &[])
}

pub(crate) fn changes<'a, L: TreeSource, U: TreeSource>(lower: &'a L, upper: &'a U) -> Changes<'a, L, U> {
    diff(lower, upper, &DiffOptions::default(), &Ctx::default()).unwrap()
}

/// `A /path`, `C /path`, `D /path`; with the target of a hard link.
pub(crate) fn lines<L: TreeSource, U: TreeSource>(lower: &L, upper: &U) -> Vec<String> {
    let line = |change: image_overlay::Change| {
        let link = match &change {
            image_overlay::Change::Add(entry) | image_overlay::Change::Modify(entry) => match &entry.kind {
                image_overlay::EntryKind::HardLink { target } => format!(" = {target}"),
                _ => String::new(),
            },
            image_overlay::Change::Delete(_) => String::new(),
        };
        format!("{} {}{link}", change.letter(), change.path())
    };
    changes(lower, upper).iter().map(line).collect()
}

/// Packs into a store, with and without a table of contents; every other layer is compressed.
pub(crate) fn pack<L: TreeSource, U: TreeSource>(lower: &L, upper: &U, store: &MemoryBlobStore) -> PackedLayer {
    let changes = changes(lower, upper);
    let compression = if changes.len().is_multiple_of(2) { Compression::None } else { Compression::Gzip };
    let options = PackOptions::default().with_encode(EncodeOptions::new(compression));
    let alone = changes.pack_without_toc(store, options.clone(), &Ctx::default()).unwrap();
    let packed = changes.pack(store, options, &Ctx::default()).unwrap();
    assert_eq!(alone, (packed.descriptor.clone(), packed.diff_id.clone()));
    packed
}

pub(crate) fn apply(store: &MemoryBlobStore, layer: &PackedLayer, root: &Path) {
    let blob = LayerBlob::new(Arc::new(store.clone()), layer.descriptor.clone(), layer.diff_id.clone());
    apply_layer(blob.open().unwrap(), &Root::open(root).unwrap(), &ApplyOptions::default(), &Ctx::default()).unwrap();
}

/// All of a tree that a layer can say, but for the times of directories.
pub(crate) fn said(root: &Path) -> Tree {
    Tree::scan_with(root, TreeOptions::default().with_whole_seconds().without_directory_mtimes())
}
