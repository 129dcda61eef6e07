//! A whole reference: name, tag and digest.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{grammar, name::Name};
use crate::{
    digest::Digest,
    error::{Error, Result, excerpt},
};

/// The tag that a reference without tag and digest means.
const DEFAULT_TAG: &str = "latest";

/// The name of an image: registry, repository, and perhaps a tag, a digest, or both.
///
/// It is kept in its full form, in which `ubuntu`, `library/ubuntu` and
/// `index.docker.io/ubuntu` are the same: two references are equal when that form is.
/// [`Display`](fmt::Display) writes the full form, [`Reference::familiar`] the short one.
/// Parsing adds no tag: see [`Reference::with_default_tag`].
///
/// # Spec
/// The grammar and the normalisation of the module `distribution/reference`, which Docker and
/// containerd use; OCI distribution-spec 1.1, § Pulling manifests, has its repository names and
/// tags. A digest of an algorithm that this crate does not know is accepted, as in a descriptor.
///
/// ```
/// use image_core::Reference;
/// let reference: Reference = "ubuntu:24.04".parse()?;
/// assert_eq!(reference.to_string(), "docker.io/library/ubuntu:24.04");
/// assert_eq!(reference.familiar(), "ubuntu:24.04");
/// assert_eq!(reference, "index.docker.io/library/ubuntu:24.04".parse()?);
/// # Ok::<(), image_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    name: Name,
    tag: Option<Box<str>>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry: a host name or address, perhaps with a port.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.name.registry
    }

    /// The repository in the registry: `library/ubuntu`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.name.repository
    }

    /// The tag, if it has one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest or index, if it has one. It decides, whatever the tag.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The reference with this tag instead of its own.
    ///
    /// # Errors
    /// [`Error::InvalidReference`] where `tag` is not a tag.
    pub fn with_tag(self, tag: &str) -> Result<Self> {
        let tag = Some(parse_tag(tag).map_err(|reason| invalid(tag, reason))?);
        Ok(Self { tag, ..self })
    }

    /// The reference with this digest instead of its own.
    #[must_use]
    pub fn with_digest(self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self }
    }

    /// The reference as it is looked up, naming one thing: with the tag `latest` if it has neither
    /// tag nor digest, and without its tag if it has a digest.
    ///
    /// Docker and containerd do the same before they ask a registry.
    ///
    /// ```
    /// use image_core::Reference;
    /// assert_eq!("ubuntu".parse::<Reference>()?.with_default_tag(), "ubuntu:latest".parse()?);
    /// # Ok::<(), image_core::Error>(())
    /// ```
    #[must_use]
    pub fn with_default_tag(self) -> Self {
        let tag = match (&self.digest, self.tag) {
            (Some(_), _) => None,
            (None, tag) => Some(tag.unwrap_or_else(|| DEFAULT_TAG.into())),
        };
        Self { tag, ..self }
    }

    /// The shortest text that is read as this reference: without Docker Hub's name and its
    /// `library/`, where that leaves no doubt.
    #[must_use]
    pub fn familiar(&self) -> String {
        self.name
            .short_forms()
            .map(|name| self.written_as(name))
            .find(|text| text.parse().is_ok_and(|parsed: Self| parsed == *self))
            .unwrap_or_else(|| self.to_string())
    }

    /// The reference with its name written as `name`.
    fn written_as(&self, name: impl fmt::Display) -> String {
        let mut text = name.to_string();
        if let Some(tag) = &self.tag {
            text.extend([":", tag]);
        }
        if let Some(digest) = &self.digest {
            text.extend(["@", &digest.to_string()]);
        }
        text
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if grammar::is_image_id(text) {
            return Err(invalid(text, "it is 64 hexadecimal digits, which is an image ID and no name"));
        }
        let (text_before_digest, digest) = match text.split_once('@') {
            Some((before, digest)) => (before, Some(digest)),
            None => (text, None),
        };
        let (name, tag) = Name::parse_prefix(text_before_digest).map_err(|reason| invalid(text, reason))?;
        let tag = tag.map(parse_tag).transpose().map_err(|reason| invalid(text, reason))?;
        let digest = digest.map(str::parse).transpose()?;
        Ok(Self { name, tag, digest })
    }
}

fn parse_tag(text: &str) -> Result<Box<str>, &'static str> {
    if grammar::is_tag(text) {
        Ok(text.into())
    } else {
        Err("its tag is not 1 to 128 letters, digits, '_', '.', '-', the first no '.' or '-'")
    }
}

fn invalid(input: &str, reason: &'static str) -> Error {
    Error::InvalidReference { input: excerpt(input), reason }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.written_as(&self.name))
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({self})")
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
