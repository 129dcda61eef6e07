//! Applies a layer to a directory.

use std::{
    io::{BufReader, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use examples::{About, Program, Result, file};
use image_core::{
    Compression, Ctx,
    codec::{DecodeOptions, Decoder},
};
use image_overlay::{ApplyOptions, Ownership, Root, apply_layer};

/// Applies one layer, a tar archive, plain or compressed by gzip or zstd, to a directory, whiteouts and all.
#[derive(Debug, Parser)]
#[command(name = "apply")]
struct Apply {
    /// The layer's file.
    layer: PathBuf,
    /// The directory, which has the layers below it.
    root: PathBuf,
    /// Make the files the caller's own, whoever the layer says owns them.
    #[arg(long)]
    rootless: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Program for Apply {
    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        let file = BufReader::new(file::open(&self.layer)?);
        let root = Root::open(&self.root)?;
        let cannot = |error: image_overlay::Error| About::new(format!("cannot apply {}", self.layer.display()), error);
        let layer =
            Decoder::detect(file, Compression::None, &DecodeOptions::default()).map_err(|e| cannot(e.into()))?;
        let ownership = if self.rootless { Ownership::Current } else { Ownership::AsIs };
        let options = ApplyOptions::default().with_ownership(ownership);
        let applied = apply_layer(layer, &root, &options, ctx).map_err(cannot)?;
        if self.json {
            let result = serde_json::json!({ "entries": applied.entries, "contentBytes": applied.content_bytes });
            writeln!(out, "{result:#}")?;
        } else {
            writeln!(out, "applied {} to {}", self.layer.display(), self.root.display())?;
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    examples::run::<Apply>()
}
