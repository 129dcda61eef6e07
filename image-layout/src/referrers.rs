//! What is about an image: signatures, attestations, lists of contents.
//!
//! A manifest is about another, its `subject`, without the other knowing. In a layout such manifests are entries of
//! `index.json` without a name, as [`OciLayout::add`] makes them, or of an index there: copies from registries that do not list
//! referrers bring an index of them along, named `sha256-…` after the subject.
//!
//! ```
//! use image_core::{Artifact, Ctx, Document, ImageIndex, MediaType, blob::BlobStoreExt};
//! use image_layout::OciLayout;
//! # let dir = tempfile::tempdir().map_err(|e| image_core::Error::io("create", "", e))?;
//! let layout = OciLayout::create(dir.path().join("images"))?;
//! # let index = Document::new(ImageIndex::new(Vec::new()))?;
//! # layout.blobs().put_document(&index)?;
//! # let image = index.descriptor(MediaType::OciIndex);
//! let mut sbom = Artifact::new("application/spdx+json");
//! sbom.subject = Some(image.clone());
//! layout.add(&sbom.write(layout.blobs())?)?;
//!
//! let found = layout.referrers(&image.digest, &Ctx::default())?;
//! assert_eq!(found[0].artifact_type.as_deref(), Some("application/spdx+json"));
//! # Ok::<(), image_layout::Error>(())
//! ```

use std::collections::{HashSet, VecDeque};

use image_core::{
    Ctx, Descriptor, Digest, Document, Error as CoreError, ImageIndex, ImageManifest,
    blob::{BlobSource, BlobSourceExt},
    descriptor::Annotations,
    document::Body,
};

use crate::{bounds::Bounds, error::Result, layout::OciLayout};

impl OciLayout {
    /// The manifests and indexes in the layout whose subject has this digest, in the order in which indexes name them.
    ///
    /// Each descriptor says what kind of artifact it is and has the annotations of the manifest itself, as in the answer of a
    /// registry. What the layout's indexes name and the layout does not have is passed over.
    ///
    /// All manifests that can be reached are read for it.
    ///
    /// # Errors
    /// [`crate::Error::is_corrupt`] where a document is not right; [`CoreError::LimitExceeded`] for indexes
    /// nested deeper than 8, more than 1000 indexes or 1,000,000 manifests; [`crate::Error::is_cancelled`]; those of
    /// [`OciLayout::index`].
    ///
    /// # Spec
    /// OCI image-spec 1.1, manifest.md, `subject`; distribution-spec 1.1, § Listing Referrers and § Referrers Tag Schema.
    pub fn referrers(&self, subject: &Digest, ctx: &Ctx) -> Result<Vec<Descriptor>> {
        Ok(self.search(Some(subject), ctx)?.into_iter().map(|(_, referrer)| referrer).collect())
    }

    /// All manifests and indexes that are about something, with the digest of what they are about, as [`OciLayout::referrers`] finds
    /// and describes them.
    pub(crate) fn all_referrers(&self, ctx: &Ctx) -> Result<Vec<(Digest, Descriptor)>> {
        self.search(None, ctx)
    }

    fn search(&self, subject: Option<&Digest>, ctx: &Ctx) -> Result<Vec<(Digest, Descriptor)>> {
        let mut search = Search { source: self.blobs(), subject, ctx, seen: HashSet::new(), found: Vec::new() };
        search.run(self.roots()?)?;
        Ok(search.found)
    }
}

struct Search<'a> {
    source: &'a dyn BlobSource,
    /// What they are to be about; anything where there is none.
    subject: Option<&'a Digest>,
    ctx: &'a Ctx,
    seen: HashSet<Digest>,
    /// What each is about, and what it is.
    found: Vec<(Digest, Descriptor)>,
}

impl Search<'_> {
    fn run(&mut self, roots: Vec<Descriptor>) -> Result<(), CoreError> {
        let mut bounds = Bounds::default();
        let mut queue: VecDeque<(Descriptor, usize)> = roots.into_iter().map(|root| (root, 1)).collect();
        while let Some((descriptor, depth)) = queue.pop_front() {
            self.ctx.check()?;
            if !self.seen.insert(descriptor.digest.clone()) {
                continue;
            }
            if descriptor.media_type.is_index() {
                bounds.admit_index(&descriptor, depth)?;
                queue.extend(self.index(&descriptor)?.into_iter().map(|child| (child, depth + 1)));
            } else if descriptor.media_type.is_manifest() {
                bounds.admit_blob(&descriptor.digest)?;
                self.manifest(&descriptor)?;
            }
        }
        Ok(())
    }

    /// Looks at an index, and gives what it holds.
    fn index(&mut self, descriptor: &Descriptor) -> Result<Vec<Descriptor>, CoreError> {
        let Some(index) = self.read::<ImageIndex>(descriptor)? else { return Ok(Vec::new()) };
        let ImageIndex { subject, artifact_type, annotations, manifests, .. } = index;
        self.note(descriptor, subject, artifact_type, annotations);
        Ok(manifests)
    }

    fn manifest(&mut self, descriptor: &Descriptor) -> Result<(), CoreError> {
        let Some(manifest) = self.read::<ImageManifest>(descriptor)? else { return Ok(()) };
        let ImageManifest { subject, artifact_type, config, annotations, .. } = manifest;
        // What names no kind of artifact is of the kind that its configuration is of.
        let artifact_type = artifact_type.or_else(|| Some(config.media_type.to_string()));
        self.note(descriptor, subject, artifact_type, annotations);
        Ok(())
    }

    fn note(
        &mut self,
        descriptor: &Descriptor,
        subject: Option<Descriptor>,
        artifact_type: Option<String>,
        annotations: Annotations,
    ) {
        if let Some(subject) = subject.filter(|subject| self.subject.is_none_or(|wanted| *wanted == subject.digest)) {
            let Descriptor { media_type, digest, size, .. } = descriptor.clone();
            let mut referrer = Descriptor::new(media_type, digest, size);
            (referrer.artifact_type, referrer.annotations) = (artifact_type, annotations);
            self.found.push((subject.digest, referrer));
        }
    }

    fn read<T: Body>(&self, descriptor: &Descriptor) -> Result<Option<T>, CoreError> {
        match self.source.read_document::<T>(descriptor) {
            Ok(document) => Ok(Some(Document::into_value(document))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
