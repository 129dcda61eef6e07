//! Over layers, each of 32 directories that hide and replace some of what is below.

use std::{io, sync::Arc};

use benches::{Result, image, layers, unpacked};
use image_core::{Compression, Ctx, Image, MemoryBlobStore, codec::EncodeOptions};
use image_layout::{LoadOptions, SaveOptions, save};
use image_overlay::{ImageSource, ImageTree, LayerBlob, LayerChanges, LayerToc, Limits, PackOptions, Usage, flatten};

use crate::curve::Growth;

const MOST: u64 = 128;

fn of_layers(count: u64) -> Result<Image> {
    image(
        &layers(count, 32)?,
        &EncodeOptions::new(Compression::Zstd).with_level(1),
        Arc::new(MemoryBlobStore::default()),
    )
}

fn tocs(count: u64) -> Result<Vec<LayerToc>> {
    Ok(LayerBlob::tocs_of_image(&of_layers(count)?, &Limits::default(), &Ctx::default())?)
}

pub(crate) fn curves(growth: &mut Growth) -> Result<()> {
    let ctx = Ctx::default();
    growth.curve("layers: one tree of their tables of contents", "layers", MOST, tocs, |tocs| {
        Ok(ImageTree::of_layers(tocs)?)
    })?;
    growth.curve("layers: what each adds and wastes", "layers", MOST, tocs, |tocs| Ok(Usage::of_layers(tocs)?))?;
    growth.curve("layers: what each changes, path by path", "layers", MOST, tocs, |tocs| {
        Ok(LayerChanges::of_layers(tocs, 1000)?)
    })?;
    growth.curve("layers: unpack", "layers", MOST, of_layers, unpacked)?;
    growth.curve("layers: flatten", "layers", MOST, of_layers, |image| {
        let spool = tempfile::tempdir()?;
        let source = ImageSource::of_image(image, spool.path(), &Limits::default(), &ctx)?;
        let options = PackOptions::default().with_encode(EncodeOptions::new(Compression::None));
        Ok(flatten(&source, &MemoryBlobStore::default(), options, &ctx)?)
    })?;
    growth.curve("layers: save", "layers", MOST, of_layers, |image| {
        Ok(save(&[(image.clone(), vec!["bench:1".into()])], io::sink(), &SaveOptions::default(), &ctx)?)
    })?;
    let archive = |count| {
        let mut archive = Vec::new();
        save(&[(of_layers(count)?, vec!["bench:1".into()])], &mut archive, &SaveOptions::default(), &ctx)?;
        Ok(archive)
    };
    growth.curve("layers: load", "layers", MOST, archive, |archive| {
        let store = MemoryBlobStore::default();
        Ok(image_layout::archive::load(archive.as_slice(), &store, &LoadOptions::default(), &ctx)?)
    })
}
