//! What was found out about layers and directories before.

use std::{
    env,
    fs::{self, File},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use image_build::BuildState;
use image_core::{Ctx, Digest, Error, Image};
use image_overlay::{DirSource, ImageSource, ImageTree, KnownFiles, LayerBlob, Limits};

use crate::{file::NewFile, run::Result};

/// Where a program keeps what it finds out about layers, if it does.
#[derive(Debug, clap::Args)]
pub struct Cache {
    /// Remember in this directory what layers and unpacked trees hold: layers are then read once, and after `unpack --cache` a `commit --cache` reads only what changed. It may be that of `build --cache`.
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

    /// The root file system of an image, whose files can be read.
    ///
    /// # Errors
    /// As [`Cache::tree`].
    pub fn source(&self, image: &Image, ctx: &Ctx) -> Result<ImageSource> {
        let tree = self.tree(image, ctx)?;
        Ok(ImageSource::of_tree(LayerBlob::of_image(image), tree, env::temp_dir()))
    }

    /// Whether anything is kept; what cannot be used for that is told of before any work.
    ///
    /// # Errors
    /// Where there is no such directory, and none can be made.
    pub fn is_kept(&self) -> Result<bool> {
        let Some(directory) = &self.directory else { return Ok(false) };
        BuildState::open(directory)?;
        Ok(true)
    }

    /// What was known of a directory's files when it was the same as an image: nothing where that was not kept, or cannot be read.
    ///
    /// # Errors
    /// Where the directory is not there.
    pub fn known(&self, root: &Path) -> Result<KnownFiles> {
        let Some(path) = self.known_path(root)? else { return Ok(KnownFiles::default()) };
        Ok(File::open(path).ok().and_then(|file| KnownFiles::read(file).ok()).unwrap_or_default())
    }

    /// Keeps what is known of the files of a directory that is the same as an image.
    ///
    /// # Errors
    /// Where the image cannot be read, or nothing can be kept.
    pub fn keep_known(&self, image: &Image, root: &Path, copy: &DirSource, ctx: &Ctx) -> Result<()> {
        let Some(path) = self.known_path(root)? else { return Ok(()) };
        let known = KnownFiles::of_copy(&self.source(image, ctx)?, copy, ctx)?;
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(|e| Error::io("create", directory, e))?;
        }
        let mut new = NewFile::create(&path)?;
        known.write(new.file()).map_err(|e| new.failed(e))?;
        Ok(new.replace()?)
    }

    /// The file for what is known of a directory, by its path.
    fn known_path(&self, root: &Path) -> Result<Option<PathBuf>> {
        let Some(directory) = &self.directory else { return Ok(None) };
        let root = root.canonicalize().map_err(|e| Error::io("open", root, e))?;
        Ok(Some(directory.join("known").join(Digest::sha256_of(root.as_os_str().as_bytes()).encoded())))
    }
}
