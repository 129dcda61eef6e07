//! Makes an image of a root file system.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser;
use examples::{ImageName, Program, Result, print_made};
use image_core::{
    BlobStore, Compression, ContainerConfig, Ctx, Descriptor, DiffId, FsBlobStore, History, ImageConfig, ImageEdit,
    MediaType, Platform,
    blob::Expected,
    codec::{DecodeOptions, Decoder, EncodeOptions},
    observer::{Outcome, TaskKind},
};
use image_layout::OciLayout;
use image_overlay::{Changes, DirSource, ImageSource, LayerBlob, Limits, PackOptions, PackedLayer, Root};

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
    /// How its layer is compressed: none, gzip[:LEVEL] or zstd[:LEVEL].
    #[arg(long, value_name = "FORMAT", default_value = "gzip")]
    compression: EncodeOptions,
    /// What to say of it in its history.
    #[arg(long)]
    message: Option<String>,
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
        let layer = if self.source.is_dir() {
            let tree = DirSource::scan(Root::open(&self.source)?, ctx)?;
            Changes::whole(&tree).pack(layout.blobs(), options, ctx)?
        } else {
            import_tar(&self.source, layout.blobs(), options, ctx)?
        };
        let mut step = History::new(ctx.now(), "import");
        step.comment.clone_from(&self.message);
        let mut edit = ImageEdit::new(config);
        edit.push_layer(&layer.descriptor, layer.diff_id, step);
        let manifest = edit.write(layout.blobs())?;
        layout.tag(&self.image.reference, &manifest)?;
        print_made(&manifest, &self.image, self.json, out)
    }
}

/// Writes what an archive holds as a layer of ours: in order, each path once, without names and needless records.
fn import_tar(path: &Path, store: &dyn BlobStore, options: PackOptions, ctx: &Ctx) -> Result<PackedLayer> {
    let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut tar = Decoder::detect(BufReader::new(file), Compression::None, &DecodeOptions::default())?;
    let directory = tempfile::tempdir()?;
    let plain = FsBlobStore::create(directory.path())?;
    let mut blob = plain.create(&Expected::any())?;
    copy(&mut tar, &mut blob, ctx)?;
    let blob = blob.commit()?;
    let descriptor = Descriptor::new(MediaType::OciLayer, blob.digest.clone(), blob.size);
    let layer = LayerBlob::new(Arc::new(plain), descriptor, DiffId::from_digest(blob.digest));
    let tree = ImageSource::new(vec![layer], directory.path(), &Limits::default(), ctx)?;
    Ok(Changes::whole(&tree).pack(store, options, ctx)?)
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
            Err(e) => return Err(e.into()),
        }
    }
    task.end(Outcome::Done);
    Ok(())
}

fn main() -> ExitCode {
    examples::run::<Import>()
}
