//! What a stage has come to while it is built.

use image_core::{Digest, History, Image, ImageConfig, Platform};

use crate::{
    env::Env,
    error::{Error, Result},
    miss::Roots,
    rootfs::RootFs,
};

/// The search path of an image made from nothing, as BuildKit sets it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The most bytes that the configuration may have, and the lines of the history: no registry and no tool
/// takes a larger image configuration.
const MAX_CONFIG: usize = 4 << 20;

/// What a stage has come to.
#[derive(Debug, Clone)]
pub(crate) struct StageState {
    /// The image's configuration, but for its layers and history.
    pub(crate) config: ImageConfig,
    /// The layers.
    pub(crate) rootfs: RootFs,
    /// The history.
    pub(crate) history: Vec<History>,
    /// The size of what its lines say that were added here.
    told: usize,
    /// The variables that instructions see: those of the configuration and of ARG. A stage built on
    /// this one sees them too.
    pub(crate) env: Env,
    /// Why it is not what the last build came to.
    pub(crate) roots: Roots,
}

impl StageState {
    pub(super) fn scratch(platform: &Platform) -> Self {
        let mut config = ImageConfig::new(platform);
        config.config.working_dir = "/".into();
        let (rootfs, history) = (RootFs::default(), Vec::new());
        Self { config, rootfs, history, told: 0, env: Env::default(), roots: Roots::default() }
    }

    /// The state that a build from an image begins with. Facts about that one image that are of no use
    /// to another (who made it, fields nobody reads any more) are not taken over.
    pub(super) fn of_image(image: &Image) -> Self {
        let base = image.config().value();
        let mut config = ImageConfig::new(&image.platform());
        config.author.clone_from(&base.author);
        config.config = base.config.clone();
        config.config.extra.clear();
        let (rootfs, history) = (RootFs::of_image(image), image.config().value().paired_history());
        Self { config, rootfs, history, told: 0, env: Env::default(), roots: Roots::default() }
    }

    /// Makes sure of a search path, and that instructions see the variables of the configuration, over
    /// those of ARG in the stage below.
    pub(super) fn begin_env(&mut self) {
        let config = &mut self.config;
        let has_path = config.config.env.iter().any(|line| line == "PATH" || line.starts_with("PATH="));
        if !has_path && config.os != "windows" {
            config.config.env.push(format!("PATH={DEFAULT_PATH}"));
        }
        self.env.extend(Env::from_config(&config.config.env).iter());
    }

    /// Adds to the history.
    pub(super) fn tell(&mut self, step: History) -> Result<()> {
        self.told += step.created_by.as_ref().map_or(0, String::len);
        if self.told > MAX_CONFIG {
            return Err(image_core::Error::limit("the history of the image", MAX_CONFIG as u64).into());
        }
        self.history.push(step);
        Ok(())
    }

    /// What names everything that a later step can see.
    pub(super) fn identity(&self) -> Result<Digest> {
        let config = serde_json::to_vec(&self.config.config).map_err(|source| Error::Encode { source })?;
        if config.len() > MAX_CONFIG {
            return Err(image_core::Error::limit("the configuration of the image", MAX_CONFIG as u64).into());
        }
        let env: Vec<String> = self.env.to_config();
        let text = serde_json::to_vec(&(self.rootfs.identity(), Digest::sha256_of(&config), env))
            .map_err(|source| Error::Encode { source })?;
        Ok(Digest::sha256_of(&text))
    }
}
