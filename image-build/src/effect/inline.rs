//! Files whose content is given with the instruction: here-documents of COPY and ADD, and what a program gives.

use std::{
    io::{Cursor, Read},
    sync::Arc,
};

use image_core::{Ctx, Digest, Timestamp, hasher::Sha256};
use image_overlay::{EntryKind, FileTree, Metadata, NodeId};

use super::{
    part::{Opener, Original, Part},
    place::Placement,
    select::Selected,
};
use crate::{error::Result, files::FileFacts, state::BuildState};

/// A file that is given: a here-document, expanded, or a program's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inline {
    /// The file's name.
    pub(crate) name: String,
    /// The file's content.
    pub(crate) body: Arc<[u8]>,
}

impl Inline {
    /// The digest of its content.
    pub(crate) fn digest(&self) -> Digest {
        Digest::sha256_of(&self.body)
    }
}

/// A given file as it is copied: of mode 0644, owned by root.
///
/// # Spec
/// Dockerfile reference, § Here-Documents, Example: Creating inline files.
#[derive(Debug)]
pub(crate) struct InlinePart<'a> {
    tree: FileTree<&'a Inline>,
    file: NodeId,
}

impl<'a> InlinePart<'a> {
    pub(crate) fn new(file: &'a Inline, now: Timestamp) -> Self {
        let mut tree = FileTree::new();
        let (root, name) = (tree.root().id(), file.name.as_bytes());
        let kind = EntryKind::File { size: file.body.len() as u64 };
        let node = tree.insert(root, name, kind, Metadata::new(0o644).with_mtime(now), Some(file));
        Self { tree, file: node }
    }

    fn body(&self, node: NodeId) -> Arc<[u8]> {
        self.tree.node(node).content().map_or_else(Arc::default, |file| Arc::clone(&file.body))
    }
}

impl Part for InlinePart<'_> {
    fn len(&self) -> usize {
        1
    }

    fn place(&self, number: usize, target: &str, several: bool, placement: &mut Placement<'_>) -> Result<()> {
        let file = self.tree.node(self.file);
        placement.place(number, [&Selected::new(file.name(), file)], target, several)
    }

    fn original(&self, node: NodeId) -> Result<Original> {
        let (body, node) = (self.body(node), self.tree.node(node));
        let mut hasher = Sha256::default();
        hasher.update(&body);
        let facts = FileFacts { size: body.len() as u64, sha256: hasher.finish(), sparse: false, xattrs: None };
        Ok(Original { kind: node.kind().clone(), metadata: node.metadata(), facts: Some(facts) })
    }

    fn fetch<'p>(&'p self, _: &[NodeId], _: &BuildState, _: &Ctx) -> Result<Box<dyn Opener + 'p>> {
        Ok(Box::new(OpenInline(self)))
    }

    fn path(&self, node: NodeId) -> String {
        self.tree.node(node).path().to_string()
    }
}

struct OpenInline<'a>(&'a InlinePart<'a>);

impl Opener for OpenInline<'_> {
    fn open(&self, node: NodeId) -> Result<Box<dyn Read>> {
        Ok(Box::new(Cursor::new(self.0.body(node))))
    }
}
