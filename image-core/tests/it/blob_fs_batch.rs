//! Batches of a store in a directory: what is where, when.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs, io::Write, sync::Barrier, thread};

use image_core::{
    Digest,
    blob::{BlobSource, BlobStore, BlobStoreExt, Durability, Expected, FsBlobStore, FsBlobStoreOptions},
};
use tempfile::TempDir;
#[cfg(unix)]
use test_support::SmallDisk;

fn store() -> (TempDir, FsBlobStore) {
    let dir = TempDir::new().unwrap();
    let store = FsBlobStore::create(dir.path()).unwrap();
    (dir, store)
}

fn count(store: &FsBlobStore, directory: &str) -> usize {
    fs::read_dir(store.root().join(directory)).map_or(0, Iterator::count)
}

#[test]
fn nothing_is_visible_before_the_commit() {
    let (_dir, store) = store();
    let batch = store.batch().unwrap();
    for number in 0..10_u8 {
        batch.put_bytes(&[number]).unwrap();
        assert_eq!(store.stat(&Digest::sha256_of(&[number])).unwrap(), None);
    }
    assert_eq!((count(&store, "ingest"), count(&store, "blobs/sha256")), (10, 0));
    let other = FsBlobStore::open(store.root()).unwrap();
    assert_eq!(other.clean_stale_ingests().unwrap(), 0, "what waits is not stale");
    batch.commit().unwrap();
    assert_eq!((count(&store, "ingest"), count(&store, "blobs/sha256")), (0, 10));
}

#[test]
fn a_batch_that_is_dropped_leaves_nothing() {
    let (_dir, store) = store();
    let batch = store.batch().unwrap();
    batch.put_bytes(b"one").unwrap();
    let mut writer = batch.create(&Expected::any()).unwrap();
    writer.write_all(b"two").unwrap();
    drop(batch);
    drop(writer);
    assert_eq!((count(&store, "ingest"), count(&store, "blobs/sha256")), (0, 0));
}

#[test]
fn a_writer_that_commits_while_its_batch_ends_is_not_told_a_lie() {
    let (_dir, store) = store();
    for number in 0..300_u32 {
        let content = number.to_le_bytes();
        let batch = store.batch().unwrap();
        let mut writer = batch.create(&Expected::any()).unwrap();
        writer.write_all(&content).unwrap();
        let begin = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                begin.wait();
                batch.commit().unwrap();
            });
            begin.wait();
            writer.commit().unwrap();
        });
        // It came in time and went with the batch, or it came too late and went for itself.
        assert!(store.stat(&Digest::sha256_of(&content)).unwrap().is_some(), "blob {number}");
    }
    assert_eq!(count(&store, "ingest"), 0);
}

#[test]
fn a_large_batch_becomes_visible_in_its_order() {
    let (_dir, store) = store();
    let batch = store.batch().unwrap();
    let mut visible = 0;
    for number in 0..1000_u32 {
        batch.put_bytes(&number.to_le_bytes()).unwrap();
        while store.stat(&Digest::sha256_of(&u32::to_le_bytes(visible))).unwrap().is_some() {
            visible += 1;
        }
        let found = count(&store, "blobs/sha256");
        assert_eq!(visible as usize, found, "what is visible is the beginning");
        assert!(count(&store, "ingest") <= 128, "files are open in numbers that a process may have");
    }
    assert!((800..1000).contains(&visible), "{visible}");
    batch.commit().unwrap();
    assert_eq!(count(&store, "blobs/sha256"), 1000);
}

#[test]
fn large_blobs_are_not_held_back() {
    let (_dir, store) = store();
    let batch = store.batch().unwrap();
    let put = batch.put_bytes(&vec![1; 64 << 20]).unwrap();
    assert_eq!(store.stat(&put.digest).unwrap(), Some(64 << 20));
    drop(batch);
}

#[test]
fn a_store_without_syncs_shows_each_blob_at_once() {
    let dir = TempDir::new().unwrap();
    let store = FsBlobStoreOptions::default().with_durability(Durability::Fast).create(dir.path()).unwrap();
    let batch = store.batch().unwrap();
    let put = batch.put_bytes(b"fast").unwrap();
    assert_eq!(store.stat(&put.digest).unwrap(), Some(4));
    drop(batch);
}

#[cfg(unix)]
#[test]
fn a_batch_on_a_full_disk_fails_and_leaves_the_store_clean() {
    let Some(disk) = SmallDisk::mount(1 << 20) else { return };
    let store = FsBlobStore::create(disk.path().join("store")).unwrap();
    let batch = store.batch().unwrap();
    batch.put_bytes(&[1; 400 << 10]).unwrap();
    let error = batch.put_bytes(&vec![2; 800 << 10]).unwrap_err();
    assert!(error.to_string().contains("ingest"), "{error}");
    batch.commit().unwrap();
    assert_eq!((count(&store, "ingest"), count(&store, "blobs/sha256")), (0, 1));
}

#[test]
fn a_blob_that_vanishes_under_a_writer_of_a_batch_is_not_found() {
    let (_dir, store) = store();
    let put = store.put_bytes(b"fleeting").unwrap();
    let batch = store.batch().unwrap();
    let mut writer = batch.create(&Expected::sized(put.digest.clone(), 8)).unwrap();
    writer.write_all(b"fleeting").unwrap();
    store.remove(&put.digest).unwrap();
    assert!(writer.commit().unwrap_err().is_not_found());
}
