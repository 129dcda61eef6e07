//! What a user of the crates writes first: a build, and a look at what came of it.

use std::{error::Error, path::Path};

use image_build::{BuildContext, BuildOptions, BuildState, Builder, BuiltImage, Dockerfile, Ignore};
use image_core::Ctx;
use image_layout::OciLayout;
use image_overlay::{UnpackOptions, unpack};

/// Builds the Dockerfile of a directory into a layout, under a name.
pub fn build(directory: &Path, state: &Path, layout: &Path, name: &str) -> Result<BuiltImage, Box<dyn Error>> {
    let dockerfile = Dockerfile::open(directory.join("Dockerfile"))?;
    let context = BuildContext::open(directory, Ignore::for_context(directory)?)?;
    let (state, layout) = (BuildState::open(state)?, OciLayout::open_or_create(layout)?.leased()?);
    let bases: Vec<OciLayout> = Vec::new();
    let builder = Builder::new(&state, &context, &bases);
    let built = builder.build(&dockerfile, &BuildOptions::default(), layout.blobs(), &Ctx::default())?;
    layout.tag(name, &built.manifest)?;
    Ok(built)
}

/// Unpacks an image of a layout; tells how many entries its layers have.
pub fn unpack_image(layout: &Path, name: &str, destination: &Path) -> Result<u64, Box<dyn Error>> {
    let image = OciLayout::open(layout)?.image(name, None)?;
    Ok(unpack(&image, destination, &UnpackOptions::default(), &Ctx::default())?.entries)
}

/// Why steps were not cached, a line for each.
pub fn reasons(built: &BuiltImage) -> Vec<String> {
    let line = |causes: Vec<String>, step: usize| format!("{step}: {}", causes.join("; "));
    built
        .misses
        .iter()
        .map(|miss| line(miss.causes.iter().map(ToString::to_string).collect(), miss.step.number))
        .collect()
}
