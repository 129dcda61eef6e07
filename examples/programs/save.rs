//! Saves images into an archive.

use std::{error::Error, io::Write, path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use examples::{About, ImageName, NewFile, Program, Result, text};
use image_core::{Ctx, Image, Platform, Reference};
use image_layout::{ArchiveFormat, SaveOptions, save, save_to_file};

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
    /// The name that an image has in the archive [default: that in the layout, where a registry could have it]
    #[arg(long, short, value_name = "NAME[:TAG]")]
    tag: Option<Reference>,
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
    /// What an image is called in the archive.
    fn name_of(&self, name: &ImageName) -> String {
        let tag = self.tag.clone().map(|tag| tag.with_default_tag().familiar());
        tag.unwrap_or_else(|| name.reference.clone())
    }

    /// Writes the archive beside its place, and moves it there when it is whole; gives its size in bytes.
    fn write(&self, images: &[(Image, Vec<String>)], options: &SaveOptions, ctx: &Ctx) -> Result<u64> {
        if self.archive.symlink_metadata().is_ok() {
            return Err(format!("{} exists already: remove it, or save to another file", self.archive.display()).into());
        }
        let mut file = NewFile::create(&self.archive)?;
        save_to_file(images, file.file(), options, ctx)
            .map_err(|error| About::new(format!("cannot save {}", self.archive.display()), error))?;
        file.file().sync_all().map_err(|e| file.failed(e))?;
        let size = file.file().metadata().map_err(|e| file.failed(e))?.len();
        file.place()?;
        Ok(size)
    }
}

impl Program for Save {
    fn advice(&self, error: &(dyn Error + 'static)) -> Option<String> {
        let [image] = self.images.as_slice() else { return None };
        image.advice(error)
    }

    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        if self.tag.is_some() && self.images.len() > 1 {
            return Err("--tag names one image: save the others by themselves, or tag them in the layout".into());
        }
        let images = self.images.iter();
        let images = images.map(|name| Ok((name.open(self.platform.as_ref())?, vec![self.name_of(name)])));
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
        for (name, (image, _)) in self.images.iter().zip(&images) {
            if self.platform.is_none() && name.index()?.is_some() {
                let which = format!("of {name} that for {}", image.platform());
                writeln!(out, "{} is in it; --platform chooses another", text::printable(&which))?;
            }
        }
        let is_docker = matches!(self.format, Format::Docker);
        if is_docker && images.iter().flat_map(|(_, names)| names).any(|name| !is_tag(name)) {
            writeln!(out, "manifest.json, which Docker reads, has no tag for it; --tag NAME:TAG gives it one")?;
        }
        Ok(())
    }
}

/// Whether such a name is among the tags of Docker's form.
fn is_tag(name: &str) -> bool {
    name.parse().is_ok_and(|reference: Reference| reference.tag().is_some() && reference.digest().is_none())
}

fn main() -> ExitCode {
    examples::run::<Save>()
}
