//! Copying images between blob stores: one image, or all that an index holds.

use std::{collections::HashSet, num::NonZeroUsize};

use image_core::{
    Ctx, Descriptor, Digest, Error as CoreError, ImageIndex, ImageManifest, MediaType,
    blob::{BlobSource, BlobSourceExt, BlobStore, BlobStoreExt, Committed},
    observer::NoticeKind,
    parallel,
};

use crate::{bounds::Bounds, error::Result};

/// How an image is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyOptions {
    /// How many blobs are copied at once. Two by default.
    pub threads: NonZeroUsize,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self { threads: NonZeroUsize::MIN.saturating_add(1) }
    }
}

impl CopyOptions {
    /// With so many blobs at once.
    #[must_use]
    pub fn with_threads(self, threads: NonZeroUsize) -> Self {
        Self { threads }
    }
}

/// What a copy came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// How many blobs the image has, documents among them.
    pub blobs: u64,
    /// How many of them were in the destination before.
    pub already_present: u64,
    /// The size of the others, in bytes.
    pub bytes: u64,
    /// How many of the documents came along because they are about the image; none unless that was asked for, by
    /// [`OciLayout::copy_with_referrers`](crate::OciLayout::copy_with_referrers).
    pub referrers: u64,
}

impl Copied {
    fn add(&mut self, blob: &Committed) {
        self.blobs += 1;
        if blob.already_present {
            self.already_present += 1;
        } else {
            self.bytes += blob.size;
        }
    }
}

/// Copies what `root` points at, an image or an index of images, with everything below it, byte for byte.
///
/// All documents are read first, so that nothing is copied of a graph that is not right. Then other blobs are
/// copied, several at once, and at last the documents, each after all that it points at. So whatever ends a copy early, no
/// document is in the destination whose blobs are not, and the copy can be taken up again: what is there is not copied twice.
/// Nothing is tagged. To copy one image out of an index, find it first, as
/// [`OciLayout::image`](crate::OciLayout::image) does, and give its descriptor.
///
/// What is neither index nor manifest, by its media type, is copied as it is. A manifest's `subject` is not
/// followed; what is about the image is copied by
/// [`OciLayout::copy_with_referrers`](crate::OciLayout::copy_with_referrers). Layers that are not to be distributed may be missing; a notice says so.
///
/// Memory is bounded by the documents of one branch of the graph, and a descriptor for each blob.
///
/// # Errors
/// [`crate::Error::is_not_found`] where the source misses a blob, [`crate::Error::is_corrupt`] where one is not
/// what its descriptor says, [`crate::Error::is_cancelled`], [`CoreError::LimitExceeded`] for indexes nested deeper
/// than 8, more than 1000 indexes or 1,000,000 blobs, and errors of the two stores.
///
/// # Spec
/// OCI image-spec 1.1, image-index.md, `manifests`: unknown media types are not an error.
///
/// # Examples
/// ```
/// use image_core::{BlobSource, Ctx, Document, ImageIndex, MediaType, MemoryBlobStore, blob::BlobStoreExt};
/// use image_layout::{CopyOptions, copy};
///
/// let (from, to) = (MemoryBlobStore::default(), MemoryBlobStore::default());
/// let index = Document::new(ImageIndex::new(Vec::new()))?;
/// from.put_document(&index)?;
/// let copied = copy(&from, &to, &index.descriptor(MediaType::OciIndex), &CopyOptions::default(), &Ctx::default())?;
/// assert_eq!((copied.blobs, copied.already_present), (1, 0));
/// assert!(to.stat(index.digest())?.is_some());
/// # Ok::<(), image_layout::Error>(())
/// ```
pub fn copy(
    source: &dyn BlobSource,
    destination: &dyn BlobStore,
    root: &Descriptor,
    options: &CopyOptions,
    ctx: &Ctx,
) -> Result<Copied> {
    let mut walk = Walk::new(source, ctx);
    walk.run(root)?;
    Ok(walk.copy_to(destination, options)?)
}

/// A way in which a blob is pointed at. One blob may be pointed at as a document and as none.
type Pointer = (Digest, u64, MediaType);

/// All that is to be copied.
#[derive(Default)]
pub(crate) struct Graph {
    /// What points at nothing.
    contents: Vec<Descriptor>,
    /// What does, each after all that it points at.
    pub(crate) documents: Vec<Descriptor>,
}

/// An index of whose entries some are still to be visited.
struct Branch {
    descriptor: Descriptor,
    left: std::vec::IntoIter<Descriptor>,
}

/// A walk over all documents, from the top down.
pub(crate) struct Walk<'a> {
    source: &'a dyn BlobSource,
    ctx: &'a Ctx,
    seen: HashSet<Pointer>,
    bounds: Bounds,
    pub(crate) graph: Graph,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(source: &'a dyn BlobSource, ctx: &'a Ctx) -> Self {
        Self { source, ctx, seen: HashSet::new(), bounds: Bounds::default(), graph: Graph::default() }
    }

    /// Copies all that was found.
    pub(crate) fn copy_to(&self, destination: &dyn BlobStore, options: &CopyOptions) -> Result<Copied, CoreError> {
        let batch = destination.batch()?;
        let copied = copy_graph(&self.graph, options.threads, &|blob| batch.copy_from(self.source, blob, self.ctx));
        // What arrived before an error need not be copied again.
        let committed = batch.commit();
        let copied = copied?;
        committed?;
        Ok(copied)
    }

    /// Finds all that `root` points at, as far as it was not found before.
    pub(crate) fn run(&mut self, root: &Descriptor) -> Result<(), CoreError> {
        let mut branches: Vec<Branch> = self.visit(root, 1)?.into_iter().collect();
        while let Some(branch) = branches.last_mut() {
            match branch.left.next() {
                Some(child) => {
                    let below = self.visit(&child, branches.len() + 1)?;
                    branches.extend(below);
                }
                None => self.graph.documents.extend(branches.pop().map(|branch| branch.descriptor)),
            }
        }
        Ok(())
    }

    /// Notes what is no index; gives the branch of what is.
    fn visit(&mut self, descriptor: &Descriptor, depth: usize) -> Result<Option<Branch>, CoreError> {
        self.ctx.check()?;
        if !self.is_new(descriptor)? {
            return Ok(None);
        }
        let media_type = &descriptor.media_type;
        if media_type.is_index() {
            self.bounds.admit_index(descriptor, depth)?;
            let index = self.source.read_document::<ImageIndex>(descriptor)?.into_value();
            return Ok(Some(Branch { descriptor: descriptor.clone(), left: index.manifests.into_iter() }));
        }
        if !media_type.is_manifest() && !media_type.as_str().is_empty() {
            self.graph.contents.push(descriptor.clone());
            return Ok(None);
        }
        let manifest = self.source.read_document::<ImageManifest>(descriptor)?.into_value();
        for blob in manifest.layers.into_iter().chain([manifest.config]) {
            if self.is_new(&blob)? && !self.may_be_left_out(&blob)? {
                self.graph.contents.push(blob);
            }
        }
        self.graph.documents.push(descriptor.clone());
        Ok(None)
    }

    /// Whether it is met for the first time.
    fn is_new(&mut self, descriptor: &Descriptor) -> Result<bool, CoreError> {
        let Descriptor { digest, size, media_type, .. } = descriptor;
        let is_new = self.seen.insert((digest.clone(), *size, media_type.clone()));
        if is_new {
            self.bounds.admit_blob(digest)?;
        }
        Ok(is_new)
    }

    /// Whether it is a layer that is not to be distributed, and that the source does not have.
    fn may_be_left_out(&self, layer: &Descriptor) -> Result<bool, CoreError> {
        let is_left_out = layer.media_type.is_nondistributable() && self.source.stat(&layer.digest)?.is_none();
        if is_left_out {
            let message = "is not copied: it is not to be distributed, and not there";
            self.ctx.notice(NoticeKind::Skipped, &layer.digest.to_string(), message);
        }
        Ok(is_left_out)
    }
}

/// Copies contents, several at once, and then what points at them.
fn copy_graph<F>(graph: &Graph, threads: NonZeroUsize, copy: &F) -> Result<Copied, CoreError>
where
    F: Fn(&Descriptor) -> Result<Committed, CoreError> + Sync,
{
    let names: HashSet<&Digest> = graph.documents.iter().map(|document| &document.digest).collect();
    // What is a document in one place and mere content in another waits until it is a document.
    let (late, early): (Vec<_>, Vec<_>) = graph.contents.iter().partition(|blob| names.contains(&blob.digest));
    let mut copied = Copied::default();
    parallel::map(threads, &early, |blob| copy(blob))?.iter().for_each(|blob| copied.add(blob));
    for blob in graph.documents.iter().chain(late) {
        copied.add(&copy(blob)?);
    }
    Ok(copied)
}
