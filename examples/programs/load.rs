//! Loads images out of an archive.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use examples::{About, Program, Result, file, text};
use image_core::{Ctx, codec::EncodeOptions};
use image_layout::{LoadOptions, OciLayout};

/// Loads all images of an archive of Docker or OCI, compressed or not, into a layout.
#[derive(Debug, Parser)]
#[command(name = "load")]
struct Load {
    /// The archive; - is standard input.
    archive: PathBuf,
    /// The layout's directory, made where it is missing.
    layout: PathBuf,
    /// A name for the archive's only image, instead of its own.
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// Compress layers that are not compressed: none, gzip[:LEVEL] or zstd[:LEVEL]. The image has another digest then, and the same ID. Without, all are kept as they are.
    #[arg(long, value_name = "FORMAT")]
    compression: Option<EncodeOptions>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Program for Load {
    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        let archive: Box<dyn Read> = if self.archive.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            Box::new(file::open(&self.archive)?)
        };
        let layout = OciLayout::open_or_create(&self.layout)?;
        let mut options = LoadOptions::default();
        options.name.clone_from(&self.reference);
        options.encode.clone_from(&self.compression);
        let loaded = layout.load(archive, &options, ctx);
        let loaded = loaded.map_err(|error| About::new(format!("cannot load {}", self.archive.display()), error))?;
        if self.json {
            let images = loaded.iter();
            let images =
                images.map(|image| serde_json::json!({"digest": image.descriptor.digest, "names": image.names}));
            writeln!(out, "{:#}", images.collect::<serde_json::Value>())?;
        } else {
            for image in &loaded {
                let names = if image.names.is_empty() { "(no name)".to_owned() } else { image.names.join(" ") };
                writeln!(out, "{} {}", image.descriptor.digest, text::printable(&names))?;
            }
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    examples::run::<Load>()
}
