//! What goes over the wire.

use std::{path::Path, sync::Arc};

use benches::{Result, input_image};
use image_build::{BuildContext, BuildOptions, BuildState, Builder, Dockerfile, Ignore};
use image_core::{Ctx, Image, ImageEdit, MemoryBlobStore, codec::EncodeOptions};
use image_layout::OciLayout;

use crate::{Found, copies::made, saved};

/// Seeds make no bytes that compress as real ones do.
fn image() -> Result<(Image, &'static str)> {
    let input = input_image()?;
    if input.is_given {
        return Ok((input.image, "the image given"));
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
    let sources = BuildContext::open(workspace, Ignore::parse("sources", b".*\n**/target\n")?)?;
    let made = made()?;
    let directory = tempfile::tempdir()?;
    let (state, bases, output) =
        (BuildState::open(directory.path())?, Vec::<OciLayout>::new(), Arc::new(MemoryBlobStore::default()));
    let dockerfile = Dockerfile::parse("FROM scratch\nCOPY . /src/\nCOPY --from=made run /srv/run\n")?;
    let builder = Builder::new(&state, &sources, &bases).with_named_context("made", &made);
    let built = builder.build(&dockerfile, &BuildOptions::default(), &*output, &Ctx::default())?;
    Ok((Image::open(output, &built.manifest)?, "the sources of this workspace, and this program"))
}

pub(crate) fn zstd() -> Result<Found> {
    let (image, what) = image()?;
    let size = |form: &str| -> Result<f64> {
        let options: EncodeOptions = form.parse()?;
        // Layers are read where the new ones go.
        let store = MemoryBlobStore::default();
        image_layout::copy(&**image.source(), &store, image.descriptor(), &Default::default(), &Ctx::default())?;
        let mut edit = ImageEdit::of(&image);
        edit.recompress(&store, &options, &Ctx::default())?;
        Ok(edit.layers().iter().map(|layer| layer.size).sum::<u64>() as f64 / 1e6)
    };
    let gzip = size("gzip:6")?;
    let mut found = Vec::new();
    let mut sizes = format!("{what}: gzip:6 {gzip:.1} MB");
    for form in ["zstd:3", "zstd:9", "zstd:19"] {
        let size = size(form)?;
        found.push((format!("by {form} in place of gzip:6"), saved(size, gzip)));
        sizes += &format!(", {form} {size:.1} MB");
    }
    Ok(Found { claim: "zstd saves 30 % of the transfer", saved: found, how: sizes })
}
