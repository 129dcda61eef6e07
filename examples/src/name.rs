//! Names of images on a command line.

use std::{error::Error, fmt, path::PathBuf, str::FromStr};

use image_core::{BlobSourceExt, Digest, Document, Image, ImageIndex, Platform};
use image_layout::OciLayout;

use crate::about::core_error;

/// The name of an image that is given none.
pub const DEFAULT_REF: &str = "latest";

/// `LAYOUT[:REF]`: a layout's directory, and the name of an image in it.
///
/// ```
/// let name = |text: &str| text.parse::<examples::ImageName>().map(|name| name.to_string());
/// assert_eq!(name("out")?, "out:latest");
/// assert_eq!(name("out:hello:1.0")?, "out:hello:1.0"); // the name is hello:1.0
/// let digest = image_core::Digest::sha256_of(b"a manifest");
/// assert_eq!(name(&format!("out@{digest}"))?, format!("out:{digest}"));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageName {
    /// The directory.
    pub layout: PathBuf,
    /// The name in the layout.
    pub reference: String,
}

impl ImageName {
    /// The image that has this name; without a platform, the only one, or the one for this machine.
    ///
    /// # Errors
    /// Where there is no such layout, name or platform.
    pub fn open(&self, platform: Option<&Platform>) -> image_layout::Result<Image> {
        OciLayout::open(&self.layout)?.image(&self.reference, platform)
    }

    /// The index that has this name, with the images for several platforms; `None` where an image has it itself.
    ///
    /// # Errors
    /// Where there is no such layout or name, or the index is damaged.
    pub fn index(&self) -> image_layout::Result<Option<Document<ImageIndex>>> {
        let layout = OciLayout::open(&self.layout)?;
        let found = layout.resolve(&self.reference)?;
        Ok(if found.media_type.is_index() { Some(layout.blobs().read_document(&found)?) } else { None })
    }

    /// What to do about an error that comes of damage in the layout.
    #[must_use]
    pub fn advice(&self, error: &(dyn Error + 'static)) -> Option<String> {
        use image_core::Error::{BlobNotFound, DigestMismatch, SizeMismatch};
        let is_damage =
            matches!(core_error(error), Some(BlobNotFound { .. } | DigestMismatch { .. } | SizeMismatch { .. }));
        is_damage.then(|| {
            let layout = self.layout.display();
            format!("to mend {layout}, run verify --set-aside {layout}, then load or copy the image again")
        })
    }

    /// The image of another name in the same layout.
    #[must_use]
    pub fn sibling(&self, reference: &str) -> Self {
        Self { layout: self.layout.clone(), reference: reference.into() }
    }
}

impl FromStr for ImageName {
    type Err = String;

    /// Splits at the first colon, or before that at an `@` that a digest follows; what is not there is `latest`.
    fn from_str(text: &str) -> Result<Self, String> {
        let at_digest = text.split_once('@').filter(|(layout, digest)| !layout.contains(':') && is_digest(digest));
        let (layout, reference) = at_digest.or_else(|| text.split_once(':')).unwrap_or((text, DEFAULT_REF));
        if layout.is_empty() || reference.is_empty() {
            return Err("write LAYOUT or LAYOUT:REF, the directory of a layout and the name of an image in it".into());
        }
        Ok(Self { layout: layout.into(), reference: reference.into() })
    }
}

fn is_digest(text: &str) -> bool {
    text.parse::<Digest>().is_ok()
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.layout.display(), self.reference)
    }
}
