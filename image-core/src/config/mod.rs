//! Image configurations.

mod form;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    clock::Timestamp,
    descriptor::{Annotations, Extra},
    document::Body,
    history::History,
    id::DiffId,
    json,
    media_type::MediaType,
    platform::Platform,
};

/// A set of names, written as a JSON object of empty objects.
pub type NameSet = BTreeMap<String, Empty>;

/// The empty JSON object that stands behind every name of a [`NameSet`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Empty {}

impl<'de> Deserialize<'de> for Empty {
    /// Reads an object, or the null that some tools write in its place.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Object {}
        Option::<Object>::deserialize(deserializer).map(|_| Self {})
    }
}

/// An image's configuration: its platform, how to run it, its layers' diffIDs and its history.
///
/// The digest of its bytes is the image ID. Fields are written in the order in which Docker and BuildKit write
/// them: here in that of their keys, those without a name in this crate among them.
///
/// # Spec
/// OCI image-spec 1.1, config.md; Docker image specification 1.3.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct ImageConfig {
    /// The CPU architecture, by Go's name for it.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub architecture: String,
    /// Who made the image.
    #[serde(default)]
    pub author: Option<String>,
    /// How a container of the image runs.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub config: ContainerConfig,
    /// When the image was made.
    #[serde(default)]
    pub created: Option<Timestamp>,
    /// How the image was made, first step first. Some images have none.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub history: Vec<History>,
    /// The operating system, by Go's name for it.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub os: String,
    /// Features of the operating system that the image needs.
    #[serde(rename = "os.features", default, deserialize_with = "json::null_as_default")]
    pub os_features: Vec<String>,
    /// The version of the operating system.
    #[serde(rename = "os.version", default)]
    pub os_version: Option<String>,
    /// The layers, by diffID.
    pub rootfs: RootFs,
    /// The variant of the CPU architecture.
    #[serde(default)]
    pub variant: Option<String>,
    /// What this crate has no name for.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The layers of an image, by diffID, base layer first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The diffIDs, base layer first.
    #[serde(deserialize_with = "json::null_as_default")]
    pub diff_ids: Vec<DiffId>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: "layers".into(), diff_ids: Vec::new() }
    }
}

/// How a container of an image runs, by default.
///
/// Docker's fields that the OCI specification does not have (`Healthcheck`, `OnBuild`, `Shell`,
/// `StopTimeout`) are kept in OCI images too, as Docker does; those of old images that
/// nothing reads any more (`Hostname`, `Tty`, …) stay in [`ContainerConfig::extra`]. What has a `Hostname` is written as
/// Docker's engine writes it, with those fields among the others; anything else as BuildKit writes it.
///
/// # Spec
/// OCI image-spec 1.1, config.md, `config`; Docker image specification 1.3.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ContainerConfig {
    /// User or UID, and after a colon group or GID.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub user: String,
    /// Ports to expose: `80/tcp`.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub exposed_ports: NameSet,
    /// The environment: `NAME=value`, in order.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub env: Vec<String>,
    /// What runs, before the arguments. An empty list is not the same as none.
    #[serde(default, deserialize_with = "json::words")]
    pub entrypoint: Option<Vec<String>>,
    /// Arguments of the entrypoint, or what runs where there is none.
    #[serde(default, deserialize_with = "json::words")]
    pub cmd: Option<Vec<String>>,
    /// Paths whose data lives outside the container.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub volumes: NameSet,
    /// The working directory.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub working_dir: String,
    /// Labels.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub labels: Annotations,
    /// The signal that stops the container.
    #[serde(default)]
    pub stop_signal: Option<String>,
    /// Whether the command is one string already escaped for Windows.
    #[serde(default)]
    pub args_escaped: Option<bool>,
    /// How to tell that the container is well.
    #[serde(default)]
    pub healthcheck: Option<Healthcheck>,
    /// Instructions for builds that start from this image.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub on_build: Vec<String>,
    /// Seconds to wait for the container to stop.
    #[serde(default)]
    pub stop_timeout: Option<i64>,
    /// The shell of instructions in shell form.
    #[serde(default, deserialize_with = "json::words")]
    pub shell: Option<Vec<String>>,
    /// What this crate has no name for.
    #[serde(flatten)]
    pub extra: Extra,
    /// Whether `ArgsEscaped` stands behind `Healthcheck`, as BuildKit wrote it before version 0.12.
    #[serde(skip)]
    is_escaped_late: bool,
}

/// How to tell that a container is well. Times are in nanoseconds; 0 means Docker's default.
///
/// # Spec
/// Docker image specification 1.3, `Healthcheck`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", argument…]` or `["CMD-SHELL", command]`; empty to inherit.
    #[serde(default, deserialize_with = "json::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Between two checks.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// Before a check counts as hung.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// During which failures do not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Between two checks during the start period.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// Failures in a row before the container counts as unwell.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(n: &i64) -> bool {
    *n == 0
}

impl ImageConfig {
    /// An empty image for a platform.
    #[must_use]
    pub fn new(platform: &Platform) -> Self {
        Self {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            os_features: platform.os_features.clone(),
            os_version: platform.os_version.clone(),
            variant: platform.variant.clone(),
            ..Self::default()
        }
    }
}

impl Body for ImageConfig {
    const KIND: &'static str = "image config";

    fn is_media_type(media_type: &MediaType) -> bool {
        media_type.is_config()
    }

    fn note_form(&mut self, bytes: &[u8]) {
        let config = &mut self.config;
        if config.args_escaped.is_some() && config.healthcheck.is_some() {
            config.is_escaped_late = form::is_escaped_late(bytes);
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.rootfs.kind != "layers" {
            return Err(format!("rootfs.type is {:?}, not \"layers\"", self.rootfs.kind));
        }
        Ok(())
    }
}

impl ImageConfig {
    /// The history with exactly one step for each layer, in order, besides those that made none.
    ///
    /// Where steps are missing, as in images that were imported and then built upon, the base layers get steps that
    /// say nothing. A history with more layers than there are would put words beside layers that they are not
    /// about: then all layers get such steps.
    ///
    /// # Spec
    /// OCI image-spec 1.1, config.md, `history`: it may be absent, else its entries correspond to the layers.
    #[must_use]
    pub fn paired_history(&self) -> Vec<History> {
        let layers = self.rootfs.diff_ids.len();
        let told = self.history.iter().filter(|step| !step.empty_layer).count();
        match layers.checked_sub(told) {
            Some(missing) => {
                std::iter::repeat_n(History::default(), missing).chain(self.history.iter().cloned()).collect()
            }
            None => vec![History::default(); layers],
        }
    }

    /// The platform that the image is for.
    #[must_use]
    pub fn platform(&self) -> Platform {
        let mut platform = Platform::new(&*self.os, &*self.architecture);
        platform.variant.clone_from(&self.variant);
        platform.os_version.clone_from(&self.os_version);
        platform.os_features.clone_from(&self.os_features);
        platform
    }
}
