//! Layers compressed in another way.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

use super::ImageEdit;
use crate::{
    blob::{BlobSourceExt, BlobStore, Committed, Expected},
    codec::{Compression, DecodeOptions, Decoder, EncodeOptions, Encoder},
    ctx::Ctx,
    descriptor::Descriptor,
    error::{Error, Result},
    hasher::{Hasher, HashingReader},
    id::DiffId,
    media_type::MediaType,
    observer::{Outcome, TaskKind},
};

/// How much is read at once, in bytes.
const BUFFER: usize = 256 << 10;

/// Annotations that say where things are in the compressed blob: eStargz's and zstd:chunked's.
const OF_THE_BLOB: [&str; 2] = ["containerd.io/snapshot/stargz/", "io.github.containers.zstd-chunked."];

impl ImageEdit {
    /// Compresses all layers as the options say, whatever they are compressed with; their diffIDs stay.
    ///
    /// Every layer is encoded anew, so that what comes out depends on the plain layers and the options alone. Layers that
    /// are not to be distributed stay as they are. Where else a blob can be fetched from is dropped, as it is another
    /// blob; so are annotations that are about places in it.
    ///
    /// The store has the layers, and gets the new ones; the old ones stay there, for garbage collection.
    /// Memory is that of one [`Decoder`] and one [`Encoder`].
    ///
    /// # Errors
    /// [`Error::is_not_found`] and [`Error::is_corrupt`] where a layer is missing or not what its digest and its diffID say;
    /// [`Error::is_unsupported`] for compressions that this build does not have; [`Error::is_cancelled`]; errors of
    /// the store. The layers before that one are changed then: drop the edit.
    ///
    /// # Examples
    /// ```
    /// use image_core::{Ctx, ImageEdit, codec::EncodeOptions};
    /// # use image_core::{BlobStoreExt, Descriptor, DiffId, History, ImageConfig, MediaType, MemoryBlobStore};
    /// # use image_core::{Platform, Timestamp};
    /// # let store = MemoryBlobStore::default();
    /// # let layer = store.put_bytes(&[0; 1024])?;
    /// # let mut edit = ImageEdit::new(ImageConfig::new(&Platform::new("linux", "amd64")));
    /// # let descriptor = Descriptor::new(MediaType::OciLayer, layer.digest.clone(), layer.size);
    /// # edit.push_layer(&descriptor, DiffId::from_digest(layer.digest), History::new(Timestamp::UNIX_EPOCH, ""));
    /// # #[cfg(feature = "zstd")] {
    /// edit.recompress(&store, &"zstd".parse::<EncodeOptions>()?, &Ctx::default())?;
    /// assert_eq!(edit.layers()[0].media_type, MediaType::OciLayerZstd);
    /// # }
    /// # Ok::<(), image_core::Error>(())
    /// ```
    pub fn recompress(&mut self, store: &dyn BlobStore, options: &EncodeOptions, ctx: &Ctx) -> Result<()> {
        let mut encoded: BTreeMap<&DiffId, Committed> = BTreeMap::new();
        for (layer, diff_id) in self.manifest.layers.iter_mut().zip(&self.config.rootfs.diff_ids) {
            if layer.media_type.is_nondistributable() {
                continue;
            }
            let blob = match encoded.get(diff_id) {
                Some(blob) => blob.clone(),
                None => encode(layer, diff_id, store, options, ctx)?,
            };
            encoded.insert(diff_id, blob.clone());
            layer.media_type = MediaType::layer(options.compression);
            (layer.digest, layer.size) = (blob.digest, blob.size);
            (layer.urls, layer.data) = (Vec::new(), None);
            layer.annotations.retain(|key, _| !OF_THE_BLOB.iter().any(|prefix| key.starts_with(prefix)));
        }
        Ok(())
    }
}

fn encode(
    layer: &Descriptor,
    diff_id: &DiffId,
    store: &dyn BlobStore,
    options: &EncodeOptions,
    ctx: &Ctx,
) -> Result<Committed> {
    let task = ctx.begin(TaskKind::Pack, &layer.digest.to_string(), None);
    let declared = layer.media_type.layer_compression().unwrap_or(Compression::None);
    let plain = Decoder::detect(store.open_verified(layer)?, declared, &DecodeOptions::default())?;
    let mut plain = HashingReader::new(plain, Hasher::for_digest(diff_id.as_digest())?);
    let mut writer = store.create(&Expected::any())?;
    let mut encoder = Encoder::new(&mut *writer, options)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        ctx.check()?;
        let count = match plain.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::stream("read the layer", error)),
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        encoder.write_all(bytes).map_err(|error| Error::stream("write the layer", error))?;
        task.advance(count as u64, 0);
    }
    encoder.finish()?;
    let actual = plain.into_parts().1.finish();
    if actual != *diff_id.as_digest() {
        let reason = format!("the plain layer hashes to {actual}, but its diffID is {diff_id}");
        return Err(Error::document(format!("layer {}", layer.digest), reason));
    }
    let blob = writer.commit()?;
    task.end(Outcome::Done);
    Ok(blob)
}
