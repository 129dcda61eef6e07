//! Random stacks of layers against a model of the specification's rules.
//!
//! The model does what the rules say in so many words: it takes a layer's markers out, lets them hide
//! what lower layers have, and then lays the entries on top. It knows no streams, no inodes and no kernel.

use std::collections::BTreeMap;

use image_core::Ctx;
use image_overlay::{EntryKind, ImageTree, LayerPath, LayerToc, Limits, Metadata, Resolution, Whiteout};
use proptest::{collection::vec, prelude::*, sample::select};
use test_support::require_root;

use super::{
    layers::{Item, block_device, char_device, dir, fifo, file, hard_link, layer, symlink, with},
    on_disk::{Sandbox, full},
};

/// A path as its names.
type Path = Vec<Vec<u8>>;

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Dir(Metadata),
    /// A description, attributes, and the number of the inode.
    Leaf(String, Metadata, usize),
    Link(Vec<u8>, Metadata),
}

/// A tree by its rules.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    nodes: BTreeMap<Path, Node>,
    inodes: usize,
}

impl Model {
    pub(crate) fn new(root: Metadata) -> Self {
        Self { nodes: BTreeMap::from([(Path::new(), Node::Dir(root))]), inodes: 0 }
    }

    pub(crate) fn apply(&mut self, items: &[Item]) {
        for (entry, _) in items {
            match Whiteout::classify(&entry.path).unwrap() {
                Some(Whiteout::Plain { target }) => {
                    let (mut path, name) = split(&target);
                    if let Some(parent) = self.resolve(&path) {
                        path = parent;
                        path.push(name);
                        self.remove(&path);
                    }
                }
                Some(Whiteout::Opaque { dir }) => {
                    if let Some(dir) = self.resolve(&names(&dir)) {
                        self.nodes.retain(|path, _| *path == dir || !path.starts_with(&dir));
                    }
                }
                Some(Whiteout::Reserved) | None => {}
            }
        }
        for (entry, content) in items {
            if Whiteout::classify(&entry.path).unwrap().is_none() {
                self.place(&entry.path, &entry.kind, &entry.metadata, content);
            }
        }
    }

    fn place(&mut self, path: &LayerPath, kind: &EntryKind, metadata: &Metadata, content: &[u8]) {
        if path.is_root() {
            self.nodes.insert(Path::new(), Node::Dir(metadata.clone()));
            return;
        }
        let (parent, name) = split(path);
        let mut path = self.make_parents(&parent);
        path.push(name);
        let metadata = metadata.clone();
        self.inodes += 1;
        let leaf = |what: String| Node::Leaf(what, metadata.clone(), self.inodes);
        let node = match kind {
            EntryKind::Directory => {
                if !matches!(self.nodes.get(&path), Some(Node::Dir(_))) {
                    self.remove(&path);
                }
                self.nodes.insert(path, Node::Dir(metadata));
                return;
            }
            EntryKind::File { .. } => leaf(format!(" = {}", content.escape_ascii())),
            EntryKind::Fifo => leaf(" p".to_owned()),
            EntryKind::CharDevice { major, minor } => leaf(format!(" c {major}:{minor}")),
            EntryKind::BlockDevice { major, minor } => leaf(format!(" b {major}:{minor}")),
            EntryKind::Symlink { target } => Node::Link(target.clone(), metadata),
            EntryKind::HardLink { target } => self.nodes[&names(target)].clone(),
        };
        self.remove(&path);
        self.nodes.insert(path, node);
    }

    fn remove(&mut self, path: &Path) {
        self.nodes.retain(|other, _| !other.starts_with(path));
    }

    /// The directory at a path, links followed.
    fn resolve(&self, path: &Path) -> Option<Path> {
        let mut model = self.clone();
        let before = model.nodes.len();
        let found = model.make_parents(path);
        (model.nodes.len() == before && model.nodes == self.nodes).then_some(found)
    }

    /// The directory at a path, links followed and what is missing made.
    fn make_parents(&mut self, path: &Path) -> Path {
        let mut pending: Path = path.iter().rev().cloned().collect();
        let mut at = Path::new();
        while let Some(name) = pending.pop() {
            if name == b".." {
                at.pop();
                continue;
            }
            at.push(name);
            match self.nodes.get(&at) {
                Some(Node::Dir(_)) => {}
                Some(Node::Link(target, _)) => {
                    at.pop();
                    if target.starts_with(b"/") {
                        at.clear();
                    }
                    pending.extend(target.rsplit(|&b| b == b'/').filter(|name| !name.is_empty()).map(<[u8]>::to_vec));
                }
                _ => {
                    self.remove(&at);
                    self.nodes.insert(at.clone(), Node::Dir(Metadata::new(0o755)));
                }
            }
        }
        at
    }

    /// As [`full`] shows a tree.
    fn lines(&self) -> Vec<String> {
        let mut names: BTreeMap<usize, &Path> = BTreeMap::new();
        for (path, node) in &self.nodes {
            if let Node::Leaf(_, _, inode) = node {
                names.entry(*inode).or_insert(path);
            }
        }
        let line = |(path, node): (&Path, &Node)| {
            let name = String::from_utf8(path.join(&b'/')).unwrap();
            let (what, metadata) = match node {
                Node::Dir(metadata) => ("/".to_owned(), metadata),
                Node::Leaf(what, metadata, _) => (what.clone(), metadata),
                Node::Link(target, metadata) => (format!(" -> {}", target.escape_ascii()), metadata),
            };
            let Metadata { mode, uid, gid, mtime, xattrs, .. } = metadata;
            let mut line =
                format!("{name}{what} {mode:04o} {uid}:{gid} {}.{:09}", mtime.seconds(), mtime.nanoseconds());
            for (name, value) in xattrs {
                line += &format!(" {}={}", name.escape_ascii(), value.escape_ascii());
            }
            line
        };
        self.nodes.iter().map(line).collect()
    }

    /// Sets of names of one file.
    fn groups(&self) -> Vec<Vec<String>> {
        let mut groups: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (path, node) in &self.nodes {
            if let Node::Leaf(_, _, inode) = node {
                groups.entry(*inode).or_default().push(String::from_utf8(path.join(&b'/')).unwrap());
            }
        }
        let mut groups: Vec<_> = groups.into_values().filter(|names| names.len() > 1).collect();
        groups.sort();
        groups
    }
}

fn names(path: &LayerPath) -> Path {
    path.components().map(<[u8]>::to_vec).collect()
}

fn split(path: &LayerPath) -> (Path, Vec<u8>) {
    let mut names = names(path);
    let name = names.pop().unwrap();
    (names, name)
}

/// Names of directories and files, and `l`, which alone is ever a link: so no link leads through another.
fn arb_path() -> impl Strategy<Value = String> {
    vec(select(&["a", "b", "c", "l"][..]), 1..4).prop_map(|names| names.join("/"))
}

fn arb_attributes() -> impl Strategy<Value = Metadata> {
    let xattr = prop_oneof![4 => Just(None), 1 => select(&["trusted.x", "trusted.y"][..]).prop_map(Some)];
    (select(&[0o755, 0o4711, 0o2770, 0o1777, 0o600, 0][..]), 0..3_u32, 0..3_u32, 0..4_i64, 0..2_u32, xattr).prop_map(
        |(mode, uid, gid, seconds, nanos, xattr)| {
            let mtime = image_core::Timestamp::new(seconds - 1, nanos * 500).unwrap();
            let metadata = Metadata::new(mode).with_owner(uid, gid).with_mtime(mtime);
            match xattr {
                Some(name) => metadata.with_xattr(name, "v"),
                None => metadata,
            }
        },
    )
}

pub(crate) fn arb_item() -> impl Strategy<Value = Item> {
    let path = arb_path;
    let link_path = || prop_oneof![Just("l".to_owned()), select(&["a", "b", "c"][..]).prop_map(|d| format!("{d}/l"))];
    let target = select(&["a", "b/c", "/a/b", "../b", "../../c", "missing", "/"][..]);
    let plain = prop_oneof![
        4 => path().prop_map(dir),
        6 => (path(), "[xy]{0,2}").prop_map(|(path, content)| file(path, &content)),
        1 => path().prop_map(fifo),
        1 => path().prop_map(|path| char_device(path, 1, 3)),
        1 => path().prop_map(|path| block_device(path, 7, 9)),
        1 => Just(dir(".")),
        2 => (link_path(), target).prop_map(|(path, target)| symlink(path, target)),
    ];
    let plain = (plain, arb_attributes()).prop_map(|(item, attributes)| {
        let link = matches!(item.0.kind, EntryKind::Symlink { .. });
        with(item, |metadata| {
            *metadata = attributes;
            if link {
                metadata.mode = 0o777;
            }
        })
    });
    let in_dir = |path: &str, name: &str| match path.rsplit_once('/') {
        Some((parent, last)) => format!("{parent}/{}", name.replace('*', last)),
        None => name.replace('*', path),
    };
    prop_oneof![
        10 => plain,
        2 => path().prop_map(move |path| file(in_dir(&path, ".wh.*"), "")),
        1 => path().prop_map(|path| file(format!("{path}/.wh..wh..opq"), "")),
        // To what an earlier item of the layer brought, if it did.
        2 => (path(), path()).prop_map(|(path, target)| hard_link(path, &target)),
    ]
}

/// With markers of the root too, and with hard links to anything.
fn arb_any_item() -> impl Strategy<Value = Item> {
    let name = || select(&["a", "b", "c", "l", "a/b", "a/c", "b/l", "c/a", "l/a"][..]);
    prop_oneof![
        12 => arb_item(),
        4 => (name(), name()).prop_map(|(path, target)| hard_link(path, target)),
        1 => Just(file(".wh..wh..opq", "")),
    ]
}

/// Layers of every kind of entry in any order; one stack in five may have entries that cannot be applied.
pub(crate) fn arb_layers() -> impl Strategy<Value = Vec<Vec<Item>>> {
    (vec(vec(arb_any_item(), 0..9), 1..5), 0..5)
        .prop_map(|(layers, wild)| if wild == 0 { layers } else { applicable(layers) })
}

/// Leaves out the entries that cannot be applied.
fn applicable(layers: Vec<Vec<Item>>) -> Vec<Vec<Item>> {
    let mut below = ImageTree::new();
    let keep = |(position, items): (usize, Vec<Item>)| {
        let (mut kept, mut tree) = (Vec::new(), below.clone());
        for item in items {
            kept.push(item);
            let toc = LayerToc::read(&layer(&kept)[..], &Limits::default(), &Ctx::default()).unwrap();
            let mut with_it = below.clone();
            match with_it.push(position, &toc) {
                Ok(()) => tree = with_it,
                Err(_) => drop(kept.pop()),
            }
        }
        below = tree;
        kept
    };
    layers.into_iter().enumerate().map(keep).collect()
}

/// Leaves out what means nothing or what depends on the order.
pub(crate) fn sensible(items: Vec<Item>, below: &Model) -> Vec<Item> {
    let is_marker = |item: &Item| Whiteout::classify(&item.0.path).unwrap().is_some();
    let names_link = |path: &LayerPath| path.components().any(|name| name == b"l");
    // Where a marker's way leads through a link, the link must be one of lower layers before and after.
    let touches_link = items.iter().any(|(entry, _)| match Whiteout::classify(&entry.path).unwrap() {
        Some(Whiteout::Plain { target }) => target.file_name() == Some(b"l"),
        Some(_) => true,
        None => names_link(&entry.path),
    });
    // And where entries go through a link, nothing may hide that.
    let parent_names_link = |item: &Item| item.0.path.parent().is_some_and(|parent| names_link(&parent));
    let goes_through_link = items.iter().any(|item| !is_marker(item) && parent_names_link(item));
    let has_marker = items.iter().any(is_marker);
    let mut model = below.clone();
    let mut kept = Vec::new();
    for item in items {
        let path = &item.0.path;
        let parent_has_link = parent_names_link(&item);
        if is_marker(&item) {
            if !(goes_through_link || parent_has_link && touches_link) {
                kept.push(item);
            }
            continue;
        }
        if let EntryKind::HardLink { target } = &item.0.kind {
            // To a file, and where markers may hide it, to none at all; on ways without links.
            let is_file = matches!(model.nodes.get(&names(target)), Some(Node::Leaf(..)));
            let replaces = target.starts_with(path) || path.starts_with(target);
            if has_marker || !is_file || replaces || parent_has_link || names_link(target) {
                continue;
            }
        }
        model.place(path, &item.0.kind, &item.0.metadata, &item.1);
        kept.push(item);
    }
    kept
}

fn groups_on_disk(root: &std::path::Path, lines: &[String]) -> Vec<Vec<String>> {
    use std::os::unix::fs::MetadataExt;
    let mut groups: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for line in lines {
        let name = line.split(' ').next().unwrap();
        let meta = std::fs::symlink_metadata(root.join(name)).unwrap();
        if !meta.is_dir() && !meta.is_symlink() && meta.nlink() > 1 {
            groups.entry(meta.ino()).or_default().push(name.to_owned());
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort();
    groups
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn applying_agrees_with_the_rules(
        layers in vec(vec(arb_item(), 0..9), 1..5),
        walk in any::<bool>(),
    ) {
        if !require_root() {
            return Ok(());
        }
        let resolution = if walk { Resolution::Walk } else { Resolution::Kernel };
        let sandbox = Sandbox::new().resolving(resolution);
        sandbox.apply(&[dir(".")]).unwrap();
        let mut model = Model::new(dir(".").0.metadata);
        for items in layers {
            let items = sensible(items, &model);
            let shown: Vec<_> = items.iter().map(|(entry, _)| format!("{:?} {:?}", entry.path, entry.kind)).collect();
            let before = model.lines();
            model.apply(&items);
            sandbox.apply(&items).unwrap();
            let found = full(&sandbox.target());
            prop_assert_eq!(&found, &model.lines(), "before {:#?}\nlayer {:#?}", before, shown);
            prop_assert_eq!(groups_on_disk(&sandbox.target(), &found), model.groups());
        }
    }
}
