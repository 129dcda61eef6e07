//! A build context as a source of files.

use std::{io::Read, path::Path};

use image_core::Ctx;
use image_overlay::NodeRef;

use super::{BuildContext, ContextFile, ContextTree};
use crate::{
    error::{Error, Result},
    files::{Fetched, FileFacts, SourceFiles},
    stat_cache::StatCache,
};

/// A build context that was listed.
pub(crate) struct ContextFiles<'a> {
    context: &'a BuildContext,
    tree: &'a ContextTree,
    name: String,
}

impl<'a> ContextFiles<'a> {
    /// Lists a context; `wants_all` where all of its files will be asked for.
    pub(crate) fn new(
        context: &'a BuildContext,
        name: impl Into<String>,
        known: Option<&StatCache>,
        wants_all: bool,
        ctx: &Ctx,
    ) -> Result<Self> {
        Ok(Self { context, tree: context.list(known, wants_all, ctx)?, name: name.into() })
    }
}

impl SourceFiles for ContextFiles<'_> {
    type Content = ContextFile;

    fn tree(&self) -> &ContextTree {
        self.tree
    }

    fn is_known(&self) -> bool {
        self.context.is_known()
    }

    fn fingerprint(&self, files: &[NodeRef<'_, ContextFile>], ctx: &Ctx) -> Result<()> {
        self.context.read_facts(files, ctx)
    }

    fn facts(&self, file: NodeRef<'_, ContextFile>) -> Result<FileFacts> {
        let facts = file.content().and_then(ContextFile::facts);
        facts.ok_or_else(|| Error::changed(self.context.path_of(&file.path())))
    }

    fn fetch<'a>(
        &'a self,
        _: &[NodeRef<'_, ContextFile>],
        _: &Path,
        _: &Ctx,
    ) -> Result<Box<dyn Fetched<ContextFile> + 'a>> {
        Ok(Box::new(Open(self.context)))
    }

    fn keeps_owner(&self) -> bool {
        false
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn is_ignored(&self, path: &[u8]) -> bool {
        self.context.ignore().matches(path)
    }
}

struct Open<'a>(&'a BuildContext);

impl Fetched<ContextFile> for Open<'_> {
    fn open(&self, file: NodeRef<'_, ContextFile>) -> Result<Box<dyn Read>> {
        Ok(self.0.open_file(&file.path())?)
    }
}
