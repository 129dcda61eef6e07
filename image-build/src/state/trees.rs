//! What layers hold: their tables of contents, and the trees that those of a base come to.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use image_core::{ChainId, Ctx, DiffId, Timestamp};
use image_overlay::{ImageTree, LayerBlob, LayerToc, Limits};

use super::BuildState;
use crate::{
    error::{Error, Result},
    temporary::set_time,
};

/// The largest table of contents that is read back, in bytes.
const MAX_TOC: u64 = 1 << 30;

/// The trees of bases, for as long as a stage holds one of them: stages on one base share its tree.
#[derive(Debug, Default)]
pub(super) struct Bases(Mutex<HashMap<ChainId, Arc<Mutex<Weak<ImageTree>>>>>);

impl BuildState {
    /// The merged tree of a base's layers.
    pub(crate) fn base_tree(&self, layers: &[LayerBlob], ctx: &Ctx) -> Result<Arc<ImageTree>> {
        let Some(chain) = ChainId::of(layers.iter().map(|layer| &layer.diff_id)) else { return Ok(Arc::default()) };
        let base = Arc::clone(self.bases.0.lock().unwrap_or_else(PoisonError::into_inner).entry(chain).or_default());
        // Others that want it wait, and then have it.
        let mut base = base.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tree) = base.upgrade() {
            return Ok(tree);
        }
        let mut tree = ImageTree::new();
        for (position, layer) in layers.iter().enumerate() {
            tree.push(position, &self.toc(layer, ctx)?)?;
        }
        let tree = Arc::new(tree);
        *base = Arc::downgrade(&tree);
        Ok(tree)
    }

    /// The table of contents of a layer: kept from before, or read off the layer, which is
    /// verified on the way and kept.
    pub(crate) fn toc(&self, layer: &LayerBlob, ctx: &Ctx) -> Result<LayerToc> {
        let _turn = self.reading.take(&layer.diff_id);
        if let Some(toc) = self.kept_toc(&layer.diff_id, ctx.now())? {
            return Ok(toc);
        }
        let toc = layer.toc(&Limits::default(), ctx)?;
        self.keep_toc(&layer.diff_id, &toc)?;
        Ok(toc)
    }

    /// Keeps the table of contents of a layer.
    pub(crate) fn keep_toc(&self, diff_id: &DiffId, toc: &LayerToc) -> Result<()> {
        let path = self.toc_path(diff_id);
        let failed = |e| Error::io("write", &path, e);
        let mut file = self.temporary.file().map_err(failed)?;
        toc.write_to(&mut file).map_err(failed)?;
        file.persist(&path).map_err(|e| failed(e.error))?;
        Ok(())
    }

    /// A table that is damaged counts as none: the layer is read again. When it last served is its file's time.
    fn kept_toc(&self, diff_id: &DiffId, now: Timestamp) -> Result<Option<LayerToc>> {
        let path = self.toc_path(diff_id);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("open", path, e)),
        };
        set_time(&file, now).map_err(|e| Error::io("set the time of", &path, e))?;
        let size = file.metadata().map_err(|e| Error::io("read", &path, e))?.len().min(MAX_TOC);
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default().saturating_add(1));
        file.take(MAX_TOC).read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
        Ok(LayerToc::from_vec(bytes).ok())
    }

    fn toc_path(&self, diff_id: &DiffId) -> PathBuf {
        self.toc.join(diff_id.as_digest().encoded())
    }
}
