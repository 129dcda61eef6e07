//! From an image's layers to snapshots.

use std::io;

use image_core::{
    BlobSourceExt, ChainId, Ctx, DiffId, Image,
    document::MAX_LAYERS,
    hasher::{Hasher, HashingReader},
};

use super::{SnapshotDirs, Snapshots, View};
use crate::{
    apply::Applied,
    content::{LayerBlob, damage_or},
    error::{Error, Result},
    unpack::{UnpackOptions, decoder},
};

impl Snapshots {
    /// Makes what is missing of an image's chain of snapshots, and gives a view of its top; `None` for an image
    /// without layers.
    ///
    /// Blobs are verified by size and digest, and layers by their diffID, before a snapshot of theirs can be seen.
    /// Two processes that need the same snapshot may both make it; one of them is then kept. Layers whose snapshots
    /// are there already do not count against [`Limits::image_bytes`](crate::Limits::image_bytes).
    ///
    /// # Errors
    /// [`Error::Layer`] around what is wrong with a layer; [`Error::is_cancelled`]; those of the file system.
    /// What was made of lower layers stays.
    pub fn ensure(&self, image: &Image, options: &UnpackOptions, ctx: &Ctx) -> Result<Option<View>> {
        self.ensure_layers(&LayerBlob::of_image(image), options, ctx)
    }

    /// As [`Snapshots::ensure`], of these layers, base layer first.
    ///
    /// # Errors
    /// As [`Snapshots::ensure`].
    pub fn ensure_layers(&self, layers: &[LayerBlob], options: &UnpackOptions, ctx: &Ctx) -> Result<Option<View>> {
        if layers.len() > MAX_LAYERS {
            return Err(image_core::Error::limit("layers of the image", MAX_LAYERS as u64).into());
        }
        let chains = chains(layers.iter().map(|layer| &layer.diff_id));
        let Some(top) = chains.last() else { return Ok(None) };
        // All of them are kept from here on, those that are not there yet too.
        let view = {
            let exclusive = self.store.disk.lock()?;
            View::new(&self.store, &exclusive, top, &chains)?
        };
        let present = chains.iter().rposition(|chain| self.contains(chain)).map_or(0, |top| top + 1);
        let mut options = options.clone();
        for (position, layer) in layers.iter().enumerate().skip(present) {
            let parent = position.checked_sub(1).and_then(|below| chains.get(below));
            let Some(chain) = chains.get(position) else { break };
            let added = self.add(layer, parent, chain, &options, ctx);
            let applied = added.map_err(|error| in_layer(position, layer, error, ctx))?;
            options.apply.bytes_below = options.apply.bytes_below.saturating_add(applied.counted_bytes);
        }
        Ok(Some(view))
    }

    fn add(
        &self,
        layer: &LayerBlob,
        parent: Option<&ChainId>,
        chain: &ChainId,
        options: &UnpackOptions,
        ctx: &Ctx,
    ) -> Result<Applied> {
        let store = &self.store;
        let held = {
            let exclusive = store.disk.lock()?;
            parent.map_or(Ok(()), |parent| store.require(parent))?;
            store.disk.create(&exclusive, parent.map_or(&[], std::slice::from_ref))?
        };
        let applied = match self.apply(layer, &store.dirs(&held, parent)?, options, ctx) {
            Ok(applied) => applied,
            Err(error) => {
                // What cannot be deleted now is deleted when the store is opened again.
                drop(store.disk.delete(held, &Ctx::default()));
                return Err(error);
            }
        };
        if let Some(superfluous) = store.commit(held, chain)? {
            store.disk.delete(superfluous, ctx)?;
        }
        Ok(applied)
    }

    fn apply(&self, layer: &LayerBlob, dirs: &SnapshotDirs, options: &UnpackOptions, ctx: &Ctx) -> Result<Applied> {
        let blob = layer.source.open_verified(&layer.descriptor)?;
        let decoder = decoder(blob, &layer.descriptor, options, ctx)?;
        let mut plain = HashingReader::new(decoder, Hasher::for_digest(layer.diff_id.as_digest())?);
        let applied = self.store.form.apply(&mut plain, dirs, &options.apply, ctx)?;
        io::copy(&mut plain, &mut io::sink()).map_err(|e| Error::stream("read the layer", e))?;
        let (decoder, hasher) = plain.into_parts();
        decoder.into_inner().drain()?;
        let (expected, actual) = (layer.diff_id.clone(), DiffId::from_digest(hasher.finish()));
        if expected == actual { Ok(applied) } else { Err(Error::DiffIdMismatch { expected, actual }) }
    }
}

/// The chainIDs of each layer and those below it, base layer first.
fn chains<'a>(layers: impl Iterator<Item = &'a DiffId>) -> Vec<ChainId> {
    let mut chains = Vec::<ChainId>::new();
    for diff_id in layers {
        chains.push(chains.last().map_or_else(|| ChainId::bottom(diff_id), |below| below.push(diff_id)));
    }
    chains
}

fn in_layer(position: usize, layer: &LayerBlob, error: Error, ctx: &Ctx) -> Error {
    if error.is_cancelled() {
        return error;
    }
    let error = damage_or(error, &*layer.source, &layer.descriptor, ctx);
    Error::Layer { position, digest: layer.descriptor.digest.clone(), source: Box::new(error) }
}
