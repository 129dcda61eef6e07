//! The image without its files.

use std::io::{self, Write};

use examples::{
    ImageName,
    text::{printable, short_size, size},
};
use image_core::{ContainerConfig, History, Image, image::Layer};
use serde_json::{Value, json};

use crate::history::steps;

/// Prints digests, platform, configuration, and the history with the layers.
pub(crate) fn print(name: &ImageName, image: &Image, out: &mut dyn Write) -> io::Result<()> {
    let config = image.config().value();
    writeln!(out, "image:    {}", printable(&name.to_string()))?;
    writeln!(out, "digest:   {}", image.descriptor().digest)?;
    writeln!(out, "image ID: {}", image.id())?;
    writeln!(out, "platform: {}", printable(&image.platform().to_string()))?;
    if let Some(created) = config.created {
        writeln!(out, "created:  {created}")?;
    }
    if let Some(author) = &config.author {
        writeln!(out, "author:   {}", printable(author))?;
    }
    writeln!(out, "size:     {}, layers: {}", size(total(image)), image.layers().len())?;

    writeln!(out, "\nconfig:")?;
    for (key, value) in settings(&config.config) {
        writeln!(out, "  {key}: {}", printable(&value))?;
    }
    writeln!(out, "\nhistory:")?;
    for (step, layer) in steps(image) {
        print_step(&step, layer.as_ref(), out)?;
    }
    Ok(())
}

fn print_step(step: &History, layer: Option<&Layer<'_>>, out: &mut dyn Write) -> io::Result<()> {
    let size = layer.map_or_else(|| "-".into(), |layer| short_size(layer.descriptor.size));
    writeln!(out, "  {size:>10}  {}", printable(step.created_by.as_deref().unwrap_or("unknown")))?;
    match layer {
        Some(layer) => writeln!(out, "{:12}  layer {}: {}", "", layer.position, layer.descriptor.digest),
        None => Ok(()),
    }
}

/// How a container runs, as names and values.
pub(crate) fn settings(config: &ContainerConfig) -> Vec<(&'static str, String)> {
    let words = |words: &Option<Vec<String>>| words.iter().map(|words| json!(words).to_string()).collect();
    let one = |text: &str| if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
    let all: [(&str, Vec<String>); 12] = [
        ("user", one(&config.user)),
        ("working directory", one(&config.working_dir)),
        ("entrypoint", words(&config.entrypoint)),
        ("cmd", words(&config.cmd)),
        ("shell", words(&config.shell)),
        ("env", config.env.clone()),
        ("port", config.exposed_ports.keys().cloned().collect()),
        ("volume", config.volumes.keys().cloned().collect()),
        ("label", config.labels.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        ("stop signal", config.stop_signal.iter().cloned().collect()),
        ("healthcheck", config.healthcheck.iter().map(|check| json!(check).to_string()).collect()),
        ("onbuild", config.on_build.clone()),
    ];
    all.into_iter().flat_map(|(key, values)| values.into_iter().map(move |value| (key, value))).collect()
}

/// The image as JSON: its documents, and what they come to.
pub(crate) fn to_json(image: &Image) -> Value {
    let layer = |layer: Layer<'_>| json!({ "descriptor": layer.descriptor, "diffId": layer.diff_id });
    json!({
        "descriptor": image.descriptor(),
        "imageId": image.id(),
        "platform": image.platform(),
        "size": total(image),
        "config": image.config().value(),
        "layers": image.layers().map(layer).collect::<Vec<_>>(),
    })
}

/// The size of manifest, config and layers as they are stored, in bytes.
pub(crate) fn total(image: &Image) -> u64 {
    let documents = [image.manifest().bytes().len() as u64, image.config().bytes().len() as u64];
    let layers = image.layers().map(|layer| layer.descriptor.size);
    documents.into_iter().chain(layers).fold(0, u64::saturating_add)
}
