//! A part of a COPY: files of one tree, whatever the tree knows of their content.

use std::io::Read;

use image_core::Ctx;
use image_overlay::{EntryKind, Metadata, NodeId};

use super::place::Placement;
use crate::{error::Result, files::FileFacts, state::BuildState};

/// Files that a COPY or ADD takes from one tree.
///
/// A COPY is made of one or more: what it selects from a tree, its here-documents, each archive that it
/// unpacks and each address that it fetches.
pub(crate) trait Part {
    /// How many sources it has, each of which is a file or a directory.
    fn len(&self) -> usize;

    /// Puts them where they go; `number` is the part's own, and `several` says that they are not all that
    /// goes there.
    fn place(&self, number: usize, target: &str, several: bool, placement: &mut Placement<'_>) -> Result<()>;

    /// What a name in the tree names.
    fn original(&self, node: NodeId) -> Result<Original>;

    /// Makes these files readable in any order.
    fn fetch<'p>(&'p self, wanted: &[NodeId], state: &BuildState, ctx: &Ctx) -> Result<Box<dyn Opener + 'p>>;

    /// The name of a file of the tree, for errors.
    fn path(&self, node: NodeId) -> String;

    /// Whether `--chmod` counts for its files.
    fn takes_mode(&self) -> bool {
        true
    }
}

/// Files of a part that can be read.
pub(crate) trait Opener {
    /// Reads a file.
    fn open(&self, node: NodeId) -> Result<Box<dyn Read>>;
}

/// What is copied, as it is in its tree.
#[derive(Debug)]
pub(crate) struct Original {
    pub(crate) kind: EntryKind,
    /// With the owner that the copy has where no other is asked for.
    pub(crate) metadata: Metadata,
    /// Of a regular file.
    pub(crate) facts: Option<FileFacts>,
}
