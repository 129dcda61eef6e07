//! Unpacks an image to a root file system.

use std::{error::Error, io::Write, path::PathBuf, process::ExitCode};

use clap::Parser;
use examples::{Cache, ImageName, Program, Result, text, tree};
use image_core::{Ctx, Platform};
use image_overlay::{ApplyOptions, Ownership, UnpackOptions, unpack};

/// Unpacks an image to a directory: its root file system.
#[derive(Debug, Parser)]
#[command(name = "unpack")]
struct Unpack {
    /// The image: a layout's directory, and the image's name in it (without: latest).
    #[arg(value_name = "LAYOUT[:REF]")]
    image: ImageName,
    /// Where the tree goes: absent, or an empty directory.
    dest: PathBuf,
    /// The platform, where there are images for several.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// Make the files the caller's own, and note whose they are in the image in extended attributes, as umoci does.
    #[arg(long)]
    rootless: bool,
    #[command(flatten)]
    cache: Cache,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Program for Unpack {
    fn advice(&self, error: &(dyn Error + 'static)) -> Option<String> {
        self.image.advice(error)
    }

    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        let image = self.image.open(self.platform.as_ref())?;
        let mut apply = ApplyOptions::default();
        if self.rootless {
            apply = apply.with_ownership(Ownership::Recorded);
        }
        let is_kept = self.cache.is_kept()?;
        let unpacked = unpack(&image, &self.dest, &UnpackOptions::default().with_apply(apply), ctx)?;
        if is_kept {
            self.cache.keep_known(&image, &self.dest, &tree::scan(&self.dest, ctx)?, ctx)?;
        }
        if self.json {
            let result = serde_json::json!({
                "digest": image.descriptor().digest,
                "layers": unpacked.layers,
                "entries": unpacked.entries,
                "contentBytes": unpacked.content_bytes,
            });
            writeln!(out, "{result:#}")?;
        } else {
            let bytes = text::size(unpacked.content_bytes);
            writeln!(out, "unpacked {} to {}", image.descriptor().digest, self.dest.display())?;
            writeln!(out, "layers: {}, entries: {}, content: {bytes}", unpacked.layers, unpacked.entries)?;
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    examples::run::<Unpack>()
}
