//! From the name of an image to the image.

use std::sync::Arc;

use crate::{error::Result, image::Image, platform::Platform, reference::Reference};

/// Finds images by name: the seam between who builds from an image and where images are kept.
///
/// A name that the resolver does not know is `Ok(None)`, so that several can be asked in turn.
/// A name that it knows, but not for the platform, is an error that says which platforms there are.
pub trait ImageResolver: Send + Sync {
    /// The image of that name for the platform.
    ///
    /// # Errors
    /// Whatever keeps the image from being read; [`crate::Error::is_not_found`] where it is known
    /// but not there for this platform.
    fn resolve(&self, reference: &Reference, platform: &Platform) -> Result<Option<Image>>;

    /// Names that the resolver knows, for an error's hint; at most a handful, possibly none.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

macro_rules! forward {
    ($($target:ty),*) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<R: ImageResolver + ?Sized> ImageResolver for $target {
            fn resolve(&self, reference: &Reference, platform: &Platform) -> Result<Option<Image>> {
                (**self).resolve(reference, platform)
            }

            fn names(&self) -> Vec<String> {
                (**self).names()
            }
        }
    )*};
}

forward!(&R, Box<R>, Arc<R>);

/// Several resolvers, asked in order.
impl<R: ImageResolver> ImageResolver for [R] {
    fn resolve(&self, reference: &Reference, platform: &Platform) -> Result<Option<Image>> {
        for resolver in self {
            if let Some(image) = resolver.resolve(reference, platform)? {
                return Ok(Some(image));
            }
        }
        Ok(None)
    }

    fn names(&self) -> Vec<String> {
        self.iter().flat_map(ImageResolver::names).collect()
    }
}

/// Several resolvers, asked in order. An empty vector knows no image.
impl<R: ImageResolver> ImageResolver for Vec<R> {
    fn resolve(&self, reference: &Reference, platform: &Platform) -> Result<Option<Image>> {
        self.as_slice().resolve(reference, platform)
    }

    fn names(&self) -> Vec<String> {
        self.as_slice().names()
    }
}
