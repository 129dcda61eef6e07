//! Prints a file of an image.

use std::{env, error::Error, io::Write, process::ExitCode};

use clap::Parser;
use examples::{Cache, ImageName, Program, Result};
use image_core::{Ctx, Platform};
use image_overlay::{Contents, Follow, LayerBlob};

/// Prints one file out of an image. Nothing is unpacked for it; symbolic links are followed inside the image.
#[derive(Debug, Parser)]
#[command(name = "cat")]
struct Cat {
    /// The image: a layout's directory, and the image's name in it (without: latest).
    #[arg(value_name = "LAYOUT[:REF]")]
    image: ImageName,
    /// The file, from the root of the image.
    path: String,
    /// The platform, where there are images for several.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    #[command(flatten)]
    cache: Cache,
}

impl Program for Cat {
    fn advice(&self, error: &(dyn Error + 'static)) -> Option<String> {
        self.image.advice(error)
    }

    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        let image = self.image.open(self.platform.as_ref())?;
        let tree = self.cache.tree(&image, ctx)?;
        let found = tree.lookup(self.path.as_bytes(), Follow::Last)?;
        let file = found.ok_or_else(|| format!("{}: not found in {}", self.path, self.image))?;
        let is = if file.is_directory() { "a directory" } else { "no regular file" };
        let content = file.content().ok_or_else(|| format!("{} is {is} in {}", file.path(), self.image))?;
        let layers = LayerBlob::of_image(&image);
        let contents = Contents::fetch(&layers, [content], &env::temp_dir(), ctx)?;
        std::io::copy(&mut contents.open(content)?, out)?;
        Ok(())
    }
}

fn main() -> ExitCode {
    examples::run::<Cat>()
}
