//! Merging one layer into a tree, by the very steps with which a layer is applied to a disk.
//!
//! What a layer means is hardly ever in doubt. Where it is, since its order decides (a marker behind a link that the
//! same layer replaces), the answer must still be the same everywhere, or what was looked at is not what runs.
//! So entries are taken in the order of the stream, and a marker hides what this layer did not bring so far.

use std::collections::{HashMap, HashSet};

use image_core::Error as CoreError;

use super::{ImageTree, LayerContent};
use crate::{
    entry::{Entry, EntryKind, Metadata},
    error::{Error, Result},
    path::LayerPath,
    toc::{LayerToc, TocEntry},
    tree::{MAX_SYMLINKS, NodeId, components_reversed},
    whiteout::{self, Whiteout},
};

/// The mode of a directory that no layer names.
const IMPLIED_MODE: u32 = 0o755;

/// How many directories a tree may have that no layer names: a path, or a link, may lead through thousands.
const MAX_IMPLIED: usize = 1_000_000;

/// How many steps the links on the ways of a layer's entries may lead to, all together.
const MAX_LINK_STEPS: usize = 20_000_000;

/// A tree while a layer is merged into it.
pub(super) struct Merge<'a> {
    tree: &'a mut ImageTree,
    layer: usize,
    /// Kept only where the layer has markers.
    brought: Option<Brought>,
    /// How many steps links have led to so far.
    link_steps: usize,
    touched: Touched,
}

/// What a layer did to names that were in the tree already.
#[derive(Default)]
pub(super) struct Touched {
    /// Those that it took away or replaced, each with all below it; the layer itself may have brought them before.
    pub(super) gone: Vec<NodeId>,
    /// Directories that it gave attributes, other ones or the same.
    pub(super) named: Vec<NodeId>,
}

/// What the layer has brought so far.
#[derive(Default)]
struct Brought {
    dirs: HashMap<NodeId, Origin>,
    others: HashSet<NodeId>,
}

/// How a directory came to hold things of this layer.
#[derive(Clone, Copy)]
struct Origin {
    /// It stands for what this layer says alone: made by it, or the lower layers' directory was hidden.
    fresh: bool,
    /// All that is in it is this layer's.
    ours: bool,
    /// This layer has an entry for it; otherwise deeper entries imply it.
    named: bool,
}

impl Brought {
    fn is_ours(&self, dir: NodeId) -> bool {
        self.dirs.get(&dir).is_some_and(|origin| origin.ours)
    }

    fn holds(&self, dir: NodeId, node: NodeId, is_directory: bool) -> bool {
        let known = || if is_directory { self.dirs.contains_key(&node) } else { self.others.contains(&node) };
        self.is_ours(dir) || known()
    }
}

/// What is done where a path leads to no directory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Make,
    Leave,
}

impl<'a> Merge<'a> {
    pub(super) fn new(tree: &'a mut ImageTree, layer: usize, toc: &LayerToc) -> Self {
        let has_markers = || toc.entries().any(|entry| matches!(Whiteout::classify(&entry.entry.path), Ok(Some(_))));
        let brought = has_markers().then(|| {
            let is_empty = tree.is_empty();
            let origin = Origin { fresh: is_empty, ours: is_empty, named: false };
            Brought { dirs: HashMap::from([(tree.root().id(), origin)]), others: HashSet::new() }
        });
        Self { tree, layer, brought, link_steps: 0, touched: Touched::default() }
    }

    /// What all of the layer did.
    pub(super) fn finish(self) -> Touched {
        self.touched
    }

    pub(super) fn add(&mut self, TocEntry { entry, content }: TocEntry) -> Result<()> {
        match Whiteout::classify(&entry.path)? {
            None => {
                let layer = self.layer;
                self.place(entry, content.map(|content| LayerContent { layer, content }))?;
            }
            Some(Whiteout::Plain { target }) => self.hide(&target)?,
            Some(Whiteout::Opaque { dir }) => {
                if let Some(dir) = self.directory(&dir, Missing::Leave)? {
                    self.purge(dir);
                }
            }
            Some(Whiteout::Reserved) => {}
        }
        Ok(())
    }

    fn place(&mut self, entry: Entry, content: Option<LayerContent>) -> Result<()> {
        let Entry { path, kind, metadata } = entry;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            if kind != EntryKind::Directory {
                return Err(Error::inapplicable(&path, "the root of the layer is not a directory"));
            }
            let root = self.tree.root().id();
            self.tree.set_metadata(root, metadata);
            self.touched.named.push(root);
            self.note_directory(root, false);
            return Ok(());
        };
        if let EntryKind::HardLink { target } = &kind {
            return self.link(&path, &parent, name, target);
        }
        let dir = self.parent(&path, &parent)?;
        let is_directory = kind == EntryKind::Directory;
        let before = self.tree.node(dir).child(name).map(|node| node.id());
        match before {
            Some(before) if is_directory && self.tree.node(before).is_directory() => {
                self.touched.named.push(before);
            }
            Some(before) => self.touched.gone.push(before),
            None => {}
        }
        let node = self.tree.insert(dir, name, kind, metadata, content);
        if is_directory {
            self.note_directory(node, before != Some(node));
        } else {
            self.note(node);
        }
        Ok(())
    }

    fn link(&mut self, path: &LayerPath, parent: &LayerPath, name: &[u8], target: &LayerPath) -> Result<()> {
        let refuse = |what| Err(Error::inapplicable(path, format!("it is a hard link to {target}, {what}")));
        let find = |merge: &mut Self| {
            let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else { return Ok(None) };
            let dir = merge.directory(&parent, Missing::Leave)?;
            Ok::<_, Error>(dir.and_then(|dir| merge.tree.node(dir).child(name)).map(|node| node.id()))
        };
        let Some(node) = find(self)? else { return refuse("which does not exist") };
        if self.tree.node(node).is_directory() {
            return refuse("which is a directory");
        }
        let dir = self.parent(path, parent)?;
        if !self.tree.is_attached(node) {
            return refuse("which it replaces");
        }
        if let Some(existing) = self.tree.node(dir).child(name).map(|node| node.id()) {
            if existing == node {
                return refuse("which is itself");
            }
            self.tree.remove(existing);
            self.touched.gone.push(existing);
            if !self.tree.is_attached(node) {
                return refuse("which it replaces");
            }
        }
        let link = self.tree.link(dir, name, node);
        self.note(link);
        Ok(())
    }

    /// The directory that an entry stands in, made if need be.
    fn parent(&mut self, path: &LayerPath, parent: &LayerPath) -> Result<NodeId> {
        let dir = self.directory(parent, Missing::Make)?;
        let dir = dir.ok_or_else(|| Error::inapplicable(path, "there is no way to the directory it stands in"))?;
        self.imply(dir);
        Ok(dir)
    }

    /// The directory at a path, links followed inside the root.
    fn directory(&mut self, path: &LayerPath, missing: Missing) -> Result<Option<NodeId>> {
        let mut todo = components_reversed(path.as_bytes());
        let mut here = self.tree.root().id();
        let mut hops = 0;
        while let Some(name) = todo.pop() {
            if name == b".." {
                here = self.tree.node(here).parent().id();
                continue;
            }
            let child = self.tree.node(here).child(&name);
            if let Some(EntryKind::Symlink { target }) = child.map(|node| node.kind()) {
                hops += 1;
                if hops > MAX_SYMLINKS {
                    return match missing {
                        Missing::Make => Err(Error::TooManySymlinks { path: path.to_string() }),
                        Missing::Leave => Ok(None),
                    };
                }
                if target.starts_with(b"/") {
                    here = self.tree.root().id();
                }
                let steps = components_reversed(target);
                self.link_steps += steps.len();
                if self.link_steps > MAX_LINK_STEPS {
                    let what = format!("steps of links on the ways of a layer up to {path}");
                    return Err(CoreError::limit(what, MAX_LINK_STEPS as u64).into());
                }
                todo.extend(steps);
                continue;
            }
            here = match child.filter(|node| node.is_directory()).map(|node| node.id()) {
                Some(child) => child,
                None if missing == Missing::Leave => return Ok(None),
                None => self.make_directory(path, here, &name)?,
            };
        }
        Ok(Some(here))
    }

    /// Makes a directory that no layer names, in place of what is there.
    fn make_directory(&mut self, path: &LayerPath, dir: NodeId, name: &[u8]) -> Result<NodeId> {
        if name.len() > LayerPath::MAX_COMPONENT_BYTES {
            return Err(Error::inapplicable(path, "a link leads it to a name longer than 255 bytes"));
        }
        if whiteout::is_marker_name(name) {
            return Err(Error::inapplicable(path, whiteout::THROUGH_LINK));
        }
        self.imply(dir);
        if let Some(existing) = self.tree.node(dir).child(name).map(|node| node.id()) {
            self.touched.gone.push(existing);
        }
        if self.tree.count_implied() > MAX_IMPLIED {
            let what = format!("directories that no layer of the image names up to {path}");
            return Err(CoreError::limit(what, MAX_IMPLIED as u64).into());
        }
        let made = self.tree.insert(dir, name, EntryKind::Directory, Metadata::new(IMPLIED_MODE), None);
        if let Some(brought) = &mut self.brought {
            brought.dirs.insert(made, Origin { fresh: true, ours: true, named: false });
        }
        Ok(made)
    }

    /// Takes away what a plain marker hides.
    fn hide(&mut self, target: &LayerPath) -> Result<()> {
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else { return Ok(()) };
        let Some(dir) = self.directory(&parent, Missing::Leave)? else { return Ok(()) };
        let Some(brought) = &self.brought else { return Ok(()) };
        let Some(node) = self.tree.node(dir).child(name) else { return Ok(()) };
        if brought.is_ours(dir) {
            return Ok(());
        }
        let (id, is_directory) = (node.id(), node.is_directory());
        if !brought.holds(dir, id, is_directory) {
            self.tree.remove(id);
            self.touched.gone.push(id);
        } else if let Some(origin) = brought.dirs.get(&id).copied().filter(|origin| is_directory && !origin.fresh) {
            self.purge(id);
            self.reset(id, origin);
        }
        Ok(())
    }

    /// Takes away what lower layers alone have in a directory, and in those that both have.
    fn purge(&mut self, top: NodeId) {
        let Some(brought) = &mut self.brought else { return };
        if brought.is_ours(top) {
            return;
        }
        let mut pending = vec![top];
        let mut resets = Vec::new();
        while let Some(dir) = pending.pop() {
            let children: Vec<_> =
                self.tree.node(dir).children().map(|node| (node.id(), node.is_directory())).collect();
            for (child, is_directory) in children {
                if !brought.holds(dir, child, is_directory) {
                    self.tree.remove(child);
                    self.touched.gone.push(child);
                } else if let Some(origin) = brought.dirs.get(&child).copied().filter(|_| is_directory)
                    && !origin.fresh
                {
                    pending.push(child);
                    resets.push((child, origin));
                }
            }
        }
        if let Some(origin) = brought.dirs.get_mut(&top) {
            origin.ours = true;
        }
        resets.into_iter().for_each(|(dir, origin)| self.reset(dir, origin));
    }

    /// Notes that the lower layers' form of a directory is hidden: it has the attributes that this layer says or implies.
    fn reset(&mut self, dir: NodeId, origin: Origin) {
        if !origin.named {
            self.tree.set_metadata(dir, Metadata::new(IMPLIED_MODE));
            self.touched.named.push(dir);
        }
        if let Some(brought) = &mut self.brought {
            brought.dirs.insert(dir, Origin { fresh: true, ours: true, ..origin });
        }
    }

    /// Notes an entry that is no directory.
    fn note(&mut self, node: NodeId) {
        if let Some(brought) = &mut self.brought {
            brought.others.insert(node);
        }
    }

    /// Notes a directory's entry.
    fn note_directory(&mut self, dir: NodeId, is_new: bool) {
        if let Some(brought) = &mut self.brought {
            let old = Origin { fresh: is_new, ours: is_new, named: true };
            brought.dirs.entry(dir).and_modify(|origin| origin.named = true).or_insert(old);
        }
    }

    /// Notes that an entry stands in a directory, which implies all directories above it.
    fn imply(&mut self, mut dir: NodeId) {
        let Some(brought) = &mut self.brought else { return };
        while !brought.dirs.contains_key(&dir) {
            brought.dirs.insert(dir, Origin { fresh: false, ours: false, named: false });
            dir = self.tree.node(dir).parent().id();
        }
    }
}
