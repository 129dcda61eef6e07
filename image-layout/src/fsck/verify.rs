//! The whole of it: walk, then check.

use image_core::{Ctx, Digest, blob::BlobStore};

use super::{Report, VerifyOptions, check, walk::Walk};
use crate::{error::Result, layout::OciLayout};

impl OciLayout {
    /// Verifies what can be reached from a name, or from all of `index.json`.
    ///
    /// Every blob is hashed and compared with its descriptors' sizes, every manifest, index and config is
    /// read as such, layers are decompressed and compared with their diffIDs. All that is wrong is reported,
    /// not the first alone. Artifacts' blobs and entries of unknown media types are hashed. What a manifest is about, its
    /// `subject`, may be missing, and so may layers that are not to be distributed; where they are there, they are verified.
    /// Indexes nested deeper than 8, or more than 1000 of them, are a finding, and not read.
    ///
    /// Memory grows with the number of blobs, not with their size.
    ///
    /// # Errors
    /// Those of [`OciLayout::index`] and [`OciLayout::resolve`], where there is nothing to start from;
    /// [`image_core::Error::LimitExceeded`] for more than 1,000,000 blobs; [`crate::Error::is_cancelled`].
    pub fn verify(&self, name: Option<&str>, options: &VerifyOptions, ctx: &Ctx) -> Result<Report> {
        let roots = match name {
            Some(name) => vec![self.resolve(name)?],
            None => self.roots()?,
        };
        let store = self.blobs();
        let mut walk = Walk::new(store, ctx);
        walk.run(roots)?;
        if options.unreachable {
            store.for_each(&mut |digest: &Digest, _| {
                walk.want_content(digest);
                Ok(())
            })?;
        }
        let Walk { mut report, wants, .. } = walk;
        let (findings, bytes) = check::all(store, &wants, options.threads, ctx)?;
        report.findings.extend(findings);
        report.blobs += wants.len() as u64;
        report.bytes += bytes;
        Ok(report)
    }
}
