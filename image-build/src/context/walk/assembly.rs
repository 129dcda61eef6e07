//! One tree of what was listed on several threads.

use std::{collections::HashMap, sync::OnceLock};

use image_core::{Ctx, observer::NoticeKind};
use image_overlay::{EntryKind, Metadata, NodeId};

use super::{Child, Directory, What};
use crate::{
    context::{BuildContext, ContextFile, ContextTree},
    error::Result,
    stat_cache::Fact,
};

/// Puts what was listed into a tree.
pub(super) struct Assembly<'a> {
    context: &'a BuildContext,
    ctx: &'a Ctx,
    tree: ContextTree,
    /// The directories by number.
    directories: HashMap<usize, NodeId>,
    /// Those that came before the one that they are in, by number.
    early: HashMap<usize, Directory>,
    /// A name of each file that has several, by device and inode.
    linked: HashMap<(u64, u64), NodeId>,
    /// Directories that are left out but for what exceptions bring back below them.
    excluded: Vec<NodeId>,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(context: &'a BuildContext, ctx: &'a Ctx) -> Self {
        let tree = ContextTree::new();
        let directories = HashMap::from([(0, tree.root().id())]);
        Self { context, ctx, tree, directories, early: HashMap::new(), linked: HashMap::new(), excluded: Vec::new() }
    }

    /// Adds a directory, and those in it that came before; one that comes before the one that it is in waits for that.
    pub(super) fn add(&mut self, directory: Directory) -> Result<()> {
        let mut todo = vec![directory];
        while let Some(directory) = todo.pop() {
            match self.directories.remove(&directory.id) {
                Some(id) => self.fill(id, directory, &mut todo)?,
                None => drop(self.early.insert(directory.id, directory)),
            }
        }
        Ok(())
    }

    /// Adds what is in a directory; `todo` takes the directories in it that came before.
    fn fill(&mut self, parent: NodeId, directory: Directory, todo: &mut Vec<Directory>) -> Result<()> {
        if !directory.xattrs.is_empty() {
            let mut metadata = self.tree.node(parent).metadata();
            metadata.xattrs = directory.xattrs;
            self.tree.set_metadata(parent, metadata);
        }
        for (child, what) in directory.children {
            let name = directory.names.bytes(&child.name);
            let id = match what {
                What::File(fact) => self.add_file(parent, name, &child, fact),
                What::Directory(number) => {
                    let id = self.insert(parent, name, &child, EntryKind::Directory);
                    self.directories.insert(number, id);
                    todo.extend(self.early.remove(&number));
                    id
                }
                What::Symlink(target) => self.insert(parent, name, &child, EntryKind::Symlink { target }),
                What::Other => self.insert(parent, name, &child, EntryKind::Fifo),
                What::Socket => {
                    let subject = self.context.path_of(&directory.path.join(name)?).display().to_string();
                    self.ctx.notice(NoticeKind::Skipped, &subject, "a socket cannot be copied into an image");
                    continue;
                }
            };
            if child.excluded {
                self.excluded.push(id);
            }
        }
        Ok(())
    }

    fn insert(&mut self, parent: NodeId, name: &[u8], child: &Child, kind: EntryKind) -> NodeId {
        self.tree.insert(parent, name, kind, self.metadata(child), None)
    }

    fn add_file(&mut self, parent: NodeId, name: &[u8], child: &Child, fact: Option<Fact>) -> NodeId {
        let key = (child.status.device, child.status.inode);
        if child.has_other_names
            && let Some(first) = self.linked.get(&key)
        {
            return self.tree.link(parent, name, *first);
        }
        let file = ContextFile {
            status: Some(child.status),
            xattrs: None,
            fact: fact.map(OnceLock::from).unwrap_or_default(),
            facts: OnceLock::new(),
        };
        let kind = EntryKind::File { size: child.status.size };
        let id = self.tree.insert(parent, name, kind, self.metadata(child), Some(file));
        if child.has_other_names {
            self.linked.insert(key, id);
        }
        id
    }

    fn metadata(&self, child: &Child) -> Metadata {
        Metadata::new(self.context.modes.mode(child.mode))
            .with_owner(child.owner.0, child.owner.1)
            .with_mtime(child.status.modified)
    }

    /// The tree, without directories that were left out and turned out to hold nothing.
    pub(super) fn finish(mut self) -> ContextTree {
        for id in self.excluded.into_iter().rev() {
            if self.tree.node(id).children().next().is_none() {
                self.tree.remove(id);
            }
        }
        self.tree
    }
}
