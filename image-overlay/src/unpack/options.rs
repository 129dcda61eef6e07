//! Choices for unpacking.

use image_core::codec::DecodeOptions;

use crate::apply::ApplyOptions;

/// Choices for [`unpack`](crate::unpack()).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnpackOptions {
    /// How layers are applied.
    pub apply: ApplyOptions,
    /// Bounds on decompression.
    pub decode: DecodeOptions,
}

impl UnpackOptions {
    /// With layers applied like this.
    #[must_use]
    pub fn with_apply(self, apply: ApplyOptions) -> Self {
        Self { apply, ..self }
    }

    /// With these bounds on decompression.
    #[must_use]
    pub fn with_decode(self, decode: DecodeOptions) -> Self {
        Self { decode, ..self }
    }
}
