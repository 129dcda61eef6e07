//! COPY: from a tree of files to a layer.

use std::io;

use image_core::{
    Ctx, Digest,
    observer::{NoticeKind, Outcome, TaskKind},
};
use image_overlay::{EntryKind, ImageTree, LayerWriter, PackOptions, PackedLayer};

use super::{
    place::{Attributes, Placement},
    select::{self, Selected},
};
use crate::{
    cache::files::ListedFile,
    context::FileFingerprint,
    error::{Error, Result},
    files::SourceFiles,
    miss::Listing,
    state::BuildState,
};

/// Where a COPY puts files, and what they are like there.
pub(crate) struct Target<'a> {
    /// An absolute path; a slash at its end makes it a directory.
    pub(crate) path: &'a str,
    pub(crate) attributes: Attributes<'a>,
}

/// What a COPY takes from its source, found and read.
pub(crate) struct Selection<'a, S: SourceFiles> {
    files: &'a S,
    sources: Vec<Selected<'a, S::Content>>,
}

impl<'a, S: SourceFiles> Selection<'a, S> {
    /// Finds the sources and reads what the cache key needs of them.
    pub(crate) fn new(files: &'a S, sources: &[String], ctx: &Ctx) -> Result<Self> {
        let mut selected = Vec::new();
        for source in sources {
            let found = select::select(files, source)?;
            if found.is_empty() {
                ctx.notice(NoticeKind::Warning, source, "the pattern matches no file: nothing is copied");
            }
            selected.extend(found);
        }
        if !files.keeps_owner() {
            refuse_special(files, &selected)?;
        }
        files.fingerprint(&select::regular_files(files.tree(), &selected), ctx)?;
        Ok(Self { files, sources: selected })
    }

    /// The digest of everything taken.
    pub(crate) fn digest(&self) -> Result<Digest> {
        select::digest(self.files, &self.sources)
    }

    /// The regular files taken, by path.
    pub(crate) fn files(&self) -> Result<Vec<FileFingerprint>> {
        let mut nodes: Vec<_> = self.sources.iter().flat_map(|source| self.files.tree().walk(source.node)).collect();
        nodes.retain(|node| matches!(node.kind(), EntryKind::File { .. }));
        let mut files = Vec::with_capacity(nodes.len());
        for node in nodes {
            files.push(FileFingerprint::new(node.path().as_bytes().to_vec(), self.files.facts(node)?.sha256));
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
        Ok(files)
    }

    /// The name of the tree that it is taken from.
    pub(crate) fn from(&self) -> &str {
        self.files.name()
    }

    /// Makes the layer that puts it all at `target` on top of `root`; `None` where nothing is new.
    pub(crate) fn pack(
        &self,
        root: &ImageTree,
        target: &Target<'_>,
        options: PackOptions,
        state: &BuildState,
        ctx: &Ctx,
    ) -> Result<Option<PackedLayer>> {
        let mut placement = Placement::new(root, target.attributes);
        placement.place(&self.sources, target.path)?;
        if placement.is_empty() {
            return Ok(None);
        }
        let task = ctx.begin(TaskKind::Pack, target.path, None);
        let wanted = placement.files();
        let fetched = self.files.fetch(&wanted, state.temporary(), ctx)?;
        let mut writer = LayerWriter::new(state.blobs(), options)?;
        placement.for_each(self.files, |entry, file| {
            let Some(file) = file else {
                writer.append(entry, &mut io::empty(), ctx)?;
                return Ok(());
            };
            let facts = self.files.facts(file)?;
            let mut data = fetched.open(file)?;
            let written = writer.append(entry, &mut data, ctx).map_err(|error| match error {
                image_overlay::Error::ContentLength { .. } => Error::changed(file.path().to_string()),
                error => error.into(),
            })?;
            if !facts.sparse && written.is_some_and(|content| content.sha256 != facts.sha256) {
                return Err(Error::changed(file.path().to_string()));
            }
            task.advance(facts.size, 1);
            Ok(())
        })?;
        let layer = writer.finish()?;
        task.end(Outcome::Done);
        Ok(Some(layer))
    }
}

impl<S: SourceFiles> Listing for Selection<'_, S> {
    fn for_each(&self, visit: &mut dyn FnMut(&ListedFile) -> Result<()>) -> Result<()> {
        select::list(self.files, &self.sources, visit)
    }
}

/// A context's devices and fifos are this machine's, and reading them may never end.
fn refuse_special<S: SourceFiles>(files: &S, sources: &[Selected<'_, S::Content>]) -> Result<()> {
    let special = |kind: &EntryKind| {
        matches!(kind, EntryKind::Fifo | EntryKind::CharDevice { .. } | EntryKind::BlockDevice { .. })
    };
    match sources.iter().flat_map(|source| files.tree().walk(source.node)).find(|node| special(node.kind())) {
        Some(node) => Err(Error::SpecialFile { path: node.path().to_string(), tree: files.name().into() }),
        None => Ok(()),
    }
}
