//! The root file system of a stage while it is built: layers, and their merged tree when it is asked for.

use std::{
    io::{self, Read},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use image_core::{ChainId, Ctx, Image};
use image_overlay::{Contents, EntryKind, Follow, ImageTree, LayerBlob, LayerContent, NodeRef};

use crate::{
    cache::RecordedLayer,
    error::{Error, Result},
    files::{Fetched, FileFacts, SourceFiles},
    state::BuildState,
};

/// The largest `/etc/passwd` or `/etc/group` that is read, in bytes.
const MAX_ACCOUNTS: u64 = 4 << 20;

/// Layers, base layer first.
#[derive(Debug, Default)]
pub(crate) struct RootFs {
    layers: Vec<LayerBlob>,
    chain: Option<ChainId>,
    /// How many of them are an image's from outside.
    foreign: usize,
    merged: Mutex<Merged>,
}

/// The tree of the layers that were merged so far.
#[derive(Debug, Clone, Default)]
struct Merged {
    layers: usize,
    tree: Arc<ImageTree>,
    /// That of the image's layers alone, which stages on it share.
    base: Arc<ImageTree>,
}

impl Clone for RootFs {
    fn clone(&self) -> Self {
        Self {
            layers: self.layers.clone(),
            chain: self.chain.clone(),
            foreign: self.foreign,
            merged: Mutex::new(self.merged().clone()),
        }
    }
}

impl RootFs {
    /// The root file system of an image.
    pub(crate) fn of_image(image: &Image) -> Self {
        let layers = image.layers();
        let layers =
            layers.map(|layer| LayerBlob::new(image.source().clone(), layer.descriptor.clone(), layer.diff_id.clone()));
        let layers: Vec<LayerBlob> = layers.collect();
        let chain = ChainId::of(layers.iter().map(|layer| &layer.diff_id));
        Self { foreign: layers.len(), chain, layers, merged: Mutex::default() }
    }

    fn merged(&self) -> MutexGuard<'_, Merged> {
        self.merged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The layers, base layer first.
    pub(crate) fn layers(&self) -> &[LayerBlob] {
        &self.layers
    }

    /// The layers that builds have made, on top of an image's.
    pub(crate) fn own_layers(&self) -> &[LayerBlob] {
        self.layers.get(self.foreign..).unwrap_or_default()
    }

    /// What names the content: the chainID, or `scratch` where there are no layers.
    pub(crate) fn identity(&self) -> String {
        self.chain.as_ref().map_or_else(|| "scratch".into(), ToString::to_string)
    }

    /// Puts a layer of the state's store on top.
    pub(crate) fn push(&mut self, layer: &RecordedLayer, state: &BuildState) {
        self.chain = Some(match &self.chain {
            None => ChainId::bottom(&layer.diff_id),
            Some(chain) => chain.push(&layer.diff_id),
        });
        self.layers.push(LayerBlob::new(state.blobs_arc(), layer.descriptor.clone(), layer.diff_id.clone()));
    }

    /// The merged tree; layers that nobody asked for yet are merged now.
    pub(crate) fn tree(&self, state: &BuildState, ctx: &Ctx) -> Result<Arc<ImageTree>> {
        let mut merged = self.merged();
        if merged.layers < self.foreign {
            let base = state.base_tree(&self.layers[..self.foreign], ctx)?;
            *merged = Merged { layers: self.foreign, tree: Arc::clone(&base), base };
        }
        for position in merged.layers..self.layers.len() {
            let toc = state.toc(&self.layers[position], ctx)?;
            // A failed merge leaves a tree that is of no use: it is begun anew the next time.
            let Merged { mut tree, base, .. } = std::mem::take(&mut *merged);
            Arc::make_mut(&mut tree).push(position, &toc)?;
            *merged = Merged { layers: position + 1, tree, base };
        }
        Ok(Arc::clone(&merged.tree))
    }

    /// Frees the merged tree, which is large. It is merged again for who asks for it later.
    pub(crate) fn release_tree(&self) {
        *self.merged() = Merged::default();
    }

    /// The content of a small file; `None` where there is none at this path.
    pub(crate) fn read(&self, path: &str, state: &BuildState, ctx: &Ctx) -> Result<Option<Vec<u8>>> {
        let tree = self.tree(state, ctx)?;
        let node = tree.lookup(path.as_bytes(), Follow::Last)?;
        let Some(file) = node.and_then(NodeRef::content) else { return Ok(None) };
        if file.content.size > MAX_ACCOUNTS {
            return Err(image_core::Error::limit(format!("{path} of the image"), MAX_ACCOUNTS).into());
        }
        let contents = Contents::fetch(&self.layers, [file], state.temporary(), ctx)?;
        let mut bytes = Vec::new();
        contents.open(file)?.read_to_end(&mut bytes).map_err(|e| Error::stream("read the layer", e))?;
        Ok(Some(bytes))
    }
}

/// The files of a stage or an image, to be copied from.
pub(crate) struct RootFsFiles<'a> {
    rootfs: &'a RootFs,
    tree: Arc<ImageTree>,
    name: String,
}

impl<'a> RootFsFiles<'a> {
    pub(crate) fn new(rootfs: &'a RootFs, name: impl Into<String>, state: &BuildState, ctx: &Ctx) -> Result<Self> {
        Ok(Self { rootfs, tree: rootfs.tree(state, ctx)?, name: name.into() })
    }
}

impl SourceFiles for RootFsFiles<'_> {
    type Content = LayerContent;

    fn tree(&self) -> &ImageTree {
        &self.tree
    }

    fn fingerprint(&self, _: &[NodeRef<'_, LayerContent>], _: &Ctx) -> Result<()> {
        Ok(())
    }

    fn facts(&self, file: NodeRef<'_, LayerContent>) -> Result<FileFacts> {
        let content = file.content().map(|content| &content.content);
        let content = content.ok_or_else(|| Error::stream("find a file's content", io::ErrorKind::NotFound.into()))?;
        Ok(FileFacts::of_content(content))
    }

    fn fetch<'a>(
        &'a self,
        files: &[NodeRef<'_, LayerContent>],
        directory: &Path,
        ctx: &Ctx,
    ) -> Result<Box<dyn Fetched<LayerContent> + 'a>> {
        let wanted = files.iter().filter_map(|file| file.content());
        Ok(Box::new(Contents::fetch(self.rootfs.layers(), wanted, directory, ctx)?))
    }

    fn keeps_owner(&self) -> bool {
        true
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn is_ignored(&self, _: &[u8]) -> bool {
        false
    }
}

impl Fetched<LayerContent> for Contents<'_> {
    fn open(&self, file: NodeRef<'_, LayerContent>) -> Result<Box<dyn Read>> {
        match (file.content(), file.kind()) {
            (Some(content), EntryKind::File { .. }) => Ok(Box::new(Contents::open(self, content)?)),
            _ => Ok(Box::new(io::empty())),
        }
    }
}
