//! Laying an upper directory over a lower tree, as the kernel does when somebody looks at the mount.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
};

use image_core::{Ctx, observer::NoticeKind};

use super::{CapturedContent, Place, marks::Marks};
use crate::{
    entry::{EntryKind, Metadata},
    error::{Error, Result},
    path::LayerPath,
    scan::DirContent,
    tree::{FileTree, InodeId, NodeId, NodeRef},
    xattr::XattrClass,
};

type Upper<'a> = NodeRef<'a, DirContent>;

/// The tree that is seen.
pub(super) fn merge<C>(
    lower: &FileTree<C>,
    upper: &FileTree<DirContent>,
    marks: Marks,
    ctx: &Ctx,
) -> Result<FileTree<CapturedContent>> {
    let (tree, lower_inodes, upper_inodes) = Default::default();
    let mut merge = Merge { lower, marks, tree, lower_inodes, upper_inodes, ctx };
    merge.run(upper)?;
    Ok(merge.tree)
}

/// The tree of an upper directory that has all in it.
pub(super) fn whole(upper: &FileTree<DirContent>, ctx: &Ctx) -> Result<FileTree<CapturedContent>> {
    let mut tree = FileTree::new();
    let root = tree.root().id();
    tree.set_metadata(root, upper.root().metadata());
    let mut inodes = HashMap::new();
    for child in upper.root().children() {
        copy(child, &mut tree, root, &mut inodes, Place::Upper, ctx)?;
    }
    Ok(tree)
}

/// Copies a name and all below it from one tree to another.
fn copy<C>(
    top: NodeRef<'_, C>,
    tree: &mut FileTree<CapturedContent>,
    to: NodeId,
    inodes: &mut HashMap<InodeId, NodeId>,
    place: fn(NodeId) -> Place,
    ctx: &Ctx,
) -> Result<()> {
    let mut pending = vec![(top, to)];
    while let Some((from, to)) = pending.pop() {
        ctx.check()?;
        if let Some(first) = inodes.get(&from.inode_id()) {
            tree.link(to, from.name(), *first);
            continue;
        }
        let content = from.content().map(|_| CapturedContent(place(from.id())));
        let node = tree.insert(to, from.name(), from.kind().clone(), from.metadata(), content);
        if from.is_directory() {
            pending.extend(from.children().map(|child| (child, node)));
        } else {
            inodes.insert(from.inode_id(), node);
        }
    }
    Ok(())
}

struct Merge<'a, C> {
    lower: &'a FileTree<C>,
    marks: Marks,
    tree: FileTree<CapturedContent>,
    /// Files of the lower tree that have a name in the new one.
    lower_inodes: HashMap<InodeId, NodeId>,
    /// Files of the upper directory that have one.
    upper_inodes: HashMap<InodeId, NodeId>,
    ctx: &'a Ctx,
}

/// A directory of the upper directory.
struct Level<'a, C> {
    /// What it is laid over.
    below: Option<NodeRef<'a, C>>,
    from: Upper<'a>,
    to: NodeId,
}

impl<'a, C> Merge<'a, C> {
    fn run(&mut self, upper: &'a FileTree<DirContent>) -> Result<()> {
        let to = self.tree.root().id();
        let root = self.content_metadata(upper.root());
        self.tree.set_metadata(to, root);
        let below = Some(self.lower.root()).filter(|_| !self.marks.is_opaque(upper.root()));
        let mut pending = vec![Level { below, from: upper.root(), to }];
        while let Some(level) = pending.pop() {
            for child in level.below.into_iter().flat_map(NodeRef::children) {
                if level.from.child(child.name()).is_none() {
                    self.keep(child, level.to)?;
                }
            }
            for child in level.from.children() {
                self.ctx.check()?;
                pending.extend(self.lay(&level, child)?);
            }
        }
        Ok(())
    }

    /// Takes what only the lower tree has, with all below it.
    fn keep(&mut self, top: NodeRef<'a, C>, to: NodeId) -> Result<()> {
        copy(top, &mut self.tree, to, &mut self.lower_inodes, Place::Lower, self.ctx)
    }

    /// Takes one name of the upper directory; gives the directory to go on with, if it is one.
    fn lay(&mut self, level: &Level<'a, C>, from: Upper<'a>) -> Result<Option<Level<'a, C>>> {
        if self.marks.is_whiteout(from) {
            return Ok(None);
        }
        if let Some(first) = self.upper_inodes.get(&from.inode_id()) {
            self.tree.link(level.to, from.name(), *first);
            return Ok(None);
        }
        let metadata = self.content_metadata(from);
        if from.is_directory() {
            let to = self.tree.insert(level.to, from.name(), EntryKind::Directory, metadata, None);
            let below = if self.marks.is_opaque(from) { None } else { self.below(level, from)? };
            return Ok(Some(Level { below: below.filter(|below| below.is_directory()), from, to }));
        }
        let (kind, content) = self.file(level, from)?;
        let node = self.tree.insert(level.to, from.name(), kind, metadata, content);
        self.upper_inodes.insert(from.inode_id(), node);
        Ok(None)
    }

    /// What a file is, and who has its content.
    fn file(&self, level: &Level<'a, C>, from: Upper<'a>) -> Result<(EntryKind, Option<CapturedContent>)> {
        if !self.marks.has_no_content(from) {
            let content = from.content().map(|_| CapturedContent(Place::Upper(from.id())));
            return Ok((from.kind().clone(), content));
        }
        match self.below(level, from)? {
            Some(below) if below.content().is_some() => {
                Ok((below.kind().clone(), Some(CapturedContent(Place::Lower(below.id())))))
            }
            _ => {
                let reason = "it was copied up without its content (metacopy), and the lower tree has no such file";
                Err(captured(from, reason))
            }
        }
    }

    /// What the lower tree has for a name: under the same name, or where it was renamed from.
    ///
    /// # Spec
    /// Linux, Documentation/filesystems/overlayfs.rst, § Renaming directories: a path from the root, or another
    /// name in the same directory.
    fn below(&self, level: &Level<'a, C>, from: Upper<'a>) -> Result<Option<NodeRef<'a, C>>> {
        let metadata = from.metadata();
        let Some(origin) = self.marks.origin(&metadata) else {
            return Ok(level.below.and_then(|below| below.child(from.name())));
        };
        let found = if origin.starts_with(b"/") {
            LayerPath::parse(origin).ok().and_then(|path| self.lower.get(&path))
        } else {
            level.below.and_then(|below| below.child(origin))
        };
        let found = found.filter(|found| found.is_directory() == from.is_directory());
        match found {
            Some(_) => Ok(found),
            None => Err(captured(from, "it was renamed (redirect_dir) from where the lower tree has no such thing")),
        }
    }

    /// The attributes of a name without those of the mount, and without what somebody wrote that looks like such.
    fn content_metadata(&self, node: Upper<'_>) -> Metadata {
        let mut metadata = node.metadata();
        let all: BTreeMap<_, _> = mem::take(&mut metadata.xattrs);
        for (name, value) in all {
            match XattrClass::of(&name) {
                XattrClass::Content => drop(metadata.xattrs.insert(name, value)),
                _ if self.marks.is_own(&name) => {}
                class => {
                    let reason = class.reason().unwrap_or_default();
                    let message = format!("extended attribute {} left out: {reason}", name.escape_ascii());
                    self.ctx.notice(NoticeKind::Skipped, &node.path().to_string(), &message);
                }
            }
        }
        metadata
    }
}

fn captured(node: Upper<'_>, reason: &'static str) -> Error {
    Error::Captured { path: node.path().to_string(), reason }
}
