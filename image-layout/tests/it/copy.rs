//! Copying images between stores.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
};

use image_core::{
    Blob, BlobSource, BlobStore, CancelToken, Compression, Ctx, Descriptor, Digest, Document, Event, ImageIndex,
    ImageManifest, MediaType, MemoryBlobStore, Result as CoreResult,
    blob::{BlobSourceExt, BlobStoreExt, BlobWriter, Expected},
};
use image_layout::{Copied, CopyOptions, Error, copy, fsck::VerifyOptions, select::image_in};

use crate::fixture::Fixture;

fn run(from: &dyn BlobSource, to: &dyn BlobStore, root: &Descriptor) -> Result<Copied, Error> {
    copy(from, to, root, &CopyOptions::default(), &Ctx::default())
}

pub(crate) fn blobs(store: &dyn BlobStore) -> Vec<Digest> {
    let mut blobs = Vec::new();
    let visited = store.for_each(&mut |digest, _| {
        blobs.push(digest.clone());
        Ok(())
    });
    visited.expect("a store in memory");
    blobs.sort();
    blobs
}

/// Two images in a nested index, beside one that is not to be copied.
fn nested(fixture: &Fixture) -> Descriptor {
    let inner = fixture.index(vec![fixture.image_for("linux/arm64")]);
    let root = fixture.index(vec![fixture.image_for("linux/amd64"), inner]);
    fixture.image("linux/amd64", "something else");
    root
}

#[test]
fn a_whole_graph() {
    for threads in [1, 2, 7] {
        let (from, to) = (Fixture::new(), Fixture::new());
        let root = nested(&from);
        let options = CopyOptions::default().with_threads(NonZeroUsize::new(threads).unwrap());
        let copied = copy(from.layout.blobs(), to.layout.blobs(), &root, &options, &Ctx::default()).unwrap();
        // Two indexes, and of each image manifest, config and layer.
        assert_eq!((copied.blobs, copied.already_present), (8, 0));
        assert_eq!(blobs(to.layout.blobs()).len(), 8);
        to.layout.tag("all", &root).unwrap();
        let report = to.layout.verify(None, &VerifyOptions::default(), &Ctx::default()).unwrap();
        assert!(report.is_clean());
        assert_eq!(copied.bytes, report.bytes);

        let again = copy(from.layout.blobs(), to.layout.blobs(), &root, &options, &Ctx::default()).unwrap();
        assert_eq!((again.blobs, again.already_present, again.bytes), (8, 8, 0));
    }
}

#[test]
fn one_platform_of_it() {
    let from = Fixture::new();
    let root = nested(&from);
    let platform = "linux/arm64".parse().unwrap();
    let source = Arc::new(from.layout.blobs().clone());
    let image = image_in(source, "here", "it", &root, Some(&platform)).unwrap();
    assert_eq!(image.platform(), platform);
    let to = MemoryBlobStore::default();
    let copied = run(from.layout.blobs(), &to, image.descriptor()).unwrap();
    assert_eq!((copied.blobs, blobs(&to).len()), (3, 3));
}

#[test]
fn what_is_shared_is_copied_once() {
    let from = Fixture::new();
    let (layer, diff_id) = from.layer("shared", Compression::Gzip);
    let image = |platform| {
        let config = from.config(platform, &[diff_id.clone(), diff_id.clone()]);
        from.manifest(config, vec![layer.clone(), layer.clone()])
    };
    let (one, two) = (image("linux/amd64"), image("linux/arm64"));
    let root = from.index(vec![one.clone(), two, one]);
    let to = MemoryBlobStore::default();
    let copied = run(from.layout.blobs(), &to, &root).unwrap();
    assert_eq!((copied.blobs, blobs(&to).len()), (6, 6));
}

#[test]
fn what_is_unknown_is_copied_as_it_is() {
    let from = Fixture::new();
    let unknown = from.put(b"anything", MediaType::from("application/x-unknown"));
    let artifact = from.manifest(from.put(b"{}", MediaType::OciEmpty), vec![unknown.clone()]);
    let mut untyped = from.image("linux/amd64", "a");
    untyped.media_type = MediaType::default();
    let to = MemoryBlobStore::default();
    run(from.layout.blobs(), &to, &from.index(vec![unknown, artifact, untyped])).unwrap();
    // The index, the unknown blob, the artifact and its config, the image's three.
    assert_eq!(blobs(&to).len(), 7);
}

#[test]
fn a_layer_that_is_not_to_be_distributed_may_be_missing() {
    let from = Fixture::new();
    let (mut layer, diff_id) = from.layer("elsewhere", Compression::Gzip);
    from.remove(&layer.digest);
    let config = from.config("linux/amd64", &[diff_id]);
    let error =
        run(from.layout.blobs(), &MemoryBlobStore::default(), &from.manifest(config.clone(), vec![layer.clone()]));
    assert!(error.unwrap_err().is_not_found());

    layer.media_type = MediaType::DockerForeignLayerGzip;
    let copied = run(from.layout.blobs(), &MemoryBlobStore::default(), &from.manifest(config, vec![layer]));
    assert_eq!(copied.unwrap().blobs, 2);
}

/// Fails at the n-th blob that is begun.
pub(crate) struct Failing {
    inner: MemoryBlobStore,
    left: Mutex<usize>,
}

impl Failing {
    pub(crate) fn after(left: usize) -> Self {
        Self { inner: MemoryBlobStore::default(), left: Mutex::new(left) }
    }

    /// What came in.
    pub(crate) fn inner(&self) -> &MemoryBlobStore {
        &self.inner
    }
}

impl BlobSource for Failing {
    fn stat(&self, digest: &Digest) -> CoreResult<Option<u64>> {
        self.inner.stat(digest)
    }
    fn open(&self, digest: &Digest) -> CoreResult<Option<Blob>> {
        self.inner.open(digest)
    }
}

impl BlobStore for Failing {
    fn create(&self, expected: &Expected) -> CoreResult<Box<dyn BlobWriter>> {
        let mut left = self.left.lock().expect("no test panicked");
        *left = left.checked_sub(1).ok_or_else(|| image_core::Error::limit("blobs", 0))?;
        self.inner.create(expected)
    }
    fn remove(&self, digest: &Digest) -> CoreResult<bool> {
        self.inner.remove(digest)
    }
    fn for_each(&self, visit: &mut dyn FnMut(&Digest, u64) -> CoreResult<()>) -> CoreResult<()> {
        self.inner.for_each(visit)
    }
}

/// Whether everything that a document in the store points at is there too.
pub(crate) fn is_closed(store: &MemoryBlobStore) -> bool {
    blobs(store).iter().all(|digest| {
        let bytes = store.require(digest).and_then(|blob| blob.map()).expect("a blob that is there");
        let mut below = Vec::new();
        if let Ok(index) = Document::<ImageIndex>::parse(bytes.clone(), "it") {
            below = index.into_value().manifests;
        } else if let Ok(manifest) = Document::<ImageManifest>::parse(bytes, "it") {
            let ImageManifest { config, layers, .. } = manifest.into_value();
            below = layers.into_iter().chain([config]).collect();
        }
        below.iter().all(|child| matches!(store.stat(&child.digest), Ok(Some(_))))
    })
}

#[test]
fn a_copy_that_fails_anywhere_leaves_no_document_without_its_blobs() {
    let from = Fixture::new();
    let root = nested(&from);
    let mut failures = 0;
    for left in 0.. {
        let to = Failing::after(left);
        let result = run(from.layout.blobs(), &to, &root);
        assert!(is_closed(&to.inner), "after {left} blobs");
        // And it is taken up where it ended.
        let again = run(from.layout.blobs(), &to.inner, &root).unwrap();
        assert_eq!((again.blobs, again.already_present), (8, left as u64));
        if result.is_ok() {
            break;
        }
        failures += 1;
    }
    assert_eq!(failures, 8);
}

#[test]
fn corrupt_and_missing_blobs() {
    for position in 0..3 {
        for is_missing in [false, true] {
            let from = Fixture::new();
            let (layer, diff_id) = from.layer("a", Compression::Gzip);
            let config = from.config("linux/amd64", &[diff_id]);
            let image = from.manifest(config.clone(), vec![layer.clone()]);
            let digest = &[&layer, &config, &image][position].digest;
            let to = Fixture::new();
            if is_missing {
                from.remove(digest);
            } else {
                let size = [&layer, &config, &image][position].size;
                from.corrupt(digest, &vec![b'{'; usize::try_from(size).unwrap()]);
            }
            let error = run(from.layout.blobs(), to.layout.blobs(), &image).unwrap_err();
            assert!(if is_missing { error.is_not_found() } else { error.is_corrupt() }, "{error}");
            assert!(error.to_string().contains(&digest.to_string()), "{error}");
            assert_eq!(to.layout.blobs().stat(digest).unwrap(), None);
            assert_eq!(to.layout.blobs().stat(&image.digest).unwrap(), None);
        }
    }
}

#[test]
fn sizes_that_lie() {
    let from = Fixture::new();
    for change in [-1, 1] {
        let mut image = from.image("linux/amd64", "a");
        image.size = image.size.saturating_add_signed(change);
        assert!(run(from.layout.blobs(), &MemoryBlobStore::default(), &image).unwrap_err().is_corrupt());
    }
}

#[test]
fn a_document_that_is_also_pointed_at_as_a_blob_is_copied_as_a_document() {
    let from = Fixture::new();
    let image = from.image("linux/amd64", "a");
    let mut blob = image.clone();
    blob.media_type = MediaType::from("application/x-unknown");
    let to = MemoryBlobStore::default();
    run(from.layout.blobs(), &to, &from.index(vec![blob, image])).unwrap();
    assert_eq!(blobs(&to).len(), 4);
}

#[test]
fn graphs_that_are_deep_or_wide() {
    let from = Fixture::new();
    let mut chain = from.image("linux/amd64", "a");
    for depth in 1..=9 {
        chain = from.index(vec![chain]);
        let result = run(from.layout.blobs(), &MemoryBlobStore::default(), &chain);
        assert_eq!(result.is_ok(), depth <= 8, "{depth}");
        if let Err(error) = result {
            assert!(error.to_string().contains("limit of 8"), "{error}");
        }
    }

    // Each level points ten thousand times at the one below: 10^28 ways, and eight documents.
    let mut dag = from.image("linux/amd64", "a");
    for _ in 0..7 {
        dag = from.index(vec![dag; 10_000]);
    }
    assert_eq!(run(from.layout.blobs(), &MemoryBlobStore::default(), &dag).unwrap().blobs, 10);

    let image = from.image("linux/amd64", "a");
    let index = |n: usize| from.index(vec![image.clone().with_annotation("n", n.to_string())]);
    let many: Vec<Descriptor> = (0..1000).map(index).collect();
    let error = run(from.layout.blobs(), &MemoryBlobStore::default(), &from.index(many)).unwrap_err();
    assert!(error.to_string().contains("number of indexes"), "{error}");
}

#[test]
fn it_tells_how_far_it_is_and_stops_when_asked() {
    let from = Fixture::new();
    let root = nested(&from);
    let bytes = Arc::new(Mutex::new(0));
    let sum = Arc::clone(&bytes);
    let ctx = Ctx::default().with_observer(Arc::new(move |event: &Event<'_>| {
        if let Event::Advance { bytes, .. } = event {
            *sum.lock().unwrap() += bytes;
        }
    }));
    let to = MemoryBlobStore::default();
    let copied = copy(from.layout.blobs(), &to, &root, &CopyOptions::default(), &ctx).unwrap();
    assert_eq!(*bytes.lock().unwrap(), copied.bytes);

    let cancel = CancelToken::default();
    cancel.cancel();
    let to = MemoryBlobStore::default();
    let ctx = Ctx::default().with_cancel(cancel);
    let error = copy(from.layout.blobs(), &to, &root, &CopyOptions::default(), &ctx).unwrap_err();
    assert!(error.is_cancelled());
    assert!(blobs(&to).is_empty());
    to.put_bytes(b"it is still a store").unwrap();
}
