//! Shows what an image is made of.

mod history;
mod html;
mod report;
mod summary;
mod tree;

use std::{
    error::Error,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use examples::{Cache, ImageName, NewFile, Program, Result};
use image_core::{Ctx, Image, Platform};
use image_overlay::Limits;

/// Shows an image: digests, platform, configuration, history, and layers with their sizes.
#[derive(Debug, Parser)]
#[command(name = "inspect")]
struct Inspect {
    /// The image: a layout's directory, and the image's name in it (without: latest).
    #[arg(value_name = "LAYOUT[:REF]")]
    image: ImageName,
    /// The platform, where there are images for several.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// List the files of the root file system, too. Nothing is unpacked for it.
    #[arg(long)]
    tree: bool,
    /// Write a report to open in a browser: layers, a map of the files by size, wasted bytes, changes, configuration.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    cache: Cache,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

impl Program for Inspect {
    fn advice(&self, error: &(dyn Error + 'static)) -> Option<String> {
        self.image.advice(error)
    }

    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        let image = self.image.open(self.platform.as_ref())?;
        let index = self.image.index()?;
        if let Some(file) = &self.html {
            self.write_report(&image, file, ctx)?;
        }
        let tree = if self.tree { Some(self.cache.tree(&image, ctx)?) } else { None };
        if self.json {
            let mut value = summary::to_json(&image, index.as_ref());
            if let Some(tree) = &tree {
                value["tree"] = tree::to_json(tree);
            }
            writeln!(out, "{value:#}")?;
        } else {
            summary::print(&self.image, &image, index.as_ref(), out)?;
            if let Some(tree) = &tree {
                tree::print(tree, out)?;
            }
            if let Some(file) = &self.html {
                writeln!(out, "\nreport: {}", file.display())?;
            }
        }
        Ok(())
    }
}

impl Inspect {
    /// Writes the report beside its place, and moves it there when it is whole.
    fn write_report(&self, image: &Image, path: &Path, ctx: &Ctx) -> Result<()> {
        let mut file = NewFile::create(path)?;
        let report = report::Report::of_image(image, &Limits::default(), ctx)?;
        let page = html::page(&self.image, image, &report)?;
        ctx.check()?;
        file.file().write_all(page.as_bytes()).map_err(|e| file.failed(e))?;
        Ok(file.replace()?)
    }
}

fn main() -> ExitCode {
    examples::run::<Inspect>()
}
