//! Layers laid one over the other, with what each of them changes about what is seen.

use super::{ImageTree, LayerContent, merge::Touched};
use crate::{
    error::Result,
    toc::LayerToc,
    tree::{InodeId, NodeId, NodeRef},
};

/// Bytes of any number of files: a few that are nothing but holes have together more than 64 bits count.
pub(crate) type Bytes = u128;

/// A tree to which layers come. What a layer changes is found by looking at what the layer touches, never at all of the
/// tree: a small layer over a large tree is a small thing.
pub(crate) struct Stack {
    tree: ImageTree,
    /// For each file that the tree ever had, by how many names it is seen.
    names: Vec<u32>,
}

/// What one layer did to what is seen.
pub(crate) struct Laid {
    /// Names that are seen now and were not before.
    pub(crate) came: Vec<NodeId>,
    /// Names that were seen before and are not now.
    pub(crate) went: Vec<NodeId>,
    /// Directories that were given attributes, other ones or the same. They may be gone by now.
    pub(crate) named: Vec<NodeId>,
    /// Bytes of the files that were given a name for the first time.
    pub(crate) gained: Bytes,
    /// Bytes of the files that have lost their last name, some of them given it by the same layer.
    pub(crate) lost: Bytes,
}

impl Stack {
    /// No layer yet.
    pub(crate) fn new() -> Self {
        Self { tree: ImageTree::new(), names: vec![1] }
    }

    pub(crate) fn tree(&self) -> &ImageTree {
        &self.tree
    }

    /// Lays one more layer over those that are there.
    ///
    /// # Errors
    /// As [`ImageTree::push`].
    pub(crate) fn lay(&mut self, position: usize, toc: &LayerToc) -> Result<Laid> {
        let before = self.tree.count_all_names();
        let Touched { gone, named } = self.tree.merge(position, toc)?;
        let mut laid = Laid { came: Vec::new(), went: Vec::new(), named, gained: 0, lost: 0 };
        for name in self.tree.names_since(before) {
            let names = count(&mut self.names, name.inode_id());
            *names += 1;
            if *names == 1 {
                laid.gained += size(name);
            }
        }
        let mut is_gone = vec![false; self.tree.count_all_names() - before];
        // A name goes once, with the topmost that is taken away: nothing is added below it from then on.
        for name in gone.into_iter().flat_map(|top| self.tree.walk(self.tree.node(top))) {
            match name.id().index().checked_sub(before).and_then(|place| is_gone.get_mut(place)) {
                Some(is_gone) => *is_gone = true,
                None => laid.went.push(name.id()),
            }
            let names = count(&mut self.names, name.inode_id());
            *names -= 1;
            if *names == 0 {
                laid.lost += size(name);
            }
        }
        let came = self.tree.names_since(before).zip(is_gone).filter(|(_, is_gone)| !is_gone);
        laid.came = came.map(|(name, _)| name.id()).collect();
        Ok(laid)
    }

    /// Whether the file that a name stands, or stood, for is seen by any name.
    pub(crate) fn shows(&self, name: NodeRef<'_, LayerContent>) -> bool {
        self.names.get(name.inode_id().index()).is_some_and(|names| *names > 0)
    }

    /// All regular files that layers brought, seen or not, each by the first name that it was given.
    pub(crate) fn files(&self) -> impl Iterator<Item = NodeRef<'_, LayerContent>> {
        // Files are numbered as they come, so that one is new whose number is past all before.
        let mut next = 0;
        let first_names = self.tree.all_names().filter(move |name| {
            let is_first = name.inode_id().index() >= next;
            next = next.max(name.inode_id().index() + 1);
            is_first
        });
        first_names.filter(|name| name.content().is_some())
    }
}

fn count(names: &mut Vec<u32>, file: InodeId) -> &mut u32 {
    let place = file.index();
    if names.len() <= place {
        names.resize(place + 1, 0);
    }
    &mut names[place]
}

fn size(name: NodeRef<'_, LayerContent>) -> Bytes {
    name.content().map_or(0, |_| name.kind().size().into())
}
