//! Makes an image of an edited unpack of another.

use std::{error::Error, io::Write, path::PathBuf, process::ExitCode, sync::Arc};

use clap::Parser;
use examples::{Cache, ImageName, Program, Result, file, print_made, text, tree};
use image_build::{BuildContext, BuildOptions, BuildState, Builder, Dockerfile, Ignore};
use image_core::{
    Ctx, Descriptor, History, Image, ImageEdit, ImageResolver, Platform, Reference, codec::EncodeOptions,
};
use image_layout::OciLayout;
use image_overlay::{Change, Changes, DiffOptions, PackOptions, TreeSource, diff};

/// Makes a new image, in the same layout, of an image and an edited unpack of it: one new layer holds what changed.
#[derive(Debug, Parser)]
#[command(name = "commit")]
struct Commit {
    /// The image: a layout's directory, and the image's name in it (without: latest).
    #[arg(value_name = "LAYOUT[:REF]")]
    image: ImageName,
    /// The edited root file system.
    rootfs: PathBuf,
    /// The name of the new image.
    #[arg(value_name = "NEWREF")]
    name: String,
    /// Change the configuration, too, by an instruction of a Dockerfile that makes no layer: CMD, ENV, LABEL, USER…
    #[arg(long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// ROOTFS was unpacked with --rootless: owners are those that are noted there.
    #[arg(long)]
    rootless: bool,
    #[command(flatten)]
    cache: Cache,
    /// How the layer is compressed: none, gzip[:LEVEL] or zstd[:LEVEL].
    #[arg(long, value_name = "FORMAT", default_value = "gzip")]
    compression: EncodeOptions,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Program for Commit {
    fn advice(&self, error: &(dyn Error + 'static)) -> Option<String> {
        self.image.advice(error)
    }

    fn run(&self, ctx: &Ctx, out: &mut dyn Write) -> Result<()> {
        let layout = OciLayout::open(&self.image.layout)?.leased()?;
        let image = layout.image(&self.image.reference, None)?;
        let lower = self.cache.source(&image, ctx)?;
        let scan = if self.rootless { tree::scan_recorded } else { tree::scan_known };
        let upper = scan(&self.rootfs, self.cache.known(&self.rootfs)?, ctx)?;
        let changes = diff(&lower, &upper, &DiffOptions::default(), ctx)?;
        let mut manifest = image.descriptor().clone();
        let mut made = String::from("none, as no file changed");
        if !changes.is_empty() {
            let options = PackOptions::default().with_encode(self.compression.clone());
            let (layer, diff_id) = changes.pack_without_toc(layout.blobs(), options, ctx)?;
            let mut edit = ImageEdit::of(&image);
            edit.push_layer(&layer, diff_id, History::new(ctx.now(), "commit"));
            manifest = edit.write(layout.blobs())?;
            made = format!("{}, {}", text::size(layer.size), counted(&changes));
        }
        if !self.change.is_empty() {
            manifest = change(&layout, &manifest, &self.change, ctx)?;
        }
        layout.tag(&self.name, &manifest)?;
        print_made(&manifest, &self.image.sibling(&self.name), self.json, out)?;
        if !self.json {
            writeln!(out, "layer: {made}")?;
        }
        Ok(())
    }
}

/// How many paths changed in which way.
fn counted(changes: &Changes<'_, impl TreeSource, impl TreeSource>) -> String {
    let (mut added, mut modified, mut deleted) = (0, 0, 0);
    for change in changes.iter() {
        match change {
            Change::Add(_) => added += 1,
            Change::Modify(_) => modified += 1,
            Change::Delete(_) => deleted += 1,
        }
    }
    format!("{added} added, {modified} changed, {deleted} deleted")
}

/// The instructions that change the configuration alone.
const CHANGES: [&str; 12] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
];

/// Builds on an image with instructions alone.
fn change(layout: &OciLayout, manifest: &Descriptor, changes: &[String], ctx: &Ctx) -> Result<Descriptor> {
    for change in changes {
        let keyword = change.split_whitespace().next().unwrap_or("").to_ascii_uppercase();
        if !CHANGES.contains(&keyword.as_str()) || change.contains('\n') {
            let known = CHANGES.join(", ");
            return Err(format!("--change {change:?}: write one instruction, of {known}").into());
        }
    }
    let image = Image::open(Arc::new(layout.blobs().clone()), manifest)?;
    let annotations = image.manifest().value().annotations.clone();
    let dockerfile = Dockerfile::parse_named("--change", format!("FROM image\n{}\n", changes.join("\n")))?;
    let directory = file::temporary_directory()?;
    let nothing = file::temporary_directory()?;
    let context = BuildContext::open(nothing.path(), Ignore::default())?;
    let state = BuildState::open(directory.path())?;
    let options = BuildOptions::default().with_platform(image.platform());
    // Its steps are not those of a build that the user began.
    let ctx = &Ctx::default().with_cancel(ctx.cancel_token().clone());
    let built = Builder::new(&state, &context, &Only(image)).build(&dockerfile, &options, layout.blobs(), ctx)?;
    let mut edit = ImageEdit::of(&Image::open(Arc::new(layout.blobs().clone()), &built.manifest)?);
    edit.annotations = annotations;
    Ok(edit.write(layout.blobs())?)
}

/// Knows one image, by every name.
struct Only(Image);

impl ImageResolver for Only {
    fn resolve(&self, _: &Reference, _: &Platform) -> image_core::Result<Option<Image>> {
        Ok(Some(self.0.clone()))
    }
}

fn main() -> ExitCode {
    examples::run::<Commit>()
}
