//! Configurations as Docker and BuildKit write them.
//!
//! Both write the top level from a sorted map. What is below `config` comes from types of theirs, whose fields are in
//! the order below; Docker's has more of them, and writes most of them even where they are empty.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};

use Empty::{AsItIs, Nothing, Null};

use super::{ContainerConfig, ImageConfig};
use crate::json::SortedFields;

/// The field that Docker's engine always writes and nobody else does.
const MARK_OF_DOCKER: &str = "Hostname";

/// Docker's record of the container that an image was made of, a configuration like the one that counts.
const OF_THE_CONTAINER: &str = "container_config";

/// What is written of a field that is empty.
#[derive(Clone, Copy)]
enum Empty {
    Nothing,
    Null,
    AsItIs,
}

/// The fields as BuildKit writes them.
const BUILDKIT: [(&str, Empty); 14] = [
    ("User", Nothing),
    ("ExposedPorts", Nothing),
    ("Env", Nothing),
    ("Entrypoint", Nothing),
    ("Cmd", Nothing),
    ("Volumes", Nothing),
    ("WorkingDir", Nothing),
    ("Labels", Nothing),
    ("StopSignal", Nothing),
    ("ArgsEscaped", Nothing),
    ("Healthcheck", Nothing),
    ("OnBuild", Nothing),
    ("StopTimeout", Nothing),
    ("Shell", Nothing),
];

/// The same, as BuildKit wrote them before version 0.12.
const OLD_BUILDKIT: [(&str, Empty); 14] = {
    let mut fields = BUILDKIT;
    (fields[9], fields[10]) = (BUILDKIT[10], BUILDKIT[9]);
    fields
};

/// The fields as Docker's engine writes them. Those that have no name in this crate are there or not.
const DOCKER: [(&str, Empty); 25] = [
    ("Hostname", Nothing),
    ("Domainname", Nothing),
    ("User", AsItIs),
    ("AttachStdin", Nothing),
    ("AttachStdout", Nothing),
    ("AttachStderr", Nothing),
    ("ExposedPorts", Nothing),
    ("Tty", Nothing),
    ("OpenStdin", Nothing),
    ("StdinOnce", Nothing),
    ("Env", Null),
    ("Cmd", Null),
    ("Healthcheck", Nothing),
    ("ArgsEscaped", Nothing),
    ("Image", Nothing),
    ("Volumes", Null),
    ("WorkingDir", AsItIs),
    ("Entrypoint", Null),
    ("NetworkDisabled", Nothing),
    ("MacAddress", Nothing),
    ("OnBuild", Null),
    ("Labels", Null),
    ("StopSignal", Nothing),
    ("StopTimeout", Nothing),
    ("Shell", Nothing),
];

impl Serialize for ImageConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let history = Some(&self.history).filter(|history| !history.is_empty());
        let os_features = Some(&self.os_features).filter(|features| !features.is_empty());
        let mut extra = self.extra.clone();
        let container = extra.remove(OF_THE_CONTAINER).map(OfTheContainer);
        let mut fields = SortedFields::new(serializer.serialize_map(None)?, &extra);
        fields.put("architecture", &self.architecture)?;
        fields.put_some("author", self.author.as_ref())?;
        fields.put("config", &self.config)?;
        fields.put_some(OF_THE_CONTAINER, container.as_ref())?;
        fields.put_some("created", self.created.as_ref())?;
        fields.put_some("history", history)?;
        fields.put("os", &self.os)?;
        fields.put_some("os.features", os_features)?;
        fields.put_some("os.version", self.os_version.as_ref())?;
        fields.put("rootfs", &self.rootfs)?;
        fields.put_some("variant", self.variant.as_ref())?;
        fields.end()
    }
}

/// A value that is written as a configuration if it is one, with all the fields that get written.
struct OfTheContainer(serde_json::Value);

impl Serialize for OfTheContainer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_whole = DOCKER.iter().all(|(key, empty)| matches!(empty, Nothing) || self.0.get(key).is_some());
        match ContainerConfig::deserialize(&self.0) {
            Ok(config) if is_whole => config.serialize(serializer),
            _ => self.0.serialize(serializer),
        }
    }
}

impl Serialize for ContainerConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let order = match (self.extra.contains_key(MARK_OF_DOCKER), self.is_escaped_late) {
            (true, _) => &DOCKER[..],
            (false, true) => &OLD_BUILDKIT[..],
            (false, false) => &BUILDKIT[..],
        };
        let mut map = serializer.serialize_map(None)?;
        for (key, empty) in order {
            self.put(&mut map, key, *empty)?;
        }
        for (key, value) in &self.extra {
            if !order.iter().any(|(written, _)| written == key) {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}

impl ContainerConfig {
    fn put<M: SerializeMap>(&self, map: &mut M, key: &str, empty: Empty) -> Result<(), M::Error> {
        match key {
            "User" => put(map, key, &self.user, self.user.is_empty(), empty),
            "ExposedPorts" => put(map, key, &self.exposed_ports, self.exposed_ports.is_empty(), empty),
            "Env" => put(map, key, &self.env, self.env.is_empty(), empty),
            "Entrypoint" => put(map, key, &self.entrypoint, self.entrypoint.is_none(), empty),
            "Cmd" => put(map, key, &self.cmd, self.cmd.is_none(), empty),
            "Volumes" => put(map, key, &self.volumes, self.volumes.is_empty(), empty),
            "WorkingDir" => put(map, key, &self.working_dir, self.working_dir.is_empty(), empty),
            "Labels" => put(map, key, &self.labels, self.labels.is_empty(), empty),
            "StopSignal" => put(map, key, &self.stop_signal, self.stop_signal.is_none(), empty),
            "ArgsEscaped" => put(map, key, &self.args_escaped, self.args_escaped.is_none(), empty),
            "Healthcheck" => put(map, key, &self.healthcheck, self.healthcheck.is_none(), empty),
            "OnBuild" => put(map, key, &self.on_build, self.on_build.is_empty(), empty),
            "StopTimeout" => put(map, key, &self.stop_timeout, self.stop_timeout.is_none(), empty),
            "Shell" => put(map, key, &self.shell, self.shell.is_none(), empty),
            other => self.extra.get(other).map_or(Ok(()), |value| map.serialize_entry(key, value)),
        }
    }
}

fn put<M: SerializeMap>(
    map: &mut M,
    key: &str,
    value: &impl Serialize,
    is_empty: bool,
    empty: Empty,
) -> Result<(), M::Error> {
    match (is_empty, empty) {
        (true, Nothing) => Ok(()),
        (true, Null) => map.serialize_entry(key, &()),
        (true, AsItIs) | (false, _) => map.serialize_entry(key, value),
    }
}
