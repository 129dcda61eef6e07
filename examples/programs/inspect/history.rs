//! The steps of an image's history, with the layers that they made.

use image_core::{History, Image, image::Layer};

/// A step, and its layer where it made one.
pub(crate) type Step<'a> = (History, Option<Layer<'a>>);

/// The steps in order. Old images have no history, or too short a one: a layer without a step has an empty one.
pub(crate) fn steps(image: &Image) -> Vec<Step<'_>> {
    let mut layers = image.layers();
    let mut steps = Vec::new();
    for step in &image.config().value().history {
        let layer = if step.empty_layer { None } else { layers.next() };
        steps.push((step.clone(), layer));
    }
    steps.extend(layers.map(|layer| (History::default(), Some(layer))));
    steps
}
