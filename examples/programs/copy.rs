//! Copies an image from one layout to another.

use std::{error::Error, io::Write, process::ExitCode};

use clap::Parser;
use examples::{ImageName, Program, Result, text};
use image_core::{Ctx, Platform};
use image_layout::{CopyOptions, OciLayout, copy, ref_name::IMAGE_NAME};

/// Copies an image between layouts: the one for a platform, or all there are under its name.
#[derive(Debug, Parser)]
#[command(name = "copy")]
struct Copy {
    /// The image: a layout's directory, and the image's name in it (without: latest).
    #[arg(value_name = "LAYOUT[:REF]")]
    from: ImageName,
    /// Where it goes: a layout's directory, made where it is missing, and the image's name there.
    #[arg(value_name = "LAYOUT[:REF]")]
    to: ImageName,
    /// The platform, where there are images for several (without: this machine's).
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", conflicts_with = "all")]
    platform: Option<Platform>,
    /// Copy the images for all platforms.
    #[arg(long)]
    all: bool,
    /// Copy what is about the image too: signatures, attestations, lists of contents.
    #[arg(long)]
    referrers: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Program for Copy {
    fn advice(&self, error: &(dyn Error + 'static)) -> Option<String> {
        self.from.advice(error)
    }

    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        let from = OciLayout::open(&self.from.layout)?;
        let mut image = if self.all {
            from.resolve(&self.from.reference)?
        } else {
            from.image(&self.from.reference, self.platform.as_ref())?.descriptor().clone()
        };
        let to = OciLayout::open_or_create(&self.to.layout)?.leased()?;
        let options = CopyOptions::default();
        let copied = if self.referrers {
            from.copy_with_referrers(&to, &image, &options, ctx)?
        } else {
            copy(from.blobs(), to.blobs(), &image, &options, ctx)?
        };
        if self.to.reference != self.from.reference {
            image.annotations.remove(IMAGE_NAME);
        }
        to.tag(&self.to.reference, &image)?;
        if self.json {
            let result = serde_json::json!({
                "digest": image.digest,
                "blobs": copied.blobs,
                "alreadyPresent": copied.already_present,
                "bytes": copied.bytes,
                "referrers": copied.referrers,
            });
            writeln!(out, "{result:#}")?;
        } else {
            writeln!(out, "copied {} to {}", image.digest, self.to)?;
            let bytes = text::size(copied.bytes);
            writeln!(out, "blobs: {}, already there: {}, written: {bytes}", copied.blobs, copied.already_present)?;
            if self.referrers {
                writeln!(out, "of these about the image: {} manifests", copied.referrers)?;
            }
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    examples::run::<Copy>()
}
