//! Names of images on a command line.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr};

use image_core::{Image, Platform};
use image_layout::OciLayout;

/// The name of an image that is given none.
pub const DEFAULT_REF: &str = "latest";

/// `LAYOUT[:REF]`: a layout's directory, and the name of an image in it.
///
/// ```
/// let name = |text: &str| text.parse::<examples::ImageName>().map(|name| name.to_string());
/// assert_eq!(name("out")?, "out:latest");
/// assert_eq!(name("out:hello:1.0")?, "out:hello:1.0"); // the name is hello:1.0
/// # Ok::<(), std::convert::Infallible>(())
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
}

impl ImageName {
    /// The image of another name in the same layout.
    #[must_use]
    pub fn sibling(&self, reference: &str) -> Self {
        Self { layout: self.layout.clone(), reference: reference.into() }
    }
}

impl FromStr for ImageName {
    type Err = Infallible;

    /// Splits at the first colon; what is not there is `latest`.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (layout, reference) = text.split_once(':').unwrap_or((text, DEFAULT_REF));
        Ok(Self { layout: layout.into(), reference: reference.into() })
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.layout.display(), self.reference)
    }
}
