//! Blob stores: the contract, and what a directory can do wrong.

use std::sync::Arc;

use image_core::blob::{BlobStore, Durability, FsBlobStoreOptions, MemoryBlobStore, conformance::check_all};
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
