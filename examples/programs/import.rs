//! Makes an image of a root file system.

use std::{
    io::{self, BufReader, Read, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use clap::Parser;
use examples::{About, ImageName, Program, Result, file, print_made, tree};
use image_core::{
    BlobStore, Compression, ContainerConfig, Ctx, Descriptor, DiffId, FsBlobStore, History, ImageConfig, ImageEdit,
    MediaType, Platform,
    blob::Expected,
    codec::{DecodeOptions, Decoder, EncodeOptions},
    observer::{Outcome, TaskKind},
};
use image_layout::OciLayout;
use image_overlay::{Changes, Error, ImageSource, LayerBlob, Limits, PackOptions};

/// Makes an image of one layer from a root file system: a directory, or a tar archive, plain or compressed.
#[derive(Debug, Parser)]
#[command(name = "import")]
struct Import {
    /// The directory or archive.
    #[arg(value_name = "TAR|DIR")]
    source: PathBuf,
    /// The image to make: a layout's directory, which is made if absent, and the image's name in it (without: latest).
    #[arg(value_name = "LAYOUT[:REF]")]
    image: ImageName,
    /// How to run it, as the `config` of an image's configuration: {"Cmd": ["sh"]}.
    #[arg(long, value_name = "JSON")]
    config: Option<String>,
    /// What to say of it in its history.
    #[arg(long)]
    message: Option<String>,
    /// How the layer is compressed: none, gzip[:LEVEL] or zstd[:LEVEL].
    #[arg(long, value_name = "FORMAT", default_value = "gzip")]
    compression: EncodeOptions,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Program for Import {
    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        let mut config = ImageConfig::new(&Platform::of_target());
        if let Some(json) = &self.config {
            config.config = serde_json::from_str::<ContainerConfig>(json).map_err(|e| format!("--config: {e}"))?;
        }
        let layout = OciLayout::open_or_create(&self.image.layout)?.leased()?;
        let options = PackOptions::default().with_encode(self.compression.clone());
        let (layer, diff_id) = if self.source.is_dir() {
            let tree = tree::scan(&self.source, ctx)?;
            Changes::whole(&tree).pack_without_toc(layout.blobs(), options, ctx)?
        } else {
            let archive = BufReader::new(file::open(&self.source)?);
            let layer = import_tar(archive, layout.blobs(), options, ctx);
            layer.map_err(|error| About::new(format!("cannot import {}", self.source.display()), error))?
        };
        let mut step = History::new(ctx.now(), "import");
        step.comment.clone_from(&self.message);
        let mut edit = ImageEdit::new(config);
        edit.push_layer(&layer, diff_id, step);
        let manifest = edit.write(layout.blobs())?;
        layout.tag(&self.image.reference, &manifest)?;
        print_made(&manifest, &self.image, self.json, out)
    }
}

/// Writes what an archive holds as a layer of ours: in order, each path once, without names and needless records.
fn import_tar(
    archive: impl Read,
    store: &dyn BlobStore,
    options: PackOptions,
    ctx: &Ctx,
) -> Result<(Descriptor, DiffId)> {
    let mut tar = Decoder::detect(archive, Compression::None, &DecodeOptions::default())?;
    let directory = file::temporary_directory()?;
    let plain = FsBlobStore::create(directory.path())?;
    let mut blob = plain.create(&Expected::any())?;
    copy(&mut tar, &mut blob, ctx)?;
    let blob = blob.commit()?;
    let descriptor = Descriptor::new(MediaType::OciLayer, blob.digest.clone(), blob.size);
    let layer = LayerBlob::new(Arc::new(plain), descriptor, DiffId::from_digest(blob.digest));
    let tree =
        ImageSource::new(vec![layer], directory.path(), &Limits::default(), ctx).map_err(|error| match error {
            // Nobody knows the blob but this function.
            Error::LayerBlob { source, .. } => *source,
            error => error,
        })?;
    Ok(Changes::whole(&tree).pack_without_toc(store, options, ctx)?)
}

/// Copies all of an archive, until it is cancelled.
fn copy(from: &mut impl Read, to: &mut impl Write, ctx: &Ctx) -> Result<()> {
    let task = ctx.begin(TaskKind::Copy, "archive", None);
    let mut buffer = vec![0; 1 << 20];
    loop {
        ctx.check()?;
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                to.write_all(buffer.get(..count).unwrap_or_default())?;
                task.advance(count as u64, 0);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::stream("read the archive", e).into()),
        }
    }
    task.end(Outcome::Done);
    Ok(())
}

fn main() -> ExitCode {
    examples::run::<Import>()
}
