//! What a stage has come to while it is built.

use image_core::{Digest, History, Image, ImageConfig, Platform};

use super::{
    config::{MAX_CONFIG, StageConfig},
    variables::StageEnv,
};
use crate::{env::Env, error::Result, miss::Roots, rootfs::RootFs};

/// What a stage has come to.
#[derive(Debug, Clone)]
pub(crate) struct StageState {
    /// The image's configuration, but for its layers and history.
    pub(crate) config: StageConfig,
    /// The layers.
    pub(crate) rootfs: RootFs,
    /// The history.
    pub(crate) history: Vec<History>,
    /// The size of what its lines say that were added here.
    told: usize,
    /// The variables that instructions see: those of the configuration and of ARG. A stage built on
    /// this one sees them too.
    pub(crate) env: StageEnv,
    /// Why it is not what the last build came to.
    pub(crate) roots: Roots,
}

impl StageState {
    /// What a stage begins with that starts from nothing.
    pub(super) fn scratch(platform: &Platform) -> Result<Self> {
        let mut config = ImageConfig::new(platform);
        config.config.working_dir = "/".into();
        Self::begin(config, RootFs::default(), Vec::new(), StageEnv::default())
    }

    /// What a stage begins with that starts from an image. Facts about that one image that are of no use
    /// to another (who made it, fields nobody reads any more) are not taken over.
    pub(super) fn of_image(image: &Image) -> Result<Self> {
        let base = image.config().value();
        let mut config = ImageConfig::new(&image.platform());
        config.author.clone_from(&base.author);
        config.config = base.config.clone();
        config.config.extra.clear();
        let (rootfs, history) = (RootFs::of_image(image), image.config().value().paired_history());
        Self::begin(config, rootfs, history, StageEnv::default())
    }

    /// What a stage begins with that starts from another.
    pub(super) fn of_stage(base: &Self) -> Result<Self> {
        let Self { config, rootfs, history, env, .. } = base.clone();
        let state = Self::begin(config.into_config(), rootfs, history, env)?;
        Ok(Self { told: base.told, roots: base.roots.clone(), ..state })
    }

    /// Instructions see the variables of the configuration, over those of ARG in the stage below.
    fn begin(config: ImageConfig, rootfs: RootFs, history: Vec<History>, mut env: StageEnv) -> Result<Self> {
        let config = StageConfig::new(config)?;
        Env::from_config(&config.config.env).iter().for_each(|(name, value)| env.set(name, value));
        Ok(Self { config, rootfs, history, told: 0, env, roots: Roots::default() })
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
        let (config, env) = (self.config.identity()?, self.env.identity());
        // All three are of one form, and hold no blanks.
        Ok(Digest::sha256_of(format!("{} {config} {env}", self.rootfs.identity()).as_bytes()))
    }
}
