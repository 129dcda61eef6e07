//! Shows what an image is made of.

mod summary;
mod tree;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::Parser;
use examples::{ImageName, Program, Result};
use image_core::{Ctx, Platform};
use image_overlay::{ImageTree, Limits};

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
    /// Not supported yet: a report to open in a browser.
    #[arg(long, hide = true, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

impl Program for Inspect {
    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        if self.html.is_some() {
            return Err("--html is not supported yet".into());
        }
        let image = self.image.open(self.platform.as_ref())?;
        let tree = if self.tree { Some(ImageTree::of_image(&image, &Limits::default(), ctx)?) } else { None };
        if self.json {
            let mut value = summary::to_json(&image);
            if let Some(tree) = &tree {
                value["tree"] = tree::to_json(tree);
            }
            writeln!(out, "{value:#}")?;
        } else {
            summary::print(&self.image, &image, out)?;
            if let Some(tree) = &tree {
                tree::print(tree, out)?;
            }
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    examples::run::<Inspect>()
}
