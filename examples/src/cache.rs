//! What was found out about layers before.

use std::{path::PathBuf, sync::Arc};

use image_build::BuildState;
use image_core::{Ctx, Image};
use image_overlay::{ImageTree, Limits};

use crate::run::Result;

/// Where a program keeps what it finds out about layers, if it does.
#[derive(Debug, clap::Args)]
pub struct Cache {
    /// Keep there what the layers hold, or take it from there if it is known: the directory of `build --cache` knows it of all that was built with it.
    #[arg(long = "cache", value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Cache {
    /// The root file system of an image.
    ///
    /// # Errors
    /// Where a layer cannot be read, or what is kept cannot be opened.
    pub fn tree(&self, image: &Image, ctx: &Ctx) -> Result<Arc<ImageTree>> {
        match &self.directory {
            Some(directory) => Ok(BuildState::open(directory)?.image_tree(image, ctx)?),
            None => Ok(Arc::new(ImageTree::of_image(image, &Limits::default(), ctx)?)),
        }
    }
}
