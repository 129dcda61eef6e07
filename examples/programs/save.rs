//! Saves images into an archive.

use std::{
    fs::Permissions,
    io::{self, BufWriter, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, ValueEnum};
use examples::{ImageName, Program, Result, text};
use image_core::{Ctx, Error, Image, Platform};
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

impl Save {
    /// Writes the archive beside its place, and moves it there when it is whole; gives its size in bytes.
    fn write(&self, images: &[(Image, Vec<String>)], options: &SaveOptions, ctx: &Ctx) -> Result<u64> {
        let failed = |e| Error::io("create", &self.archive, e);
        if self.archive.symlink_metadata().is_ok() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()).into());
        }
        let beside = self.archive.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let mode = Permissions::from_mode(0o666);
        let file = tempfile::Builder::new().permissions(mode).tempfile_in(beside).map_err(failed)?;
        save(images, BufWriter::new(&file), options, ctx)?;
        let written = |e| Error::io("write", &self.archive, e);
        file.as_file().sync_all().map_err(written)?;
        let size = file.as_file().metadata().map_err(written)?.len();
        file.persist_noclobber(&self.archive).map_err(|e| failed(e.error))?;
        Ok(size)
    }
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
        let size = self.write(&images, &options, ctx)?;
        writeln!(out, "saved {}: {}", self.archive.display(), text::size(size))?;
        Ok(())
    }
}

fn main() -> ExitCode {
    examples::run::<Save>()
}
