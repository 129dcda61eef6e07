//! One tree of what was listed on several threads.

use std::{collections::HashMap, sync::OnceLock};

use image_core::{Ctx, observer::NoticeKind};
use image_overlay::{EntryKind, Metadata, NodeId};

use super::{Child, Listed, What};
use crate::{
    context::{BuildContext, ContextFile, ContextTree},
    error::Result,
    files::FileFacts,
    stat_cache::Fact,
};

/// Puts what was listed into a tree.
pub(super) struct Assembly<'a> {
    context: &'a BuildContext,
    ctx: &'a Ctx,
    tree: ContextTree,
    /// The directories of which names are still to come, by number, with the count of those that came.
    directories: HashMap<usize, (NodeId, usize)>,
    /// Names that came before the directory that they are in, by its number.
    early: HashMap<usize, Vec<Listed>>,
    /// A name of each file that has several, by device and inode.
    linked: HashMap<(u64, u64), NodeId>,
    /// Directories that are left out but for what exceptions bring back below them.
    excluded: Vec<NodeId>,
    /// Whether all files may be copied, and were read.
    is_known: bool,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(context: &'a BuildContext, ctx: &'a Ctx) -> Self {
        let tree = ContextTree::new();
        let directories = HashMap::from([(0, (tree.root().id(), 0))]);
        Self {
            context,
            ctx,
            tree,
            directories,
            early: HashMap::new(),
            linked: HashMap::new(),
            excluded: Vec::new(),
            is_known: true,
        }
    }

    /// Adds names, and those below them that came before; what comes before the directory that it is in waits for that.
    pub(super) fn add(&mut self, listed: Listed) -> Result<()> {
        let mut todo = vec![listed];
        while let Some(listed) = todo.pop() {
            match self.directories.get_mut(&listed.id) {
                Some((id, count)) => {
                    let id = *id;
                    *count += listed.range.len();
                    if *count >= listed.names.list.len() {
                        self.directories.remove(&listed.id);
                    }
                    self.fill(id, listed, &mut todo)?;
                }
                None => self.early.entry(listed.id).or_default().push(listed),
            }
        }
        Ok(())
    }

    /// Adds names of a directory; `todo` takes what is in directories among them and came before.
    fn fill(&mut self, parent: NodeId, listed: Listed, todo: &mut Vec<Listed>) -> Result<()> {
        if !listed.xattrs.is_empty() {
            let mut metadata = self.tree.node(parent).metadata();
            metadata.xattrs = listed.xattrs;
            self.tree.set_metadata(parent, metadata);
        }
        for (child, what) in listed.children {
            let name = listed.names.bytes(&child.name);
            let id = match what {
                What::File(fact, facts) => self.add_file(parent, name, &child, (fact, facts)),
                What::Directory(number) => {
                    let id = self.insert(parent, name, &child, EntryKind::Directory);
                    self.directories.insert(number, (id, 0));
                    todo.extend(self.early.remove(&number).into_iter().flatten());
                    id
                }
                What::Symlink(target) => self.insert(parent, name, &child, EntryKind::Symlink { target }),
                What::Other => {
                    self.is_known = false;
                    self.insert(parent, name, &child, EntryKind::Fifo)
                }
                What::Socket => {
                    let subject = self.context.path_of(&listed.path.join(name)?).display().to_string();
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

    fn add_file(
        &mut self,
        parent: NodeId,
        name: &[u8],
        child: &Child,
        (fact, facts): (Option<Fact>, Option<Box<FileFacts>>),
    ) -> NodeId {
        let key = (child.status.device, child.status.inode);
        let file = ContextFile {
            status: Some(child.status),
            xattrs: None,
            fact: fact.map(OnceLock::from).unwrap_or_default(),
            facts: facts.map(OnceLock::from).unwrap_or_default(),
        };
        self.is_known &= file.is_read();
        if child.has_other_names
            && let Some(first) = self.linked.get(&key)
        {
            // It may have been read under this name.
            let known = self.tree.node(*first).content().filter(|known| known.status == file.status);
            if let Some(known) = known {
                known.take(file);
            }
            return self.tree.link(parent, name, *first);
        }
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

    /// The tree, without directories that were left out and turned out to hold nothing; and whether all is known of it.
    pub(super) fn finish(mut self) -> (ContextTree, bool) {
        for id in self.excluded.into_iter().rev() {
            if self.tree.node(id).children().next().is_none() {
                self.tree.remove(id);
            }
        }
        (self.tree, self.is_known)
    }
}
