//! Where the files of a COPY go: BuildKit's destination rules, on a tree in memory.

use std::collections::{BTreeMap, HashMap};

use image_core::Timestamp;
use image_overlay::{Entry, EntryKind, Follow, ImageTree, InodeId, LayerPath, Metadata, NodeRef};

use super::{mode::ModeChange, select::Selected};
use crate::{
    error::{Error, Result},
    files::SourceFiles,
};

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

/// One path of the new layer.
enum Item<'a, C> {
    /// A directory that is there already, on the way to something new.
    Passed,
    /// A directory made on the way to something new.
    Made,
    /// A copy, of the source of this number.
    Copied(NodeRef<'a, C>, usize),
}

/// The paths of the new layer, in canonical order.
pub(crate) struct Placement<'a, C> {
    root: &'a ImageTree,
    attributes: Attributes<'a>,
    items: BTreeMap<LayerPath, Item<'a, C>>,
}

/// What stands at a path once everything placed so far is there.
#[derive(PartialEq, Eq)]
enum Standing {
    Nothing,
    Directory,
    Other,
}

impl<'a, C> Placement<'a, C> {
    /// Nothing placed yet on top of `root`.
    pub(crate) fn new(root: &'a ImageTree, attributes: Attributes<'a>) -> Self {
        Self { root, attributes, items: BTreeMap::new() }
    }

    /// Places what one COPY selected. A destination with a slash at its end is a directory.
    ///
    /// # Spec
    /// Dockerfile reference, § COPY, destination.
    pub(crate) fn place(&mut self, sources: &[Selected<'a, C>], destination: &str) -> Result<()>
    where
        C: 'a,
    {
        let into = destination.ends_with('/') || destination.ends_with("/.");
        let base = self.root.resolve(destination.as_bytes(), Follow::Last)?.path;
        for (number, source) in sources.iter().enumerate() {
            if source.node.is_directory() {
                self.directory(&base)?;
                self.children(source.node, number, &base)?;
            } else if into || self.standing(&base) == Standing::Directory {
                self.directory(&base)?;
                self.copy(source.node, number, base.join(&source.name)?)?;
            } else if sources.len() > 1 {
                return Err(Error::destination(
                    &base,
                    "several files go there, but it is no directory: end it with a slash",
                ));
            } else {
                self.directory(&base.parent().unwrap_or_default())?;
                self.copy(source.node, number, base.clone())?;
            }
        }
        Ok(())
    }

    /// Makes a directory and those above it, where they are missing.
    pub(crate) fn directory(&mut self, path: &LayerPath) -> Result<()> {
        let mut missing = Vec::new();
        let mut next = Some(path.clone());
        while let Some(path) = next {
            if self.items.contains_key(&path) && self.standing(&path) == Standing::Directory {
                break;
            }
            next = path.parent();
            missing.push(path);
        }
        for path in missing.into_iter().rev().filter(|path| !path.is_root()) {
            match self.standing(&path) {
                Standing::Directory => {
                    self.items.insert(path, Item::Passed);
                }
                Standing::Nothing => drop(self.items.insert(path, Item::Made)),
                Standing::Other => return Err(Error::destination(&path, "it is no directory")),
            }
        }
        Ok(())
    }

    fn children(&mut self, directory: NodeRef<'a, C>, number: usize, path: &LayerPath) -> Result<()>
    where
        C: 'a,
    {
        let mut todo: Vec<(NodeRef<'a, C>, LayerPath)> = vec![(directory, path.clone())];
        while let Some((directory, path)) = todo.pop() {
            for child in directory.children() {
                let path = path.join(child.name())?;
                self.copy(child, number, path.clone())?;
                if child.is_directory() {
                    todo.push((child, path));
                }
            }
        }
        Ok(())
    }

    fn copy(&mut self, source: NodeRef<'a, C>, number: usize, path: LayerPath) -> Result<()> {
        match (self.standing(&path), source.is_directory()) {
            (Standing::Other, true) => Err(Error::destination(&path, "a directory cannot be copied onto what is none")),
            (Standing::Directory, false) => Err(Error::destination(&path, "a file cannot be copied onto a directory")),
            _ => {
                self.items.insert(path, Item::Copied(source, number));
                Ok(())
            }
        }
    }

    fn standing(&self, path: &LayerPath) -> Standing {
        let directory = match self.items.get(path) {
            Some(Item::Passed | Item::Made) => Some(true),
            Some(Item::Copied(node, _)) => Some(node.is_directory()),
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

    /// The regular files that are copied, once for each.
    pub(crate) fn files(&self) -> Vec<NodeRef<'a, C>> {
        let mut files: Vec<_> = self
            .items
            .values()
            .filter_map(|item| match item {
                Item::Copied(node, _) if matches!(node.kind(), EntryKind::File { .. }) => Some(*node),
                _ => None,
            })
            .collect();
        files.sort_unstable_by_key(|node| node.inode_id());
        files.dedup_by_key(|node| node.inode_id());
        files
    }

    /// Gives every entry of the layer, in canonical order, with the file whose content it has.
    pub(crate) fn for_each<S: SourceFiles<Content = C>>(
        &self,
        files: &S,
        mut visit: impl FnMut(Entry, Option<NodeRef<'a, C>>) -> Result<()>,
    ) -> Result<()> {
        // Names of one file within a source stay names of one file; each source is copied on its own.
        let mut first_names: HashMap<(InodeId, usize), &LayerPath> = HashMap::new();
        for (path, item) in &self.items {
            match item {
                Item::Passed | Item::Made => {
                    if let Some(entry) = self.directory_entry(path, item) {
                        visit(entry, None)?;
                    }
                }
                Item::Copied(node, number) => {
                    let first = *first_names.entry((node.inode_id(), *number)).or_insert(path);
                    let metadata = self.metadata(files, *node)?;
                    if first != path && !node.is_directory() {
                        visit(Entry::new(path.clone(), EntryKind::HardLink { target: first.clone() }, metadata), None)?;
                        continue;
                    }
                    let (kind, content) = match node.kind() {
                        EntryKind::File { .. } => (EntryKind::File { size: files.facts(*node)?.size }, Some(*node)),
                        kind => (kind.clone(), None),
                    };
                    visit(Entry::new(path.clone(), kind, metadata), content)?;
                }
            }
        }
        Ok(())
    }

    /// The directories of the layer that are no copies, in canonical order.
    pub(crate) fn directories(&self) -> impl Iterator<Item = Entry> {
        self.items.iter().filter_map(|(path, item)| self.directory_entry(path, item))
    }

    fn directory_entry(&self, path: &LayerPath, item: &Item<'_, C>) -> Option<Entry> {
        let metadata = match item {
            Item::Passed => self.root.get(path)?.metadata(),
            Item::Made => {
                let (uid, gid) = self.attributes.owner.unwrap_or_default();
                let mode = self.attributes.mode.and_then(ModeChange::octal).unwrap_or(0o755);
                Metadata::new(mode).with_owner(uid, gid).with_mtime(self.attributes.now)
            }
            Item::Copied(..) => return None,
        };
        Some(Entry::new(path.clone(), EntryKind::Directory, metadata))
    }

    fn metadata<S: SourceFiles<Content = C>>(&self, files: &S, node: NodeRef<'a, C>) -> Result<Metadata> {
        let mut metadata = node.metadata();
        if matches!(node.kind(), EntryKind::File { .. })
            && let Some(xattrs) = files.facts(node)?.xattrs
        {
            metadata.xattrs.extend(*xattrs);
        }
        match self.attributes.owner {
            Some((uid, gid)) => (metadata.uid, metadata.gid) = (uid, gid),
            None if files.keeps_owner() => {}
            None => (metadata.uid, metadata.gid) = (0, 0),
        }
        if let (Some(change), false) = (self.attributes.mode, matches!(node.kind(), EntryKind::Symlink { .. })) {
            metadata.mode = change.apply(metadata.mode, node.is_directory());
        }
        Ok(metadata)
    }
}
