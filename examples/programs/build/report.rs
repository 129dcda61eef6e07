//! What a build says when it is done.

use std::{io::Write, path::Path};

use examples::{Result, text};
use image_build::{BuiltImage, BuiltIndex, StepRecord};
use image_core::{Descriptor, Reference};
use serde_json::{Value, json};

/// What was built: an image, or an index of the images for several platforms.
pub(crate) enum Built {
    Image(BuiltImage),
    Index(BuiltIndex),
}

/// What it is called, and what is to be told.
pub(crate) struct Report<'a> {
    pub(crate) layout: &'a Path,
    pub(crate) reference: &'a str,
    /// Why steps were carried out.
    pub(crate) explain: bool,
}

impl Built {
    /// What is to be named.
    pub(crate) fn descriptor(&self) -> &Descriptor {
        match self {
            Self::Image(image) => &image.manifest,
            Self::Index(built) => &built.index,
        }
    }

    /// The records of all steps.
    pub(crate) fn records(&self) -> impl Iterator<Item = &StepRecord> {
        self.images().iter().flat_map(|image| &image.records)
    }

    fn images(&self) -> &[BuiltImage] {
        match self {
            Self::Image(image) => std::slice::from_ref(image),
            Self::Index(built) => &built.images,
        }
    }

    /// The images of an index, each with its platform.
    fn platforms(&self) -> impl Iterator<Item = (String, &BuiltImage)> {
        let built = match self {
            Self::Image(_) => None,
            Self::Index(built) => Some(built),
        };
        let pairs = built.into_iter().flat_map(|built| built.platforms.iter().zip(&built.images));
        pairs.map(|(platform, image)| (platform.to_string(), image))
    }

    fn steps(&self) -> (usize, usize) {
        let images = self.images().iter();
        images.fold((0, 0), |(cached, done), image| (cached + image.cached, done + image.done))
    }
}

impl Report<'_> {
    pub(crate) fn json(&self, built: &Built) -> Result<Value> {
        let (cached, done) = built.steps();
        let mut result = json!({
            "digest": built.descriptor().digest,
            "layout": self.layout,
            "ref": self.reference,
            "steps": { "cached": cached, "done": done },
        });
        match built {
            Built::Image(image) => {
                result["imageId"] = serde_json::to_value(&image.id)?;
                result["size"] = image.size.into();
            }
            Built::Index(_) => {
                let image = |(platform, image): (String, &BuiltImage)| {
                    json!({
                        "platform": platform,
                        "digest": image.manifest.digest,
                        "imageId": image.id,
                        "size": image.size,
                    })
                };
                result["images"] = built.platforms().map(image).collect();
            }
        }
        if self.explain {
            let misses: Vec<_> = built.images().iter().flat_map(|image| &image.misses).collect();
            result["misses"] = serde_json::to_value(misses)?;
        }
        Ok(result)
    }

    pub(crate) fn print(&self, built: &Built, out: &mut dyn Write) -> Result<()> {
        let (cached, done) = built.steps();
        writeln!(out, "digest: {}", built.descriptor().digest)?;
        if let Built::Image(image) = built {
            writeln!(out, "image ID: {}", image.id)?;
            writeln!(out, "size: {}", text::size(image.size))?;
        }
        for (platform, image) in built.platforms() {
            let (digest, size) = (&image.manifest.digest, text::size(image.size));
            writeln!(out, "{platform}: {digest}, image ID {}, {size}", image.id)?;
        }
        writeln!(out, "steps: {cached} cached, {done} done")?;
        self.hints(built, out)
    }

    fn hints(&self, built: &Built, out: &mut dyn Write) -> Result<()> {
        let layout = self.layout.components().as_path().display();
        let image = text::shell_word(&format!("{layout}:{}", self.reference));
        let rootfs = text::shell_word(&format!("{layout}.rootfs"));
        let name = self.docker_name();
        // Tools take the image for this machine, unless they are told which.
        let chosen = built.platforms().next().map(|(platform, _)| platform);
        let ours = chosen.as_ref().map(|platform| format!("--platform {platform} ")).unwrap_or_default();
        let theirs = chosen.as_deref().map(overrides).unwrap_or_default();
        writeln!(out, "\nto look at it, unpack it, or hand it to podman or Docker:")?;
        writeln!(out, "  cargo run --release --example inspect -- {ours}{image}")?;
        writeln!(out, "  cargo run --release --example unpack -- {ours}{image} {rootfs}")?;
        writeln!(out, "  skopeo {theirs}copy oci:{image} containers-storage:{name}")?;
        writeln!(out, "  skopeo {theirs}copy oci:{image} docker-daemon:{name}")?;
        Ok(())
    }

    /// A name that podman and Docker take, and look for nowhere else.
    fn docker_name(&self) -> String {
        let directory = self.layout.file_name().unwrap_or_default().to_string_lossy();
        let (own, made) = (self.reference, format!("{directory}:{}", self.reference));
        let name = if own.contains(':') { own } else { &made };
        let name = if name.contains('/') { name.to_owned() } else { format!("localhost/{name}") };
        if name.parse::<Reference>().is_ok() { name } else { "localhost/image:latest".into() }
    }
}

/// The options by which skopeo chooses a platform.
fn overrides(platform: &str) -> String {
    let names = ["--override-os", "--override-arch", "--override-variant"];
    names.iter().zip(platform.split('/')).map(|(name, value)| format!("{name} {value} ")).collect()
}
