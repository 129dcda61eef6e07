//! What garbage collection must keep.

use image_core::Descriptor;

use crate::{error::Result, layout::OciLayout};

impl OciLayout {
    /// The roots of the layout: every entry of `index.json`, named or not. What cannot be reached from them
    /// is garbage, unless somebody is about to tag it.
    ///
    /// # Errors
    /// Those of [`OciLayout::index`].
    pub fn roots(&self) -> Result<Vec<Descriptor>> {
        Ok(self.index()?.into_value().manifests)
    }
}
