//! From two trees to the changes between them.

use std::{borrow::Cow, collections::HashMap};

use image_core::{Ctx, Timestamp};

use crate::{
    change::{Changes, HardLinks, Mark},
    entry::{EntryKind, Metadata},
    error::Result,
    same_content::same_content,
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
        found: Vec::new(),
        questions: Questions::default(),
    };
    diff.walk()?;
    let marks = diff.marks()?;
    Ok(Changes { lower, upper, marks, links })
}

struct Diff<'a, L: TreeSource, U: TreeSource> {
    lower: &'a L,
    upper: &'a U,
    options: &'a DiffOptions,
    ctx: &'a Ctx,
    lower_links: HardLinks,
    links: &'a HardLinks,
    found: Vec<Found>,
    questions: Questions,
}

/// What may be a change.
struct Found {
    mark: Mark,
    standing: Standing,
}

/// Whether it is one.
#[derive(Clone, Copy)]
enum Standing {
    Change,
    /// Unless this question about a file is answered with yes.
    Unless(usize),
    /// A directory, which is one where anything is that was found before this place.
    IfAnyBefore(usize),
}

/// Whether files of the upper tree are the same as in the lower one, which looking at the trees does not tell.
#[derive(Default)]
struct Questions {
    asked: Vec<Question>,
    /// What became of files with several names, of which all ask the same.
    linked: HashMap<InodeId, Option<Standing>>,
}

struct Question {
    lower: NodeId,
    upper: NodeId,
    /// Whether the content has to be read.
    is_to_be_read: bool,
}

/// What looking at the two trees tells of a file.
enum Look {
    Same,
    Differs,
    /// All but the content is the same.
    Uncertain,
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
    /// Where it was found.
    place: usize,
    /// Whether it is changed itself.
    changed: bool,
}

impl<L: TreeSource, U: TreeSource + Sync> Diff<'_, L, U> {
    /// Looks at all names of both trees.
    fn walk(&mut self) -> Result<()> {
        let roots = Step::Both(self.lower.tree().root().id(), self.upper.tree().root().id());
        let mut levels: Vec<Level> = self.visit(roots)?.into_iter().collect();
        while let Some(level) = levels.last_mut() {
            if let Some(step) = level.pending.pop() {
                self.ctx.check()?;
                levels.extend(self.visit(step)?);
            } else {
                let end = self.found.len();
                if let Some(found) = self.found.get_mut(level.place).filter(|_| !level.changed) {
                    found.standing = Standing::IfAnyBefore(end);
                }
                levels.pop();
            }
        }
        Ok(())
    }

    /// Notes what may be a change; gives the directory to go on with, if it is one.
    fn visit(&mut self, step: Step) -> Result<Option<Level>> {
        let (lower, upper) = match step {
            Step::Lower(lower) => {
                self.found.push(Found { mark: Mark::Delete(lower), standing: Standing::Change });
                return Ok(None);
            }
            Step::Upper(upper) => (None, self.upper.tree().node(upper)),
            Step::Both(lower, upper) => (Some(self.lower.tree().node(lower)), self.upper.tree().node(upper)),
        };
        let mark = if lower.is_some() { Mark::Modify(upper.id()) } else { Mark::Add(upper.id()) };
        if upper.is_directory() {
            let below = lower.filter(|lower| lower.is_directory());
            let changed = below.is_none_or(|lower| !same_attributes(&lower.metadata(), &upper.metadata()));
            let level = Level { pending: steps(below, upper), place: self.found.len(), changed };
            self.found.push(Found { mark, standing: Standing::Change });
            return Ok(Some(level));
        }
        let standing = match lower {
            Some(lower) => self.file(lower, upper),
            None => Some(Standing::Change),
        };
        self.found.extend(standing.map(|standing| Found { mark, standing }));
        Ok(None)
    }

    /// Whether a name stands for the same file in both trees, with the same other names as far as there are any; `None` where
    /// it certainly does.
    fn file(&mut self, lower: NodeRef<'_, L::Content>, upper: NodeRef<'_, U::Content>) -> Option<Standing> {
        let Some(names) = self.links.names(upper) else { return self.inode(lower, upper) };
        if let Some(standing) = self.questions.linked.get(&upper.inode_id()) {
            return *standing;
        }
        let below = |name: &NodeId| {
            let path = self.upper.tree().node(*name).path();
            self.lower.tree().get(&path).map(NodeRef::inode_id)
        };
        let has_same_names = names.iter().all(|name| below(name) == Some(lower.inode_id()));
        let standing = if has_same_names { self.inode(lower, upper) } else { Some(Standing::Change) };
        self.questions.linked.insert(upper.inode_id(), standing);
        standing
    }

    /// Whether two files are the same; `None` where they certainly are.
    fn inode(&mut self, lower: NodeRef<'_, L::Content>, upper: NodeRef<'_, U::Content>) -> Option<Standing> {
        let is_to_be_read = match self.look(lower, upper) {
            Look::Differs => return Some(Standing::Change),
            Look::Uncertain => true,
            // Several files of the upper tree may want to go on being this one.
            Look::Same if self.lower_links.names(lower).is_some() => false,
            Look::Same => return None,
        };
        let question = self.questions.asked.len();
        self.questions.asked.push(Question { lower: lower.id(), upper: upper.id(), is_to_be_read });
        Some(Standing::Unless(question))
    }

    fn look(&self, lower: NodeRef<'_, L::Content>, upper: NodeRef<'_, U::Content>) -> Look {
        let (below, above) = (lower.metadata(), upper.metadata());
        if lower.kind() != upper.kind() || !same_time(below.mtime, above.mtime) {
            return Look::Differs;
        }
        // Links have no mode of their own.
        let mode = if matches!(upper.kind(), EntryKind::Symlink { .. }) { above.mode } else { below.mode };
        match upper.kind() {
            _ if !same_attributes(&Metadata { mode, ..below }, &above) => Look::Differs,
            EntryKind::File { size } if *size > 0 => self.look_at_content(lower, upper),
            _ => Look::Same,
        }
    }

    fn look_at_content(&self, lower: NodeRef<'_, L::Content>, upper: NodeRef<'_, U::Content>) -> Look {
        match (self.lower.inode(lower.id()), self.upper.inode(upper.id())) {
            // One inode, looked at twice: what it held before is no longer there to compare with.
            (Some(below), Some(above)) if below.id == above.id && below.changed == above.changed => Look::Same,
            (Some(below), Some(above)) if below.id == above.id => Look::Differs,
            (_, Some(above)) if self.is_untouched(above, lower.metadata().mtime, upper.metadata().mtime) => Look::Same,
            _ => Look::Uncertain,
        }
    }

    /// Whether the content of an inode is certainly the same without a look at it.
    fn is_untouched(&self, inode: InodeState, lower: Timestamp, upper: Timestamp) -> bool {
        let Some(baseline) = self.options.baseline else { return false };
        self.options.comparison != Comparison::Content
            && lower.nanoseconds() != 0
            && upper.nanoseconds() != 0
            && inode.changed.seconds() < baseline.seconds().saturating_sub(CLOCK_SLACK)
    }

    /// The changes among what was found.
    fn marks(self) -> Result<Vec<Mark>> {
        let answers = self.answers()?;
        let mut marks = Vec::new();
        // The last change so far, which is the first behind what is looked at.
        let mut next = self.found.len();
        for (place, found) in self.found.iter().enumerate().rev() {
            let is_change = match found.standing {
                Standing::Change => true,
                Standing::Unless(question) => !answers.get(question).is_some_and(|is_same| *is_same),
                Standing::IfAnyBefore(end) => next < end,
            };
            if is_change {
                marks.push(found.mark);
                next = place;
            }
        }
        marks.reverse();
        Ok(marks)
    }

    /// Whether each file that is asked for is the same.
    fn answers(&self) -> Result<Vec<bool>> {
        let asked = &self.questions.asked;
        let to_be_read = asked.iter().filter(|question| question.is_to_be_read);
        let pairs: Vec<_> = to_be_read.map(|question| (question.lower, question.upper)).collect();
        let mut read = same_content(self.lower, self.upper, &pairs, self.ctx)?.into_iter();
        // Which upper file goes on being a lower file that has several names: the first that could.
        let mut claims = HashMap::<InodeId, InodeId>::new();
        let answer = |question: &Question| {
            if question.is_to_be_read && !read.next().unwrap_or_default() {
                return false;
            }
            let lower = self.lower.tree().node(question.lower);
            let upper = self.upper.tree().node(question.upper).inode_id();
            self.lower_links.names(lower).is_none() || *claims.entry(lower.inode_id()).or_insert(upper) == upper
        };
        Ok(asked.iter().map(answer).collect())
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
pub(crate) fn same_time(one: Timestamp, other: Timestamp) -> bool {
    one == other || one.seconds() == other.seconds() && (one.nanoseconds() == 0 || other.nanoseconds() == 0)
}
