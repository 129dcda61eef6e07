//! Images, and the one that the caller chose.

use std::{io, sync::Arc};

use image_core::{
    BlobStore, Ctx, History, Image, ImageConfig, ImageEdit, MemoryBlobStore, Platform, Timestamp, codec::EncodeOptions,
};
use image_layout::OciLayout;
use image_overlay::{LayerBlob, LayerPath, LayerWriter, PackOptions, Whiteout};

use crate::{
    Result,
    files::{Files, files, package, replaced},
    numbers::Numbers,
    switch::switch,
};

/// What a layer does.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Layer {
    /// What of the layers below it takes away.
    pub hidden: Vec<LayerPath>,
    /// What it brings.
    pub files: Files,
}

/// Layers of so many directories each. All but the first take a package of the one below away, and some of its files'
/// content.
///
/// # Errors
/// None: the paths are short.
pub fn layers(count: u64, directories: u32) -> Result<Vec<Layer>> {
    let mut layers = Vec::new();
    for number in 0..count {
        let (mut hidden, mut all) = (Vec::new(), Files::new());
        if number > 0 && directories > 16 {
            hidden.push(package(number - 1, 0)?);
            all = replaced(number - 1, 1, &mut Numbers::of_seed(number))?;
        }
        all.extend(files(number, directories)?);
        layers.push(Layer { hidden, files: all });
    }
    Ok(layers)
}

/// Writes an image of these layers, base layer first, and opens it.
///
/// # Errors
/// Those of the writer.
pub fn image(layers: &[Layer], encode: &EncodeOptions, store: Arc<impl BlobStore + 'static>) -> Result<Image> {
    let ctx = Ctx::default();
    let mut edit = ImageEdit::new(ImageConfig::new(&Platform::new("linux", "amd64")));
    for (number, content) in layers.iter().enumerate() {
        let mut layer = LayerWriter::new(&*store, PackOptions::default().with_encode(encode.clone()))?;
        for target in &content.hidden {
            layer.whiteout(&Whiteout::Plain { target: target.clone() }, &ctx)?;
        }
        for (entry, content) in &content.files {
            layer.append(entry.clone(), &mut content.as_slice(), &ctx)?;
        }
        let layer = layer.finish()?;
        edit.push_layer(
            &layer.descriptor,
            layer.diff_id,
            History::new(Timestamp::UNIX_EPOCH, format!("layer {number}")),
        );
    }
    let manifest = edit.write(&*store)?;
    Ok(Image::open(store, &manifest)?)
}

/// An image to read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Input {
    /// The image.
    pub image: Image,
    /// The bytes of its layers when plain.
    pub plain_size: u64,
    /// Whether the caller gave it.
    pub is_given: bool,
}

impl Input {
    /// A layer, plain, with all its bytes.
    ///
    /// # Errors
    /// Those of reading it.
    pub fn plain_layer(&self, number: usize) -> Result<Vec<u8>> {
        let layers = LayerBlob::of_image(&self.image);
        let mut plain = Vec::new();
        io::copy(&mut layers.get(number).ok_or("no such layer")?.open()?, &mut plain)?;
        Ok(plain)
    }
}

/// The image `latest` of the layout in `BENCH_LAYOUT`; without it one of four gzip layers, some 20 MB of 4,096 files.
///
/// # Errors
/// Where that image cannot be read.
pub fn input_image() -> Result<Input> {
    let given = switch("BENCH_LAYOUT");
    let image = match &given {
        Some(layout) => OciLayout::open(layout)?.image("latest", None)?,
        None => image(&layers(4, 64)?, &EncodeOptions::default(), Arc::new(MemoryBlobStore::default()))?,
    };
    let mut plain_size = 0;
    for layer in LayerBlob::of_image(&image) {
        plain_size += io::copy(&mut layer.open()?, &mut io::sink())?;
    }
    Ok(Input { image, plain_size, is_given: given.is_some() })
}
