//! From two trees to the changes between them.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry as Slot},
};

use image_core::{Ctx, Timestamp};

use crate::{
    change::{Changes, HardLinks, Mark},
    entry::{EntryKind, Metadata},
    error::Result,
    source::{InodeState, TreeSource},
    tree::{InodeId, NodeId, NodeRef},
    whiteout,
    xattr::XattrClass,
};

/// How far a file system's idea of now may lag behind the clock's, in seconds: FAT counts in twos.
const CLOCK_SLACK: i64 = 2;

/// When the content of two files is compared, whose kind, size, attributes and times are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Comparison {
    /// Unless it is certain that it is the same: the times are equal to the nanosecond, and the inode
    /// was not changed since [`DiffOptions::baseline`].
    #[default]
    WhereUncertain,
    /// Always.
    Content,
}

/// What counts as a change.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct DiffOptions {
    /// When content is compared.
    pub comparison: Comparison,
    /// When the upper tree was the same as the lower one. Without it, no time proves that content is the same.
    pub baseline: Option<Timestamp>,
}

impl DiffOptions {
    /// With content compared so.
    #[must_use]
    pub fn with_comparison(self, comparison: Comparison) -> Self {
        Self { comparison, ..self }
    }

    /// With this time at which the upper tree was the same as the lower one, by the clock of its machine.
    #[must_use]
    pub fn with_baseline(self, baseline: Option<Timestamp>) -> Self {
        Self { baseline, ..self }
    }
}

/// What has to be laid over `lower` to make it `upper`.
///
/// A change is any difference of kind, mode, owner, device, content extended attributes, target, size, content or
/// time. Times are the same where one of them has whole seconds, as those of layers do, and both have the same
/// second; then content is compared, so that no edit is lost that keeps size and second. The time of a directory
/// alone is no change. A directory in which something changed is among the changes, with its attributes,
/// and so are all names of a file of which one changed.
///
/// ```
/// use image_core::{Ctx, MemoryBlobStore};
/// use image_overlay::{DiffOptions, DirSource, PackOptions, Root, diff};
/// let (lower, upper) = (tempfile::tempdir()?, tempfile::tempdir()?);
/// std::fs::write(lower.path().join("motd"), "hi\n")?;
///
/// let ctx = Ctx::default();
/// let lower = DirSource::scan(Root::open(lower.path())?, &ctx)?;
/// let upper = DirSource::scan(Root::open(upper.path())?, &ctx)?;
/// let changes = diff(&lower, &upper, &DiffOptions::default(), &ctx)?;
/// let lines: Vec<_> = changes.iter().map(|change| format!("{} {}", change.letter(), change.path())).collect();
/// assert_eq!(lines, ["C /", "D /motd"]);
/// let layer = changes.pack(&MemoryBlobStore::default(), PackOptions::default(), &ctx)?;
/// assert_eq!(layer.toc.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Content that has to be compared and cannot be read.
///
/// # Spec
/// OCI image-spec 1.1, layer.md, § Change Types and § Representing Changes.
pub fn diff<'a, L: TreeSource, U: TreeSource>(
    lower: &'a L,
    upper: &'a U,
    options: &DiffOptions,
    ctx: &Ctx,
) -> Result<Changes<'a, L, U>> {
    let links = HardLinks::of(upper.tree());
    let mut diff = Diff {
        lower,
        upper,
        options,
        ctx,
        lower_links: HardLinks::of(lower.tree()),
        links: &links,
        claims: HashMap::new(),
        verdicts: HashMap::new(),
        marks: Vec::new(),
    };
    diff.run()?;
    let marks = diff.marks;
    Ok(Changes { lower, upper, marks, links })
}

struct Diff<'a, L: TreeSource, U: TreeSource> {
    lower: &'a L,
    upper: &'a U,
    options: &'a DiffOptions,
    ctx: &'a Ctx,
    lower_links: HardLinks,
    links: &'a HardLinks,
    /// Which upper file goes on being a lower file that has several names.
    claims: HashMap<InodeId, InodeId>,
    /// Of upper files with several names, whether they are unchanged.
    verdicts: HashMap<InodeId, bool>,
    marks: Vec<Mark>,
}

/// A name to compare.
#[derive(Clone, Copy)]
enum Step {
    /// Only the lower tree has it.
    Lower(NodeId),
    /// Only the upper tree has it.
    Upper(NodeId),
    Both(NodeId, NodeId),
}

/// A directory that is being compared.
struct Level {
    /// The last first.
    pending: Vec<Step>,
    /// Where its own mark is.
    mark: usize,
    /// Whether it is changed itself.
    changed: bool,
}

impl<L: TreeSource, U: TreeSource> Diff<'_, L, U> {
    fn run(&mut self) -> Result<()> {
        let roots = Step::Both(self.lower.tree().root().id(), self.upper.tree().root().id());
        let mut levels: Vec<Level> = self.visit(roots)?.into_iter().collect();
        while let Some(level) = levels.last_mut() {
            if let Some(step) = level.pending.pop() {
                self.ctx.check()?;
                levels.extend(self.visit(step)?);
            } else {
                let is_same = !level.changed && self.marks.len() == level.mark + 1;
                if is_same {
                    self.marks.pop();
                }
                levels.pop();
            }
        }
        Ok(())
    }

    /// Marks a name; gives the directory to go on with, if it is one.
    fn visit(&mut self, step: Step) -> Result<Option<Level>> {
        let (lower, upper) = match step {
            Step::Lower(lower) => {
                self.marks.push(Mark::Delete(lower));
                return Ok(None);
            }
            Step::Upper(upper) => (None, self.upper.tree().node(upper)),
            Step::Both(lower, upper) => (Some(self.lower.tree().node(lower)), self.upper.tree().node(upper)),
        };
        let mark = if lower.is_some() { Mark::Modify(upper.id()) } else { Mark::Add(upper.id()) };
        if upper.is_directory() {
            let below = lower.filter(|lower| lower.is_directory());
            let changed = below.is_none_or(|lower| !same_attributes(&lower.metadata(), &upper.metadata()));
            let level = Level { pending: steps(below, upper), mark: self.marks.len(), changed };
            self.marks.push(mark);
            return Ok(Some(level));
        }
        let is_same = match lower {
            Some(lower) => self.is_same_file(lower, upper)?,
            None => false,
        };
        if !is_same {
            self.marks.push(mark);
        }
        Ok(None)
    }

    /// Whether a name stands for the same file in both trees, with the same other names as far as there are any.
    fn is_same_file(&mut self, lower: NodeRef<'_, L::Content>, upper: NodeRef<'_, U::Content>) -> Result<bool> {
        let links = self.links;
        let Some(names) = links.names(upper) else {
            return Ok(self.is_same_inode(lower, upper)? && self.claim(lower, upper));
        };
        if let Some(verdict) = self.verdicts.get(&upper.inode_id()) {
            return Ok(*verdict);
        }
        let below = |name: &NodeId| {
            let path = self.upper.tree().node(*name).path();
            self.lower.tree().get(&path).map(NodeRef::inode_id)
        };
        let verdict = names.iter().all(|name| below(name) == Some(lower.inode_id()))
            && self.is_same_inode(lower, upper)?
            && self.claim(lower, upper);
        self.verdicts.insert(upper.inode_id(), verdict);
        Ok(verdict)
    }

    /// Whether the upper file is the first of those that want to go on being the lower one.
    fn claim(&mut self, lower: NodeRef<'_, L::Content>, upper: NodeRef<'_, U::Content>) -> bool {
        if self.lower_links.names(lower).is_none() {
            return true;
        }
        match self.claims.entry(lower.inode_id()) {
            Slot::Occupied(by) => *by.get() == upper.inode_id(),
            Slot::Vacant(slot) => {
                slot.insert(upper.inode_id());
                true
            }
        }
    }

    fn is_same_inode(&self, lower: NodeRef<'_, L::Content>, upper: NodeRef<'_, U::Content>) -> Result<bool> {
        let (below, above) = (lower.metadata(), upper.metadata());
        if lower.kind() != upper.kind() || !same_time(below.mtime, above.mtime) {
            return Ok(false);
        }
        match upper.kind() {
            EntryKind::Symlink { .. } => {
                // Links have no mode of their own.
                let mode = above.mode;
                Ok(same_attributes(&Metadata { mode, ..below }, &above))
            }
            EntryKind::File { size } if *size > 0 => {
                Ok(same_attributes(&below, &above) && self.is_same_content(lower, upper)?)
            }
            _ => Ok(same_attributes(&below, &above)),
        }
    }

    fn is_same_content(&self, lower: NodeRef<'_, L::Content>, upper: NodeRef<'_, U::Content>) -> Result<bool> {
        let (below, above) = (self.lower.inode(lower.id()), self.upper.inode(upper.id()));
        match (below, above) {
            // One inode, looked at twice: what it held before is no longer there to compare with.
            (Some(below), Some(above)) if below.id == above.id => return Ok(below.changed == above.changed),
            (_, Some(above)) if self.is_untouched(above, lower.metadata().mtime, upper.metadata().mtime) => {
                return Ok(true);
            }
            _ => {}
        }
        Ok(self.lower.digest(lower.id(), self.ctx)? == self.upper.digest(upper.id(), self.ctx)?)
    }

    /// Whether the content of an inode is certainly the same without a look at it.
    fn is_untouched(&self, inode: InodeState, lower: Timestamp, upper: Timestamp) -> bool {
        let Some(baseline) = self.options.baseline else { return false };
        self.options.comparison != Comparison::Content
            && lower.nanoseconds() != 0
            && upper.nanoseconds() != 0
            && inode.changed.seconds() < baseline.seconds().saturating_sub(CLOCK_SLACK)
    }
}

/// The names of a directory in the order in which their changes stand in a layer, the last first.
fn steps<L, U>(lower: Option<NodeRef<'_, L>>, upper: NodeRef<'_, U>) -> Vec<Step> {
    let mut steps: Vec<(Cow<'_, [u8]>, Step)> = Vec::new();
    for child in upper.children() {
        let step = match lower.and_then(|lower| lower.child(child.name())) {
            Some(below) => Step::Both(below.id(), child.id()),
            None => Step::Upper(child.id()),
        };
        steps.push((child.name().into(), step));
    }
    for child in lower.into_iter().flat_map(NodeRef::children) {
        if upper.child(child.name()).is_none() {
            steps.push((whiteout::plain_name(child.name()).into(), Step::Lower(child.id())));
        }
    }
    steps.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
    steps.into_iter().map(|(_, step)| step).collect()
}

/// Whether all but the times is the same.
fn same_attributes(one: &Metadata, other: &Metadata) -> bool {
    let is_content = |(name, _): &(&Vec<u8>, &Vec<u8>)| XattrClass::of(name) == XattrClass::Content;
    (one.mode, one.uid, one.gid) == (other.mode, other.uid, other.gid)
        && one.xattrs.iter().filter(is_content).eq(other.xattrs.iter().filter(is_content))
}

/// Whether two times are the same as far as both are known: those of layers have whole seconds.
fn same_time(one: Timestamp, other: Timestamp) -> bool {
    one == other || one.seconds() == other.seconds() && (one.nanoseconds() == 0 || other.nanoseconds() == 0)
}
