//! Trees on a command line: directories and images.

use std::{env, path::Path};

use image_core::Ctx;
use image_overlay::{DirSource, ImageSource, Limits, Root};

use crate::{ImageName, run::Result};

/// A directory or an image.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "programs treat each")]
pub enum Tree {
    /// A directory.
    Dir(DirSource),
    /// An image, read out of its layers.
    Image(ImageSource),
}

impl Tree {
    /// The tree of this name: a directory that is no layout, or `LAYOUT[:REF]`.
    ///
    /// # Errors
    /// Where there is neither, or it cannot be read.
    pub fn open(name: &str, ctx: &Ctx) -> Result<Self> {
        let path = Path::new(name);
        if path.is_dir() && !path.join("oci-layout").is_file() {
            return Ok(Self::Dir(DirSource::scan(Root::open(path)?, ctx)?));
        }
        let image = name.parse::<ImageName>()?;
        Ok(Self::Image(ImageSource::of_image(&image.open(None)?, env::temp_dir(), &Limits::default(), ctx)?))
    }
}
