//! COPY and ADD: from trees of files to a layer.

use std::{io, ops::Range};

use image_core::{
    Ctx, Digest,
    observer::{NoticeKind, Outcome, TaskKind},
};
use image_overlay::{EntryKind, ImageTree, LayerWriter, NodeId, PackOptions, PackedLayer};

use super::{
    archive::is_archive,
    digest,
    part::{Opener, Original, Part},
    place::{Attributes, Placement},
    select::{self, Choice, Selected},
};
use crate::{
    cache::files::ListedFile,
    context::FileFingerprint,
    error::{Error, Result},
    files::{Fetched, SourceFiles},
    miss::Listing,
    state::BuildState,
};

/// Where a COPY puts files, and what they are like there.
pub(crate) struct Target<'a> {
    /// An absolute path; a slash at its end makes it a directory.
    pub(crate) path: &'a str,
    pub(crate) attributes: Attributes<'a>,
}

/// Makes the layer that puts all parts at `target` on top of `root`; `None` where nothing is new.
pub(crate) fn pack(
    parts: &[&dyn Part],
    root: &ImageTree,
    target: &Target<'_>,
    options: PackOptions,
    state: &BuildState,
    ctx: &Ctx,
) -> Result<Option<PackedLayer>> {
    let mut placement = Placement::new(root, target.attributes);
    let several = parts.iter().map(|part| part.len()).sum::<usize>() > 1;
    for (number, part) in parts.iter().enumerate() {
        part.place(number, target.path, several, &mut placement)?;
    }
    if placement.is_empty() {
        return Ok(None);
    }
    let task = ctx.begin(TaskKind::Pack, target.path, None);
    let numbered = parts.iter().enumerate();
    let openers = numbered.map(|(number, part)| part.fetch(&placement.copied_from(number), state, ctx));
    let openers = openers.collect::<Result<Vec<_>>>()?;
    let mut writer = LayerWriter::new(state.blobs(), options)?;
    placement.for_each(parts, |entry, copied| {
        let Some((copied, Original { facts: Some(facts), .. })) = copied else {
            writer.append(entry, &mut io::empty(), ctx)?;
            return Ok(());
        };
        let (Some(opener), Some(part)) = (openers.get(copied.part), parts.get(copied.part)) else { return Ok(()) };
        let mut data = opener.open(copied.node)?;
        let written = writer.append(entry, &mut data, ctx).map_err(|error| match error {
            image_overlay::Error::ContentLength { .. } => Error::changed(part.path(copied.node)),
            error => error.into(),
        })?;
        if facts.holes.is_none() && written.is_some_and(|content| content.sha256 != facts.sha256) {
            return Err(Error::changed(part.path(copied.node)));
        }
        task.advance(facts.size, 1);
        Ok(())
    })?;
    let layer = writer.finish()?;
    task.end(Outcome::Done);
    Ok(Some(layer))
}

/// What a COPY takes from a tree, found and read.
pub(crate) struct Selection<'a, S: SourceFiles> {
    files: &'a S,
    /// In order, each with the position of the argument that it is of.
    sources: Vec<(usize, Selected<'a, S::Content>)>,
    /// The patterns that match no file.
    unmatched: Vec<String>,
}

impl<'a, S: SourceFiles> Selection<'a, S> {
    /// Finds the sources, each with its position, and reads what the cache key needs of them.
    pub(crate) fn new<'s>(
        files: &'a S,
        sources: impl IntoIterator<Item = (usize, &'s str)>,
        choice: &Choice,
        ctx: &Ctx,
    ) -> Result<Self> {
        let (mut selected, mut unmatched) = (Vec::new(), Vec::new());
        for (position, source) in sources {
            let found = select::select(files, source, choice)?;
            if found.is_empty() {
                unmatched.push(source.to_owned());
            }
            selected.extend(found.into_iter().map(|source| (position, source)));
        }
        Self { files, sources: selected, unmatched }.read(ctx)
    }

    /// Tells of patterns that match no file; whether there are any.
    pub(crate) fn warn_of_unmatched(&self, ctx: &Ctx) -> bool {
        for pattern in &self.unmatched {
            ctx.notice(NoticeKind::Warning, pattern, "the pattern matches no file: nothing is copied");
        }
        !self.unmatched.is_empty()
    }

    /// Everything in the tree.
    pub(crate) fn all(files: &'a S, choice: &Choice, ctx: &Ctx) -> Result<Self> {
        let all = select::select(files, "/", choice)?;
        let sources = all.into_iter().map(|source| (0, source)).collect();
        Self { files, sources, unmatched: Vec::new() }.read(ctx)
    }

    /// What is at one path, which is no pattern.
    pub(crate) fn exact(files: &'a S, path: &str, ctx: &Ctx) -> Result<Self> {
        Self { files, sources: vec![(0, select::exact(files, path)?)], unmatched: Vec::new() }.read(ctx)
    }

    /// One file, by its name at the top of the tree.
    pub(crate) fn named(files: &'a S, name: &[u8], ctx: &Ctx) -> Result<Self> {
        let file = files.tree().root().child(name).map(|node| (0, Selected::new(name, node)));
        Self { files, sources: file.into_iter().collect(), unmatched: Vec::new() }.read(ctx)
    }

    fn read(self, ctx: &Ctx) -> Result<Self> {
        if !self.files.is_known() {
            self.files.fingerprint(&select::regular_files(self.files, self.sources())?, ctx)?;
        }
        Ok(self)
    }

    fn sources(&self) -> impl Iterator<Item = &Selected<'a, S::Content>> + Clone {
        self.sources.iter().map(|(_, source)| source)
    }

    /// The digest of everything taken.
    pub(crate) fn digest(&self) -> Result<Digest> {
        Ok(digest::digest(self.files, self.sources())?.0)
    }

    /// The digest, and how many regular files are taken, each of their names counted once.
    pub(crate) fn fingerprint(&self) -> Result<(Digest, usize)> {
        let (digest, count) = digest::digest(self.files, self.sources())?;
        let is_one = self.sources.len() == 1;
        Ok((digest, if is_one { count } else { digest::file_count(self.files.tree(), self.sources()) }))
    }

    /// The regular files taken, by path.
    pub(crate) fn files(&self) -> Result<Vec<FileFingerprint>> {
        digest::fingerprints(self.files, self.sources())
    }

    /// The sources of one argument, each with its number among all.
    pub(crate) fn of_argument(&self, argument: usize) -> impl Iterator<Item = (usize, &Selected<'a, S::Content>)> {
        let sources = self.sources.iter().enumerate();
        sources.filter(move |(_, (of, _))| *of == argument).map(|(at, (_, source))| (at, source))
    }

    /// Opens a source that is an archive; `None` for any other.
    pub(crate) fn archive(
        &self,
        source: &Selected<'a, S::Content>,
        state: &BuildState,
        ctx: &Ctx,
    ) -> Result<Option<Box<dyn io::Read>>> {
        if !matches!(source.node.kind(), EntryKind::File { .. }) {
            return Ok(None);
        }
        let file = self.files.fetch(&[source.node], state.temporary(), ctx)?;
        if is_archive(file.open(source.node)?)? { file.open(source.node).map(Some) } else { Ok(None) }
    }
}

impl<S: SourceFiles> Listing for Selection<'_, S> {
    fn for_each(&self, visit: &mut dyn FnMut(&ListedFile) -> Result<()>) -> Result<()> {
        digest::list(self.files, self.sources(), visit)
    }

    fn is_ignored(&self, path: &[u8]) -> bool {
        self.files.is_ignored(path)
    }
}

/// Some of the sources of a selection, as they stand.
pub(crate) struct Run<'a, S: SourceFiles> {
    files: &'a S,
    sources: &'a [(usize, Selected<'a, S::Content>)],
}

impl<'a, S: SourceFiles> Run<'a, S> {
    pub(crate) fn new(selection: &'a Selection<'a, S>, range: Range<usize>) -> Self {
        Self { files: selection.files, sources: selection.sources.get(range).unwrap_or_default() }
    }
}

impl<S: SourceFiles> Part for Run<'_, S> {
    fn len(&self) -> usize {
        self.sources.len()
    }

    fn place(&self, number: usize, target: &str, several: bool, placement: &mut Placement<'_>) -> Result<()> {
        placement.place(number, self.sources.iter().map(|(_, source)| source), target, several)
    }

    fn original(&self, node: NodeId) -> Result<Original> {
        let node = self.files.tree().node(node);
        let mut metadata = node.metadata();
        if !self.files.keeps_owner() {
            (metadata.uid, metadata.gid) = (0, 0);
        }
        if !matches!(node.kind(), EntryKind::File { .. }) {
            return Ok(Original { kind: node.kind().clone(), metadata, facts: None });
        }
        let mut facts = self.files.facts(node)?;
        if let Some(xattrs) = facts.xattrs.take() {
            metadata.xattrs.extend(*xattrs);
        }
        Ok(Original { kind: EntryKind::File { size: facts.size }, metadata, facts: Some(facts) })
    }

    fn fetch<'p>(&'p self, wanted: &[NodeId], state: &BuildState, ctx: &Ctx) -> Result<Box<dyn Opener + 'p>> {
        let nodes = wanted.iter().map(|node| self.files.tree().node(*node));
        let wanted: Vec<_> = nodes.filter(|node| matches!(node.kind(), EntryKind::File { .. })).collect();
        let fetched = self.files.fetch(&wanted, state.temporary(), ctx)?;
        Ok(Box::new(OpenSelection { files: self.files, fetched }))
    }

    fn path(&self, node: NodeId) -> String {
        self.files.tree().node(node).path().to_string()
    }
}

struct OpenSelection<'a, S: SourceFiles> {
    files: &'a S,
    fetched: Box<dyn Fetched<S::Content> + 'a>,
}

impl<S: SourceFiles> Opener for OpenSelection<'_, S> {
    fn open(&self, node: NodeId) -> Result<Box<dyn io::Read>> {
        self.fetched.open(self.files.tree().node(node))
    }
}
