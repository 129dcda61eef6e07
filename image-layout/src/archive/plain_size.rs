//! How large layers are when uncompressed.

use image_core::{
    Compression, Ctx, Descriptor,
    blob::{BlobSource, BlobSourceExt},
    codec::{DecodeOptions, Decoder},
    observer::{Outcome, TaskKind},
};

use super::docker_write::transfer;
use crate::error::Result;

/// A blob this large is certainly of more than the 4 GiB that gzip can tell; smaller ones may be, which writing them shows.
const MAX_TELLING: u64 = u32::MAX as u64;
/// The shortest gzip member: header, an empty block and the trailer.
const MIN_GZIP: u64 = 20;

/// How the size of a layer is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sizing {
    /// By decompressing it.
    Exact,
    /// By what its last bytes say, where they say something: right for a gzip stream of one member and less than 4 GiB.
    Told,
}

/// The size of a layer when uncompressed, and whether it is certain.
pub(super) fn plain_size(
    source: &dyn BlobSource,
    layer: &Descriptor,
    sizing: Sizing,
    ctx: &Ctx,
) -> Result<(u64, bool)> {
    let declared = layer.media_type.layer_compression().unwrap_or(Compression::None);
    let blob = source.require(&layer.digest)?;
    match Decoder::detect(blob.clone(), declared, &DecodeOptions::default())?.compression() {
        Compression::None => return Ok((layer.size, true)),
        Compression::Gzip if sizing == Sizing::Told && (MIN_GZIP..MAX_TELLING).contains(&layer.size) => {
            let mut told = [0; 4];
            if blob.read_at(&mut told, layer.size - 4).is_ok_and(|count| count == told.len()) {
                return Ok((u32::from_le_bytes(told).into(), false));
            }
        }
        _ => {}
    }
    let task = ctx.begin(TaskKind::Index, &layer.digest.to_string(), Some(layer.size));
    let mut plain = Decoder::detect(source.open_verified(layer)?, declared, &DecodeOptions::default())?;
    let mut size = 0;
    transfer(&mut plain, &task, ctx, |bytes| {
        size += bytes.len() as u64;
        Ok(())
    })?;
    task.end(Outcome::Done);
    Ok((size, true))
}
