//! The configuration of a stage's image, with what names it.

use std::{
    collections::HashMap,
    mem::{replace, swap},
    ops::Deref,
};

use image_core::{ContainerConfig, Digest, Healthcheck, ImageConfig};
use serde::Serialize;

use super::facts::Facts;
use crate::error::{Error, Result};

/// The search path of an image made from nothing, as BuildKit sets it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The most bytes that the configuration may have: no registry and no tool takes a larger one.
pub(super) const MAX_CONFIG: usize = 4 << 20;

/// The configuration of a stage's image, but for its layers and history.
///
/// It is read as what it is, and changed by methods, so that what names it follows.
#[derive(Debug, Clone)]
pub(crate) struct StageConfig {
    config: ImageConfig,
    /// Where variables stand in the environment.
    places: HashMap<String, usize>,
    facts: Facts,
    /// The bytes of variables, labels, ports, volumes and triggers as they are written.
    listed: usize,
    /// The bytes of every other part.
    sizes: [usize; 5],
}

/// What is set as a whole.
#[derive(Debug, Clone, Copy)]
enum Part {
    Entrypoint,
    Cmd,
    Shell,
    Healthcheck,
    /// All that is short.
    Rest,
}

impl Deref for StageConfig {
    type Target = ImageConfig;

    fn deref(&self) -> &ImageConfig {
        &self.config
    }
}

impl StageConfig {
    /// What a stage begins with: triggers are not inherited further, and there is a search path.
    pub(super) fn new(mut config: ImageConfig) -> Result<Self> {
        let container = &mut config.config;
        container.on_build.clear();
        let has_path = container.env.iter().any(|line| line == "PATH" || line.starts_with("PATH="));
        if !has_path && config.os != "windows" {
            container.env.push(format!("PATH={DEFAULT_PATH}"));
        }
        let mut this = Self { config, places: HashMap::new(), facts: Facts::default(), listed: 0, sizes: [0; 5] };
        let ContainerConfig { env, labels, exposed_ports, volumes, .. } = this.config.config.clone();
        for (place, line) in env.into_iter().enumerate() {
            if let Some((name, _)) = line.split_once('=') {
                this.places.entry(name.into()).or_insert(place);
            }
            this.fact(b"variable", &place.to_le_bytes(), &line)?;
        }
        for (name, value) in &labels {
            this.fact(b"label", name.as_bytes(), value)?;
            this.listed += written(name)?;
        }
        exposed_ports.iter().try_for_each(|(port, _)| this.fact(b"port", port.as_bytes(), port))?;
        volumes.iter().try_for_each(|(path, _)| this.fact(b"volume", path.as_bytes(), path))?;
        [Part::Entrypoint, Part::Cmd, Part::Shell, Part::Healthcheck, Part::Rest]
            .into_iter()
            .try_for_each(|part| this.set(part, |_| ()))?;
        Ok(this)
    }

    pub(crate) fn into_config(self) -> ImageConfig {
        self.config
    }

    /// What names it.
    ///
    /// # Errors
    /// Where it is too large.
    pub(super) fn identity(&self) -> Result<Digest> {
        if self.listed + self.sizes.iter().sum::<usize>() > MAX_CONFIG {
            return Err(image_core::Error::limit("the configuration of the image", MAX_CONFIG as u64).into());
        }
        Ok(self.facts.digest())
    }

    /// Whether the environment has a variable.
    pub(crate) fn has_variable(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// The value of a variable of the environment.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let line = self.config.config.env.get(*self.places.get(name)?)?;
        line.split_once('=').map(|(_, value)| value)
    }

    /// Sets a variable in its place, or behind the others.
    pub(crate) fn set_variable(&mut self, name: &str, value: &str) -> Result<()> {
        let line = format!("{name}={value}");
        let env = &mut self.config.config.env;
        let place = *self.places.entry(name.into()).or_insert(env.len());
        match env.get_mut(place) {
            Some(old) => self.listed = self.listed.saturating_sub(written(&replace(old, line.clone()))?),
            None => env.push(line.clone()),
        }
        self.fact(b"variable", &place.to_le_bytes(), &line)
    }

    pub(crate) fn set_label(&mut self, name: &str, value: String) -> Result<()> {
        self.fact(b"label", name.as_bytes(), &value)?;
        self.listed += written(name)?;
        if let Some(old) = self.config.config.labels.insert(name.into(), value) {
            self.listed = self.listed.saturating_sub(written(name)? + written(&old)?);
        }
        Ok(())
    }

    pub(crate) fn add_port(&mut self, port: String) -> Result<()> {
        if !self.config.config.exposed_ports.contains_key(&port) {
            self.fact(b"port", port.as_bytes(), &port)?;
            self.config.config.exposed_ports.insert(port, Default::default());
        }
        Ok(())
    }

    pub(crate) fn add_volume(&mut self, path: String) -> Result<()> {
        if !self.config.config.volumes.contains_key(&path) {
            self.fact(b"volume", path.as_bytes(), &path)?;
            self.config.config.volumes.insert(path, Default::default());
        }
        Ok(())
    }

    pub(crate) fn add_trigger(&mut self, instruction: String) -> Result<()> {
        self.fact(b"trigger", &self.config.config.on_build.len().to_le_bytes(), &instruction)?;
        self.config.config.on_build.push(instruction);
        Ok(())
    }

    pub(crate) fn set_cmd(&mut self, args: Option<Vec<String>>) -> Result<()> {
        self.set(Part::Cmd, |config| config.cmd = args)
    }

    pub(crate) fn set_args_escaped(&mut self) -> Result<()> {
        self.set(Part::Rest, |config| config.args_escaped = Some(true))
    }

    pub(crate) fn set_entrypoint(&mut self, args: Vec<String>) -> Result<()> {
        self.set(Part::Entrypoint, |config| config.entrypoint = Some(args))
    }

    pub(crate) fn set_shell(&mut self, words: Vec<String>) -> Result<()> {
        self.set(Part::Shell, |config| config.shell = Some(words))
    }

    pub(crate) fn set_healthcheck(&mut self, check: Healthcheck) -> Result<()> {
        self.set(Part::Healthcheck, |config| config.healthcheck = Some(check))
    }

    pub(crate) fn set_user(&mut self, user: String) -> Result<()> {
        self.set(Part::Rest, |config| config.user = user)
    }

    pub(crate) fn set_working_dir(&mut self, path: String) -> Result<()> {
        self.set(Part::Rest, |config| config.working_dir = path)
    }

    pub(crate) fn set_stop_signal(&mut self, signal: String) -> Result<()> {
        self.set(Part::Rest, |config| config.stop_signal = Some(signal))
    }

    /// Says who made the image, which no later step sees.
    pub(crate) fn set_author(&mut self, name: String) {
        self.config.author = Some(name);
    }

    /// Notes something of a list.
    fn fact(&mut self, list: &[u8], name: &[u8], value: &str) -> Result<()> {
        self.facts.set(&[list, name], &[value.as_bytes()]);
        self.listed += written(value)?;
        Ok(())
    }

    /// Changes a part, and notes what it is then.
    fn set(&mut self, part: Part, change: impl FnOnce(&mut ContainerConfig)) -> Result<()> {
        let config = &mut self.config.config;
        change(config);
        let (name, text) = match part {
            Part::Entrypoint => ("entrypoint", json(&config.entrypoint)?),
            Part::Cmd => ("cmd", json(&config.cmd)?),
            Part::Shell => ("shell", json(&config.shell)?),
            Part::Healthcheck => ("healthcheck", json(&config.healthcheck)?),
            Part::Rest => ("rest", rest(config)?),
        };
        self.facts.set(&[b"part", name.as_bytes()], &[&text]);
        self.sizes[part as usize] = text.len();
        Ok(())
    }
}

/// Writes what is no list and no part of its own; whatever else a configuration may come to have is in it.
fn rest(config: &mut ContainerConfig) -> Result<Vec<u8>> {
    let mut aside = ContainerConfig::default();
    exchange(config, &mut aside);
    let text = json(config);
    exchange(config, &mut aside);
    text
}

/// Exchanges the lists and the parts of two configurations.
fn exchange(one: &mut ContainerConfig, other: &mut ContainerConfig) {
    swap(&mut one.env, &mut other.env);
    swap(&mut one.labels, &mut other.labels);
    swap(&mut one.exposed_ports, &mut other.exposed_ports);
    swap(&mut one.volumes, &mut other.volumes);
    swap(&mut one.on_build, &mut other.on_build);
    swap(&mut one.entrypoint, &mut other.entrypoint);
    swap(&mut one.cmd, &mut other.cmd);
    swap(&mut one.shell, &mut other.shell);
    swap(&mut one.healthcheck, &mut other.healthcheck);
}

/// How many bytes a text has as it is written, with what parts it from the next.
fn written(text: &str) -> Result<usize> {
    Ok(json(text)?.len() + 1)
}

fn json(value: &(impl Serialize + ?Sized)) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|source| Error::Encode { source })
}

#[cfg(test)]
mod tests {
    use image_core::Platform;
    use proptest::prelude::*;

    use super::*;

    fn scratch() -> StageConfig {
        StageConfig::new(ImageConfig::new(&Platform::new("linux", "amd64"))).unwrap()
    }

    /// Edits a configuration by a number and two words.
    fn edit(config: &mut StageConfig, kind: u8, name: &str, value: &str) {
        let words = || vec![name.to_owned(), value.to_owned()];
        match kind {
            0 | 1 => config.set_variable(name, value),
            2 | 3 => config.set_label(name, value.into()),
            4 => config.add_port(name.into()),
            5 => config.add_volume(name.into()),
            6 => config.set_cmd(Some(words()).filter(|_| !name.is_empty())),
            7 => config.set_entrypoint(words()),
            8 => config.set_shell(words()),
            9 => config.set_user(value.into()),
            10 => config.set_working_dir(value.into()),
            11 => config.set_stop_signal(value.into()),
            12 => config.set_args_escaped(),
            _ => {
                let mut check = Healthcheck::default();
                check.test = words();
                config.set_healthcheck(check)
            }
        }
        .unwrap();
    }

    proptest! {
        #[test]
        fn what_names_a_configuration_follows_every_edit(
            edits in prop::collection::vec((0..14_u8, "[a-c\"\\n]{0,2}", "[xyé\"]{0,3}"), 0..60),
        ) {
            let mut config = scratch();
            let mut seen: HashMap<Digest, ImageConfig> = HashMap::new();
            for (kind, name, value) in edits {
                edit(&mut config, kind, &name, &value);
                let anew = StageConfig::new(config.clone().into_config()).unwrap();
                prop_assert_eq!(config.identity().unwrap(), anew.identity().unwrap(), "{:?}", &*config);
                prop_assert_eq!((config.listed, config.sizes), (anew.listed, anew.sizes));
                let written = json(&config.config.config).unwrap().len();
                prop_assert!(config.listed + config.sizes.iter().sum::<usize>() + 256 >= written);
                let equal = seen.entry(config.identity().unwrap()).or_insert_with(|| config.config.clone());
                prop_assert_eq!(&equal.config, &config.config.config, "one name for two");
            }
        }
    }

    #[test]
    fn a_trigger_is_part_of_what_names_it() {
        let mut digests = vec![scratch().identity().unwrap()];
        let mut config = scratch();
        for trigger in ["COPY a /", "COPY a /", "COPY b /"] {
            config.add_trigger(trigger.into()).unwrap();
            digests.push(config.identity().unwrap());
        }
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), 4);
        assert_eq!(StageConfig::new(config.into_config()).unwrap().identity().unwrap(), scratch().identity().unwrap());
    }
}
