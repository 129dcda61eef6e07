//! Choices for unpacking.

use std::sync::Arc;

use image_core::codec::DecodeOptions;

use crate::{
    apply::{ApplyOptions, DirLinks, Strictness},
    toc::LayerToc,
};

/// Choices for [`unpack`](crate::unpack()).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnpackOptions {
    /// How layers are applied.
    pub apply: ApplyOptions,
    /// Bounds on decompression.
    pub decode: DecodeOptions,
    /// The tables of contents of the image's layers, base layer first; none where they are not known.
    pub tocs: Arc<[LayerToc]>,
}

impl UnpackOptions {
    /// With layers applied like this.
    #[must_use]
    pub fn with_apply(self, apply: ApplyOptions) -> Self {
        Self { apply, ..self }
    }

    /// Whether what is left of so many layers is written, and not one over the other: not where each entry has
    /// to be judged in its place.
    pub(super) fn merges(&self, layers: usize) -> bool {
        let ApplyOptions { strictness, dir_links, filter, .. } = &self.apply;
        let by_the_rules = *strictness == Strictness::Lenient && *dir_links == DirLinks::Replace && filter.is_none();
        by_the_rules && layers > 0 && self.tocs.len() == layers
    }

    /// With these tables of contents, one for each layer, base layer first.
    ///
    /// What an upper layer hides is then not written at all. It is worth it where the tables are there already, as from
    /// an earlier reading of the layers: reading them takes longer than writing and removing what is hidden. With
    /// [`Strictness::Strict`], [`DirLinks::Keep`] or a filter they are not used.
    #[must_use]
    pub fn with_tocs(self, tocs: impl IntoIterator<Item = LayerToc>) -> Self {
        Self { tocs: tocs.into_iter().collect(), ..self }
    }

    /// With these bounds on decompression.
    #[must_use]
    pub fn with_decode(self, decode: DecodeOptions) -> Self {
        Self { decode, ..self }
    }
}
