//! Trees on a command line: directories and images.

use std::path::Path;

use image_core::Ctx;
use image_overlay::{DirSource, ImageSource, KnownFiles, Root};

use crate::{About, Cache, ImageName, run::Result};

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
    pub fn open(name: &str, cache: &Cache, ctx: &Ctx) -> Result<Self> {
        let path = Path::new(name);
        if path.is_dir() && !path.join("oci-layout").is_file() {
            return Ok(Self::Dir(scan(path, ctx)?));
        }
        let image = name.parse::<ImageName>()?.open(None)?;
        Ok(Self::Image(cache.source(&image, ctx)?))
    }
}

/// The tree of a directory. What cannot be read in it is named from there, so an error names the directory too.
///
/// # Errors
/// Where it or what is in it cannot be read.
pub fn scan(path: &Path, ctx: &Ctx) -> Result<DirSource> {
    let source = DirSource::scan(Root::open(path)?, ctx);
    source.map_err(|error| unread(path, error))
}

/// As [`scan`], of a directory of whose files something is known from before.
///
/// # Errors
/// As [`scan`].
pub fn scan_known(path: &Path, known: KnownFiles, ctx: &Ctx) -> Result<DirSource> {
    let source = DirSource::scan_known(Root::open(path)?, known, ctx);
    source.map_err(|error| unread(path, error))
}

/// As [`scan_known`], with the owners that an unpack noted.
///
/// # Errors
/// As [`scan`].
pub fn scan_recorded(path: &Path, known: KnownFiles, ctx: &Ctx) -> Result<DirSource> {
    let source = DirSource::scan_recorded(Root::open(path)?, ctx).map(|source| source.with_known(known));
    source.map_err(|error| unread(path, error))
}

fn unread(path: &Path, error: image_overlay::Error) -> Box<dyn std::error::Error> {
    if error.is_cancelled() {
        error.into()
    } else {
        About::new(format!("cannot read {}", path.display()), error).into()
    }
}
