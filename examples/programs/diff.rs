//! Shows and packs the changes between two trees.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use examples::{Cache, NewFile, Program, Result, Tree, file, text};
use image_core::{BlobSourceExt, Compression, Ctx, FsBlobStore, codec::EncodeOptions};
use image_overlay::{Changes, DiffOptions, PackOptions, TreeSource, diff};

/// Lists what has to be laid over one tree to make it another: A for added, C for changed, D for deleted.
#[derive(Debug, Parser)]
#[command(name = "diff")]
struct Diff {
    /// The lower tree: a directory, or an image as LAYOUT[:REF].
    lower: String,
    /// The upper tree: a directory, or an image as LAYOUT[:REF].
    upper: String,
    /// Write the changes as a layer, too; its name says how it is compressed.
    #[arg(short, long, value_name = "LAYER.tar[.gz|.zst]")]
    output: Option<PathBuf>,
    #[command(flatten)]
    cache: Cache,
    /// Print the changes as JSON.
    #[arg(long)]
    json: bool,
}

impl Program for Diff {
    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        match (Tree::open(&self.lower, &self.cache, ctx)?, Tree::open(&self.upper, &self.cache, ctx)?) {
            (Tree::Dir(lower), Tree::Dir(upper)) => self.show(&lower, &upper, ctx, out),
            (Tree::Dir(lower), Tree::Image(upper)) => self.show(&lower, &upper, ctx, out),
            (Tree::Image(lower), Tree::Dir(upper)) => self.show(&lower, &upper, ctx, out),
            (Tree::Image(lower), Tree::Image(upper)) => self.show(&lower, &upper, ctx, out),
        }
    }
}

impl Diff {
    fn show(&self, lower: &impl TreeSource, upper: &impl TreeSource, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        let changes = diff(lower, upper, &DiffOptions::default(), ctx)?;
        if let Some(path) = &self.output {
            write_layer(&changes, path, ctx)?;
        }
        let lines = changes
            .iter()
            .map(|change| (change.letter(), format!("/{}", text::printable_bytes(change.path().as_bytes()))));
        if self.json {
            let list: Vec<_> =
                lines.map(|(change, path)| serde_json::json!({ "change": change, "path": path })).collect();
            writeln!(out, "{:#}", serde_json::Value::from(list))?;
        } else {
            for (change, path) in lines {
                writeln!(out, "{change} {path}")?;
            }
        }
        Ok(())
    }
}

/// Writes the changes to a file beside `path` that takes its place when it is whole.
fn write_layer(changes: &Changes<'_, impl TreeSource, impl TreeSource>, path: &Path, ctx: &Ctx) -> Result<()> {
    let compression = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => Compression::Gzip,
        Some("zst") => Compression::Zstd,
        _ => Compression::None,
    };
    let mut file = NewFile::create(path)?;
    let directory = file::temporary_directory()?;
    let store = FsBlobStore::create(directory.path())?;
    let options = PackOptions::default().with_encode(EncodeOptions::new(compression));
    let (layer, _) = changes.pack_without_toc(&store, options, ctx)?;
    io::copy(&mut store.open_verified(&layer)?, file.file()).map_err(|e| file.failed(e))?;
    file.replace()?;
    Ok(())
}

fn main() -> ExitCode {
    examples::run::<Diff>()
}
