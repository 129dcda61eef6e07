//! An image on another base.

use super::ImageEdit;
use crate::{
    config::ImageConfig,
    error::{Error, Result},
    history::History,
    image::Image,
};

/// The annotation with the digest of the image that an image is built on.
///
/// # Spec
/// OCI image-spec 1.1, annotations.md, § Pre-Defined Annotation Keys.
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

impl ImageEdit {
    /// Puts the image on another base: the layers and the steps of `old_base` make way for those of `new_base`, and
    /// what was built on them stays as it is.
    ///
    /// The configuration stays that of the image, for it does not tell what of it came from the base; version and
    /// features of the operating system are the new base's. The image is as new as the newer of the two. An annotation that names
    /// the base by digest names the new one. Layers are not looked into: what they change or remove in the old base is
    /// changed and removed in the new one.
    ///
    /// The layers of the new base must be in the store that the image is written to.
    ///
    /// # Errors
    /// [`Error::is_corrupt`] where the image is not built on `old_base`, by its diffIDs, or where the two bases
    /// are for different platforms. Nothing is changed then.
    ///
    /// # Examples
    /// ```
    /// # use image_core::{BlobStoreExt, Descriptor, DiffId, History, Image, ImageConfig, ImageEdit};
    /// # use image_core::{MediaType, MemoryBlobStore, Platform, Timestamp};
    /// # let store = MemoryBlobStore::default();
    /// # let layer = |content: &[u8]| -> image_core::Result<_> {
    /// #     let blob = store.put_bytes(content)?;
    /// #     let diff_id = DiffId::from_digest(blob.digest.clone());
    /// #     Ok((Descriptor::new(MediaType::OciLayer, blob.digest, blob.size), diff_id))
    /// # };
    /// # let image = |contents: &[&[u8]]| -> image_core::Result<_> {
    /// #     let mut edit = ImageEdit::new(ImageConfig::new(&Platform::new("linux", "amd64")));
    /// #     for content in contents {
    /// #         let (layer, diff_id) = layer(content)?;
    /// #         edit.push_layer(&layer, diff_id, History::new(Timestamp::UNIX_EPOCH, "layer"));
    /// #     }
    /// #     Image::open(std::sync::Arc::new(store.clone()), &edit.write(&store)?)
    /// # };
    /// # let (debian_12_5, debian_12_6) = (image(&[b"12.5"])?, image(&[b"12.6"])?);
    /// # let app = image(&[b"12.5", b"app"])?;
    /// let mut edit = ImageEdit::of(&app);
    /// edit.rebase(&debian_12_5, &debian_12_6)?;
    /// assert_eq!(edit.layers()[0], debian_12_6.manifest().value().layers[0]);
    /// assert_eq!(edit.layers()[1], app.manifest().value().layers[1]);
    /// # Ok::<(), image_core::Error>(())
    /// ```
    pub fn rebase(&mut self, old_base: &Image, new_base: &Image) -> Result<()> {
        let (old, new) = (old_base.config().value(), new_base.config().value());
        self.check()?;
        self.check_base(old_base)?;
        check_platform(old_base, new_base)?;
        let below = old.rootfs.diff_ids.len();
        let own_layers = self.manifest.layers.split_off(below);
        self.manifest.layers = Self::of(new_base).manifest.layers;
        self.manifest.layers.extend(own_layers);
        let own_steps = own_steps(&self.config.history, old);
        self.config.history = new.paired_history().into_iter().chain(own_steps).collect();
        self.config.rootfs.diff_ids.splice(..below, new.rootfs.diff_ids.iter().cloned());
        self.config.os_version.clone_from(&new.os_version);
        self.config.os_features.clone_from(&new.os_features);
        self.config.created = self.config.created.max(new.created);
        if let Some(digest) = self.annotations.get_mut(BASE_DIGEST) {
            *digest = new_base.descriptor().digest.to_string();
        }
        Ok(())
    }

    /// Says where the image differs from what it is said to be built on.
    fn check_base(&self, base: &Image) -> Result<()> {
        let own = &self.config.rootfs.diff_ids;
        for layer in base.layers() {
            let found = own.get(layer.position).map_or_else(|| "not there".to_owned(), ToString::to_string);
            if found != layer.diff_id.to_string() {
                return Err(Error::document(
                    format!("base image {}", base.descriptor().digest),
                    format!(
                        "the image is not built on it: its layer {} is {found}, the base's is {}",
                        layer.position, layer.diff_id
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// Programs of one platform do not run on another's libraries.
fn check_platform(old: &Image, new: &Image) -> Result<()> {
    let essence = |image: &Image| {
        let platform = image.platform().normalised();
        (platform.os, platform.architecture, platform.variant)
    };
    if essence(old) == essence(new) {
        return Ok(());
    }
    let reason = format!("it is for {}, the old base is for {}", new.platform(), old.platform());
    Err(Error::document(format!("base image {}", new.descriptor().digest), reason))
}

/// The steps of a history that are not the base's: what follows all its steps, or, where the history of the
/// base was edited meanwhile, what follows the step of its last layer.
fn own_steps(history: &[History], base: &ImageConfig) -> Vec<History> {
    let base_history = base.paired_history();
    if let Some(rest) = history.strip_prefix(base_history.as_slice()) {
        return rest.to_vec();
    }
    let mut left = base.rootfs.diff_ids.len();
    let own = history.iter().skip_while(|step| {
        let is_below = left > 0;
        left -= usize::from(is_below && !step.empty_layer);
        is_below
    });
    own.cloned().collect()
}
