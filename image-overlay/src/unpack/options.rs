//! Choices for unpacking.

use image_core::codec::DecodeOptions;

use crate::apply::{ApplyOptions, DirLinks, Strictness};

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

    /// Whether so many layers may be applied from the top down: not where each entry has to be judged in its place.
    pub(super) fn may_descend(&self, layers: usize) -> bool {
        let ApplyOptions { strictness, dir_links, filter, .. } = &self.apply;
        *strictness == Strictness::Lenient && *dir_links == DirLinks::Replace && filter.is_none() && layers > 1
    }

    /// With these bounds on decompression.
    #[must_use]
    pub fn with_decode(self, decode: DecodeOptions) -> Self {
        Self { decode, ..self }
    }
}
