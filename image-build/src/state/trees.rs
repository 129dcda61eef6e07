//! What layers hold: their tables of contents, and the trees that those of a base come to.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc},
    thread,
};

use image_core::{ChainId, Ctx, DiffId, Image, Timestamp};
use image_overlay::{ImageTree, LayerBlob, LayerToc, Limits};

use super::BuildState;
use crate::{
    error::{Error, Result},
    temporary::set_time,
    turn::Turns,
};

/// The largest table of contents that is read back, in bytes.
const MAX_TOC: u64 = 1 << 30;

/// How much memory all layers of a base may take, as [`Limits::toc_bytes`] has it for one, in bytes.
const MAX_MEMORY: u64 = 1 << 30;

/// The trees of bases, for as long as a stage holds one of them: stages on one base share its tree.
#[derive(Debug, Default)]
pub(super) struct Bases {
    trees: Mutex<BTreeMap<ChainId, Weak<ImageTree>>>,
    /// Whose tree is being made.
    making: Turns<ChainId>,
}

impl Bases {
    fn trees(&self) -> MutexGuard<'_, BTreeMap<ChainId, Weak<ImageTree>>> {
        self.trees.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BuildState {
    /// The root file system of an image as a tree. Layers that nothing is known of are read, and verified; what they hold is
    /// kept, so that the tree of the same layers takes no reading the next time, whoever asks for it.
    ///
    /// ```
    /// use image_build::BuildState;
    /// # use image_core::{BlobStore, Ctx, Image, ImageConfig, ImageEdit, MemoryBlobStore, Platform};
    /// # let (store, dir) = (std::sync::Arc::new(MemoryBlobStore::default()), tempfile::tempdir()?);
    /// # let (state, ctx) = (dir.path(), Ctx::default());
    /// # let manifest = ImageEdit::new(ImageConfig::new(&Platform::of_target())).write(&*store)?;
    /// # let image = Image::open(store, &manifest)?;
    /// let tree = BuildState::open(state)?.image_tree(&image, &ctx)?;
    /// for node in tree.walk(tree.root()) {
    ///     println!("{}", node.path());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Where a layer is missing or not what its digests say, and where all of them take more than 1 GiB of
    /// memory, [`Error::is_cancelled`], and where the state cannot be read or written.
    pub fn image_tree(&self, image: &Image, ctx: &Ctx) -> Result<Arc<ImageTree>> {
        self.base_tree(&LayerBlob::of_image(image), ctx)
    }

    /// The merged tree of a base's layers.
    pub(crate) fn base_tree(&self, layers: &[LayerBlob], ctx: &Ctx) -> Result<Arc<ImageTree>> {
        let Some(chain) = ChainId::of(layers.iter().map(|layer| &layer.diff_id)) else { return Ok(Arc::default()) };
        let _turn = self.bases.making.take(&chain, ctx)?;
        if let Some(tree) = self.bases.trees().get(&chain).and_then(Weak::upgrade) {
            return Ok(tree);
        }
        let tree = Arc::new(self.merge(layers, ctx)?);
        let mut trees = self.bases.trees();
        trees.retain(|_, tree| tree.strong_count() > 0);
        trees.insert(chain, Arc::downgrade(&tree));
        Ok(tree)
    }

    /// The tree of layers. What one holds is read while the one below is merged.
    fn merge(&self, layers: &[LayerBlob], ctx: &Ctx) -> Result<ImageTree> {
        let mut memory = 0;
        let mut read = move |layer: &LayerBlob| -> Result<LayerToc> {
            let toc = self.toc(layer, ctx)?;
            memory = within(memory, &toc, MAX_MEMORY, layer)?;
            Ok(toc)
        };
        thread::scope(|scope| {
            // Nothing waits in between: two tables of contents are in memory, and no more.
            let (found, tocs) = mpsc::sync_channel::<Result<LayerToc>>(0);
            scope.spawn(move || {
                for toc in layers.iter().map(&mut read) {
                    let is_last = toc.is_err();
                    if found.send(toc).is_err() || is_last {
                        return;
                    }
                }
            });
            let mut tree = ImageTree::new();
            for (position, toc) in tocs.into_iter().enumerate() {
                tree.push(position, &toc?)?;
            }
            Ok(tree)
        })
    }

    /// The table of contents of a layer: kept from before, or read off the layer, which is
    /// verified on the way and kept.
    pub(crate) fn toc(&self, layer: &LayerBlob, ctx: &Ctx) -> Result<LayerToc> {
        let _turn = self.reading.take(&layer.diff_id, ctx)?;
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

/// The memory of some layers and one more, if that is not too much.
fn within(memory: u64, toc: &LayerToc, limit: u64, layer: &LayerBlob) -> Result<u64> {
    let memory = memory.saturating_add(toc.memory());
    if memory > limit {
        let what = format!("memory for the layers of the base up to {}, in bytes", layer.descriptor.digest);
        return Err(image_core::Error::limit(what, limit).into());
    }
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use image_core::{Ctx, Descriptor, DiffId, Digest, MediaType, MemoryBlobStore};
    use image_overlay::{Entry, EntryKind, LayerPath, Metadata, TarWriter};

    use super::*;

    #[test]
    fn layers_of_a_base_are_bounded_together() {
        let mut tar = TarWriter::new(Vec::new());
        let entry = Entry::new(LayerPath::parse(b"a/b/c").unwrap(), EntryKind::Fifo, Metadata::new(0o644));
        tar.append(&entry, &mut io::empty()).unwrap();
        let bytes = tar.finish().unwrap();
        let toc = LayerToc::read(&bytes[..], &Limits::default(), &Ctx::default()).unwrap();
        let digest = Digest::sha256_of(&bytes);
        let descriptor = Descriptor::new(MediaType::OciLayer, digest.clone(), bytes.len() as u64);
        let layer = LayerBlob::new(Arc::new(MemoryBlobStore::default()), descriptor, DiffId::from_digest(digest));
        let once = within(0, &toc, u64::MAX, &layer).unwrap();
        assert!(once > 2 * 300, "{once}");
        assert_eq!(within(once, &toc, 2 * once, &layer).unwrap(), 2 * once);
        let error = within(once, &toc, 2 * once - 1, &layer).unwrap_err().to_string();
        assert!(error.contains(&layer.descriptor.digest.to_string()) && error.contains("memory"), "{error}");
    }
}
