//! The image without its files.

use std::{
    io::{self, Write},
    time::Duration,
};

use examples::{
    ImageName,
    text::{printable, short_size, size},
};
use image_core::{ContainerConfig, Document, Healthcheck, History, Image, ImageIndex, image::Layer};
use serde_json::{Value, json};

use crate::history::steps;

/// How many platforms of an index are named.
const SHOWN_PLATFORMS: usize = 20;

/// Prints digests, platform, configuration, and the history with the layers.
pub(crate) fn print(
    name: &ImageName,
    image: &Image,
    index: Option<&Document<ImageIndex>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let config = image.config().value();
    writeln!(out, "image:    {}", printable(&name.to_string()))?;
    writeln!(out, "digest:   {}", image.descriptor().digest)?;
    writeln!(out, "image ID: {}", image.id())?;
    writeln!(out, "platform: {}", printable(&image.platform().to_string()))?;
    if let Some(index) = index {
        writeln!(out, "one of:   {}; --platform shows another", printable(&platforms(index)))?;
        writeln!(out, "index:    {}", index.digest())?;
    }
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

/// The platforms that an index names, in its order; of many the first.
fn platforms(index: &Document<ImageIndex>) -> String {
    let named = index.value().manifests.iter().filter_map(|manifest| manifest.platform.as_ref());
    let mut known = named.filter(|platform| !platform.is_unknown());
    let first: Vec<String> = known.by_ref().take(SHOWN_PLATFORMS).map(ToString::to_string).collect();
    match known.count() {
        0 => first.join(", "),
        more => format!("{}, and {more} more", first.join(", ")),
    }
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
        ("healthcheck", config.healthcheck.iter().map(healthcheck).collect()),
        ("onbuild", config.on_build.clone()),
    ];
    all.into_iter().flat_map(|(key, values)| values.into_iter().map(move |value| (key, value))).collect()
}

/// How a container's health is checked: the command as JSON, and what is not as usual, as a Dockerfile has it.
fn healthcheck(check: &Healthcheck) -> String {
    let mut text = json!(check.test).to_string();
    let times = [
        ("interval", check.interval),
        ("timeout", check.timeout),
        ("start-period", check.start_period),
        ("start-interval", check.start_interval),
    ];
    for (name, nanoseconds) in times.into_iter().filter(|(_, time)| *time != 0) {
        text += &match u64::try_from(nanoseconds) {
            Ok(nanoseconds) => format!(" --{name}={:?}", Duration::from_nanos(nanoseconds)),
            Err(_) => format!(" --{name}={nanoseconds}ns"),
        };
    }
    if check.retries != 0 { text + &format!(" --retries={}", check.retries) } else { text }
}

/// The image as JSON: its documents, and what they come to.
pub(crate) fn to_json(image: &Image, index: Option<&Document<ImageIndex>>) -> Value {
    let layer = |layer: Layer<'_>| json!({ "descriptor": layer.descriptor, "diffId": layer.diff_id });
    json!({
        "index": index.map(|index| json!({ "digest": index.digest(), "manifests": index.value().manifests })),
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
