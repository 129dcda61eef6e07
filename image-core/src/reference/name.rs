//! The name in a reference: a registry, and a repository there.

use std::fmt;

use super::grammar;

/// The registry that a name without one means.
const DEFAULT_REGISTRY: &str = "docker.io";

/// What the default registry was once called.
const LEGACY_DEFAULT_REGISTRY: &str = "index.docker.io";

/// The namespace, with its slash, that a name without one means in the default registry.
const OFFICIAL_NAMESPACE: &str = "library/";

/// A name with nothing left out of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    pub(super) registry: Box<str>,
    pub(super) repository: Box<str>,
}

impl Name {
    /// Reads the name that `text` begins with, and what follows it: nothing, or a colon and a tag.
    pub(super) fn parse_prefix(text: &str) -> Result<(Self, Option<&str>), &'static str> {
        let (registry, rest) = split_registry(text);
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if repository.is_empty() {
            return Err("it has no repository name");
        }
        if repository.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err("its repository name is not lower case");
        }
        let is_official = registry == DEFAULT_REGISTRY && !repository.contains('/');
        let repository = if is_official { format!("{OFFICIAL_NAMESPACE}{repository}") } else { repository.to_owned() };
        if !grammar::is_registry(registry) {
            return Err("its registry is not a host name or address with an optional port");
        }
        if !grammar::is_repository(&repository) {
            return Err("its repository name is longer than 255 bytes, or not letters and digits \
                        parted by one of '/', '.', '_', '__', '-'");
        }
        Ok((Self { registry: registry.into(), repository: repository.into() }, tag))
    }

    /// Ways to write the name that leave something out, shortest first. They may mean another name.
    pub(super) fn short_forms(&self) -> impl Iterator<Item = &str> {
        let repository = (*self.registry == *DEFAULT_REGISTRY).then_some(&*self.repository);
        let official = repository.and_then(|repository| repository.strip_prefix(OFFICIAL_NAMESPACE));
        official.into_iter().chain(repository)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)
    }
}

/// Parts the registry from the rest: the first component is one if it could not be a namespace.
fn split_registry(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((LEGACY_DEFAULT_REGISTRY, rest)) => (DEFAULT_REGISTRY, rest),
        Some((first, rest))
            if first == "localhost" || first.contains(['.', ':']) || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_REGISTRY, text),
    }
}
