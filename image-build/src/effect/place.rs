//! Where the files of a COPY go: BuildKit's destination rules, on a tree in memory.

use std::collections::HashMap;

use image_core::Timestamp;
use image_overlay::{Entry, EntryKind, Follow, ImageTree, InodeId, LayerPath, Metadata, NodeId, NodeRef, PathMap};

use super::{
    mode::ModeChange,
    part::{Original, Part},
    select::Selected,
};
use crate::error::{Error, Result};

/// How copies differ from their sources.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Attributes<'a> {
    /// `--chown`: owner and group of all copies, and of directories made for them.
    pub(crate) owner: Option<(u32, u32)>,
    /// `--chmod`: mode of all copies but symlinks, and an octal one also of directories made for them.
    pub(crate) mode: Option<&'a ModeChange>,
    /// The time of directories made on the way.
    pub(crate) now: Timestamp,
}

/// A file of one of the parts that a COPY is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copied {
    /// The part, by its number.
    pub(crate) part: usize,
    /// Which of the part's sources it belongs to.
    pub(crate) source: usize,
    /// Its name in the part's tree.
    pub(crate) node: NodeId,
    /// The file it names there.
    pub(crate) inode: InodeId,
    pub(crate) is_directory: bool,
    /// Whether it may have other names.
    is_linked: bool,
}

impl Copied {
    pub(super) fn new<C>(part: usize, source: usize, node: NodeRef<'_, C>) -> Self {
        let (is_directory, is_linked) = (node.is_directory(), node.is_linked());
        Self { part, source, node: node.id(), inode: node.inode_id(), is_directory, is_linked }
    }
}

/// One path of the new layer.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// A directory that is there already, on the way to something new.
    Passed,
    /// A directory made on the way to something new.
    Made,
    /// A directory that an archive does not name itself, only what is in it.
    Implied,
    /// A copy.
    Copied(Copied),
}

/// The paths of the new layer, in canonical order.
pub(crate) struct Placement<'a> {
    root: &'a ImageTree,
    attributes: Attributes<'a>,
    items: PathMap<Item>,
}

/// What stands at a path once everything placed so far is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Nothing,
    Directory,
    Other,
}

impl<'a> Placement<'a> {
    /// Nothing placed yet on top of `root`.
    pub(crate) fn new(root: &'a ImageTree, attributes: Attributes<'a>) -> Self {
        Self { root, attributes, items: PathMap::new() }
    }

    /// What it is placed on.
    pub(super) fn root(&self) -> &'a ImageTree {
        self.root
    }

    /// Where a destination leads.
    pub(super) fn resolve(&self, destination: &str) -> Result<LayerPath> {
        Ok(self.root.resolve(destination.as_bytes(), Follow::Last)?.path)
    }

    /// Places what one part of a COPY selected. A destination with a slash at its end is a directory;
    /// where the whole COPY has `several` sources, it must be one.
    ///
    /// # Spec
    /// Dockerfile reference, § COPY, destination.
    pub(crate) fn place<'s, 't: 's, C: 't>(
        &mut self,
        part: usize,
        sources: impl IntoIterator<Item = &'s Selected<'t, C>>,
        destination: &str,
        several: bool,
    ) -> Result<()> {
        let into = destination.ends_with('/') || destination.ends_with("/.");
        let base = self.resolve(destination)?;
        for (number, source) in sources.into_iter().enumerate() {
            if source.node.is_directory() {
                self.directory(&base)?;
                self.children(source, part, number, &base)?;
            } else if into || self.standing(&base) == Standing::Directory {
                self.directory(&base)?;
                self.copy(Copied::new(part, number, source.node), &base.join(&source.name)?)?;
            } else if several {
                return Err(Error::destination(
                    &base,
                    "several files go there, but it is no directory: end it with a slash",
                ));
            } else {
                self.directory(&base.parent().unwrap_or_default())?;
                self.copy(Copied::new(part, number, source.node), &base)?;
            }
        }
        Ok(())
    }

    /// Makes a directory and those above it, where they are missing.
    pub(crate) fn directory(&mut self, path: &LayerPath) -> Result<()> {
        let mut missing = Vec::new();
        let mut next = Some(path.clone());
        while let Some(path) = next {
            if self.items.get(&path).is_some() && self.standing(&path) == Standing::Directory {
                break;
            }
            next = path.parent();
            missing.push(path);
        }
        for path in missing.into_iter().rev().filter(|path| !path.is_root()) {
            match self.standing(&path) {
                Standing::Directory => self.items.insert(&path, Item::Passed),
                Standing::Nothing => self.items.insert(&path, Item::Made),
                Standing::Other => return Err(Error::destination(&path, "it is no directory")),
            }
        }
        Ok(())
    }

    fn children<C>(&mut self, source: &Selected<'_, C>, part: usize, number: usize, path: &LayerPath) -> Result<()> {
        let mut todo = vec![(source.node, path.clone())];
        while let Some((directory, path)) = todo.pop() {
            for child in source.children(directory) {
                let path = path.join(child.name())?;
                self.copy(Copied::new(part, number, child), &path)?;
                if child.is_directory() {
                    todo.push((child, path));
                }
            }
        }
        Ok(())
    }

    fn copy(&mut self, source: Copied, path: &LayerPath) -> Result<()> {
        match (self.standing(path), source.is_directory) {
            (Standing::Other, true) => Err(Error::destination(path, "a directory cannot be copied onto what is none")),
            (Standing::Directory, false) => Err(Error::destination(path, "a file cannot be copied onto a directory")),
            _ => {
                self.items.insert(path, Item::Copied(source));
                Ok(())
            }
        }
    }

    /// Puts something in place of whatever is there, a directory in place of a directory excepted.
    pub(super) fn replace(&mut self, path: &LayerPath, item: Item) {
        if !item.is_directory() {
            self.items.remove_below(path);
        }
        self.items.insert(path, item);
    }

    pub(super) fn standing(&self, path: &LayerPath) -> Standing {
        let directory = match self.items.get(path) {
            Some(item) => Some(item.is_directory()),
            None => self.root.get(path).map(NodeRef::is_directory),
        };
        match directory {
            None => Standing::Nothing,
            Some(true) => Standing::Directory,
            Some(false) => Standing::Other,
        }
    }

    /// Whether nothing new is in the layer.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.values().all(|item| matches!(item, Item::Passed))
    }

    /// The names that are copied from a part, directories aside.
    pub(crate) fn copied_from(&self, part: usize) -> Vec<NodeId> {
        let copied = self.items.values().filter_map(|item| match item {
            Item::Copied(copied) if copied.part == part && !copied.is_directory => Some((copied.inode, copied.node)),
            _ => None,
        });
        // One name for each file.
        let mut names: Vec<_> = copied.collect();
        names.sort_unstable();
        names.dedup_by_key(|(inode, _)| *inode);
        names.into_iter().map(|(_, node)| node).collect()
    }

    /// Gives every entry of the layer, in canonical order, with what it is a copy of.
    pub(crate) fn for_each(
        &self,
        parts: &[&dyn Part],
        mut visit: impl FnMut(Entry, Option<(&Copied, Original)>) -> Result<()>,
    ) -> Result<()> {
        // Names of one file within a source stay names of one file; each source is copied on its own.
        let mut first_names: HashMap<(usize, usize, InodeId), LayerPath> = HashMap::new();
        for (path, item) in self.items.iter() {
            let Item::Copied(copied) = item else {
                if let Some(entry) = self.directory_entry(&path, item) {
                    visit(entry, None)?;
                }
                continue;
            };
            let Some(part) = parts.get(copied.part) else { continue };
            let mut original = part.original(copied.node)?;
            self.change(part.takes_mode(), &mut original);
            let metadata = original.metadata.clone();
            if copied.is_linked {
                let file = (copied.part, copied.source, copied.inode);
                if let Some(first) = first_names.get(&file) {
                    visit(Entry::new(path, EntryKind::HardLink { target: first.clone() }, metadata), None)?;
                    continue;
                }
                first_names.insert(file, path.clone());
            }
            visit(Entry::new(path, original.kind.clone(), metadata), Some((copied, original)))?;
        }
        Ok(())
    }

    /// The directories of the layer that are no copies, in canonical order.
    pub(crate) fn directories(&self) -> impl Iterator<Item = Entry> {
        self.items.iter().filter_map(|(path, item)| self.directory_entry(&path, item))
    }

    fn directory_entry(&self, path: &LayerPath, item: &Item) -> Option<Entry> {
        let metadata = match item {
            Item::Passed => self.root.get(path)?.metadata(),
            Item::Made => {
                let (uid, gid) = self.attributes.owner.unwrap_or_default();
                let mode = self.attributes.mode.and_then(ModeChange::octal).unwrap_or(0o755);
                Metadata::new(mode).with_owner(uid, gid).with_mtime(self.attributes.now)
            }
            Item::Implied => Metadata::new(0o755).with_mtime(self.attributes.now),
            Item::Copied(..) => return None,
        };
        Some(Entry::new(path.clone(), EntryKind::Directory, metadata))
    }

    /// Gives a copy the owner and the mode that are asked for.
    fn change(&self, takes_mode: bool, original: &mut Original) {
        let metadata = &mut original.metadata;
        if let Some((uid, gid)) = self.attributes.owner {
            (metadata.uid, metadata.gid) = (uid, gid);
        }
        let takes_mode = takes_mode && !matches!(original.kind, EntryKind::Symlink { .. });
        if let (Some(change), true) = (self.attributes.mode, takes_mode) {
            metadata.mode = change.apply(metadata.mode, original.kind == EntryKind::Directory);
        }
    }
}

impl Item {
    fn is_directory(&self) -> bool {
        match self {
            Self::Passed | Self::Made | Self::Implied => true,
            Self::Copied(copied) => copied.is_directory,
        }
    }
}
