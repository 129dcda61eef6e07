//! Leases: what they protect from a collection, and when they end.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use image_core::{
    Ctx, Descriptor, Digest, Document, ImageIndex, MediaType,
    blob::{BlobSource, BlobStore, BlobStoreExt, FsBlobStore},
    gc::{self, GcOptions},
};
use tempfile::TempDir;

fn store() -> (TempDir, FsBlobStore) {
    let dir = TempDir::new().unwrap();
    let store = FsBlobStore::create(dir.path()).unwrap();
    (dir, store)
}

/// Collects all that nothing protects, and says how many blobs are left.
fn left(store: &FsBlobStore) -> u64 {
    let options = GcOptions::default().with_grace(Duration::ZERO);
    // As another process would see it.
    let store = FsBlobStore::open(store.root()).unwrap();
    gc::collect(&store, &[], &options, &Ctx::default()).unwrap().kept
}

fn leases(store: &FsBlobStore) -> usize {
    fs::read_dir(store.root().join("leases")).map_or(0, Iterator::count)
}

#[test]
fn what_comes_in_under_a_lease_stays_until_it_ends() {
    let (_dir, store) = store();
    store.put_bytes(b"found").unwrap();
    store.put_bytes(b"not needed").unwrap();
    let lease = store.lease().unwrap();
    assert!(lease.blobs().put_bytes(b"found").unwrap().already_present);
    lease.blobs().put_bytes(b"stored").unwrap();
    let batch = lease.blobs().batch().unwrap();
    batch.put_bytes(b"in a batch").unwrap();
    batch.put_bytes(b"in a batch too").unwrap();
    assert_eq!(left(&store), 2);
    batch.commit().unwrap();
    assert_eq!(left(&store), 4);
    let clone = lease.blobs().clone();
    drop(lease);
    assert_eq!(left(&store), 4, "a clone of its store is the lease too");
    drop(clone);
    assert_eq!((left(&store), leases(&store)), (0, 0));
}

#[test]
fn two_leases_protect_one_blob_until_both_end() {
    let (_dir, store) = store();
    let (one, two) = (store.lease().unwrap(), store.lease().unwrap());
    one.blobs().put_bytes(b"shared").unwrap();
    two.blobs().put_bytes(b"shared").unwrap();
    drop(one);
    assert_eq!(left(&store), 1);
    drop(two);
    assert_eq!(left(&store), 0);
}

#[test]
fn a_root_is_kept_with_all_below_it() {
    let (_dir, store) = store();
    let layer = store.put_bytes(b"a blob that an index points at").unwrap();
    let below = Descriptor::new(MediaType::OciLayer, layer.digest, layer.size);
    let index = Document::new(ImageIndex::new(vec![below])).unwrap();
    let lease = store.lease().unwrap();
    let root = index.descriptor(MediaType::OciIndex);
    assert!(!lease.keep(&root).unwrap(), "it is not there yet");
    store.put_document(&index).unwrap();
    assert!(lease.keep(&root).unwrap());
    assert_eq!(left(&store), 2);
    drop(lease);
    assert_eq!(left(&store), 0);
}

#[test]
fn a_lease_does_not_grow_with_what_it_protects_already() {
    let (_dir, store) = store();
    let index = Document::new(ImageIndex::new(Vec::new())).unwrap();
    let lease = store.lease().unwrap();
    let file = fs::read_dir(store.root().join("leases")).unwrap().next().unwrap().unwrap().path();
    let mut sizes = Vec::new();
    for _ in 0..3 {
        lease.blobs().put_document(&index).unwrap();
        assert!(lease.keep(&index.descriptor(MediaType::OciIndex)).unwrap());
        sizes.push(fs::metadata(&file).unwrap().len());
    }
    assert_eq!(sizes, [sizes[0]; 3]);
    assert_eq!(left(&store), 1);
}

#[cfg(unix)]
#[test]
fn a_lease_that_was_cut_short_protects_what_is_written_whole() {
    let (_dir, store) = store();
    let lease = store.lease().unwrap();
    lease.blobs().put_bytes(b"first").unwrap();
    let file = fs::read_dir(store.root().join("leases")).unwrap().next().unwrap().unwrap().path();
    // As a full disk does it.
    let torn = format!("\nsha256:{}", &Digest::sha256_of(b"torn").encoded()[..20]);
    std::io::Write::write_all(&mut fs::OpenOptions::new().append(true).open(&file).unwrap(), torn.as_bytes()).unwrap();
    lease.blobs().put_bytes(b"second").unwrap();
    store.put_bytes(b"torn").unwrap();
    left(&store);
    assert!(store.stat(&Digest::sha256_of(b"first")).unwrap().is_some());
    drop(lease);
    assert_eq!(left(&store), 0);
}

#[test]
fn a_lease_ends_with_its_process() {
    let (_dir, store) = store();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "blob_fs_lease::child_holds_a_lease", "--ignored"])
        .current_dir(store.root())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let digest = Digest::sha256_of(b"of the child");
    while store.stat(&digest).unwrap().is_none() {
        assert!(child.try_wait().unwrap().is_none(), "the child lives until it is killed");
        std::thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..10 {
        assert_eq!(left(&store), 1, "the child lives");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((left(&store), leases(&store)), (0, 0), "a dead process protects nothing, and leaves nothing");
}

/// Not a test of its own: works in the store that is the current directory; does nothing where that is none.
#[test]
#[ignore = "the child process of another test"]
fn child_holds_a_lease() {
    if Path::new("blobs").is_dir() {
        let store = FsBlobStore::open(".").unwrap();
        let lease = store.lease().unwrap();
        lease.blobs().put_bytes(b"of the child").unwrap();
        std::thread::sleep(Duration::from_secs(600));
        drop(lease);
    }
}

#[test]
fn nothing_is_removed_while_somebody_holds_the_store() {
    let (_dir, store) = store();
    let put = store.put_bytes(b"held").unwrap();
    let hold = store.hold().unwrap();
    std::thread::scope(|scope| {
        let collection = scope.spawn(|| left(&store));
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(store.stat(&put.digest).unwrap(), Some(4));
        drop(hold);
        assert_eq!(collection.join().unwrap(), 0);
    });
}
