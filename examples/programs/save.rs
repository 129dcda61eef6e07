//! Saves images into an archive.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, ValueEnum};
use examples::{ImageName, Program, Result, text};
use image_core::{Ctx, Error, Platform};
use image_layout::{ArchiveFormat, SaveOptions, save};

/// Saves images into one archive, for Docker and podman to load.
#[derive(Debug, Parser)]
#[command(name = "save")]
struct Save {
    /// The images: for each a layout's directory, and the image's name in it (without: latest).
    #[arg(value_name = "LAYOUT[:REF]", required = true)]
    images: Vec<ImageName>,
    /// The archive, which must not exist yet; - is standard output.
    archive: PathBuf,
    /// The form of the archive.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The platform, where there are images for several.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Format {
    /// What docker save writes: layers uncompressed, of both forms at once.
    #[default]
    Docker,
    /// An OCI image layout: images as they are.
    Oci,
}

impl Program for Save {
    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        let images = self.images.iter();
        let images = images.map(|name| Ok((name.open(self.platform.as_ref())?, vec![name.reference.clone()])));
        let images: Vec<_> = images.collect::<Result<_>>()?;
        let options = SaveOptions::default().with_format(match self.format {
            Format::Docker => ArchiveFormat::Docker,
            Format::Oci => ArchiveFormat::Oci,
        });
        if self.archive.as_os_str() == "-" {
            save(&images, out, &options, ctx)?;
            return Ok(());
        }
        let file = File::create_new(&self.archive).map_err(|e| Error::io("create", &self.archive, e))?;
        if let Err(error) = save(&images, BufWriter::new(&file), &options, ctx) {
            // Half an archive is of no use. That it cannot be removed is not what went wrong first.
            drop(std::fs::remove_file(&self.archive));
            return Err(error.into());
        }
        let size = file.metadata().map_err(|e| Error::io("stat", &self.archive, e))?.len();
        writeln!(out, "saved {}: {}", self.archive.display(), text::size(size))?;
        Ok(())
    }
}

fn main() -> ExitCode {
    examples::run::<Save>()
}
