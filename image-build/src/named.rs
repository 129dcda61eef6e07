//! Names that the caller gives a meaning: directories, and images in place of stages and base images.

use std::collections::BTreeMap;

use image_core::{ImageResolver, Reference};

use crate::context::BuildContext;

/// What a name stands for.
#[derive(Clone)]
pub(crate) enum NamedContext<'a> {
    /// The files of a directory.
    Files(&'a BuildContext),
    /// The image that the resolver has under this reference.
    Image(&'a dyn ImageResolver, Reference),
}

/// Names, and what they stand for.
#[derive(Clone, Default)]
pub(crate) struct NamedContexts<'a>(BTreeMap<String, NamedContext<'a>>);

impl<'a> NamedContexts<'a> {
    pub(crate) fn insert(&mut self, name: &str, context: NamedContext<'a>) {
        self.0.insert(normal(name), context);
    }

    /// What the name of a stage, of an image or of a context stands for.
    pub(crate) fn get(&self, name: &str) -> Option<&NamedContext<'a>> {
        if self.0.is_empty() { None } else { self.0.get(&normal(name)) }
    }

    /// The directories.
    pub(crate) fn files(&self) -> impl Iterator<Item = &'a BuildContext> {
        self.0.values().filter_map(|context| match context {
            NamedContext::Files(files) => Some(*files),
            NamedContext::Image(..) => None,
        })
    }
}

/// A name in the form in which they are compared: `base`, `base:latest` and `docker.io/library/base` are one.
fn normal(name: &str) -> String {
    match name.parse::<Reference>() {
        Ok(reference) => reference.familiar().trim_end_matches(":latest").to_owned(),
        Err(_) => name.to_ascii_lowercase(),
    }
}
