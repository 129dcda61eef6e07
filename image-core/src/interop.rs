//! Conversions to and from the types of the `oci-spec` crate.
//!
//! ```
//! use image_core::{Descriptor, Digest, MediaType};
//! let ours = Descriptor::new(MediaType::OciManifest, Digest::sha256_of(b"{}"), 2);
//! let theirs = oci_spec::image::Descriptor::try_from(&ours)?;
//! assert_eq!(Descriptor::try_from(&theirs)?, ours);
//! # Ok::<(), image_core::Error>(())
//! ```
//!
//! # Losses
//! A value that came from `oci-spec` comes back as it was, but that an empty list or map becomes an
//! absent one, ports and volumes are sorted, and times are written anew. The types of `oci-spec` do not hold:
//!
//! - fields that no specification names: all `extra` fields, but for `features` of a platform;
//! - Docker's fields of a config: Healthcheck, OnBuild, Shell, StopTimeout, ArgsEscaped.
//!
//! So a document that was converted and written has another digest than the one it came from:
//! convert to look or to edit, and keep the [`crate::Document`] to store and copy.

use std::collections::HashMap;

use oci_spec::image as oci;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    config::ImageConfig,
    descriptor::{Annotations, Descriptor},
    digest::Digest,
    error::{Error, Result},
    index::ImageIndex,
    manifest::ImageManifest,
    media_type::MediaType,
    platform::Platform,
};

/// The field of a platform that the specification keeps for later, and that [`Platform`] has no name for.
const FEATURES: &str = "features";

impl From<&MediaType> for oci::MediaType {
    fn from(ours: &MediaType) -> Self {
        ours.as_str().into()
    }
}

impl From<&oci::MediaType> for MediaType {
    fn from(theirs: &oci::MediaType) -> Self {
        theirs.as_ref().into()
    }
}

impl TryFrom<&Digest> for oci::Digest {
    type Error = Error;

    fn try_from(ours: &Digest) -> Result<Self> {
        let input = ours.to_string();
        input.parse().map_err(|_| Error::InvalidDigest { input, reason: "the oci-spec crate does not take it" })
    }
}

impl TryFrom<&oci::Digest> for Digest {
    type Error = Error;

    fn try_from(theirs: &oci::Digest) -> Result<Self> {
        theirs.as_ref().parse()
    }
}

impl From<&Platform> for oci::Platform {
    fn from(ours: &Platform) -> Self {
        let features = ours.extra.get(FEATURES).cloned();
        let mut theirs = Self::default();
        theirs
            .set_architecture(architecture(&ours.architecture))
            .set_os(ours.os.as_str().into())
            .set_os_version(ours.os_version.clone())
            .set_os_features(list(&ours.os_features))
            .set_variant(ours.variant.clone())
            .set_features(features.and_then(|features| serde_json::from_value(features).ok()));
        theirs
    }
}

impl From<&oci::Platform> for Platform {
    fn from(theirs: &oci::Platform) -> Self {
        let mut ours = Self::new(theirs.os().to_string(), theirs.architecture().to_string());
        ours.os_version.clone_from(theirs.os_version());
        ours.os_features = theirs.os_features().clone().unwrap_or_default();
        ours.variant.clone_from(theirs.variant());
        if let Some(features) = theirs.features() {
            ours.extra.insert(FEATURES.into(), features.as_slice().into());
        }
        ours
    }
}

impl TryFrom<&Descriptor> for oci::Descriptor {
    type Error = Error;

    fn try_from(ours: &Descriptor) -> Result<Self> {
        let mut theirs = Self::new((&ours.media_type).into(), ours.size, oci::Digest::try_from(&ours.digest)?);
        theirs
            .set_urls(list(&ours.urls))
            .set_annotations(map(&ours.annotations))
            .set_platform(ours.platform.as_ref().map(Into::into))
            .set_artifact_type(ours.artifact_type.as_deref().map(Into::into))
            .set_data(ours.data.clone());
        Ok(theirs)
    }
}

impl TryFrom<&oci::Descriptor> for Descriptor {
    type Error = Error;

    fn try_from(theirs: &oci::Descriptor) -> Result<Self> {
        let mut ours = Self::new(theirs.media_type().into(), theirs.digest().try_into()?, theirs.size());
        ours.urls = theirs.urls().clone().unwrap_or_default();
        ours.annotations = sorted(theirs.annotations().as_ref());
        ours.platform = theirs.platform().as_ref().map(Into::into);
        ours.artifact_type = theirs.artifact_type().as_ref().map(ToString::to_string);
        ours.data.clone_from(theirs.data());
        Ok(ours)
    }
}

impl TryFrom<&ImageManifest> for oci::ImageManifest {
    type Error = Error;

    fn try_from(ours: &ImageManifest) -> Result<Self> {
        let mut theirs = oci::ImageManifestBuilder::default()
            .schema_version(schema_version(ours.schema_version)?)
            .config(oci::Descriptor::try_from(&ours.config)?)
            .layers(each::<_, oci::Descriptor>(&ours.layers)?)
            .build()
            .map_err(|e| Error::document("image manifest", e.to_string()))?;
        theirs
            .set_media_type(ours.media_type.as_ref().map(Into::into))
            .set_artifact_type(ours.artifact_type.as_deref().map(Into::into))
            .set_subject(ours.subject.as_ref().map(TryInto::try_into).transpose()?)
            .set_annotations(map(&ours.annotations));
        Ok(theirs)
    }
}

impl TryFrom<&oci::ImageManifest> for ImageManifest {
    type Error = Error;

    fn try_from(theirs: &oci::ImageManifest) -> Result<Self> {
        let mut ours = Self::new(theirs.config().try_into()?, each(theirs.layers())?);
        ours.schema_version = theirs.schema_version().into();
        ours.media_type = theirs.media_type().as_ref().map(Into::into);
        ours.artifact_type = theirs.artifact_type().as_ref().map(ToString::to_string);
        ours.subject = theirs.subject().as_ref().map(TryInto::try_into).transpose()?;
        ours.annotations = sorted(theirs.annotations().as_ref());
        Ok(ours)
    }
}

impl TryFrom<&ImageIndex> for oci::ImageIndex {
    type Error = Error;

    fn try_from(ours: &ImageIndex) -> Result<Self> {
        let mut theirs = oci::ImageIndexBuilder::default()
            .schema_version(schema_version(ours.schema_version)?)
            .manifests(each::<_, oci::Descriptor>(&ours.manifests)?)
            .build()
            .map_err(|e| Error::document("image index", e.to_string()))?;
        theirs
            .set_media_type(ours.media_type.as_ref().map(Into::into))
            .set_artifact_type(ours.artifact_type.as_deref().map(Into::into))
            .set_subject(ours.subject.as_ref().map(TryInto::try_into).transpose()?)
            .set_annotations(map(&ours.annotations));
        Ok(theirs)
    }
}

impl TryFrom<&oci::ImageIndex> for ImageIndex {
    type Error = Error;

    fn try_from(theirs: &oci::ImageIndex) -> Result<Self> {
        let mut ours = Self::new(each(theirs.manifests())?);
        ours.schema_version = theirs.schema_version().into();
        ours.media_type = theirs.media_type().as_ref().map(Into::into);
        ours.artifact_type = theirs.artifact_type().as_ref().map(ToString::to_string);
        ours.subject = theirs.subject().as_ref().map(TryInto::try_into).transpose()?;
        ours.annotations = sorted(theirs.annotations().as_ref());
        Ok(ours)
    }
}

impl TryFrom<&ImageConfig> for oci::ImageConfiguration {
    type Error = Error;

    fn try_from(ours: &ImageConfig) -> Result<Self> {
        let mut theirs: Self = through_json(ours)?;
        theirs.set_architecture(architecture(&ours.architecture));
        Ok(theirs)
    }
}

impl TryFrom<&oci::ImageConfiguration> for ImageConfig {
    type Error = Error;

    fn try_from(theirs: &oci::ImageConfiguration) -> Result<Self> {
        through_json(theirs)
    }
}

/// Converts configs, whose types agree on the JSON.
fn through_json<T: Serialize, U: DeserializeOwned>(config: &T) -> Result<U> {
    let convert = || serde_json::from_value(serde_json::to_value(config)?);
    convert().map_err(|source| Error::Json { document: "image config".into(), source })
}

/// `oci-spec` 0.10 reads `armbe` as `arm64be`.
fn architecture(name: &str) -> oci::Arch {
    match name {
        "armbe" => oci::Arch::ARMbe,
        name => name.into(),
    }
}

fn schema_version(version: u64) -> Result<u32> {
    u32::try_from(version).map_err(|_| Error::document("document", format!("schemaVersion is {version}, not 2")))
}

fn each<'a, T, U: TryFrom<&'a T, Error = Error>>(items: &'a [T]) -> Result<Vec<U>> {
    items.iter().map(TryInto::try_into).collect()
}

fn list(ours: &[String]) -> Option<Vec<String>> {
    (!ours.is_empty()).then(|| ours.to_vec())
}

fn map(ours: &Annotations) -> Option<HashMap<String, String>> {
    (!ours.is_empty()).then(|| ours.clone().into_iter().collect())
}

fn sorted(theirs: Option<&HashMap<String, String>>) -> Annotations {
    theirs.cloned().unwrap_or_default().into_iter().collect()
}
