//! Makes an image of one layer from one of many.

use std::{env, error::Error, io::Write, process::ExitCode};

use clap::Parser;
use examples::{Cache, ImageName, Program, Result, print_made};
use image_core::{Ctx, History, ImageEdit, codec::EncodeOptions};
use image_layout::OciLayout;
use image_overlay::{ImageSource, LayerBlob, PackOptions, flatten};

/// Makes an image of one layer with the same root file system and configuration, in the same layout.
#[derive(Debug, Parser)]
#[command(name = "flatten")]
struct Flatten {
    /// The image: a layout's directory, and the image's name in it (without: latest).
    #[arg(value_name = "LAYOUT[:REF]")]
    image: ImageName,
    /// The name of the new image.
    #[arg(value_name = "NEWREF")]
    name: String,
    #[command(flatten)]
    cache: Cache,
    /// How the layer is compressed: none, gzip[:LEVEL] or zstd[:LEVEL].
    #[arg(long, value_name = "FORMAT", default_value = "gzip")]
    compression: EncodeOptions,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Program for Flatten {
    fn advice(&self, error: &(dyn Error + 'static)) -> Option<String> {
        self.image.advice(error)
    }

    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        let layout = OciLayout::open(&self.image.layout)?.leased()?;
        let image = layout.image(&self.image.reference, None)?;
        let tree = self.cache.tree(&image, ctx)?;
        let files = ImageSource::of_tree(LayerBlob::of_image(&image), tree, env::temp_dir());
        let layer = flatten(&files, layout.blobs(), PackOptions::default().with_encode(self.compression.clone()), ctx)?;
        let mut edit = ImageEdit::of(&image);
        edit.clear_layers();
        let step = format!("flatten {}", image.descriptor().digest);
        edit.push_layer(&layer.descriptor, layer.diff_id, History::new(ctx.now(), step));
        let manifest = edit.write(layout.blobs())?;
        layout.tag(&self.name, &manifest)?;
        print_made(&manifest, &self.image.sibling(&self.name), self.json, out)
    }
}

fn main() -> ExitCode {
    examples::run::<Flatten>()
}
