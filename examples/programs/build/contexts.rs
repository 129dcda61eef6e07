//! Names that `--build-context` gives a meaning.

use std::path::PathBuf;

use examples::{ImageName, Result};
use image_build::{BuildContext, Builder, Ignore};
use image_core::{Image, ImageResolver, Platform, Reference};
use image_layout::OciLayout;

use crate::cache::CacheOptions;

/// A name, and what it stands for.
#[derive(Debug, Clone)]
pub(crate) struct NamedContext {
    name: String,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Directory(PathBuf),
    Layout(ImageName),
    Image(Reference),
}

impl std::str::FromStr for NamedContext {
    type Err = String;

    /// Reads `NAME=DIR`, `NAME=oci-layout://LAYOUT[:REF]` or `NAME=docker-image://IMAGE`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, place) = super::pair(text)?;
        let place = if let Some(image) = place.strip_prefix("oci-layout://") {
            Place::Layout(image.parse()?)
        } else if let Some(image) = place.strip_prefix("docker-image://") {
            Place::Image(image.parse().map_err(|e: image_core::Error| e.to_string())?)
        } else {
            Place::Directory(place.into())
        };
        Ok(Self { name, place })
    }
}

/// What names stand for, opened.
pub(crate) enum Opened {
    Files(BuildContext),
    Layout(InLayout, Reference),
    Image(Reference),
}

/// The image of a name in a layout, whatever reference it is asked for by.
pub(crate) struct InLayout {
    layout: OciLayout,
    name: String,
}

impl ImageResolver for InLayout {
    fn resolve(&self, _: &Reference, platform: &Platform) -> image_core::Result<Option<Image>> {
        Ok(Some(self.layout.image(&self.name, Some(platform))?))
    }
}

impl NamedContext {
    pub(crate) fn open(&self, options: &CacheOptions) -> Result<Opened> {
        Ok(match &self.place {
            Place::Directory(directory) => Opened::Files(options.context(directory, Ignore::for_context(directory)?)?),
            Place::Layout(image) => {
                let layout = OciLayout::open(&image.layout)?;
                // What it is called in errors; the layout is not asked for it.
                let reference = self.name.parse().or_else(|_| "localhost/context".parse())?;
                Opened::Layout(InLayout { layout, name: image.reference.clone() }, reference)
            }
            Place::Image(reference) => Opened::Image(reference.clone()),
        })
    }

    /// Lets the name stand for that in what is built; images come from `bases` where it names one.
    pub(crate) fn give<'a>(
        &self,
        opened: &'a Opened,
        bases: &'a dyn ImageResolver,
        builder: Builder<'a>,
    ) -> Builder<'a> {
        match opened {
            Opened::Files(context) => builder.with_named_context(&self.name, context),
            Opened::Layout(layout, reference) => builder.with_named_image(&self.name, reference.clone(), layout),
            Opened::Image(reference) => builder.with_named_image(&self.name, reference.clone(), bases),
        }
    }
}
