//! Copying images between blob stores: one image, or all that an index holds.

use std::{
    collections::HashSet,
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use image_core::{
    Ctx, Descriptor, Digest, Error as CoreError, ImageIndex, ImageManifest, MediaType,
    blob::{BlobSource, BlobSourceExt, BlobStore, BlobStoreExt, Committed},
    observer::NoticeKind,
};

use crate::error::Result;

/// How deep indexes may nest.
const MAX_DEPTH: usize = 8;

/// How many indexes are read for one copy.
const MAX_INDEXES: usize = 1000;

/// How many blobs are copied at most; what is remembered of each is small.
const MAX_BLOBS: usize = 1_000_000;

/// How an image is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyOptions {
    /// How many layers of an image are copied at once. Two by default.
    pub threads: NonZeroUsize,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self { threads: NonZeroUsize::MIN.saturating_add(1) }
    }
}

impl CopyOptions {
    /// With so many layers at once.
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
/// A blob is copied after all that it points at. So whatever ends a copy early, no document is in the
/// destination whose blobs are not, and the copy can be taken up again: what is there is not copied twice.
/// Nothing is tagged. To copy one image out of an index, find it first, as
/// [`OciLayout::image`](crate::OciLayout::image) does, and give its descriptor.
///
/// What is neither index nor manifest, by its media type, is copied as it is. A manifest's `subject` is not
/// followed. Layers that are not to be distributed may be missing; a notice says so.
///
/// Memory is bounded by the documents of one branch of the graph, and a digest for each blob.
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
    let batch = destination.batch()?;
    let mut walk =
        Walk { source, destination: &*batch, options, ctx, seen: Seen::default(), copied: Copied::default() };
    let result = walk.run(root);
    let copied = walk.copied;
    // What arrived before an error need not be copied again.
    let committed = batch.commit();
    result.and(committed)?;
    Ok(copied)
}

/// A way in which a blob is pointed at. One blob may be pointed at as a document and as none.
type Pointer = (Digest, u64, MediaType);

/// What was met on the way.
#[derive(Default)]
struct Seen {
    blobs: HashSet<Pointer>,
    indexes: usize,
}

impl Seen {
    /// Whether it is met for the first time.
    fn is_new(&mut self, descriptor: &Descriptor) -> Result<bool, CoreError> {
        let Descriptor { digest, size, media_type, .. } = descriptor;
        let is_new = self.blobs.insert((digest.clone(), *size, media_type.clone()));
        self.indexes += usize::from(is_new && media_type.is_index());
        within(self.blobs.len(), "blobs", MAX_BLOBS, digest)?;
        within(self.indexes, "indexes", MAX_INDEXES, digest)?;
        Ok(is_new)
    }
}

fn within(count: usize, what: &str, limit: usize, at: &Digest) -> Result<(), CoreError> {
    if count > limit { Err(CoreError::limit(format!("number of {what} up to {at}"), limit as u64)) } else { Ok(()) }
}

/// An index whose images are being copied.
struct Branch {
    descriptor: Descriptor,
    left: std::vec::IntoIter<Descriptor>,
}

struct Walk<'a> {
    source: &'a dyn BlobSource,
    destination: &'a dyn BlobStore,
    options: &'a CopyOptions,
    ctx: &'a Ctx,
    seen: Seen,
    copied: Copied,
}

impl Walk<'_> {
    fn run(&mut self, root: &Descriptor) -> Result<(), CoreError> {
        let mut branches: Vec<Branch> = self.visit(root)?.into_iter().collect();
        while let Some(branch) = branches.last_mut() {
            match branch.left.next() {
                None => {
                    let descriptor = branch.descriptor.clone();
                    self.copy_blob(&descriptor)?;
                    branches.pop();
                }
                Some(child) => {
                    let below = self.visit(&child)?;
                    branches.extend(below);
                    if branches.len() > MAX_DEPTH {
                        let what = format!("image index {}, by its depth below other indexes", child.digest);
                        return Err(CoreError::limit(what, MAX_DEPTH as u64));
                    }
                }
            }
        }
        Ok(())
    }

    /// Copies what is no index; gives the branch of what is.
    fn visit(&mut self, descriptor: &Descriptor) -> Result<Option<Branch>, CoreError> {
        self.ctx.check()?;
        if !self.seen.is_new(descriptor)? {
            return Ok(None);
        }
        let media_type = &descriptor.media_type;
        if media_type.is_index() {
            let index = self.source.read_document::<ImageIndex>(descriptor)?.into_value();
            return Ok(Some(Branch { descriptor: descriptor.clone(), left: index.manifests.into_iter() }));
        }
        if media_type.is_manifest() || media_type.as_str().is_empty() {
            let manifest = self.source.read_document::<ImageManifest>(descriptor)?.into_value();
            self.copy_content(manifest)?;
        }
        self.copy_blob(descriptor)?;
        Ok(None)
    }

    /// Copies the config and the layers of a manifest, several at once.
    fn copy_content(&mut self, manifest: ImageManifest) -> Result<(), CoreError> {
        let mut blobs = Vec::with_capacity(manifest.layers.len() + 1);
        for blob in manifest.layers.into_iter().chain([manifest.config]) {
            if self.seen.is_new(&blob)? && !self.may_be_left_out(&blob)? {
                blobs.push(blob);
            }
        }
        let pool = Pool {
            left: Mutex::new(blobs.iter()),
            result: Mutex::new(Ok(self.copied)),
            copy: |blob: &Descriptor| self.destination.copy_from(self.source, blob, self.ctx),
        };
        thread::scope(|scope| {
            for _ in 1..self.options.threads.get().min(blobs.len()) {
                // A thread that cannot be had leaves its work to the others.
                let spawned = thread::Builder::new().name("copy".into()).spawn_scoped(scope, || pool.work());
                if spawned.is_err() {
                    break;
                }
            }
            pool.work();
        });
        self.copied = pool.result.into_inner().unwrap_or_else(PoisonError::into_inner)?;
        Ok(())
    }

    fn copy_blob(&mut self, descriptor: &Descriptor) -> Result<(), CoreError> {
        self.copied.add(&self.destination.copy_from(self.source, descriptor, self.ctx)?);
        Ok(())
    }

    /// Whether it is a layer that is not to be distributed, and that the source does not have.
    fn may_be_left_out(&self, layer: &Descriptor) -> Result<bool, CoreError> {
        let is_left_out = is_undistributed(&layer.media_type) && self.source.stat(&layer.digest)?.is_none();
        if is_left_out {
            let message = "is not copied: it is not to be distributed, and not there";
            self.ctx.notice(NoticeKind::Skipped, &layer.digest.to_string(), message);
        }
        Ok(is_left_out)
    }
}

/// Blobs that threads take from, and what became of them.
struct Pool<I, F> {
    left: Mutex<I>,
    result: Mutex<Result<Copied, CoreError>>,
    copy: F,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a, I, F> Pool<I, F>
where
    I: Iterator<Item = &'a Descriptor>,
    F: Fn(&Descriptor) -> Result<Committed, CoreError>,
{
    fn work(&self) {
        while lock(&self.result).is_ok() {
            let Some(blob) = lock(&self.left).next() else { return };
            let copied = (self.copy)(blob);
            let mut result = lock(&self.result);
            match (copied, result.as_mut()) {
                (Ok(blob), Ok(sum)) => sum.add(&blob),
                (Err(error), Ok(_)) => *result = Err(error),
                (_, Err(_)) => {}
            }
        }
    }
}

/// Whether a layer is not to be distributed, so that it may be missing.
pub(crate) fn is_undistributed(media_type: &MediaType) -> bool {
    matches!(
        media_type,
        MediaType::OciLayerNondistributable
            | MediaType::OciLayerNondistributableGzip
            | MediaType::OciLayerNondistributableZstd
            | MediaType::DockerForeignLayerGzip
    )
}
