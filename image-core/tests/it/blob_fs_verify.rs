//! Blobs that are verified when they are read, and corrupt ones that are set aside.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs, path::PathBuf};

use image_core::{
    Digest, Error,
    blob::{BlobSource, BlobSourceExt, BlobStore, BlobStoreExt, FsBlobStore, FsBlobStoreOptions, Verify},
};
use tempfile::TempDir;

fn store() -> (TempDir, FsBlobStore) {
    let dir = TempDir::new().unwrap();
    let store = FsBlobStoreOptions::default().with_verify(Verify::OnRead).create(dir.path()).unwrap();
    (dir, store)
}

/// Puts other content in the place of a blob.
fn corrupt(store: &FsBlobStore, content: &[u8], other: &[u8]) -> (Digest, PathBuf) {
    let digest = store.put_bytes(content).unwrap().digest;
    let place = store.root().join("blobs").join("sha256").join(digest.encoded());
    fs::remove_file(&place).unwrap();
    fs::write(&place, other).unwrap();
    (digest, place)
}

#[test]
fn a_corrupt_blob_is_reported_with_its_path() {
    for other in [&b"wr0ng content"[..], b"cut", b"right content and more", b""] {
        let (_dir, store) = store();
        let (digest, place) = corrupt(&store, b"right content", other);
        let error = store.open(&digest).unwrap_err();
        assert!(error.is_corrupt(), "{error}");
        assert!(error.to_string().contains(place.to_str().unwrap()), "{error}");
        let Error::CorruptBlob { path, source, .. } = error else { panic!("another error") };
        assert_eq!(path, place);
        assert!(source.to_string().contains(&digest.to_string()), "{source}");
        assert!(store.require(&digest).unwrap_err().is_corrupt());
        let lax = FsBlobStore::open(store.root()).unwrap();
        assert!(lax.open(&digest).unwrap().is_some(), "it is a choice");
    }
}

#[test]
fn a_corrupt_blob_is_written_anew() {
    let (_dir, store) = store();
    let (digest, _) = corrupt(&store, b"right content", b"wrong content");
    assert!(!store.renew(&digest, 13).unwrap());
    assert!(!store.put_bytes(b"right content").unwrap().already_present);
    assert_eq!(std::io::read_to_string(store.require(&digest).unwrap()).unwrap(), "right content");
}

#[test]
fn a_corrupt_blob_is_set_aside_once_and_a_whole_one_never() {
    let (_dir, store) = store();
    let lax = FsBlobStore::open(store.root()).unwrap();
    for (store, round) in [(&store, 1), (&lax, 2)] {
        let (digest, place) = corrupt(store, b"right content", b"wrong content");
        let aside = store.set_aside(&digest).unwrap().expect("it is corrupt");
        assert!(aside.starts_with(store.root().join("corrupt")) && aside.is_file(), "{}", aside.display());
        assert!(aside.to_str().unwrap().contains(digest.encoded()), "{}", aside.display());
        assert!(!place.exists());
        assert_eq!(store.stat(&digest).unwrap(), None);
        assert_eq!(store.set_aside(&digest).unwrap(), None, "there is none");
        assert!(!store.put_bytes(b"right content").unwrap().already_present, "the right one can be stored");
        assert_eq!(store.set_aside(&digest).unwrap(), None, "it is whole");
        assert_eq!(fs::read_dir(store.root().join("corrupt")).unwrap().count(), round, "each is kept");
        store.remove(&digest).unwrap();
    }
}
