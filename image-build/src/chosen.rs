//! What a COPY takes, found when it is asked for.

use image_core::{Ctx, Digest};

use crate::{
    cache::files::ListedFile,
    context::source::ContextFiles,
    copy_words::CopyWords,
    effect::copy::Selection,
    error::Result,
    files::SourceFiles,
    miss::Listing,
    rootfs::{RootFs, RootFsFiles},
    state::BuildState,
};

/// What a COPY takes from one tree.
pub(crate) trait Chosen {
    /// The tree.
    type Files: SourceFiles;

    /// Calls `read` with what is taken.
    fn with<R>(&self, read: impl FnOnce(&Selection<'_, Self::Files>) -> Result<R>) -> Result<R>;

    /// Whether an ignore file leaves out what is at this path.
    fn is_ignored(&self, path: &[u8]) -> bool;
}

/// Files of a context, which were read already.
pub(crate) struct OfContext<'a>(pub(crate) Selection<'a, ContextFiles<'a>>);

impl<'a> Chosen for OfContext<'a> {
    type Files = ContextFiles<'a>;

    fn with<R>(&self, read: impl FnOnce(&Selection<'_, Self::Files>) -> Result<R>) -> Result<R> {
        read(&self.0)
    }

    fn is_ignored(&self, path: &[u8]) -> bool {
        self.0.is_ignored(path)
    }
}

/// Files of a stage or an image. Its layers' tables of contents are not read where the digest of what is taken is known.
pub(crate) struct OfRootFs<'a> {
    pub(crate) rootfs: &'a RootFs,
    pub(crate) name: &'a str,
    pub(crate) words: &'a CopyWords,
    pub(crate) state: &'a BuildState,
    pub(crate) ctx: &'a Ctx,
}

impl<'a> Chosen for OfRootFs<'a> {
    type Files = RootFsFiles<'a>;

    fn with<R>(&self, read: impl FnOnce(&Selection<'_, Self::Files>) -> Result<R>) -> Result<R> {
        let files = RootFsFiles::new(self.rootfs, self.name, self.state, self.ctx)?;
        read(&Selection::new(&files, self.words.paths(), &self.words.choice, self.ctx)?)
    }

    fn is_ignored(&self, _: &[u8]) -> bool {
        false
    }
}

impl OfRootFs<'_> {
    /// The digest of what is taken, which follows from the layers and the words: it is found out once.
    pub(crate) fn digest(&self) -> Result<Digest> {
        let definition = self.words.selection_from(&self.rootfs.identity());
        if let Some(known) = self.state.selected(&definition, self.ctx.now())? {
            return Ok(known);
        }
        self.with(|selection| {
            let digest = selection.digest()?;
            // Warnings are given in every build.
            if !selection.warn_of_unmatched(self.ctx) {
                self.state.keep_selected(&definition, &digest)?;
            }
            Ok(digest)
        })
    }
}

/// The files, to be listed.
pub(crate) struct Listed<'c, C>(pub(crate) &'c C);

impl<C: Chosen> Listing for Listed<'_, C> {
    fn for_each(&self, visit: &mut dyn FnMut(&ListedFile) -> Result<()>) -> Result<()> {
        self.0.with(|selection| selection.for_each(visit))
    }

    fn is_ignored(&self, path: &[u8]) -> bool {
        self.0.is_ignored(path)
    }
}
