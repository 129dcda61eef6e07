//! Copying an image with all that is about it.

use std::collections::HashMap;

use image_core::{Ctx, Descriptor, Digest};

use crate::{
    copy::{Copied, CopyOptions, Walk},
    error::Result,
    layout::OciLayout,
};

impl OciLayout {
    /// Copies what `root` points at to another layout, as [`copy`](crate::copy()) does, and with it what is about it, as
    /// signatures are: the manifests and indexes of this layout whose `subject` is a document of the graph, and what is about
    /// those in turn.
    ///
    /// In the other layout they become entries without a name, as [`OciLayout::add`] makes them, unless an index that is copied
    /// holds them. Nothing is named. Where others may collect that layout, give it [leased](OciLayout::leased).
    ///
    /// # Errors
    /// Those of [`copy`](crate::copy()), [`OciLayout::referrers`] and [`OciLayout::add`].
    ///
    /// # Spec
    /// OCI image-spec 1.1, manifest.md, `subject`; distribution-spec 1.1, § Listing Referrers.
    pub fn copy_with_referrers(
        &self,
        to: &Self,
        root: &Descriptor,
        options: &CopyOptions,
        ctx: &Ctx,
    ) -> Result<Copied> {
        let mut about: HashMap<Digest, Vec<Descriptor>> = HashMap::new();
        for (subject, referrer) in self.all_referrers(ctx)? {
            about.entry(subject).or_default().push(referrer);
        }
        let mut walk = Walk::new(self.blobs(), ctx);
        walk.run(root)?;
        let mut referrers = Vec::new();
        let mut next = 0;
        // What is about a document comes after it, and may have something about it, too.
        while let Some(document) = walk.graph.documents.get(next) {
            next += 1;
            for referrer in about.remove(&document.digest).unwrap_or_default() {
                let before = walk.graph.documents.len();
                walk.run(&referrer)?;
                if walk.graph.documents.len() > before {
                    referrers.push(referrer);
                }
            }
        }
        let mut copied = walk.copy_to(to.blobs(), options)?;
        for referrer in &referrers {
            to.add(referrer)?;
        }
        copied.referrers = referrers.len() as u64;
        Ok(copied)
    }
}
