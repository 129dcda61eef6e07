//! Blob stores: the contract, and what a directory can do wrong.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::sync::{Arc, Mutex};

use image_core::{
    CancelToken, Ctx, Descriptor, Digest, Document, Error, Event, ImageIndex, ImageManifest, MediaType, Result,
    blob::{
        Blob, BlobSource, BlobSourceExt, BlobStore, BlobStoreExt, Durability, FsBlobStore, FsBlobStoreOptions,
        MemoryBlobStore, Verify, conformance::check_all,
    },
};
use tempfile::TempDir;

#[test]
fn memory_store_conforms() {
    check_all(&|| Box::new(MemoryBlobStore::default()));
}

#[test]
fn forwarding_wrappers_conform() {
    check_all(&|| Box::new(Arc::new(MemoryBlobStore::default())));
    check_all(&|| Box::new(Box::new(MemoryBlobStore::default()) as Box<dyn BlobStore>));
    check_all(&|| {
        let leaked: &'static MemoryBlobStore = Box::leak(Box::default());
        Box::new(leaked)
    });
}

#[test]
fn fs_store_conforms() {
    for durability in [Durability::Synced, Durability::Fast] {
        let options = FsBlobStoreOptions::default().with_durability(durability);
        let dirs = std::cell::RefCell::new(Vec::new());
        check_all(&|| {
            let dir = TempDir::new().unwrap();
            let store = options.create(dir.path().join("a/store")).unwrap();
            dirs.borrow_mut().push(dir);
            Box::new(store)
        });
        for dir in dirs.into_inner() {
            let left = std::fs::read_dir(dir.path().join("a/store/ingest")).map_or(0, Iterator::count);
            assert_eq!(left, 0, "no temporary file is left");
        }
    }
}

#[test]
fn fs_store_that_verifies_what_is_read_conforms() {
    let dirs = std::cell::RefCell::new(Vec::new());
    check_all(&|| {
        let dir = TempDir::new().unwrap();
        let store = FsBlobStoreOptions::default().with_verify(Verify::OnRead).create(dir.path()).unwrap();
        dirs.borrow_mut().push(dir);
        Box::new(store)
    });
}

#[test]
fn batches_and_leases_conform() {
    let dirs = std::cell::RefCell::new(Vec::new());
    let store = || {
        let dir = TempDir::new().unwrap();
        let store: &'static FsBlobStore = Box::leak(Box::new(FsBlobStore::create(dir.path()).unwrap()));
        dirs.borrow_mut().push(dir);
        store
    };
    check_all(&|| Box::new(store().batch().unwrap()));
    check_all(&|| Box::new(store().lease().unwrap().blobs().clone()));
    check_all(&|| Box::new(Box::leak(Box::new(MemoryBlobStore::default())).batch().unwrap()));
    // A part of a batch.
    check_all(&|| Box::new(Box::leak(store().batch().unwrap()).batch().unwrap()));
}

#[cfg(unix)]
#[test]
fn fs_store_of_symlinks_conforms() {
    let dirs = std::cell::RefCell::new(Vec::new());
    check_all(&|| {
        let dir = TempDir::new().unwrap();
        let store = FsBlobStoreOptions::default().with_symlinked_blobs().create(dir.path()).unwrap();
        std::fs::create_dir(dir.path().join("shared")).unwrap();
        std::os::unix::fs::symlink("../shared", dir.path().join("blobs/sha256")).unwrap();
        dirs.borrow_mut().push(dir);
        Box::new(store)
    });
}

fn descriptor(content: &[u8]) -> Descriptor {
    Descriptor::new(MediaType::OciManifest, Digest::sha256_of(content), content.len() as u64)
}

#[test]
fn reading_is_bounded_before_it_begins() {
    let store = MemoryBlobStore::default();
    store.put_bytes(b"12345").unwrap();
    let blob = descriptor(b"12345");
    assert_eq!(store.read_bytes(&blob, 5).unwrap(), &b"12345"[..]);
    let error = store.read_bytes(&blob, 4).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { limit: 4, .. }), "{error}");
    assert!(error.to_string().contains(blob.digest.encoded()), "{error}");
    let mut huge = blob.clone();
    huge.size = u64::MAX;
    assert!(store.read_bytes(&huge, u64::MAX).unwrap_err().is_corrupt());
    huge.size = (4 << 20) + 1;
    let error = store.read_document::<ImageManifest>(&huge).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { limit: 4_194_304, .. }), "{error}");
}

#[test]
fn content_in_a_descriptor_must_be_the_content() {
    let store = MemoryBlobStore::default();
    let check = |content: &[u8], data: &str, expected: bool| {
        store.put_bytes(content).unwrap();
        let mut blob = descriptor(content);
        blob.data = Some(data.into());
        match store.read_bytes(&blob, 100) {
            Ok(bytes) => assert!(expected && bytes == content, "{data:?} passed for {content:?}"),
            Err(e) => assert!(!expected && e.is_corrupt(), "{data:?}: {e}"),
        }
    };
    check(b"", "", true);
    check(b"f", "Zg==", true);
    check(b"fo", "Zm8=", true);
    check(b"foo", "Zm9v", true);
    check(b"foobar", "Zm9v\r\nYmFy", true);
    check(b"\xfb\xff\xbe", "+/++", true);
    check(b"f", "Zg", false);
    check(b"f", "Zh==", false);
    check(b"foo", "Zm9w", false);
    check(b"foo", "Zm9vYmFy", false);
    check(b"foo", "", false);
    check(b"\xfb\xff\xbe", "-_--", false);
}

#[test]
fn documents_keep_their_bytes() {
    let store = MemoryBlobStore::default();
    let text = br#"{ "schemaVersion": 2, "manifests": [],   "unknown": 1 }"#;
    let index = Document::<ImageIndex>::parse(&text[..], "test").unwrap();
    assert!(!store.put_document(&index).unwrap().already_present);
    let read = store.read_document::<ImageIndex>(&index.descriptor(MediaType::OciIndex)).unwrap();
    assert_eq!(read.bytes(), &text[..]);
    let error = store.read_document::<ImageIndex>(&descriptor(b"absent")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

/// What an observer is told, in short.
fn watched() -> (Ctx, Arc<Mutex<Vec<String>>>) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&log);
    let observer = move |event: &Event<'_>| {
        sink.lock().unwrap().push(match event {
            Event::Begin { kind, bytes, .. } => format!("begin {kind:?} {bytes:?}"),
            Event::Advance { bytes, .. } => format!("advance {bytes}"),
            Event::End { outcome, .. } => format!("end {outcome:?}"),
            other => format!("{other:?}"),
        });
    };
    (Ctx::default().with_observer(Arc::new(observer)), log)
}

#[test]
fn copies_are_observed() {
    let (from, to) = (MemoryBlobStore::default(), MemoryBlobStore::default());
    let content = vec![7; 300 << 10];
    from.put_bytes(&content).unwrap();
    let (ctx, log) = watched();
    to.copy_from(&from, &descriptor(&content), &ctx).unwrap();
    to.copy_from(&from, &descriptor(&content), &ctx).unwrap();
    to.copy_from(&from, &descriptor(b"absent"), &ctx).unwrap_err();
    let expected = [
        "begin Copy Some(307200)",
        "advance 262144",
        "advance 45056",
        "end Done",
        "begin Copy Some(307200)",
        "end Cached",
        "begin Copy Some(6)",
        "end Failed",
    ];
    assert_eq!(*log.lock().unwrap(), expected);
}

/// A source that gives out other bytes than it was asked for.
struct Lying(&'static [u8]);

impl BlobSource for Lying {
    fn stat(&self, _: &Digest) -> Result<Option<u64>> {
        Ok(Some(self.0.len() as u64))
    }

    fn open(&self, _: &Digest) -> Result<Option<Blob>> {
        Ok(Some(Blob::from_bytes(self.0)))
    }
}

#[test]
fn copies_are_verified_and_cancellable() {
    let store = MemoryBlobStore::default();
    let blob = descriptor(b"truth");
    for lie in [&b"lies!"[..], b"lie", b"many lies"] {
        let error = store.copy_from(&Lying(lie), &blob, &Ctx::default()).unwrap_err();
        assert!(error.is_corrupt(), "{error}");
        assert_eq!(store.stat(&blob.digest).unwrap(), None);
    }
    let cancel = CancelToken::default();
    cancel.cancel();
    let ctx = Ctx::default().with_cancel(cancel);
    assert!(store.copy_from(&Lying(b"truth"), &blob, &ctx).unwrap_err().is_cancelled());
    assert_eq!(store.stat(&blob.digest).unwrap(), None);
    let source: &dyn BlobSource = &Lying(b"truth");
    let dynamic: Box<dyn BlobStore> = Box::new(store);
    dynamic.copy_from(source, &blob, &Ctx::default()).unwrap();
}
