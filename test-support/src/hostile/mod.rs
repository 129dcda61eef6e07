//! Layers, layouts and archives made to do harm, or that are only odd, and what must come of each.
//!
//! One table for all crates: what reads layers runs the cases of layers, what reads layouts those of layouts, and what
//! loads archives those of archives. A case asserts an outcome; that nothing beside the target changes, and that a
//! refused image leaves nothing behind, is asserted for all of them by what runs them.

mod accepted;
mod archives;
mod bounds;
mod documents;
mod extended;
mod graphs;
mod headers;
mod integrity;
mod kinds;
mod links;
mod names;
mod requirement;
mod sparse;
mod whiteouts;

pub use archives::archives;
pub use requirement::Requirement;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{layout::Layout, raw_tar::archive};

/// A bound that a case is run with, other than the one that holds by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "what runs a case must know every bound")]
pub enum Limit {
    /// Entries of a layer.
    Entries(u64),
    /// Bytes of a layer's plain tar stream, and of its files with their holes.
    LayerBytes(u64),
    /// Bytes of extended headers before one entry.
    ExtensionBytes(u64),
    /// Segments of a sparse file.
    SparseSegments(u64),
    /// Extended attributes of an entry.
    Xattrs(u64),
}

/// What must come of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "what runs a case must treat every outcome")]
pub enum Expected {
    /// All is taken, and the tree is this: `a/`, `a = content`, `a -> target`, `a c 1:3`, in the order of names, with
    /// ` (also b)` where a name is another one of b.
    Tree(&'static [&'static str]),
    /// As [`Expected::Tree`]; but in the form of overlayfs, where it would hide something, it is refused with this text.
    TreeUnlessOverlay(&'static [&'static str], &'static str),
    /// All is taken, and the tree has these paths and no others.
    Paths(&'static [&'static str]),
    /// All is taken, and among the lines of the tree is this, with mode, owner, time and extended attributes.
    Line(&'static str),
    /// The last layer is refused with an error whose causes hold this text.
    Refused(&'static str),
    /// The last layer is refused by the file system with this text; a tree that is not on disk may hold it.
    RefusedOnDisk(&'static str),
    /// Anything may come of it but an effect elsewhere.
    Contained,
}

/// Layers and what must come of them, the base layer first.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LayerCase {
    /// What is wrong or odd.
    pub name: &'static str,
    /// What it is about.
    pub requirement: Requirement,
    /// Plain tar streams.
    pub layers: Vec<Vec<u8>>,
    /// Of another value than by default.
    pub limit: Option<Limit>,
    /// The outcome.
    pub expected: Expected,
}

impl LayerCase {
    /// A case of one layer of these members.
    fn new(requirement: Requirement, name: &'static str, members: &[Vec<u8>], expected: Expected) -> Self {
        Self { name, requirement, layers: vec![archive(members)], limit: None, expected }
    }

    /// A case of layers of these members.
    fn stack(requirement: Requirement, name: &'static str, layers: &[&[Vec<u8>]], expected: Expected) -> Self {
        let layers = layers.iter().map(|members| archive(members)).collect();
        Self { name, requirement, layers, limit: None, expected }
    }

    fn with_limit(self, limit: Limit) -> Self {
        Self { limit: Some(limit), ..self }
    }
}

/// What is done with the image of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "what runs a case must do all that is done with a layout")]
pub enum Step {
    /// It is looked up by its name, [`Layout::NAME`].
    Find,
    /// All of the layout is verified.
    Verify,
    /// All that its name stands for is copied to another store.
    Copy,
    /// It is unpacked, as the manifest that the layout's builder made.
    Unpack,
}

/// A layout and what must come of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LayoutCase {
    /// What is wrong or odd.
    pub name: &'static str,
    /// What it is about.
    pub requirement: Requirement,
    /// The layout.
    pub layout: Layout,
    /// Of another value than by default.
    pub limit: Option<Limit>,
    /// What is refused, with an error or a finding that holds the text; all else succeeds.
    pub refused: &'static [(Step, &'static str)],
}

impl LayoutCase {
    fn new(
        requirement: Requirement,
        name: &'static str,
        layout: Layout,
        refused: &'static [(Step, &'static str)],
    ) -> Self {
        Self { name, requirement, layout, limit: None, refused }
    }

    fn with_limit(self, limit: Limit) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// The text of the refusal, where a step must be refused.
    #[must_use]
    pub fn refusal(&self, step: Step) -> Option<&'static str> {
        self.refused.iter().find(|(refused, _)| *refused == step).map(|(_, text)| *text)
    }
}

/// A bound that an archive is loaded with, other than the one that holds by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "what runs a case must know every bound")]
pub enum ArchiveLimit {
    /// Members.
    Members(u64),
    /// Bytes of the members' names.
    NameBytes(u64),
    /// Bytes of a layer when it is plain.
    LayerBytes(u64),
    /// Bytes of the archive when it is plain, and of its compressed layers.
    TotalBytes(u64),
}

/// An archive that is refused.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ArchiveCase {
    /// What is wrong.
    pub name: &'static str,
    /// What it is about.
    pub requirement: Requirement,
    /// The archive.
    pub archive: Vec<u8>,
    /// Of another value than by default.
    pub limit: Option<ArchiveLimit>,
    /// What the error and its causes say.
    pub refused: &'static str,
}

impl ArchiveCase {
    fn with_limit(self, limit: ArchiveLimit) -> Self {
        Self { limit: Some(limit), ..self }
    }
}

/// Runs all cases, so that all that fail are told of, and not the first alone.
///
/// # Panics
/// Where the test of a case did.
pub fn each<C>(cases: &[C], name: impl Fn(&C) -> String, test: impl Fn(&C)) {
    let passes = |case: &C| catch_unwind(AssertUnwindSafe(|| test(case))).is_ok();
    let failed: Vec<String> = cases.iter().filter(|case| !passes(case)).map(name).collect();
    assert!(failed.is_empty(), "of {} cases these fail: {failed:#?}", cases.len());
}

/// All cases of layers.
#[must_use]
pub fn layers() -> Vec<LayerCase> {
    let tables = [
        names::cases(),
        links::cases(),
        whiteouts::cases(),
        kinds::cases(),
        bounds::cases(),
        accepted::cases(),
        headers(),
        extended(),
        sparse(),
    ];
    tables.concat()
}

/// Headers that are refused: each stands second in its layer, under the name `bad`.
#[must_use]
pub fn headers() -> Vec<LayerCase> {
    headers::cases()
}

/// Extended headers that are refused.
#[must_use]
pub fn extended() -> Vec<LayerCase> {
    extended::cases()
}

/// Sparse files that are refused.
#[must_use]
pub fn sparse() -> Vec<LayerCase> {
    sparse::cases()
}

/// All cases of layouts.
#[must_use]
pub fn layouts() -> Vec<LayoutCase> {
    [integrity::cases(), documents::cases(), graphs::cases()].concat()
}
