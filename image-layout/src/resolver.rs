//! A layout as the place where images are looked up. For several, a vector of layouts serves.

use image_core::{Image, ImageResolver, Platform, Reference};

use crate::{
    error::{excerpt, printable},
    layout::OciLayout,
};

impl ImageResolver for OciLayout {
    /// Finds an entry as [`OciLayout::find_reference`] does, and in it the image for the platform as
    /// [`OciLayout::image_at`] does.
    fn resolve(&self, reference: &Reference, platform: &Platform) -> image_core::Result<Option<Image>> {
        match self.find_reference(reference)? {
            Some(found) => Ok(Some(self.image_at(&reference.familiar(), &found, Some(platform))?)),
            None => Ok(None),
        }
    }

    fn names(&self) -> Vec<String> {
        const ENOUGH: usize = 10;
        let tags = self.tags().unwrap_or_default();
        tags.iter().take(ENOUGH).map(|tag| printable(&excerpt(tag.name()))).collect()
    }
}
