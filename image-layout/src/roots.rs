//! What garbage collection must keep, and collecting the rest.

use image_core::{
    Ctx, Descriptor, Digest, ImageIndex, ImageManifest, Result as CoreResult, Timestamp,
    blob::BlobSourceExt,
    gc::{self, Collected, GcOptions, Root, Roots},
};

use crate::{
    error::Result,
    layout::OciLayout,
    ref_name::{IMAGE_NAME, REF_NAME},
};

impl OciLayout {
    /// The roots of the layout: every entry of `index.json`, named or not. What cannot be reached from them
    /// is garbage, unless somebody is about to tag it.
    ///
    /// # Errors
    /// Those of [`OciLayout::index`].
    pub fn roots(&self) -> Result<Vec<Descriptor>> {
        Ok(self.index()?.into_value().manifests)
    }

    /// Removes the blobs that no entry of `index.json` needs, after dropping the entries that `options` does not keep:
    /// see [`image_core::gc`]. For a layout whose blobs something else needs too, call [`gc::collect`] with both.
    ///
    /// An entry was last used when it was tagged, or its image opened. One without a name that is about another
    /// manifest by its `subject`, or has the name that signatures and lists of referrers go by, is kept and dropped together
    /// with that manifest, if it is in the layout.
    ///
    /// # Errors
    /// Those of [`gc::collect`] and [`OciLayout::update_index`].
    ///
    /// # Spec
    /// OCI image-spec 1.1, manifest.md, `subject`; OCI distribution-spec 1.1, § Referrers Tag Schema.
    pub fn collect(&self, options: &GcOptions, ctx: &Ctx) -> Result<Collected> {
        Ok(gc::collect(self.blobs(), &[self], options, ctx)?)
    }

    fn root(&self, entry: Descriptor) -> CoreResult<Root> {
        let last_used =
            if entry.digest.algorithm().is_supported() { self.blobs().last_used(&entry.digest)? } else { None };
        let subject = match name(&entry) {
            Some(name) => subject_in(name),
            None => self.subject_of(&entry),
        };
        let subject = subject.filter(|subject| *subject != entry.digest);
        let name = name(&entry).map_or_else(|| entry.digest.to_string(), str::to_owned);
        Ok(Root::new(name, entry, last_used.unwrap_or(Timestamp::UNIX_EPOCH)).with_subject(subject))
    }

    fn last_used(&self, digest: &Digest) -> CoreResult<Option<Timestamp>> {
        if digest.algorithm().is_supported() { self.blobs().last_used(digest) } else { Ok(None) }
    }

    /// What an entry without a name is about. What cannot be read is about nothing; marking it tells why.
    fn subject_of(&self, entry: &Descriptor) -> Option<Digest> {
        let subject = if entry.media_type.is_index() {
            self.blobs().read_document::<ImageIndex>(entry).ok()?.into_value().subject
        } else if entry.media_type.is_manifest() {
            self.blobs().read_document::<ImageManifest>(entry).ok()?.into_value().subject
        } else {
            None
        };
        subject.map(|subject| subject.digest)
    }
}

impl Roots for OciLayout {
    fn roots(&self) -> CoreResult<Vec<Root>> {
        let entries = self.index()?.into_value().manifests;
        entries.into_iter().map(|entry| self.root(entry)).collect()
    }

    fn forget(&self, roots: &[Root]) -> CoreResult<Vec<Root>> {
        Ok(self.update_index(|index| {
            let mut forgotten = Vec::new();
            for root in roots {
                let is_unused = self.last_used(&root.target.digest)?.is_none_or(|used| used <= root.last_used);
                if is_unused && remove(index, &root.target) {
                    forgotten.push(root.clone());
                }
            }
            Ok(forgotten)
        })?)
    }
}

/// Removes an entry; whether it was there.
fn remove(index: &mut ImageIndex, entry: &Descriptor) -> bool {
    let before = index.manifests.len();
    index.manifests.retain(|other| other != entry);
    index.manifests.len() < before
}

fn name(entry: &Descriptor) -> Option<&str> {
    let name = |key: &str| entry.annotations.get(key).map(String::as_str).filter(|name| !name.is_empty());
    name(IMAGE_NAME).or_else(|| name(REF_NAME))
}

/// What a name is about that is made of a digest: `sha256-0123…`, perhaps with an ending such as `.sig`.
fn subject_in(name: &str) -> Option<Digest> {
    let digest = name.split_once('.').map_or(name, |(digest, _)| digest);
    let (algorithm, encoded) = digest.split_once('-')?;
    let digest: Digest = format!("{algorithm}:{encoded}").parse().ok()?;
    digest.algorithm().is_supported().then_some(digest)
}
